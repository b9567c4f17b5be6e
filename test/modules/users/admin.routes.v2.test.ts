import { randomUUID } from 'node:crypto'
import t from 'tap'
import { adminOf, bearerOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com/prod' } })
const root = await adminOf(app)
const headers = await bearerOf(app, root.userId)
const call = (method: 'GET' | 'POST', url: string, { payload, more = {} }: { payload?: object, more?: Record<string, string> } = {}) => app.inject({ method, url, headers: { ...headers, ...more }, ...(payload === undefined ? {} : { payload }) })
const newEmail = () => `${randomUUID()}@example.com`
const localeOf = async (email: string) => (await app.users.findByEmail(email))?.locale

t.test('every route of admins asks for a token, and for that of an admin', async t => {
  const user = await bearerOf(app, root.userId, 'user')
  for (const [method, url, payload] of [
    ['GET', '/v2/users'], ['POST', '/v2/users/batch-get', { ids: [root.userId] }], ['POST', '/v2/users/batch', { users: [{}] }], ['POST', '/v2/users/invitations', { email: newEmail(), name: 'Ada' }], ['GET', `/v2/users/${root.userId}/audit`]
  ] as const) {
    const ask = (headers: Record<string, string>) => app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
    t.match((await ask({})).json(), { code: 'AUTH_TOKEN_INVALID' }, url)
    t.match((await ask(user)).json(), { code: 'FORBIDDEN' }, url)
  }
})

t.test('what costs more than one account has a limit of its own', async t => {
  for (const [method, url, payload, policy] of [
    ['GET', '/v2/users', undefined, 'general'], ['POST', '/v2/users/batch-get', { ids: [root.userId] }, 'bulk'], ['POST', '/v2/users/batch', { users: [{}] }, 'bulk'], ['POST', '/v2/users/invitations', { email: newEmail(), name: 'Ada' }, 'mail'], ['GET', `/v2/users/${root.userId}/audit`, undefined, 'general']
  ] as const) t.match((await call(method, url, payload === undefined ? {} : { payload })).headers['ratelimit-policy'], new RegExp(`^"${policy}";`), url)
})

t.test('a list and an audit have a link to their next page, with its limit', async t => {
  for (let i = 0; i < 3; i++) await call('POST', '/v2/users/invitations', { payload: { email: newEmail(), name: 'Ada' } })
  const email = newEmail()
  const { id } = (await call('POST', '/v2/users/invitations', { payload: { email, name: 'Ada' } })).json<{ id: string }>()
  await app.users.update(root, id, { name: 'Ada King' }, 'c')
  for (const path of ['/v2/users', `/v2/users/${id}/audit`]) {
    const { statusCode, headers, body } = await call('GET', `${path}?limit=1`)
    const page = JSON.parse(body) as { items: object[], nextCursor: string }
    t.equal(statusCode, 200)
    t.equal(page.items.length, 1)
    t.equal(headers.link, `</prod${path}?limit=1&cursor=${page.nextCursor}>; rel="next"`)
    t.match((await call('GET', `${path}?limit=x`)).json(), { code: 'VALIDATION_FAILED', errors: [{ pointer: '#/limit' }] })
  }
  t.match((await call('GET', `/v2/users/${id}/audit`)).json(), { items: [{ action: 'update' }, { action: 'invite' }], nextCursor: null })
  t.match((await call('GET', '/v2/users/me/audit')).json(), { code: 'USERS_NOT_FOUND', status: 404 })
  t.match((await call('POST', '/v2/users/batch-get', { payload: { ids: [id] } })).json(), { items: [{ id, email }], missing: [] })
})

t.test('who is registered or invited without a language gets that of the request', async t => {
  for (const [more, expected] of [[{ 'accept-language': 'fr-CH' }, 'fr-CH'], [{}, 'en']] as const) {
    const [row, own, invited, ownInvited] = [newEmail(), newEmail(), newEmail(), newEmail()]
    const batch = await call('POST', '/v2/users/batch', { payload: { users: [{ email: row, name: 'Ada' }, { email: own, name: 'Ada', locale: 'de' }] }, more })
    t.equal(batch.statusCode, 200)
    t.match(batch.json(), { results: [{ index: 0, status: 201 }, { index: 1, status: 201 }] })
    const answer = await call('POST', '/v2/users/invitations', { payload: { email: invited, name: 'Ada' }, more })
    t.equal(answer.statusCode, 202)
    t.same(answer.json(), { id: (await app.users.findByEmail(invited))!.id })
    await call('POST', '/v2/users/invitations', { payload: { email: ownInvited, name: 'Ada', locale: 'de' }, more })
    t.same([await localeOf(row), await localeOf(own), await localeOf(invited), await localeOf(ownInvited)], [expected, 'de', expected, 'de'])
  }
  const bad = await call('POST', '/v2/users/invitations', { payload: { email: 'no address', name: 'Ada', role: 'admin' } })
  t.match(bad.json(), { code: 'VALIDATION_FAILED', status: 400 })
})

t.test('a batch and an invitation with an Idempotency-Key are done once', async t => {
  for (const [url, payload] of [['/v2/users/batch', { users: [{ email: newEmail(), name: 'Ada' }] }], ['/v2/users/invitations', { email: newEmail(), name: 'Ada' }]] as const) {
    const more = { 'idempotency-key': randomUUID() }
    const first = await call('POST', url, { payload, more })
    const again = await call('POST', url, { payload, more })
    t.same([again.statusCode, again.body], [first.statusCode, first.body])
    t.equal(again.headers['idempotent-replayed'], 'true', url)
  }
})
