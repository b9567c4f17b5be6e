import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { codeIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { badTokens, forger } from '../plugins/bad-tokens.ts'
import { documents, ROOT } from './documents.ts'

// Runs the programs of docs/integrate.md as they stand. Only the names of the package and of the service are replaced.

const page = documents.find(({ path }) => path === 'docs/integrate.md')!
const CLIENT = pathToFileURL(resolve(ROOT, 'clients/typescript/src/index.ts')).href

interface Client {
  users: { getMe: () => Promise<{ data: { name: string } }> }
  signOut: () => Promise<void>
}

interface Programs {
  'user-service.js': { service: Client, requestCode: (email: string, name?: string) => Promise<string>, signIn: (challengeId: string, code: string) => Promise<{ email: string }> }
  'session.js': Record<'POST' | 'PUT' | 'DELETE', (request: Request) => Promise<Response>>
  'page.js': { service: Client }
  'verify-token.js': { claimsOf: (authorization?: string) => Promise<Record<string, unknown> | undefined> }
  'consumer.js': { isNew: (seen: Map<string, number>, event: { data: { userId: string, userVersion: number } }) => boolean }
  'rename.js': { rename: (service: Client, name: string) => Promise<string> }
}

/** Writes a program of the page to a file, for a service at this URL, and imports it. */
async function load<Name extends keyof Programs> (t: Test, name: Name, service: string): Promise<Programs[Name]> {
  const block = page.blocks.find(({ text }) => text.startsWith(`// ${name}\n`))
  if (block === undefined) throw new Error(`docs/integrate.md has no ${name}`)
  // A name of its own for each service: the same file is imported once.
  const file = join(t.testdir(), `${new URL(service).port}-${name.replace('.js', '.mjs')}`)
  writeFileSync(file, block.text.replaceAll("'@user-service/client'", `'${CLIENT}'`).replaceAll('http://localhost:3000', service))
  return await import(pathToFileURL(file).href) as Programs[Name]
}

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const service = await app.listen({ port: 0, host: '127.0.0.1' })

t.test('every program of the page is run here', async t => {
  t.same(page.blocks.filter(({ language }) => language === 'js').map(({ text }) => /^\/\/ (\S+)\n/.exec(text)?.[1]),
    ['user-service.js', 'session.js', 'page.js', 'verify-token.js', 'consumer.js', 'rename.js'])
})

t.test('a browser registers, signs in, renames the user, signs in again and signs out', async t => {
  const items = new Map<string, string>()
  const localStorage = { getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, value: string) => { items.set(key, value) }, removeItem: (key: string) => { items.delete(key) } }
  Object.defineProperty(globalThis, 'localStorage', { value: localStorage, configurable: true, writable: true })
  const client = await load(t, 'user-service.js', service)
  const { rename } = await load(t, 'rename.js', service)

  const registration = await client.requestCode('ada@example.com', 'Ada Lovelace')
  await pump(app, engines)
  const code = codeIn(engines, 'ada@example.com')
  t.match(await client.signIn(registration, `${code.slice(0, 4)} ${code.slice(4)}`), { email: 'ada@example.com' })
  t.equal(await rename(client.service, 'Ada King'), 'Saved.')
  t.equal(await rename(client.service, 'x'), 'A name has 2 to 100 characters.')
  t.equal((await client.service.users.getMe()).data.name, 'Ada King')
  t.equal(items.size, 1)
  await client.service.signOut()
  t.equal(items.size, 0)

  const challenge = await client.requestCode('ada@example.com')
  await pump(app, engines)
  await t.rejects(client.signIn(challenge, '00000000'), { code: 'AUTH_CODE_INVALID' })
  await client.signIn(challenge, codeIn(engines, 'ada@example.com'))
  await client.service.signOut()
})

