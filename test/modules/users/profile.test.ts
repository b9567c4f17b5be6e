import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { buildTestApp, pump, signIn, startEngines } from '../../helper.ts'
import { recordCalls } from './calls.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '100000', ADMIN_EMAILS: 'root@example.com' } })

let n = 0
async function person (name = 'Ada') {
  const email = `person-${++n}@example.com`
  const tokens = await signIn(app, engines, email, name)
  return { id: tokens.user.id, email, headers: { authorization: `Bearer ${tokens.accessToken}` } }
}
async function admin () {
  const tokens = await signIn(app, engines, 'root@example.com', 'Root')
  return { id: tokens.user.id, headers: { authorization: `Bearer ${tokens.accessToken}` } }
}
const call = (method: 'GET' | 'PATCH' | 'DELETE', url: string, headers: Record<string, string>, payload?: object) =>
  app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })

t.test('a signed-in person reads their own profile, under both of its addresses', async (t) => {
  const ada = await person()
  const me = await call('GET', '/v2/users/me', ada.headers)
  t.equal(me.statusCode, 200)
  t.match(me.json(), { id: ada.id, email: ada.email, name: 'Ada', status: 'ACTIVE', role: 'user', version: 2 })
  t.same(Object.keys(me.json()).sort(), ['createdAt', 'email', 'id', 'name', 'role', 'status', 'updatedAt', 'version'])
  t.same((await call('GET', `/v2/users/${ada.id}`, ada.headers)).json(), me.json())
  const v1 = await call('GET', `/v1/users/${ada.id}`, ada.headers)
  const { id: userId, role, version, ...rest } = me.json()
  t.same(v1.json(), { success: true, data: { userId, ...rest } })
})

t.test('an uncached read is one AWS call, a cached one none', async (t) => {
  const cold = await buildTestApp(t, engines)
  // Names of a hundred characters that are two hundred units, too.
  const ada = await person('👩'.repeat(100))
  const read = async () => {
    const calls = recordCalls(cold)
    t.equal((await cold.inject({ url: '/v2/users/me', headers: ada.headers })).statusCode, 200)
    return calls.stop()
  }
  t.same(await read(), ['GetItemCommand'])
  t.same(await read(), [])
})

t.test('a read says its version, and is not sent again to who has it', async (t) => {
  const ada = await person()
  const { etag } = (await call('GET', '/v2/users/me', ada.headers)).headers as { etag: string }
  t.equal(etag, '"2"')
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
  const ada = await person()
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
  const ada = await person()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call('PATCH', '/v2/users/me', ada.headers, { name: `Name ${i}` })))
  const done = answers.filter(answer => answer.statusCode === 200)
  t.same(answers.filter(answer => ![200, 409].includes(answer.statusCode)).map(answer => answer.body), [])
  const versions = done.map(answer => answer.json().version).sort((a, b) => a - b)
  t.same(versions, Array.from({ length: done.length }, (_, i) => i + 3))
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().version, versions.at(-1))
})

