import { DeleteCommand } from '@aws-sdk/lib-dynamodb'
import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import type { Tokens } from '../../../src/modules/auth/contract.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, lineError } from '../../faults.ts'
import { report } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { counted, itemsOf, openChallenge, serviceAt, TABLE } from './support.ts'

const DAY = 24 * 3600_000

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const admin = await adminOf(app)

let n = 0
const newSession = () => signIn(app, engines, `user-${++n}@example.com`)
const refresh = (refreshToken: string, at: TestApp = app) => at.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken } })
const refreshed = async (refreshToken: string, at?: TestApp) => (await refresh(refreshToken, at)).json<Tokens>().refreshToken
const revoke = (refreshToken: string) => app.inject({ method: 'POST', url: '/v2/auth/revoke', payload: { refreshToken } })
const sessionsOf = async (userId: string) => (await itemsOf(app.dynamodb)).filter(item => item['pk'] === `user#${userId}`)
const sidOf = ({ accessToken }: Tokens) => app.jwt.decode<{ payload: { sid: string } }>(accessToken)!.payload.sid

/** The app's service by a clock that stands still until it is moved. */
function later () {
  const clock = { now: new Date() }
  const service = serviceAt(app, clock)
  const refresh = (refreshToken: string) => service.createTokens({ grantType: 'refresh_token', refreshToken }, 'test')
  return { service, refresh, pass: (ms: number) => { clock.now = new Date(clock.now.getTime() + ms) } }
}

