import { PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { createHash } from 'node:crypto'
import t from 'tap'
import type { Note } from '../../../src/modules/auth/contract.ts'
import { createService } from '../../../src/modules/auth/service.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, recordCalls } from '../../faults.ts'
import { counted, itemAt, openChallenge, repositoryAt, serviceAt } from './support.ts'

const SECOND = 1000
const DAY = 24 * 3600 * SECOND

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

/** A moment within a second, so that what is rounded can be seen. */
const START = new Date('2026-11-27T12:00:00.700Z')
const secondsAt = (ms: number) => Math.floor((START.getTime() + ms) / SECOND)

let n = 0
/** An account, written straight into the table. */
async function newAccount () {
  const [id, email] = [newId(), `user-${++n}@example.com`]
  const at = START.toISOString()
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: id, kind: 'user', email, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 3 } }))
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: `email#${email}`, kind: 'claim', ownerId: id } }))
  return { id, email }
}

/** The service by a clock that stands still until it is moved, with a new account that has signed in. */
async function startSession (device?: string) {
  const account = await newAccount()
  const clock = { now: START }
  const service = serviceAt(app, clock)
  const notes: Parameters<Note>[0][] = []
  const note: Note = who => { notes.push(who) }
  const signIn = async (device?: string) => {
    const { challengeId, code } = await openChallenge(app, account.email, clock.now)
    return await service.createTokens({ grantType: 'code', challengeId, code }, 'test', device, note)
  }
  const tokens = await signIn(device)
  const { sid } = notes[0]!
  return {
    account,
    service,
    tokens,
    sid,
    notes,
    note,
    signIn,
    at: (ms: number) => { clock.now = new Date(START.getTime() + ms) },
    refresh: async (refreshToken: string, device?: string) => (await service.createTokens({ grantType: 'refresh_token', refreshToken }, 'test', device, note)).refreshToken,
    item: async () => await itemAt(app.dynamodb, `user#${account.id}`, `session#${sid}`)
  }
}

const suspend = async (userId: string) => await app.dynamodb.send(new UpdateCommand({
  TableName: 'UsersTable', Key: { userId }, UpdateExpression: 'SET #status = :suspended', ExpressionAttributeNames: { '#status': 'status' }, ExpressionAttributeValues: { ':suspended': 'SUSPENDED' }
}))
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
const INVALID = { code: 'AUTH_REFRESH_TOKEN_INVALID', statusCode: 401 }

t.test('a sign-in gives tokens of the account, and is stored as a session of thirty days under the name of its client', async t => {
  for (const device of ['App/1', undefined]) {
    const before = counted(app, 'SignIns')
    const { account, tokens, sid, notes, item } = await startSession(device)
    t.equal(counted(app, 'SignIns') - before, 1)
    t.same(notes, [{ userId: account.id, sid }], 'who it was, for the log')
    t.match(tokens, { tokenType: 'Bearer', expiresIn: 600, user: { id: account.id, email: account.email, name: 'Ada' } })
    t.match(app.jwt.decode<{ payload: object }>(tokens.accessToken)!.payload, { sub: account.id, email: account.email, role: 'user', sid })
    const { familyKey, ...stored } = (await item())!
    t.match(familyKey, /^[\w-]{43}$/)
    t.same(stored, {
      pk: `user#${account.id}`,
      sk: `session#${sid}`,
      currentHash: hashOf(tokens.refreshToken),
      retired: [],
      createdAt: START.toISOString(),
      lastUsedAt: START.toISOString(),
      expiresAt: secondsAt(30 * DAY),
      ...(device === undefined ? {} : { device })
    })
  }
})

t.test('each refresh prolongs a session by thirty days, up to ninety after its start, and notes which client it was', async t => {
  const { account, tokens, sid, notes, at, refresh, item } = await startSession('App/1')
  let current = tokens.refreshToken
  for (const [day, end, device] of [[29, 59, 'App/2'], [58, 88, undefined], [87, 90, 'App/3']] as const) {
    at(day * DAY)
    const before = current
    current = await refresh(before, device)
    const { pk, sk, familyKey, retired, ...stored } = (await item())!
    t.same(stored, {
      currentHash: hashOf(current),
      createdAt: START.toISOString(),
      lastUsedAt: new Date(START.getTime() + day * DAY).toISOString(),
      expiresAt: secondsAt(end * DAY),
      ...(device === undefined ? {} : { device })
    }, `day ${day}`)
    t.match(retired, [{ hash: hashOf(before), at: START.getTime() + day * DAY }])
    t.equal((retired as unknown[]).length, 1, 'tokens that cannot be repeated any more are forgotten')
  }
  t.same(notes.slice(1), Array(3).fill({ userId: account.id, sid }))
})

