import t from 'tap'
import type { SessionView, Tokens } from '../../../src/modules/auth/contract.ts'
import { MAX_DEVICE, deviceOf } from '../../../src/modules/auth/device.ts'
import { MAX_LISTED } from '../../../src/modules/auth/schemas.ts'
import { newId, newNumberedId, numberIn } from '../../../src/shared/ids.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, loseOneAnswer, recordCalls } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { itemsOf, openChallenge, repositoryAt, serviceAt } from './support.ts'

const DAY = 24 * 3600_000

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

let n = 0
const newUser = async () => (await signIn(app, engines, `user-${++n}@example.com`)).user

/** Signs a user in once more, as a client that names itself. */
async function signInFrom (email: string, userAgent?: string): Promise<Tokens> {
  const { challengeId, code } = await openChallenge(app, email)
  const answer = await app.inject({ method: 'POST', url: '/v2/auth/tokens', headers: { 'user-agent': userAgent ?? '' }, payload: { grantType: 'code', challengeId, code } })
  return answer.json<Tokens>()
}
const bearer = ({ accessToken }: Tokens) => ({ authorization: `Bearer ${accessToken}` })
const sidOf = ({ accessToken }: Tokens) => app.jwt.decode<{ payload: { sid: string } }>(accessToken)!.payload.sid
const list = (tokens: Tokens) => app.inject({ url: '/v2/users/me/sessions', headers: bearer(tokens) })
const listed = async (tokens: Tokens) => (await list(tokens)).json<{ items: SessionView[] }>().items
const end = (tokens: Tokens, id: string) => app.inject({ method: 'DELETE', url: `/v2/users/me/sessions/${id}`, headers: bearer(tokens) })
const endAll = (tokens: Tokens) => app.inject({ method: 'DELETE', url: '/v2/users/me/sessions', headers: bearer(tokens) })
const refresh = (tokens: Tokens, userAgent = '') =>
  app.inject({ method: 'POST', url: '/v2/auth/tokens', headers: { 'user-agent': userAgent }, payload: { grantType: 'refresh_token', refreshToken: tokens.refreshToken } })
const me = async (tokens: Tokens) => (await app.inject({ url: '/v2/users/me', headers: bearer(tokens) })).statusCode

t.test('a user sees their sessions, newest first, each by the name of its client, with the current one marked', async (t) => {
  const { email } = await newUser()
  const phone = await signInFrom(email, 'PhoneApp/1.0 (Android)')
  const laptop = await signInFrom(email, 'Firefox/140')
  const items = await listed(laptop)
  t.same(items.map(({ device, current }) => [device, current]), [['Firefox/140', true], ['PhoneApp/1.0 (Android)', false], ['lightMyRequest', false]])
  t.same(items.slice(0, 2).map(({ id }) => id), [sidOf(laptop), sidOf(phone)])
  t.same((await listed(phone)).map(({ current }) => current), [false, true, false])
  for (const { createdAt, lastUsedAt, expiresAt } of items) {
    t.equal(createdAt, lastUsedAt)
    t.ok(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - 30 * DAY) < 2000)
  }
  t.same(Object.keys(items[0]!).sort(), ['createdAt', 'current', 'device', 'expiresAt', 'id', 'lastUsedAt'], 'and nothing by which a session could be used')
  t.equal((await list(laptop)).headers['cache-control'], 'no-store')
})

t.test('a refresh is seen as a use of the session, under the client’s name of today', async (t) => {
  const { email } = await newUser()
  const tokens = await signInFrom(email, 'App/1')
  const [before] = await listed(tokens)
  await refresh(tokens, 'App/2')
  const [after] = await listed(tokens)
  t.match(after, { id: before!.id, createdAt: before!.createdAt, device: 'App/2' })
  t.ok(after!.lastUsedAt > before!.lastUsedAt)
})