t.test('each use gives a new token of the same session and the current profile', async (t) => {
  const first = await newSession()
  await app.users.update({ userId: first.user.id }, first.user.id, { name: 'Renamed' }, 'test')
  const answer = await refresh(first.refreshToken)
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['cache-control'], 'no-store')
  const second: Tokens = answer.json()
  t.not(second.refreshToken, first.refreshToken)
  t.not(second.accessToken, first.accessToken)
  t.equal(sidOf(second), sidOf(first))
  t.equal(second.user.name, 'Renamed')
  t.equal((await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${second.accessToken}` } })).statusCode, 200)
  t.equal((await refresh(second.refreshToken)).statusCode, 200)
  t.match((await app.inject({ method: 'POST', url: '/v1/auth/tokens', payload: { grantType: 'refresh_token', refreshToken: await refreshed(second.refreshToken) } })).json(),
    { success: true, data: { tokenType: 'Bearer' } })
})

t.test('a token is opaque, 256 bits of secret, and stored as its SHA-256 only', async (t) => {
  const { refreshToken, user } = await newSession()
  t.match(refreshToken, /^[A-Za-z0-9_-]{107}$/)
  const [session] = await sessionsOf(user.id)
  t.equal(session!['currentHash'], createHash('sha256').update(refreshToken).digest('hex'))
  // Its secret part is nowhere, in no encoding that the table could hold.
  const secret = Buffer.from(refreshToken, 'base64url').subarray(32, 64)
  for (const encoding of ['hex', 'base64', 'base64url'] as const) t.notOk(JSON.stringify(await itemsOf(app.dynamodb)).includes(secret.toString(encoding)))
})

t.test('within ten seconds an old token gives what it gave, however far the family has gone on', async (t) => {
  const { refresh: refreshBy, pass } = later()
  const { refreshToken: first } = await newSession()
  const second = (await refreshBy(first)).refreshToken
  pass(9_000)
  t.equal((await refreshBy(first)).refreshToken, second)
  const third = (await refreshBy(second)).refreshToken
  t.equal((await refreshBy(first)).refreshToken, third, 'the newest of the one lineage')
  t.equal((await refreshBy(second)).refreshToken, third)
})

t.test('two instances whose clocks are three seconds apart replay one lineage', async (t) => {
  const now = Date.now()
  const at = (ms: number) => {
    const service = serviceAt(app, { now: new Date(now + ms) })
    return async (refreshToken: string) => (await service.createTokens({ grantType: 'refresh_token', refreshToken }, 'test')).refreshToken
  }
  const { refreshToken: first } = await newSession()
  // The fast clock, then the slow one, then nine seconds later by either of them.
  const second = await at(3000)(first)
  const third = await at(-3000)(second)
  const fourth = await at(3000)(third)
  t.equal(await at(8000)(first), fourth)
  const fifth = await at(8000)(fourth)
  t.equal(await at(8000)(first), fifth, 'the chain has no gap where the slow clock wrote')
  t.equal(await at(-3000)(fifth).then(() => 'rotated'), 'rotated')
})

t.test('a token that was used by a clock an hour ahead is not good for that hour', async (t) => {
  const { refreshToken: stolen } = await newSession()
  const ahead = serviceAt(app, { now: new Date(Date.now() + 3600_000) })
  const { refreshToken: current } = await ahead.createTokens({ grantType: 'refresh_token', refreshToken: stolen }, 'test')
  t.equal((await refresh(stolen)).statusCode, 401)
  t.equal((await refresh(current)).statusCode, 401, 'the family has ended')
})

t.test('50 uses at once, over two instances, are one lineage', async (t) => {
  const other = await buildTestApp(t, engines)
  const { refreshToken, user } = await newSession()
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(refreshToken, i % 2 === 0 ? app : other)))
  t.same(new Set(answers.map(answer => answer.statusCode)), new Set([200]))
  const next = new Set(answers.map(answer => answer.json<Tokens>().refreshToken))
  report(t, { promise: 31, part: '50 uses of one refresh token', figure: `over two instances: ${next.size} lineage`, holds: next.size === 1 })
  t.equal((await sessionsOf(user.id)).length, 1)
  t.equal((await refresh([...next][0]!)).statusCode, 200)
})

t.test('an old token that is used later ends the session, for the current token too', async (t) => {
  for (const generations of [1, 2, 12]) {
    const { refresh: refreshBy, pass } = later()
    const { refreshToken: stolen, user } = await newSession()
    let current = stolen
    for (let i = 0; i < generations; i++) {
      current = (await refreshBy(current)).refreshToken
      pass(11_000)
    }
    const before = counted(app, 'RefreshReuse')
    await t.rejects(refreshBy(stolen), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
    t.equal(counted(app, 'RefreshReuse') - before, 1)
    await t.rejects(refreshBy(current), { code: 'AUTH_REFRESH_TOKEN_INVALID' }, `${generations} generations on`)
    t.same(await sessionsOf(user.id), [])
  }
})

t.test('and does so after a restart too', async (t) => {
  const { refresh: refreshBy, pass } = later()
  pass(-60_000)
  const { refreshToken: stolen } = await newSession()
  const current = (await refreshBy(stolen)).refreshToken
  const restarted = await buildTestApp(t, engines)
  const statuses = [(await refresh(stolen, restarted)).statusCode, (await refresh(current, restarted)).statusCode]
  report(t, { promise: 31, part: 'late reuse after a restart', figure: `the old token ${statuses[0]}, the current one ${statuses[1]}`, holds: statuses.every(status => status === 401) })
})

t.test('a guessed token ends no session, even with the right ids', async (t) => {
  const { refreshToken, user } = await newSession()
  const bytes = Buffer.from(refreshToken, 'base64url')
  const before = counted(app, 'RefreshReuse')
  for (let i = 0; i < 20; i++) {
    const guess = Buffer.concat([bytes.subarray(0, 32), randomBytes(48)]).toString('base64url')
    t.equal((await refresh(guess)).statusCode, 401)
    t.equal((await revoke(guess)).statusCode, 204)
  }
  const proofOfAnother = Buffer.concat([bytes.subarray(0, 32), randomBytes(32), bytes.subarray(64)]).toString('base64url')
  t.equal((await refresh(proofOfAnother)).statusCode, 401)
  t.equal(counted(app, 'RefreshReuse'), before)
  t.equal((await sessionsOf(user.id)).length, 1)
  t.equal((await refresh(refreshToken)).statusCode, 200)
})

t.test('every invalid token gets the same answer', async (t) => {
  const { refreshToken } = await newSession()
  const ended = await newSession()
  await revoke(ended.refreshToken)
  const bytes = Buffer.from(refreshToken, 'base64url')
  const bad = [
    'x', '.', '0'.repeat(107), refreshToken.slice(0, -1), `${refreshToken}A`, ` ${refreshToken}`, `${refreshToken}=`, refreshToken.toLowerCase(),
    `${refreshToken.slice(0, -1)}${refreshToken.endsWith('A') ? 'B' : 'A'}`, bytes.toString('hex'), `${refreshToken}\u0000`, '\u{1f600}'.repeat(50), 'A'.repeat(1024),
    Buffer.concat([randomBytes(16), bytes.subarray(16)]).toString('base64url'), Buffer.concat([bytes.subarray(0, 16), randomBytes(64)]).toString('base64url'),
    Buffer.alloc(80).toString('base64url'), Buffer.alloc(80, 255).toString('base64url'), ended.refreshToken, ended.accessToken
  ]
  const bodies = new Set<string>()
  for (const token of bad) {
    const answer = await refresh(token)
    t.equal(answer.statusCode, 401, token.slice(0, 40))
    const { correlationId, ...body } = answer.json()
    bodies.add(JSON.stringify(body))
    t.equal((await revoke(token)).statusCode, 204)
  }
  t.equal(bodies.size, 1)
  t.match([...bodies][0], /"code":"AUTH_REFRESH_TOKEN_INVALID"/)
  t.equal((await refresh(refreshToken)).statusCode, 200)
})

t.test('a session ends after 30 days without use, and after 90 days in any case, before TTL removes it', async (t) => {
  const { refreshToken, user } = await newSession()
  const idle = later()
  idle.pass(30 * DAY + 1000)
  await t.rejects(idle.refresh(refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  t.equal((await sessionsOf(user.id)).length, 1, 'the table still has it')

  const { refresh: refreshBy, pass } = later()
  let current = (await newSession()).refreshToken
  for (let day = 29; day < 90; day += 29) {
    pass(29 * DAY)
    current = (await refreshBy(current)).refreshToken
  }
  pass(3 * DAY - 10_000)
  current = (await refreshBy(current)).refreshToken
  pass(20_000)
  await t.rejects(refreshBy(current), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
})

t.test('signing out ends the session, with its current token or an old one', async (t) => {
  for (const which of ['current', 'old'] as const) {
    const { refreshToken: old, user } = await newSession()
    const current = await refreshed(old)
    t.equal((await revoke(which === 'current' ? current : old)).statusCode, 204)
    t.same(await sessionsOf(user.id), [])
    t.equal((await refresh(current)).statusCode, 401)
    t.equal((await revoke(current)).statusCode, 204)
  }
})

t.test('a suspended or deleted user cannot refresh, and the session is gone', async (t) => {
  const suspended = await newSession()
  await app.users.update(admin, suspended.user.id, { status: 'SUSPENDED' }, 'test')
  t.equal((await refresh(suspended.refreshToken)).statusCode, 401)
  t.same(await sessionsOf(suspended.user.id), [])
  const deleted = await newSession()
  await app.users.remove({ userId: deleted.user.id }, deleted.user.id, 'test')
  t.equal((await refresh(deleted.refreshToken)).statusCode, 401)
  t.same(await sessionsOf(deleted.user.id), [])
})

t.test('all sessions of a user end together, and no other user\'s', async (t) => {
  const { user } = await newSession()
  const bystander = await newSession()
  const { service } = later()
  for (let i = 0; i < 59; i++) {
    const { challengeId, code } = await openChallenge(app, user.email)
    await service.createTokens({ grantType: 'code', challengeId, code }, 'test')
  }
  t.equal((await sessionsOf(user.id)).length, 60)
  await app.users.update(admin, user.id, { status: 'SUSPENDED' }, 'test')
  await pump(app, engines)
  t.same(await sessionsOf(user.id), [])
  t.equal((await sessionsOf(bystander.user.id)).length, 1)
})

t.test('a rotation whose answer from the table is lost gives the token it wrote', async (t) => {
  const { refreshToken } = await newSession()
  const restore = intercept(app.dynamodb, { command: 'UpdateItemCommand' }, async ({ send, attempt }) => {
    const answer = await send()
    if (attempt === 1) throw lineError()
    return answer
  })
  const answer = await refresh(refreshToken)
  restore()
  const { statusCode } = await refresh(answer.json<Tokens>().refreshToken)
  report(t, { promise: 2, part: 'rotation of a token', figure: `${answer.statusCode}, and the new token ${statusCode}`, holds: answer.statusCode === 200 && statusCode === 200 })
})

t.test('a session that ends while its token is being used stays ended', async (t) => {
  const { refreshToken, user } = await newSession()
  const [session] = await sessionsOf(user.id)
  const restore = intercept(app.dynamodb, { command: 'UpdateItemCommand' }, async ({ send, attempt }) => {
    if (attempt === 1) await app.dynamodb.send(new DeleteCommand({ TableName: TABLE, Key: { pk: session!['pk'], sk: session!['sk'] } }))
    return await send()
  })
  const answer = await refresh(refreshToken)
  restore()
  t.equal(answer.statusCode, 401)
  t.same(await sessionsOf(user.id), [])
})