t.test('a used token gives the same answer for ten seconds by either of two clocks, and ends the session after that', async t => {
  for (const [later, isGood] of [[10_000, true], [10_001, false], [-10_000, true], [-10_001, false]] as const) {
    const { account, tokens, sid, notes, at, refresh, item } = await startSession()
    const next = await refresh(tokens.refreshToken)
    at(later)
    const before = counted(app, 'RefreshReuse')
    const seen = notes.length
    if (isGood) t.equal(await refresh(tokens.refreshToken), next, `${later} ms`)
    else await t.rejects(refresh(tokens.refreshToken), INVALID, `${later} ms`)
    t.equal(await item() !== undefined, isGood, `${later} ms`)
    t.equal(counted(app, 'RefreshReuse') - before, isGood ? 0 : 1)
    t.same(notes.slice(seen), [{ userId: account.id, sid }], 'a token that was good once says whose it is')
  }
})

t.test('eight used tokens are remembered, each for the newest one, and a ninth not', async t => {
  const { tokens, refresh, item } = await startSession()
  const given = [tokens.refreshToken]
  for (let i = 0; i < 9; i++) given.push(await refresh(given.at(-1)!))
  t.same(((await item())!['retired'] as { hash: string }[]).map(({ hash }) => hash), given.slice(1, 9).map(hashOf), 'oldest first')
  for (const token of given.slice(1, 9)) t.equal(await refresh(token), given.at(-1))
  t.equal(((await item())!['retired'] as unknown[]).length, 8, 'a repetition uses up nothing')
  await t.rejects(refresh(given[0]!), INVALID)
  t.equal(await item(), undefined)
})

t.test('of two uses of a token at the same moment the slower one gets what the faster one got', async t => {
  const { tokens, refresh } = await startSession()
  let faster: string | undefined
  const restore = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async ({ send }) => {
    restore()
    faster = await refresh(tokens.refreshToken)
    return await send()
  })
  t.equal(await refresh(tokens.refreshToken), faster)
  t.type(faster, 'string')
})

t.test('tokens that were used too long ago are forgotten, and the younger ones not', async t => {
  const { tokens, at, refresh, item } = await startSession()
  const given = [tokens.refreshToken]
  for (const ms of [0, 8000, 12_000]) {
    at(ms)
    given.push(await refresh(given.at(-1)!))
  }
  t.match((await item())!['retired'], [{ hash: hashOf(given[1]!), at: START.getTime() + 8000 }, { hash: hashOf(given[2]!) }])
  t.equal(((await item())!['retired'] as unknown[]).length, 2)
  t.equal(await refresh(given[1]!), given[3])
})

t.test('a refresh is two reads and one write, and one that comes too late a read and the end of the session', async t => {
  const { tokens, at, refresh, item } = await startSession()
  const calls = recordCalls(app)
  await refresh(tokens.refreshToken)
  at(11_000)
  await t.rejects(refresh(tokens.refreshToken), INVALID)
  t.same(calls.stop(), ['GetItemCommand', 'GetItemCommand', 'UpdateItemCommand', 'GetItemCommand', 'DeleteItemCommand'])
  t.equal(await item(), undefined)
})

t.test('a session that ends while its token is used gives none', async t => {
  const { account, sid, tokens, refresh, item } = await startSession()
  const restore = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async ({ send }) => {
    await repositoryAt(app, { now: START }).deleteSession(account.id, sid)
    return await send()
  })
  await t.rejects(refresh(tokens.refreshToken), INVALID)
  restore()
  t.equal(await item(), undefined)
})

t.test('of two uses of a code at the same moment one starts a session, and none does for an account that is suspended meanwhile', async t => {
  const { account, service, notes } = await startSession()
  const caller = { userId: account.id, email: account.email, sid: notes[0]!.sid }
  const meanwhile = async (step: (exchange: () => Promise<unknown>) => Promise<unknown>) => {
    const { challengeId, code } = await openChallenge(app, account.email, START)
    const exchange = async () => await service.createTokens({ grantType: 'code', challengeId, code }, 'test')
    const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
      restore()
      await step(exchange)
      return await send()
    })
    const before = [counted(app, 'SignIns'), counted(app, 'CodeFailures')] as const
    await t.rejects(exchange(), { code: 'AUTH_CODE_INVALID', statusCode: 401 })
    return [counted(app, 'SignIns') - before[0], counted(app, 'CodeFailures') - before[1]]
  }
  t.same(await meanwhile(exchange => exchange()), [1, 1])
  t.equal((await service.listSessions(caller)).length, 2)
  t.same(await meanwhile(() => suspend(account.id)), [0, 1])
  t.equal((await service.listSessions(caller)).length, 2)
})

