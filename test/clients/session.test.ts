import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createUserService, memoryStorage, ProblemError, webStorage, type TokenStorage } from '../../clients/typescript/src/index.ts'
import { codeIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
await app.listen({ host: '127.0.0.1', port: 0 })
const baseUrl = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

let users = 0

/** A client of the running service, with a user who is signed in, and the paths of the requests that it sends. */
async function signedIn (storage: TokenStorage = memoryStorage(), options: Partial<Parameters<typeof createUserService>[0]> = {}) {
  const sent: string[] = []
  const counted: typeof fetch = async (input, init) => {
    sent.push(`${init?.method} ${new URL(String(input)).pathname}`)
    return await fetch(input, init)
  }
  const service = createUserService({ baseUrl, storage, fetch: counted, ...options })
  const email = `user${++users}@example.com`
  const { data: { challengeId } } = await service.users.create({ body: { email, name: 'Ada Lovelace' } })
  await pump(app, engines)
  const user = await service.signIn({ challengeId, code: codeIn(engines, email) })
  sent.length = 0
  return { service, storage, sent, email, user }
}

/** Changes the stored tokens. */
async function edit (storage: TokenStorage, changes: object) {
  await storage.set({ ...(await storage.get())!, ...changes })
}

const refreshes = (sent: string[]) => sent.filter(request => request === 'POST /v2/auth/tokens').length

t.test('a user registers, signs in with the code and calls operations with the token', async t => {
  const { service, user, email } = await signedIn()
  t.match(user, { email, status: 'ACTIVE' })
  const { data: me, etag } = await service.users.getMe()
  t.same(me, user)
  const changed = await service.users.updateMe({ body: { name: 'Ada King' }, ifMatch: etag })
  t.match(changed.data, { name: 'Ada King', version: me.version + 1 })
  t.match(await service.users.getMe({ ifNoneMatch: changed.etag! }), { status: 304, data: undefined })
  t.match((await service.tokens())?.user.email, email)
})

t.test('twenty calls with a token that is about to expire cause one refresh, before they are sent', async t => {
  const { service, storage, sent } = await signedIn()
  const { accessToken } = (await storage.get())!
  await edit(storage, { issuedAt: Date.now() - 580_000, expiresAt: Date.now() + 20_000 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.users.getMe()))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(sent.length, 21)
  t.equal(refreshes(sent), 1)
  t.not((await storage.get())!.accessToken, accessToken)
})

t.test('twenty calls whose token is rejected cause one refresh, and are sent again', async t => {
  const { service, storage, sent } = await signedIn()
  await edit(storage, { accessToken: 'expired-while-the-clock-was-wrong' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.users.getMe()))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(refreshes(sent), 1)
  t.equal(sent.length, 41)
})

t.test('a call that changes something is sent again with the new token too', async t => {
  const { service, storage, sent } = await signedIn()
  await edit(storage, { accessToken: 'rejected' })
  t.match((await service.users.updateMe({ body: { name: 'Ada King' } })).data, { name: 'Ada King', version: 3 })
  t.same(sent, ['PATCH /v2/users/me', 'POST /v2/auth/tokens', 'PATCH /v2/users/me'])
})

t.test('a signal ends the wait of its own call, not the refresh of the others', async t => {
  const { service, storage, sent } = await signedIn()
  await edit(storage, { expiresAt: 0 })
  const controller = new AbortController()
  const [left, stayed] = [service.users.getMe({ signal: controller.signal }), service.users.getMe()]
  const isLeft = t.rejects(left, { message: 'the user left' })
  controller.abort(new Error('the user left'))
  await isLeft
  t.match(await stayed, { status: 200 })
  t.equal(refreshes(sent), 1)
})

t.test('a session that the service has ended is forgotten, and reported once', async t => {
  const ended: ProblemError[] = []
  const { service, storage } = await signedIn(memoryStorage(), { onSessionEnd: error => { ended.push(error) } })
  await service.auth.revoke({ body: { refreshToken: (await storage.get())!.refreshToken } })
  await edit(storage, { expiresAt: 0 })
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => service.users.getMe()))
  for (const result of results) t.match(result, { status: 'rejected', reason: { name: 'ProblemError', status: 401 } })
  t.match(ended, [{ code: 'AUTH_REFRESH_TOKEN_INVALID' }])
  t.equal(ended.length, 1)
  t.equal(await service.tokens(), undefined)
  await t.rejects(service.users.getMe(), { status: 401, code: 'AUTH_TOKEN_INVALID' }, 'without tokens the call is sent without a token')
})