t.test('a backend keeps the refresh token in a cookie, and its page shares one renewal', async t => {
  const session = await load(t, 'session.js', service)
  const ORIGIN = 'http://localhost:5173'
  let cookie = ''
  const renewals: number[] = []

  /** What the page's browser does with the backend: sends the cookie, and keeps the new one. */
  async function call (method: keyof typeof session, body?: object, origin = ORIGIN): Promise<Response> {
    const answer = await session[method](new Request(`${ORIGIN}/session`, { method, headers: { origin, cookie }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
    const set = answer.headers.get('set-cookie')
    if (set !== null) {
      t.match(set, /; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=\d+$/)
      cookie = set.endsWith('Max-Age=0') ? '' : set.slice(0, set.indexOf(';'))
    }
    return answer
  }
  const { fetch } = globalThis
  globalThis.fetch = async (url, init) => {
    if (url !== '/session') return await fetch(url, init)
    const answer = await call('PUT')
    renewals.push(answer.status)
    return answer
  }
  t.teardown(() => { globalThis.fetch = fetch })

  t.equal((await call('PUT')).status, 401, 'no user has signed in')
  const email = 'grace@example.com'
  const registration = await app.inject({ method: 'POST', url: '/v2/users', payload: { email, name: 'Grace Hopper' } })
  await pump(app, engines)
  const { challengeId } = registration.json<{ challengeId: string }>()
  t.equal((await call('POST', { challengeId, code: '00000000' })).status, 401)
  t.equal(cookie, '')
  const signedIn = await call('POST', { challengeId, code: codeIn(engines, email) })
  t.equal(signedIn.status, 200)
  t.match(await signedIn.json(), { accessToken: /./, refreshToken: undefined, user: { email } })
  t.match(cookie, /^__Host-refresh=[\w-]{107}$/)

  for (const method of ['POST', 'PUT', 'DELETE'] as const) t.equal((await call(method, undefined, 'https://evil.example')).status, 403)
  const { service: client } = await load(t, 'page.js', service)
  const first = cookie
  const names = await Promise.all([1, 2, 3].map(async () => (await client.users.getMe()).data.name))
  t.same(names, ['Grace Hopper', 'Grace Hopper', 'Grace Hopper'])
  t.same(renewals, [200], 'three calls, one renewal')
  t.not(cookie, first, 'the refresh token has rotated')

  t.equal((await call('DELETE')).status, 204)
  t.equal(cookie, '')
  cookie = first
  const ended = await call('PUT')
  t.equal(ended.status, 401)
  t.match(await ended.json(), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  t.equal(cookie, '', 'a session that has ended leaves no cookie')
})

t.test('a server accepts the service’s tokens, refuses every bad one, and knows when it does not know', async t => {
  const { claimsOf } = await load(t, 'verify-token.js', service)
  const user = { sub: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', email: 'ada@example.com', role: 'user' as const, sid: '00000001-5f7b-8a39-9d0e-0c2f4f6b8f11' }
  const good = await app.accessTokens.sign(user)
  t.match(await claimsOf(`Bearer ${good}`), { ...user, userId: user.sub, iss: 'user-service', aud: 'user-service' })
  const { JWT_SECRET } = app.config
  t.match(await claimsOf(`Bearer ${forger(JWT_SECRET!).forge()}`), { role: /./ }, 'a token that is forged well is a good one')
  const bad = await badTokens(JWT_SECRET!, async claims => await app.accessTokens.sign(claims as typeof user))
  t.ok(Object.keys(bad).length > 40)
  // Signed by the service's key and otherwise right: jose takes the one key there is.
  delete bad['kid missing']
  for (const [what, token] of Object.entries(bad)) t.equal(await claimsOf(`Bearer ${token}`), undefined, what)
  for (const header of [undefined, '', good, `Basic ${good}`, `Bearer ${good} ${good}`]) t.equal(await claimsOf(header), undefined)

  const offline = await load(t, 'verify-token.js', 'http://127.0.0.1:1')
  await t.rejects(offline.claimsOf(`Bearer ${good}`))
})

t.test('a consumer skips what is old or comes twice', async t => {
  const { isNew } = await load(t, 'consumer.js', service)
  const seen = new Map<string, number>()
  const event = (userId: string, userVersion: number) => ({ data: { userId, userVersion } })
  t.same([event('a', 1), event('a', 3), event('a', 2), event('a', 3), event('b', 1)].map(each => isNew(seen, each)), [true, true, false, false, true])
})