t.test('a token of an account that is suspended ends the session, and says whose it was', async t => {
  const { account, tokens, sid, notes, refresh, item } = await startSession()
  await suspend(account.id)
  await t.rejects(refresh(tokens.refreshToken), INVALID)
  t.equal(await item(), undefined)
  t.same(notes.at(-1), { userId: account.id, sid })
})

t.test('who shows a token of no session learns nothing, and is nobody in the log', async t => {
  const { tokens, notes, note, service, refresh, item } = await startSession()
  const other = await startSession()
  const bytes = Buffer.from(tokens.refreshToken, 'base64url')
  const mixed = Buffer.concat([bytes.subarray(0, 32), Buffer.from(other.tokens.refreshToken, 'base64url').subarray(32)]).toString('base64url')
  const seen = notes.length
  for (const token of ['x', mixed]) {
    await t.rejects(refresh(token), INVALID)
    await service.revoke(token, note)
  }
  t.equal(notes.length, seen)
  t.ok(await item())
})

t.test('signing out says whose session it was, and ends that one only', async t => {
  const { account, tokens, sid, notes, note, signIn, service, item } = await startSession()
  const other = await signIn()
  const { sid: kept } = notes.at(-1)!
  await service.revoke(tokens.refreshToken, note)
  t.same(notes.at(-1), { userId: account.id, sid })
  t.equal(await item(), undefined)
  await service.revoke(tokens.refreshToken)
  const list = async () => (await service.listSessions({ userId: account.id, email: account.email, sid: kept })).map(({ id }) => id)
  t.same(await list(), [kept])
  await service.revoke(other.refreshToken)
  await t.rejects(list(), { code: 'AUTH_TOKEN_INVALID' })
})

t.test('a code whose tokens cannot be signed stays good', async t => {
  const { id, email } = await newAccount()
  const clock = { now: START }
  const { challengeId, code } = await openChallenge(app, email, START)
  const broken = createService({
    repository: repositoryAt(app, clock),
    users: app.users,
    keys: app.keys,
    accessTokens: { sign: async () => { throw new Error('no key') } },
    accessTokenTtl: 600,
    limitDomain: () => {},
    count: app.metrics.count,
    now: () => clock.now
  })
  await t.rejects(broken.createTokens({ grantType: 'code', challengeId, code }, 'test'), /no key/)
  t.match(await serviceAt(app, clock).createTokens({ grantType: 'code', challengeId, code }, 'test'), { user: { id } })
})

t.test('sessions are listed newest first, as they are stored', async t => {
  const { account, service, sid, notes, at, signIn, refresh, tokens } = await startSession('Oldest')
  at(60_000)
  await signIn()
  at(120_000)
  await signIn('Newest')
  at(180_000)
  await refresh(tokens.refreshToken, 'Oldest')
  const [, middle, newest] = notes
  const timeAt = (ms: number) => new Date(START.getTime() + ms).toISOString()
  const endAt = (ms: number) => new Date(secondsAt(ms + 30 * DAY) * SECOND).toISOString()
  t.same(await service.listSessions({ userId: account.id, email: account.email, sid: middle!.sid }), [
    { id: newest!.sid, createdAt: timeAt(120_000), lastUsedAt: timeAt(120_000), expiresAt: endAt(120_000), device: 'Newest', current: false },
    { id: middle!.sid, createdAt: timeAt(60_000), lastUsedAt: timeAt(60_000), expiresAt: endAt(60_000), current: true },
    { id: sid, createdAt: timeAt(0), lastUsedAt: timeAt(180_000), expiresAt: endAt(180_000), device: 'Oldest', current: false }
  ])
  for (let minute = 4; minute < 10; minute++) {
    at(minute * 60_000)
    await signIn()
  }
  const times = (await service.listSessions({ userId: account.id, email: account.email, sid })).map(({ createdAt }) => createdAt)
  t.same(times, times.toSorted().reverse())
})

t.test('who asks about sessions by one that has ended is refused, and an id that cannot be one is asked of no table', async t => {
  const { account, service, sid } = await startSession()
  const caller = { userId: account.id, email: account.email, sid }
  const ended = { ...caller, sid: newNumberedId(3) }
  await t.rejects(service.listSessions(ended), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(service.endSession(ended, sid), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(service.endSession(caller, newId()), { code: 'AUTH_SESSION_NOT_FOUND' })
  const calls = recordCalls(app)
  for (const id of ['x', `${newId()}x`, '']) await t.rejects(service.endSession(caller, id), { code: 'AUTH_SESSION_NOT_FOUND' })
  t.same(calls.stop(), [])
  await service.endSession(caller, sid)
  await t.rejects(service.endSession(caller, sid), { code: 'AUTH_TOKEN_INVALID' })
})
