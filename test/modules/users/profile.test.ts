import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { User as UserType } from '../../../src/modules/users/contract.ts'
import { User, UserPatch } from '../../../src/modules/users/schemas.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, TABLES } from '../../engines.ts'
import { intercept, recordCalls } from '../../faults.ts'
import { pump } from '../../pump.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '100000', ADMIN_EMAILS: 'root@example.com' } })

let n = 0
async function newUser (name = 'Ada') {
  const email = `user-${++n}@example.com`
  const tokens = await signIn(app, engines, email, name)
  return { id: tokens.user.id, email, headers: { authorization: `Bearer ${tokens.accessToken}` } }
}
async function admin () {
  const tokens = await signIn(app, engines, 'root@example.com', 'Root')
  return { id: tokens.user.id, headers: { authorization: `Bearer ${tokens.accessToken}` } }
}
const call = (method: 'GET' | 'PATCH' | 'DELETE', url: string, headers: Record<string, string>, payload?: object) =>
  app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })

t.test('a signed-in user reads their own profile, under both of its paths', async (t) => {
  const ada = await newUser()
  const me = await call('GET', '/v2/users/me', ada.headers)
  t.equal(me.statusCode, 200)
  t.match(me.json(), { id: ada.id, email: ada.email, name: 'Ada', status: 'ACTIVE', role: 'user', version: 2 })
  t.same(Object.keys(me.json()).sort(), ['createdAt', 'email', 'id', 'locale', 'name', 'role', 'status', 'updatedAt', 'version'])
  t.same((await call('GET', `/v2/users/${ada.id}`, ada.headers)).json(), me.json())
  const v1 = await call('GET', `/v1/users/${ada.id}`, ada.headers)
  const { id: userId, role, version, locale, ...rest } = me.json()
  t.same(v1.json(), { success: true, data: { userId, ...rest } })
})

t.test('an uncached read is one AWS call, a cached one none', async (t) => {
  const cold = await buildTestApp(t, engines)
  // Names of a hundred characters that are two hundred units, too.
  const ada = await newUser('👩'.repeat(100))
  const read = async () => {
    const calls = recordCalls(cold)
    t.equal((await cold.inject({ url: '/v2/users/me', headers: ada.headers })).statusCode, 200)
    return calls.stop()
  }
  t.same(await read(), ['GetItemCommand'])
  t.same(await read(), [])
})

t.test('a cached profile is sent byte for byte as the table has it, and each change is in the next answer', async (t) => {
  const cold = await buildTestApp(t, engines)
  const [ada, grace] = [await newUser('Ada "é" 👩'), await newUser('Grace')]
  const sent = async ({ headers }: { headers: Record<string, string> }, url = '/v2/users/me') => {
    const { statusCode, body, headers: { etag, 'content-type': type, 'content-length': length, vary, 'cache-control': control } } = await cold.inject({ url, headers })
    return { statusCode, body, etag, type, length, vary, control }
  }
  const change = (name: string) => cold.inject({ method: 'PATCH', url: '/v2/users/me', headers: ada.headers, payload: { name } })
  const fromTable = await sent(ada)
  for (let i = 0; i < 3; i++) t.same(await sent(ada), fromTable)
  t.same(await sent(ada, `/v2/users/${ada.id}`), fromTable)
  t.equal(fromTable.length, String(Buffer.byteLength(fromTable.body)))
  t.equal(JSON.parse((await sent(grace)).body).id, grace.id)

  for (const [i, name] of ['Ada King', 'Ada Lovelace', 'Ada King'].entries()) {
    t.equal((await change(name)).statusCode, 200)
    for (let read = 0; read < 3; read++) {
      const { body, etag } = await sent(ada)
      t.match(JSON.parse(body), { id: ada.id, name, version: 3 + i })
      t.equal(etag, `"${ada.id}.${3 + i}"`)
      const v1 = await cold.inject({ url: `/v1/users/${ada.id}`, headers: ada.headers })
      t.equal(v1.json().data.name, name)
    }
  }
  t.equal((await cold.inject({ method: 'DELETE', url: '/v2/users/me', headers: ada.headers })).statusCode, 204)
  for (let read = 0; read < 2; read++) t.equal((await sent(ada)).statusCode, 401)
})