t.test('a client that sends no name has none, and another can show none that hides something', async (t) => {
  const { email } = await newUser()
  t.notOk('device' in (await listed(await signInFrom(email)))[0]!)
  t.equal(deviceOf(undefined), undefined)
  t.equal(deviceOf(' \t\u200b\u2060 '), undefined)
  t.equal(deviceOf('A\u0000b\u001b[31m\u202ec\u200bd\ud800\u2028e'), 'Ab[31mcd e')
  t.equal(deviceOf('App  /\t 1 '), 'App / 1')
  t.equal(deviceOf('x'.repeat(5000))!.length, MAX_DEVICE)
  t.equal([...deviceOf('👩'.repeat(5000))!].length, MAX_DEVICE)
  const long = await signInFrom(email, 'y'.repeat(5000))
  t.equal((await listed(long))[0]!.device, 'y'.repeat(MAX_DEVICE))
})

t.test('a list is one AWS call, however many sessions there are, and has a hundred at most', async (t) => {
  const { id: userId, email } = await newUser()
  const tokens = await signInFrom(email, 'The Newest')
  const at = new Date(Date.now() - 60_000).toISOString()
  const repository = repositoryAt(app, { now: new Date() })
  for (let i = 0; i < MAX_LISTED + 5; i++) {
    const { challengeId } = await openChallenge(app, email)
    await repository.startSession(challengeId, {
      userId, sid: newNumberedId(1), currentHash: 'a'.repeat(64), retired: [], familyKey: 'k', createdAt: at, lastUsedAt: at, expiresAt: Math.floor(Date.now() / 1000) + 600, device: 'd'.repeat(MAX_DEVICE)
    })
  }
  const calls = recordCalls(app)
  const items = await listed(tokens)
  t.same(calls.stop(), ['QueryCommand'])
  t.equal(items.length, MAX_LISTED)
  t.match(items[0], { device: 'The Newest', current: true })
})

