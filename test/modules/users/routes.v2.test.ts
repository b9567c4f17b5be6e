import { randomUUID } from 'node:crypto'
import t from 'tap'
import { adminOf, bearerOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'

const engines = await startEngines(t)
let serialized = 0
const app = await buildTestApp(t, engines, {
  beforeReady (app) {
    app.addHook('onRequest', async (_request, reply) => {
      const { serializeInput } = reply
      reply.serializeInput = ((...input: Parameters<typeof serializeInput>) => { serialized++; return serializeInput.apply(reply, input) }) as typeof serializeInput
    })
  }
})

async function newUser () {
  const { id, email } = await app.users.register({ email: `${randomUUID()}@example.com`, name: 'Ada' }, 'c')
  return { id, email, headers: await bearerOf(app, id, 'user') }
}
type Method = 'GET' | 'PATCH' | 'DELETE'
const call = (method: Method, url: string, headers: Record<string, string>, payload?: object) => app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })

t.test('an account is read and changed under both of its addresses, and answers with its version and how to keep it', async t => {
  for (const own of [true, false]) {
    const { id, email, headers } = await newUser()
    const url = own ? '/v2/users/me' : `/v2/users/${id}`
    const expected = { id, email, name: 'Ada', locale: 'en', status: 'PENDING_VERIFICATION', role: 'user', version: 1 }
    const kept = { 'cache-control': 'private, no-cache', 'content-type': 'application/json; charset=utf-8', vary: /\bAuthorization\b/ }
    const read = await call('GET', url, headers)
    t.equal(read.statusCode, 200)
    t.match(read.headers, { ...kept, etag: `"${id}.1"` })
    const { createdAt, updatedAt, ...rest } = read.json()
    t.strictSame(rest, expected)
    const known = await call('GET', url, { ...headers, 'if-none-match': `"${id}.1"` })
    t.same([known.statusCode, known.body], [304, ''])
    t.equal((await call('GET', url, { ...headers, 'if-none-match': `"${id}.2"` })).statusCode, 200)

    const stale = await call('PATCH', url, { ...headers, 'if-match': `"${id}.7"` }, { name: 'Ada King' })
    t.match(stale.json(), { status: 412, code: 'PRECONDITION_FAILED' })
    const changed = await call('PATCH', url, { ...headers, 'if-match': `"${id}.1"` }, { name: 'Ada King' })
    t.equal(changed.statusCode, 200)
    t.match(changed.headers, { ...kept, etag: `"${id}.2"` })
    t.match(changed.json(), { ...expected, name: 'Ada King', version: 2 })
    t.match((await call('PATCH', url, headers, { name: 'Ada' })).json(), { name: 'Ada', version: 3 })

    t.equal((await call('DELETE', url, { ...headers, 'if-match': `"${id}.7"` })).statusCode, 412)
    const deleted = await call('DELETE', url, { ...headers, 'if-match': `"${id}.3"` })
    t.same([deleted.statusCode, deleted.body], [204, ''])
    t.equal(await app.users.getFresh(id), undefined)
  }
})

t.test('without a token nothing is read or changed, and nothing of another account', async t => {
  const [{ id }, { headers }] = [await newUser(), await newUser()]
  for (const [method, url] of [['GET', '/v2/users/me'], ['GET', '/v2/users/me/export'], ['PATCH', '/v2/users/me'], ['DELETE', '/v2/users/me'], ['GET', `/v2/users/${id}`], ['PATCH', `/v2/users/${id}`], ['DELETE', `/v2/users/${id}`]] as const) {
    const payload = method === 'PATCH' ? { name: 'Eve' } : undefined
    t.match((await call(method, url, {}, payload)).json(), { status: 401, code: 'AUTH_TOKEN_INVALID' }, `${method} ${url}`)
    if (!url.includes('/me')) t.match((await call(method, url, headers, payload)).json(), { status: 404, code: 'USERS_NOT_FOUND' }, `${method} ${url}`)
  }
  t.match(await app.users.getFresh(id), { name: 'Ada', version: 1 })
})

t.test('an admin reads, changes and deletes another account', async t => {
  const { id } = await newUser()
  const headers = await bearerOf(app, (await adminOf(app)).userId)
  t.match((await call('GET', `/v2/users/${id}`, headers)).json(), { id, version: 1 })
  t.match((await call('PATCH', `/v2/users/${id}`, headers, { status: 'ACTIVE' })).json(), { id, status: 'ACTIVE', version: 2 })
  t.equal((await call('DELETE', `/v2/users/${id}`, headers)).statusCode, 204)
})

t.test('an account that is read again is serialized once, and its change is shown', async t => {
  const { id, headers } = await newUser()
  await call('GET', '/v2/users/me', headers)
  const before = serialized
  const bodies = new Set<string>()
  for (let i = 0; i < 3; i++) bodies.add((await call('GET', '/v2/users/me', headers)).body)
  t.equal(bodies.size, 1)
  t.ok(serialized - before <= 1, `${serialized - before} times`)
  await call('PATCH', '/v2/users/me', headers, { name: 'Ada King' })
  t.match((await call('GET', '/v2/users/me', headers)).json(), { id, name: 'Ada King', version: 2 })
})

t.test('an export is a file with a name, and has a limit of its own', async t => {
  const { id, email, headers } = await newUser()
  const answer = await call('GET', '/v2/users/me/export', headers)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'content-disposition': `attachment; filename="${id}.json"`, 'ratelimit-policy': /^"bulk";/ })
  t.match(answer.json(), { account: { id, email }, adminActions: [], formerAddresses: [], sessions: [], codes: [] })
})

t.test('another type of patch is refused with those that are taken', async t => {
  const { id, headers } = await newUser()
  for (const url of ['/v2/users/me', `/v2/users/${id}`]) {
    const answer = await app.inject({ method: 'PATCH', url, headers: { ...headers, 'content-type': 'text/plain' }, payload: '{"name":"Eve"}' })
    t.equal(answer.statusCode, 415)
    t.equal(answer.headers['accept-patch'], 'application/merge-patch+json, application/json')
  }
})