t.test('what a person may not say in a change is refused and changes nothing', async (t) => {
  const ada = await person()
  for (const [body, status, code] of [
    [{}, 400, 'VALIDATION_FAILED'],
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

t.test("somebody else's account looks like none at all", async (t) => {
  const [ada, eve] = [await person(), await person()]
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    for (const version of ['v1', 'v2']) {
      const payload = method === 'PATCH' ? { name: 'Eve was here' } : undefined
      const theirs = await call(method, `/${version}/users/${ada.id}`, eve.headers, payload)
      const nobodys = await call(method, `/${version}/users/00000000-0000-4000-8000-000000000000`, eve.headers, payload)
      t.equal(theirs.statusCode, 404, `${method} ${version}`)
      const shape = (body: string) => body.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id')
      t.equal(shape(theirs.body), shape(nobodys.body))
    }
  }
  t.equal((await call('GET', '/v2/users/me', ada.headers)).json().name, 'Ada')
})

t.test('an id can address nothing but a user', async (t) => {
  const ada = await person()
  const root = await admin()
  for (const id of [`email%23${ada.email}`, 'outbox%23x', 'me%20', '..', '%00', 'not-a-uuid', ada.id.toUpperCase()]) {
    t.equal((await call('GET', `/v2/users/${id}`, root.headers)).statusCode, 404, id)
  }
})

t.test('without a token there is nothing to see', async (t) => {
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    for (const url of ['/v2/users/me', '/v2/users/00000000-0000-4000-8000-000000000000', '/v1/users/00000000-0000-4000-8000-000000000000']) {
      const answer = await call(method, url, {}, method === 'PATCH' ? { name: 'Nobody' } : undefined)
      t.equal(answer.statusCode, 401, `${method} ${url}`)
      t.equal(answer.headers['www-authenticate'], 'Bearer realm="user-service"')
    }
  }
})

t.test('an admin reads, changes, suspends and deletes others', async (t) => {
  const [root, ada] = [await admin(), await person()]
  t.equal((await call('GET', '/v2/users/me', root.headers)).json().role, 'admin')
  t.equal((await call('GET', `/v2/users/${ada.id}`, root.headers)).json().email, ada.email)
  t.equal((await call('GET', `/v1/users/${ada.id}`, root.headers)).statusCode, 200)
  t.match((await call('PATCH', `/v2/users/${ada.id}`, root.headers, { role: 'admin' })).json(), { role: 'admin' })
  t.match((await call('PATCH', `/v2/users/${ada.id}`, root.headers, { status: 'SUSPENDED', role: 'user' })).json(), { status: 'SUSPENDED', role: 'user' })
  t.equal((await call('GET', '/v2/users/me', ada.headers)).statusCode, 401, 'the token of a suspended account is worth nothing')
  t.equal((await call('GET', `/v2/users/${root.id}`, ada.headers)).statusCode, 404)
  t.equal((await call('DELETE', `/v2/users/${ada.id}`, root.headers)).statusCode, 204)
  t.equal((await call('GET', `/v2/users/${ada.id}`, root.headers)).statusCode, 404)
})

t.test('who is no admin any more is none, whatever their token says', async (t) => {
  const [ada, bob] = [await person(), await person()]
  await app.users.update(ada.id, { role: 'admin' }, 'c')
  const headers = { authorization: `Bearer ${await app.accessTokens.sign({ sub: ada.id, email: ada.email, role: 'admin', sid: crypto.randomUUID() })}` }
  t.equal((await call('GET', `/v2/users/${bob.id}`, headers)).statusCode, 200)
  await app.users.update(ada.id, { role: 'user' }, 'c')
  t.equal((await call('GET', `/v2/users/${bob.id}`, headers)).statusCode, 404)
  t.equal((await call('PATCH', '/v2/users/me', headers, { role: 'admin' })).statusCode, 403)
})

t.test('a deleted account leaves no trace, its token is worth nothing, its address is free', async (t) => {
  const ada = await person('Ada Vanishing')
  await call('GET', '/v2/users/me', ada.headers)
  t.equal((await call('DELETE', '/v2/users/me', ada.headers)).statusCode, 204)
  t.equal((await call('GET', '/v2/users/me', ada.headers)).statusCode, 401)
  t.equal((await call('PATCH', '/v2/users/me', ada.headers, { name: 'Ghost' })).statusCode, 401)
  t.equal((await call('GET', `/v1/users/${ada.id}`, ada.headers)).statusCode, 404)
  await pump(app, engines)
  for (const table of [app.config.USERS_TABLE, app.config.AUTH_TABLE, app.config.EMAIL_TABLE]) {
    const { Items } = await app.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }))
    for (const trace of [ada.id, ada.email, 'Ada Vanishing']) t.notMatch(JSON.stringify(Items), trace, table)
  }
  const again = await signIn(app, engines, ada.email, 'Ada Again')
  t.not(again.user.id, ada.id)
})