t.test('a session that has expired is in no list, and lists nothing, before TTL removes it', async (t) => {
  const user = await newUser()
  const tokens = await signInFrom(user.email)
  const clock = { now: new Date() }
  const service = serviceAt(app, clock)
  const caller = { userId: user.id, email: user.email, sid: sidOf(tokens) }
  t.equal((await service.listSessions(caller)).length, 2)
  clock.now = new Date(Date.now() + 29 * DAY)
  const { challengeId, code } = await openChallenge(app, user.email, clock.now)
  const later = await service.createTokens({ grantType: 'code', challengeId, code }, 'test')
  clock.now = new Date(Date.now() + 31 * DAY)
  t.same((await service.listSessions({ ...caller, sid: sidOf(later) })).map(({ id }) => id), [sidOf(later)])
  await t.rejects(service.listSessions(caller), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(service.endSession({ ...caller, sid: sidOf(later) }, caller.sid), { code: 'AUTH_SESSION_NOT_FOUND' })
})

t.test('a session that is ended gets no more tokens, and the others go on', async (t) => {
  const { email } = await newUser()
  const [lost, kept] = [await signInFrom(email, 'Lost'), await signInFrom(email, 'Kept')]
  const calls = recordCalls(app)
  t.equal((await end(kept, sidOf(lost))).statusCode, 204)
  t.same(calls.stop(), ['TransactWriteItemsCommand'])
  t.equal((await refresh(lost)).statusCode, 401)
  t.same((await listed(kept)).map(({ device }) => device), ['Kept', 'lightMyRequest'])
  t.equal((await refresh(kept)).statusCode, 200)
  t.equal((await list(lost)).statusCode, 401, 'the token of an ended session lists no sessions')
  t.equal((await end(lost, sidOf(kept))).statusCode, 401, 'and ends none')
  t.match((await end(kept, sidOf(lost))).json(), { status: 404, code: 'AUTH_SESSION_NOT_FOUND' })
})

t.test('a user ends the session they are in', async (t) => {
  const { email } = await newUser()
  const tokens = await signInFrom(email)
  t.equal((await end(tokens, sidOf(tokens))).statusCode, 204)
  t.equal((await refresh(tokens)).statusCode, 401)
  t.equal((await list(tokens)).statusCode, 401)
  t.equal((await end(tokens, sidOf(tokens))).statusCode, 401)
})

t.test('another user’s session looks like one that does not exist', async (t) => {
  const [ada, eve] = [await newUser(), await newUser()]
  const [hers, mine] = [await signInFrom(ada.email), await signInFrom(eve.email)]
  const bodies = new Set<string>()
  for (const id of [sidOf(hers), newId(), 'x', 'session%23', '%00', '..']) {
    const answer = await end(mine, id)
    if (id === '..') continue // is a path of its own
    t.equal(answer.statusCode, 404, id)
    const { correlationId, instance, ...body } = answer.json()
    bodies.add(JSON.stringify(body))
  }
  t.equal(bodies.size, 1)
  t.equal((await refresh(hers)).statusCode, 200)
})

t.test('an end whose answer from the table is lost is an end', async (t) => {
  const { email } = await newUser()
  const [lost, kept] = [await signInFrom(email), await signInFrom(email)]
  for (const sid of [sidOf(lost), sidOf(kept)]) {
    const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
    const answer = await end(kept, sid)
    fault.stop()
    t.ok(fault.wasLost())
    t.equal(answer.statusCode, 204)
  }
})

t.test('logging out everywhere ends every session, and every access token where the account is read', async (t) => {
  const bystander = await signInFrom((await newUser()).email)
  const { id, email } = await newUser()
  const [one, two] = [await signInFrom(email), await signInFrom(email)]
  t.equal(await me(one), 200, 'the account is in the cache')
  t.equal((await endAll(one)).statusCode, 204)
  for (const tokens of [one, two]) {
    t.equal(await me(tokens), 401)
    t.equal((await app.inject({ method: 'PATCH', url: '/v2/users/me', headers: bearer(tokens), payload: { name: 'Still Here' } })).statusCode, 401)
    t.equal((await app.inject({ url: `/v1/users/${id}`, headers: bearer(tokens) })).statusCode, 401)
    t.equal((await refresh(tokens)).statusCode, 401)
    t.equal((await list(tokens)).statusCode, 401)
    t.equal((await endAll(tokens)).statusCode, 401)
    t.equal((await app.inject({ method: 'POST', url: '/v2/users/me/email', headers: bearer(tokens), payload: { email: 'other@example.com' } })).statusCode, 401)
  }
  const anew = await signInFrom(email)
  t.equal(await me(anew), 200, 'a session that starts in the same second is a new one')
  t.equal((await listed(anew)).length, 1)
  t.match(await app.users.getFresh(id), { version: 3, name: 'Test Person' })
  await pump(app, engines)
  t.equal((await refresh(anew)).statusCode, 200)
  t.equal((await refresh(bystander)).statusCode, 200)
})

t.test('an admin who has logged out everywhere is no admin with an older token', async (t) => {
  const [victim, eve] = [await newUser(), await newUser()]
  await app.users.update(await adminOf(app), eve.id, { role: 'admin' }, 'x')
  const tokens = await signInFrom(eve.email)
  const read = () => app.inject({ url: `/v2/users/${victim.id}`, headers: bearer(tokens) })
  t.equal((await read()).statusCode, 200)
  await endAll(tokens)
  t.equal((await read()).statusCode, 401)
})

t.test('a sign-in and a refresh that were under way when everything was logged out do not survive it', async (t) => {
  const { id, email } = await newUser()
  const old = await signInFrom(email)
  const { challengeId, code } = await openChallenge(app, email)
  // Between the look at the account and the write of the session.
  let signIns = 0
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    if (signIns++ === 0) t.equal((await endAll(old)).statusCode, 204)
    return await send()
  })
  const answer = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code } })
  restore()
  t.equal(answer.statusCode, 401, 'the account is asked again after the write')
  t.same((await itemsOf(app.dynamodb)).filter(({ pk, sk }) => pk === `user#${id}` && String(sk).startsWith('session#')), [], 'and the session is gone')

  const next = await signInFrom(email)
  const other = await signInFrom(email)
  let refreshes = 0
  const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async ({ send }) => {
    if (refreshes++ === 0) await endAll(other)
    return await send()
  })
  const refreshed = await refresh(next)
  stop()
  t.equal(refreshes, 1)
  t.equal(refreshed.statusCode, 401, 'the session was gone when its token was to be used up')
  await pump(app, engines)
})