t.test('a refresh that fails for another reason keeps the session', async t => {
  let isDown = false
  const failing: typeof fetch = async (input, init) => {
    if (isDown && String(input).endsWith('/v2/auth/tokens')) throw new TypeError('fetch failed')
    return await fetch(input, init)
  }
  const { service, storage } = await signedIn(memoryStorage(), { fetch: failing, retry: { attempts: 2 } })
  await edit(storage, { expiresAt: 0 })
  isDown = true
  await t.rejects(service.users.getMe(), TypeError)
  t.ok(await service.tokens())
  isDown = false
  t.match(await service.users.getMe(), { status: 200 })
})

/** Two clients on one storage, as two tabs of a browser. */
async function twoTabs () {
  const values = new Map<string, string>()
  const local = { getItem: (key: string) => values.get(key) ?? null, setItem: (key: string, value: string) => { values.set(key, value) }, removeItem: (key: string) => { values.delete(key) } }
  const first = await signedIn(webStorage(local))
  const sent: string[] = []
  const second = createUserService({
    baseUrl,
    storage: webStorage(local),
    fetch: async (input, init) => {
      sent.push(`${init?.method} ${new URL(String(input)).pathname}`)
      return await fetch(input, init)
    }
  })
  return { first, second: { service: second, sent }, values }
}

t.test('tabs that share a storage share one refresh', async t => {
  const { first, second } = await twoTabs()
  await edit(first.storage, { expiresAt: 0 })
  const answers = await Promise.all([first, second].flatMap(({ service }) => Array.from({ length: 5 }, () => service.users.getMe())))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(refreshes(first.sent) + refreshes(second.sent), 1)
})

t.test('without a lock the newest tokens win', async t => {
  const storage = memoryStorage()
  const { service, sent } = await signedIn(storage)
  const old = (await storage.get())!
  // Another tab has refreshed twice; this one still holds what it read before.
  await edit(storage, { expiresAt: 0 })
  await service.users.getMe()
  const newest = (await storage.get())!
  let reads = 0
  const slow: TokenStorage = { get: () => reads++ < 2 ? { ...old, expiresAt: 0 } : storage.get(), set: tokens => storage.set(tokens) }
  const tab = createUserService({ baseUrl, storage: slow, fetch })
  t.match(await tab.users.getMe(), { status: 200 })
  t.equal((await storage.get())!.issuedAt >= newest.issuedAt, true)
  t.equal(refreshes(sent), 1)
  t.match(await service.users.getMe(), { status: 200 }, 'and the session goes on')
})

t.test('what something else wrote into the storage is no session', async t => {
  const { first, second, values } = await twoTabs()
  for (const text of ['not json', '{}', '[]', 'null', '"text"']) {
    values.set('user-service.tokens', text)
    t.equal(await second.service.tokens(), undefined, text)
  }
  await first.storage.set(undefined)
  t.equal(values.size, 0)
})

t.test('a user who signs out has no tokens and no session; a refresh that was under way does not bring them back', async t => {
  const { service, storage } = await signedIn()
  const { refreshToken } = (await storage.get())!
  await edit(storage, { expiresAt: 0 })
  const call = service.users.getMe().catch((error: unknown) => error)
  await service.signOut()
  await call
  t.equal(await service.tokens(), undefined)
  await until(async () => {
    const error = await service.auth.createTokens({ body: { grantType: 'refresh_token', refreshToken } }).catch((error: unknown) => error)
    return error instanceof ProblemError && error.status === 401
  })
  t.pass('the session has ended')
  await service.signOut()
  t.pass('a second time changes nothing')
})
