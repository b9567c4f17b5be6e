import t from 'tap'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { watchAttempts } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { itemsOf } from '../auth/support.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const exportOf = (accessToken?: string) => app.inject({ url: '/v2/users/me/export', headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` } })

t.test('an export is one document with everything stored about its user, and nothing secret', async t => {
  const { accessToken, user } = await signIn(app, engines, 'ada@example.com', 'Ada')
  const second = await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'ada@example.com' } })
  await pump(app, engines)
  await app.auth.verify(second.json().challengeId, '00000000', 'x').catch(() => {})
  const answer = await exportOf(accessToken)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', 'content-disposition': `attachment; filename="${user.id}.json"` })
  const { exportedAt, account, sessions, codes, adminActions, formerAddresses, ...rest } = answer.json()
  t.ok(Math.abs(Date.now() - Date.parse(exportedAt)) < 60_000)
  t.same(account, user)
  t.match(sessions, [{ id: String, createdAt: String, lastUsedAt: String, expiresAt: String }])
  t.same(codes.map(({ requestedAt, ...code }: { requestedAt: string }) => code), [{ open: { expiresAt: second.json().expiresAt.replace(/\.\d+Z/, '.000Z'), tries: 1 } }, {}], 'the newest first')
  t.same(adminActions, [])
  t.same(formerAddresses, [])
  t.same(rest, {})

  const stored = await itemsOf(app.dynamodb)
  const session = stored.find(({ pk }) => pk === `user#${user.id}`)!
  t.equal(sessions[0].id, String(session['sk']).slice('session#'.length))
  const secrets = [session['currentHash'], session['familyKey'], second.json().challengeId, app.keys.codeOf(second.json().challengeId), ...app.keys.pseudonyms('ada@example.com')]
  for (const secret of secrets) t.notOk(answer.body.includes(String(secret)), 'holds no hash, key, code, challenge or pseudonym')
})

t.test('an export is read from the tables, and not from the cache', async t => {
  const other = await buildTestApp(t, engines)
  const { accessToken, user } = await signIn(app, engines, 'fresh@example.com', 'Before')
  await other.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })
  await app.users.update({ userId: user.id }, user.id, { name: 'After' }, 'x')
  const answer = await other.inject({ url: '/v2/users/me/export', headers: { authorization: `Bearer ${accessToken}` } })
  t.equal(answer.json().account.name, 'After')
})

t.test('it has the addresses that the account can have back', async t => {
  const { accessToken, user } = await signIn(app, engines, 'former@example.com')
  const { sid } = JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }
  await app.users.changeEmail({ userId: user.id, email: 'present@example.com', sid }, 'x')
  await pump(app, engines)
  const answer = await exportOf(await app.accessTokens.sign({ sub: user.id, email: 'present@example.com', role: 'user', sid }))
  t.match(answer.json(), { account: { email: 'present@example.com' }, formerAddresses: [{ email: 'former@example.com', until: String }] })
  t.equal(answer.json().formerAddresses.length, 1)
})

t.test('it says what admins did with the account, and not who they are', async t => {
  const { accessToken, user } = await signIn(app, engines, 'administered@example.com')
  const admin = await adminOf(app)
  await app.users.update(admin, user.id, { name: 'Renamed' }, 'x')
  await app.users.update(admin, user.id, { role: 'admin' }, 'x')
  const answer = await exportOf(accessToken)
  t.match(answer.json().adminActions, [{ at: String, action: 'update', changed: ['role'], role: 'admin' }, { at: String, action: 'update', changed: ['name'] }])
  t.notMatch(answer.body, admin.userId)
})

t.test('without a token, and of a suspended or deleted account, there is no export', async t => {
  t.equal((await exportOf()).statusCode, 401)
  const [suspended, deleted] = [await signIn(app, engines, 'suspended@example.com'), await signIn(app, engines, 'deleted@example.com')]
  await app.users.update(await adminOf(app), suspended.user.id, { status: 'SUSPENDED' }, 'x')
  await app.users.remove({ userId: deleted.user.id }, deleted.user.id, 'x')
  for (const { accessToken } of [suspended, deleted]) {
    const answer = await exportOf(accessToken)
    t.equal(answer.statusCode, 401)
    t.equal(answer.json().code, 'AUTH_TOKEN_INVALID')
  }
})

t.test('of a user with more sessions than a page of the table has, all are in it', async t => {
  const { accessToken, user } = await signIn(app, engines, 'many@example.com')
  const at = new Date().toISOString()
  const { createRepository } = await import('../../../src/modules/auth/repository.ts')
  const { outboxOf } = await import('../auth/support.ts')
  const repository = createRepository({ dynamodb: app.dynamodb, outbox: outboxOf(app), table: app.config.AUTH_TABLE, now: () => new Date() })
  for (let i = 0; i < 32; i++) {
    const challengeId = crypto.randomUUID()
    await repository.openChallenge({ challengeId, userId: user.id, address: 'x', expiresAt: Date.now() / 1000 + 60 }, { address: 'x', limits: { address: [{ window: 1, max: 1 }], network: [{ window: 1, max: 1 }], site: [] } })
    await repository.startSession(challengeId, { userId: user.id, sid: crypto.randomUUID(), currentHash: `h${i}`, retired: [], familyKey: 'k', createdAt: at, lastUsedAt: at, expiresAt: Math.floor(Date.now() / 1000) + (i < 27 ? 1000 : -1000) })
  }
  const calls = watchAttempts(app)
  const { sessions } = (await exportOf(accessToken)).json()
  calls.stop()
  t.equal(sessions.length, 28, 'expired ones are not')
  t.ok(calls.attempts < 10, `${calls.attempts} calls`)
})

t.test('the API document has a schema for every part of the export', async t => {
  const { paths, components } = (await app.inject('/openapi/v2.json')).json()
  const operation = paths['/v2/users/me/export'].get
  t.equal(operation.operationId, 'users.export')
  const { $ref } = operation.responses['200'].content['application/json'].schema
  const schema = components.schemas[$ref.split('/').at(-1)]
  t.same(Object.keys(schema.properties), ['exportedAt', 'account', 'adminActions', 'formerAddresses', 'sessions', 'codes'])
  t.same(schema.required, Object.keys(schema.properties))
  t.throws(() => app.users.contribute('sessions', { schema: {} as never, collect: async () => [] as never }), { message: 'users: the export has two parts sessions' })
})