t.test('a read has an ETag, and a client that has that version gets 304', async (t) => {
  const ada = await newUser()
  const { etag } = (await call('GET', '/v2/users/me', ada.headers)).headers as { etag: string }
  t.equal(etag, `"${ada.id}.2"`)
  for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const answer = await call('GET', '/v2/users/me', { ...ada.headers, 'if-none-match': tags })
    t.equal(answer.statusCode, 304, tags)
    t.equal(answer.body, '')
    t.equal(answer.headers.etag, etag)
  }
  await call('PATCH', '/v2/users/me', ada.headers, { name: 'Ada King' })
  t.equal((await call('GET', '/v2/users/me', { ...ada.headers, 'if-none-match': etag })).statusCode, 200)
})

t.test('a change is seen at once, in every version and by every address', async (t) => {
  const ada = await newUser()
  for (const [i, [url, type]] of ([['/v2/users/me', 'application/merge-patch+json'], [`/v2/users/${ada.id}`, 'application/json'], [`/v1/users/${ada.id}`, 'application/json']] as const).entries()) {
    const name = `Name ${i}`
    const answer = await app.inject({ method: 'PATCH', url, headers: { ...ada.headers, 'content-type': type }, payload: JSON.stringify({ name }) })
    t.equal(answer.statusCode, 200, url)
    t.equal((await call('GET', '/v2/users/me', ada.headers)).json().name, name)
    t.equal((await call('GET', `/v1/users/${ada.id}`, ada.headers)).json().data.name, name)
  }
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().version, 5)
})

t.test('twenty changes from all sides at once leave one line of versions', async (t) => {
  const ada = await newUser()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call('PATCH', '/v2/users/me', ada.headers, { name: `Name ${i}` })))
  const done = answers.filter(answer => answer.statusCode === 200)
  t.same(answers.filter(answer => ![200, 409].includes(answer.statusCode)).map(answer => answer.body), [])
  const versions = done.map(answer => answer.json().version).sort((a, b) => a - b)
  t.same(versions, Array.from({ length: done.length }, (_, i) => i + 3))
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().version, versions.at(-1))
})

t.test('an invalid change is rejected and changes nothing', async (t) => {
  const ada = await newUser()
  for (const [body, status, code] of [
    [{ name: null }, 400, 'VALIDATION_FAILED'],
    [{ name: 'A' }, 400, 'VALIDATION_FAILED'],
    [{ version: 9 }, 400, 'VALIDATION_FAILED'],
    [{ email: 'other@example.com' }, 400, 'VALIDATION_FAILED'],
    [{ status: 'PENDING_VERIFICATION' }, 400, 'VALIDATION_FAILED'],
    [{ role: 'admin' }, 403, 'FORBIDDEN'],
    [{ name: 'Ada', status: 'SUSPENDED' }, 403, 'FORBIDDEN']
  ] as const) {
    const answer = await call('PATCH', '/v2/users/me', ada.headers, body)
    t.equal(answer.statusCode, status, JSON.stringify(body))
    t.equal(answer.json().code, code)
  }
  t.equal((await call('PATCH', `/v1/users/${ada.id}`, ada.headers, { name: 'Ada', role: 'admin' })).statusCode, 400)
  t.match((await call('GET', '/v2/users/me', ada.headers)).json(), { name: 'Ada', version: 2, role: 'user' })
})

t.test("another user's account looks like one that does not exist", async (t) => {
  const [ada, eve] = [await newUser(), await newUser()]
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    for (const version of ['v1', 'v2']) {
      const payload = method === 'PATCH' ? { name: 'Eve was here' } : undefined
      const theirs = await call(method, `/${version}/users/${ada.id}`, eve.headers, payload)
      const missing = await call(method, `/${version}/users/00000000-0000-4000-8000-000000000000`, eve.headers, payload)
      t.equal(theirs.statusCode, 404, `${method} ${version}`)
      const shape = (body: string) => body.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id')
      t.equal(shape(theirs.body), shape(missing.body))
    }
  }
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().name, 'Ada')
})

t.test('an id can address nothing but a user', async (t) => {
  const ada = await newUser()
  const root = await admin()
  for (const id of [`email%23${ada.email}`, 'outbox%23x', 'me%20', '..', '%00', 'not-a-uuid', ada.id.toUpperCase()]) {
    t.equal((await call('GET', `/v2/users/${id}`, root.headers)).statusCode, 404, id)
  }
})

t.test('without a token there is nothing to see', async (t) => {
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    for (const url of ['/v2/users/me', '/v2/users/00000000-0000-4000-8000-000000000000', '/v1/users/00000000-0000-4000-8000-000000000000']) {
      const answer = await call(method, url, {}, method === 'PATCH' ? { name: 'Changed' } : undefined)
      t.equal(answer.statusCode, 401, `${method} ${url}`)
      t.equal(answer.headers['www-authenticate'], 'Bearer realm="user-service"')
    }
  }
})