t.test('what logging out everywhere could not delete is deleted by its entry, which is published as nothing and ends no newer session', async (t) => {
  const { id, email } = await newUser()
  const tokens = await signInFrom(email)
  const restore = intercept(app.dynamodb, { command: 'DeleteItemCommand', onTheLine: false }, async () => { throw new Error('the table is down') })
  t.equal((await endAll(tokens)).statusCode, 204)
  restore()
  const sessions = async () => (await itemsOf(app.dynamodb)).filter(({ pk, sk }) => pk === `user#${id}` && String(sk).startsWith('session#')).map(({ sk }) => sk)
  t.equal((await sessions()).length, 2)
  t.equal((await refresh(tokens)).statusCode, 401, 'they have ended all the same')
  const entry = (await waiting(app, 'UsersTable')).find(({ type, subject }) => type === 'user.signed-out' && subject === id)!
  const anew = await signInFrom(email)
  for (let i = 0; i < 2; i++) {
    await leaveBehind(app, entry)
    t.same(await deliver(app, entryRecord(entry)), [])
    t.same(await sessions(), [`session#${sidOf(anew)}`])
  }
  await pump(app, engines)
})

t.test('a log-out everywhere whose answer is lost is one, and ten at once are one', async (t) => {
  const { id, email } = await newUser()
  const first = await signInFrom(email)
  const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  t.equal((await endAll(first)).statusCode, 204)
  fault.stop()
  t.ok(fault.wasLost())
  const { version } = (await app.users.getFresh(id))!
  const tokens = await signInFrom(email)
  const answers = await Promise.all(Array.from({ length: 10 }, () => endAll(tokens)))
  t.same([...new Set(answers.map(({ statusCode }) => statusCode))].sort(), [204, 401])
  t.equal((await app.users.getFresh(id))!.version, version + 1)
  await pump(app, engines)
})

t.test('which sessions have ended is in no answer and in no event', async (t) => {
  const { id, email } = await newUser()
  await endAll(await signInFrom(email))
  const tokens = await signInFrom(email)
  const answers = [
    await app.inject({ url: '/v2/users/me', headers: bearer(tokens) }),
    await app.inject({ url: `/v1/users/${id}`, headers: bearer(tokens) }),
    await app.inject({ method: 'PATCH', url: '/v2/users/me', headers: bearer(tokens), payload: { name: 'New Name' } })
  ]
  for (const answer of answers) {
    t.equal(answer.statusCode, 200)
    t.notMatch(answer.body, /sessions|since|kept/)
  }
  const updates = (await waiting(app, 'UsersTable')).filter(({ type, subject }) => type === 'user.updated' && subject === id)
  t.equal(updates.length, 1)
  t.notMatch(JSON.stringify(updates), /sessions|since|kept/)
  await pump(app, engines)
})

t.test('deleting an account leaves nothing of its sessions', async (t) => {
  const { id, email } = await newUser()
  const [ended, tokens] = [await signInFrom(email), await signInFrom(email)]
  await end(tokens, sidOf(ended))
  await app.users.remove({ userId: id }, id, 'x')
  await pump(app, engines)
  t.notMatch(JSON.stringify(await itemsOf(app.dynamodb)), id)
  t.equal((await list(tokens)).statusCode, 401)
})

t.test('an id carries a number', async (t) => {
  for (const number of [0, 1, 255, 2 ** 32 - 1]) t.equal(numberIn(newNumberedId(number)), number)
  t.equal(numberIn(newNumberedId(2 ** 40)), 2 ** 32 - 1, 'a number that is too large is the largest one')
  t.equal(numberIn(newId()), 0)
  t.equal(numberIn('x'), 0)
  t.equal(new Set(Array.from({ length: 1000 }, () => newNumberedId(7))).size, 1000)
})
