import { randomUUID } from 'node:crypto'
import t from 'tap'
import { bearerOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com/prod' } })
const register = (payload: object, headers = {}) => app.inject({ method: 'POST', url: '/v1/users', payload, headers })

t.test('a registration answers with the new account and its place, in the language of the request', async t => {
  for (const [headers, locale] of [[{ 'accept-language': 'de-AT' }, 'de-AT'], [{}, 'en']] as const) {
    const email = `${randomUUID()}@example.com`
    const answer = await register({ email, name: 'Ada' }, headers)
    const user = await app.users.findByEmail(email)
    t.equal(answer.statusCode, 201)
    t.strictSame(answer.json(), { success: true, data: { userId: user!.id, email, name: 'Ada' } })
    t.match(answer.headers, { location: `/prod/v1/users/${user!.id}`, 'ratelimit-policy': /^"mail";/ })
    t.match(user, { locale, status: 'PENDING_VERIFICATION' })
    const taken = await register({ email, name: 'Eve' })
    t.equal(taken.statusCode, 409)
    t.match(taken.json(), { success: false, error: 'User already exists' })
  }
})

t.test('an account is read, renamed and deleted by its owner, in the shape of version 1', async t => {
  const { id, email } = await app.users.register({ email: `${randomUUID()}@example.com`, name: 'Ada' }, 'c')
  const { updatedAt: before, createdAt } = (await app.users.update({ userId: id }, id, { locale: 'de' }, 'c'))
  const headers = await bearerOf(app, id, 'user')
  const url = `/v1/users/${id}`
  const shown = { userId: id, email, name: 'Ada', status: 'PENDING_VERIFICATION', createdAt, updatedAt: before }
  const read = await app.inject({ url, headers })
  t.equal(read.statusCode, 200)
  t.strictSame(read.json(), { success: true, data: shown })
  const renamed = await app.inject({ method: 'PATCH', url, headers: { ...headers, 'x-correlation-id': 'corr-v1' }, payload: { name: 'Ada King' } })
  t.equal(renamed.statusCode, 200)
  t.strictSame(renamed.json(), { success: true, data: { ...shown, name: 'Ada King', updatedAt: (await app.users.getFresh(id))!.updatedAt } })
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    const payload = method === 'PATCH' ? { payload: { name: 'Ada' } } : {}
    t.equal((await app.inject({ method, url, ...payload })).statusCode, 401, method)
    const other = await app.inject({ method, url: `/v1/users/${randomUUID()}`, headers, ...payload })
    t.match([other.statusCode, other.json()], [404, { success: false, error: 'There is no such user' }], method)
  }
  const deleted = await app.inject({ method: 'DELETE', url, headers })
  t.same([deleted.statusCode, deleted.body], [204, ''])
  t.equal(await app.users.getFresh(id), undefined)
})