t.test('an admin reads, changes, suspends and deletes others', async (t) => {
  const [root, ada] = [await admin(), await newUser()]
  t.equal((await call('GET', '/v2/users/me', root.headers)).json().role, 'admin')
  t.equal((await call('GET', `/v2/users/${ada.id}`, root.headers)).json().email, ada.email)
  t.equal((await call('GET', `/v1/users/${ada.id}`, root.headers)).statusCode, 200)
  t.match((await call('PATCH', `/v2/users/${ada.id}`, root.headers, { role: 'admin' })).json(), { role: 'admin' })
  t.match((await call('PATCH', `/v2/users/${ada.id}`, root.headers, { status: 'SUSPENDED', role: 'user' })).json(), { status: 'SUSPENDED', role: 'user' })
  t.equal((await call('GET', '/v2/users/me', ada.headers)).statusCode, 401, 'the token of a suspended account is worth nothing')
  t.equal((await call('GET', `/v2/users/${root.id}`, ada.headers)).statusCode, 401)
  t.equal((await call('DELETE', `/v2/users/${ada.id}`, root.headers)).statusCode, 204)
  t.equal((await call('GET', `/v2/users/${ada.id}`, root.headers)).statusCode, 404)
})

t.test('a former admin has no admin rights, even with an admin\'s token', async (t) => {
  const [ada, bob] = [await newUser(), await newUser()]
  await app.users.update(await adminOf(app), ada.id, { role: 'admin' }, 'c')
  const headers = { authorization: `Bearer ${await app.accessTokens.sign({ sub: ada.id, email: ada.email, role: 'admin', sid: crypto.randomUUID() })}` }
  t.equal((await call('GET', `/v2/users/${bob.id}`, headers)).statusCode, 200)
  await app.users.update(await adminOf(app), ada.id, { role: 'user' }, 'c')
  t.equal((await call('GET', `/v2/users/${bob.id}`, headers)).statusCode, 404)
  t.equal((await call('PATCH', '/v2/users/me', headers, { role: 'admin' })).statusCode, 403)
})

t.test('a deleted account leaves no trace, its token is worth nothing, its address is free', async (t) => {
  const ada = await newUser('Ada Vanishing')
  await call('GET', '/v2/users/me', ada.headers)
  t.equal((await call('DELETE', '/v2/users/me', ada.headers)).statusCode, 204)
  t.equal((await call('GET', '/v2/users/me', ada.headers)).statusCode, 401)
  t.equal((await call('PATCH', '/v2/users/me', ada.headers, { name: 'Ghost' })).statusCode, 401)
  t.equal((await call('GET', `/v1/users/${ada.id}`, ada.headers)).statusCode, 401)
  await pump(app, engines)
  for (const table of TABLES) {
    const { Items } = await app.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }))
    for (const trace of [ada.id, ada.email, 'Ada Vanishing']) t.notMatch(JSON.stringify(Items), trace, table)
  }
  const again = await signIn(app, engines, ada.email, 'Ada Again')
  t.not(again.user.id, ada.id)
})

t.test('permissions are read from the table: a suspended and demoted admin can do nothing on an instance that still has them in its cache', async (t) => {
  const other = await buildTestApp(t, engines)
  const [victim, eve] = [await newUser(), await newUser()]
  const root = await adminOf(app)
  await app.users.update(root, eve.id, { role: 'admin' }, 'c')
  t.equal((await other.inject({ url: '/v2/users/me', headers: eve.headers })).json().role, 'admin', 'the other instance has cached the admin')
  await app.users.update(root, eve.id, { status: 'SUSPENDED', role: 'user' }, 'c')
  for (const [method, url, payload] of [
    ['PATCH', '/v2/users/me', { status: 'ACTIVE', role: 'admin' }],
    ['PATCH', '/v2/users/me', { name: 'Still Here' }],
    ['PATCH', `/v2/users/${root.userId}`, { status: 'SUSPENDED' }],
    ['DELETE', `/v2/users/${root.userId}`, undefined],
    ['DELETE', '/v2/users/me', undefined],
    ['GET', `/v2/users/${victim.id}`, undefined],
    ['PATCH', `/v1/users/${eve.id}`, { name: 'Still Here' }]
  ] as const) {
    const answer = await other.inject({ method, url, headers: eve.headers, ...(payload === undefined ? {} : { payload }) })
    t.equal(answer.statusCode, 401, `${method} ${url}`)
  }
  t.match(await app.users.getFresh(eve.id), { status: 'SUSPENDED', role: 'user', name: 'Ada', version: 4 })
  t.match(await app.users.getFresh(root.userId), { status: 'ACTIVE', role: 'admin' })
})

t.test('an entry planted in the cache does not make a user an admin', async (t) => {
  const [eve, victim] = [await newUser(), await newUser()]
  await call('GET', '/v2/users/me', eve.headers)
  const stored = (await app.users.getFresh(eve.id))!
  await app.cache.write(`user:${eve.id}`, { ...stored, role: 'admin', version: 1000 } as never)
  t.equal((await call('PATCH', '/v2/users/me', eve.headers, { role: 'admin' })).statusCode, 403)
  t.equal((await call('GET', `/v2/users/${victim.id}`, eve.headers)).statusCode, 404)
  t.equal((await call('DELETE', `/v2/users/${victim.id}`, eve.headers)).statusCode, 404)
  t.equal((await app.users.getFresh(eve.id))!.role, 'user')
})

t.test('an admin who is demoted between the look and the write changes nothing', async (t) => {
  const [ada, eve] = [await newUser(), await newUser()]
  const root = await adminOf(app)
  await app.users.update(root, eve.id, { role: 'admin' }, 'c')
  let demoted = false
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    if (!demoted) {
      demoted = true
      await app.users.update(root, eve.id, { role: 'user' }, 'c')
    }
    return await send()
  })
  t.equal((await call('PATCH', `/v2/users/${ada.id}`, eve.headers, { name: 'Changed By Eve' })).statusCode, 404)
  restore()
  t.ok(demoted)
  t.equal((await app.users.getFresh(ada.id))!.name, 'Ada')
})

t.test('what the browser has kept of one account is never confirmed for another', async (t) => {
  const [ada, bob] = [await newUser('Alice'), await newUser('Robert')]
  const first = await call('GET', '/v2/users/me', ada.headers)
  t.match(first.headers, { 'cache-control': 'private, no-cache', vary: /\bAuthorization\b/ })
  const second = await call('GET', '/v2/users/me', { ...bob.headers, 'if-none-match': first.headers.etag as string })
  t.equal(second.statusCode, 200)
  t.equal(second.json().name, 'Robert')
  t.not(second.headers.etag, first.headers.etag)
})

t.test('`me` is no id in version 1', async (t) => {
  const ada = await newUser()
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    t.equal((await call(method, '/v1/users/me', ada.headers, method === 'PATCH' ? { name: 'Ada' } : undefined)).statusCode, 404, method)
  }
  t.equal((await call('GET', '/v2/users/me', ada.headers)).statusCode, 200)
})

t.test('every field of a patch is stored, answered and announced as changed', async (t) => {
  const ada = await newUser()
  const root = await adminOf(app)
  // `mail` can only be removed, see test/modules/email/receipts.test.ts.
  const values: Record<Exclude<keyof typeof UserPatch.properties, 'mail'>, string> = { name: 'Ada King', locale: 'de-AT', status: 'SUSPENDED', role: 'admin' }
  t.same(Object.keys(values).sort(), Object.keys(UserPatch.properties).filter(field => field !== 'mail').sort())
  for (const [field, value] of Object.entries(values)) {
    const changed = await app.users.update(root, ada.id, { [field]: value }, 'c')
    t.equal(changed[field as keyof UserType], value)
    t.equal((await app.users.getFresh(ada.id))![field as keyof UserType], value)
    t.ok(field in User.properties, `${field} is a field of the user`)
  }
})

t.test('a language is stored in its canonical form, and is that of Accept-Language when none is given', async (t) => {
  const ada = await newUser()
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().locale, 'en')
  t.equal((await call('PATCH', '/v2/users/me', ada.headers, { locale: 'PT-br' })).json().locale, 'pt-BR')
  for (const locale of ['x', 'deutsch-deutsch-deutsch', 'de_DE', '-', 'a-b', 'de-']) {
    const answer = await call('PATCH', '/v2/users/me', ada.headers, { locale })
    t.equal(answer.statusCode, 400, locale)
    t.equal(answer.json().errors[0].pointer, '/locale')
  }
  for (const [header, locale] of [['fr-CH, fr;q=0.9, en;q=0.8', 'fr-CH'], ['en;q=0.5, ja', 'ja'], ['*', 'en'], ['not a language!', 'en'], ['de;q=0', 'en']] as const) {
    const email = `locale-${++n}@example.com`
    await app.inject({ method: 'POST', url: '/v2/users', headers: { 'accept-language': header }, payload: { email, name: 'Ada' } })
    await pump(app, engines)
    t.equal((await app.users.findByEmail(email))!.locale, locale, header)
  }
})
