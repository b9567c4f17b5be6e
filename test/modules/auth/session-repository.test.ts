import { PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { Session } from '../../../src/modules/auth/schemas.ts'
import { ERASED_FOR, nameless } from '../../../src/shared/erasure.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { recordCalls, staleReads } from '../../faults.ts'
import { itemAt, repositoryAt, TABLE } from './support.ts'

const NOW = new Date('2026-11-22T12:00:00.900Z')
/** in seconds since the epoch */
const AT = 1795348800

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

/** The table at `NOW`, or seconds later. */
const after = (seconds: number) => repositoryAt(app, { now: new Date(NOW.getTime() + 1000 * seconds) })
const repository = after(0)
const put = (Item: object) => app.dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...Item } }))
const itemOf = ({ userId, sid }: Pick<Session, 'userId' | 'sid'>) => itemAt(app.dynamodb, `user#${userId}`, `session#${sid}`)
async function keysOf (userId: string): Promise<unknown[]> {
  const { Items } = await app.dynamodb.send(new QueryCommand({ TableName: TABLE, KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': `user#${userId}` }, ConsistentRead: true }))
  return Items!.map(({ sk }) => sk as unknown)
}

const sessionOf = (more: Partial<Session> = {}): Session => ({
  userId: newId(), sid: newId(), currentHash: 'a', retired: [], familyKey: 'k', createdAt: '2026-11-20T12:00:00.000Z', lastUsedAt: '2026-11-21T12:00:00.000Z', expiresAt: AT + 60, ...more
})
/** A session as it is stored. */
async function stored (more?: Partial<Session>): Promise<Session> {
  const session = sessionOf(more)
  const { userId, sid, ...attributes } = session
  await put({ pk: `user#${userId}`, sk: `session#${sid}`, ...attributes })
  return session
}
async function opened (): Promise<string> {
  const challengeId = newId()
  await repository.openChallenge({ challengeId, userId: newId(), address: 'an address', emailChange: { email: 'new@example.com', sid: 's' }, expiresAt: AT + 60 })
  return challengeId
}
const challengeItem = (challengeId: string) => itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge')

t.test('a session that starts is an item under its user, and its challenge names no one any more', async t => {
  const challengeId = await opened()
  const session = sessionOf({ device: 'App/1' })
  t.equal(await repository.startSession(challengeId, session), true)
  const { userId, sid, ...attributes } = session
  t.same(await itemOf(session), { pk: `user#${userId}`, sk: `session#${sid}`, ...attributes })
  t.same(await challengeItem(challengeId), { pk: `challenge#${challengeId}`, sk: 'challenge', usedBy: sid, expiresAt: AT + 60 })
  t.equal(await repository.startSession(challengeId, session), true, 'again, after a lost answer')
  const other = sessionOf()
  t.equal(await repository.startSession(challengeId, other), false, 'used by another one')
  t.equal(await repository.startSession(newId(), other), false, 'never opened')
  const late = await opened()
  t.equal(await after(60).startSession(late, other), false, 'expired')
  t.equal(await itemOf(other), undefined)
  t.equal((await challengeItem(late))?.['usedBy'], undefined)
  t.equal(await after(59).startSession(late, other), true)
})

t.test('a session is read until it expires, as the table has it now', async t => {
  const session = await stored({ device: 'App/1', retired: [{ hash: 'h', salt: 's', at: 1 }] })
  const { userId, sid } = session
  const replica = staleReads(app.dynamodb)
  t.same(await repository.getSession(userId, sid), session)
  t.same(await after(59).getSession(userId, sid), session)
  t.equal(await after(60).getSession(userId, sid), undefined)
  t.equal(await repository.getSession(userId, newId()), undefined)
  replica.freeze()
  await repository.deleteSession(userId, sid)
  t.equal(await repository.getSession(userId, sid), undefined)
  replica.stop()
  await repository.deleteSession(userId, sid)
})

t.test('a token rotates from the current one only, and the client’s name goes with it', async t => {
  const session = await stored({ device: 'App/1' })
  const next = { currentHash: 'b', retired: [{ hash: 'a', salt: 's', at: 1 }], lastUsedAt: '2026-11-22T12:00:00.000Z', expiresAt: AT + 90 }
  t.equal(await after(60).rotate(session, next), false, 'expired')
  t.equal(await repository.rotate({ ...session, currentHash: 'x' }, next), false, 'not the current one')
  t.same(await repository.getSession(session.userId, session.sid), session)
  t.equal(await after(59).rotate(session, { ...next, device: 'App/2' }), true)
  t.same(await repository.getSession(session.userId, session.sid), { ...session, ...next, device: 'App/2' })
  t.equal(await repository.rotate(session, next), false, 'used up')
  t.equal(await repository.rotate({ ...session, ...next }, { ...next, currentHash: 'c' }), true)
  const { device, ...nameless } = session
  t.same(await repository.getSession(session.userId, session.sid), { ...nameless, ...next, currentHash: 'c' }, 'a client that has no name any more')
  t.equal(await repository.rotate(sessionOf(), next), false)
})

t.test('a list shows what has not expired and none of its secrets, as the table has it now', async t => {
  const userId = newId()
  const replica = staleReads(app.dynamodb)
  t.same(await repository.listSessions(userId), [])
  const [named, plain] = [await stored({ userId, device: 'App/1', expiresAt: AT + 1 }), await stored({ userId })]
  await stored({ userId, expiresAt: AT })
  await stored()
  await put({ pk: `user#${userId}`, sk: `challenge#${newId()}`, expiresAt: AT + 60 })
  replica.freeze()
  const view = ({ sid, createdAt, lastUsedAt, expiresAt, device }: Session) => ({ sid, createdAt, lastUsedAt, expiresAt, ...(device === undefined ? {} : { device }) })
  const bySid = (a: { sid: string }, b: { sid: string }) => a.sid.localeCompare(b.sid)
  t.same((await repository.listSessions(userId)).sort(bySid), [named, plain].map(view).sort(bySid))
  replica.stop()
  t.same(await after(1).listSessions(userId), [view(plain)])
})

t.test('a list of more than a page of the table is complete', async t => {
  const userId = newId()
  // A page is 1 MB of items, whatever is shown of them.
  const sessions = []
  for (let i = 0; i < 4; i++) sessions.push(await stored({ userId, familyKey: 'k'.repeat(390_000) }))
  t.same((await repository.listSessions(userId)).map(({ sid }) => sid).sort(), sessions.map(({ sid }) => sid).sort())
})

t.test('an item that is no session stops the request', async t => {
  const { userId, sid } = await stored({ createdAt: 1 as never })
  const NOT_VALID = { message: 'A session in the auth table is not valid' }
  await t.rejects(repository.getSession(userId, sid), NOT_VALID)
  await t.rejects(repository.listSessions(userId), NOT_VALID)
})

t.test('a session ends for a live one of its user, or for itself, and what remains of it has no secret', async t => {
  const userId = newId()
  const [one, two, three] = [await stored({ userId, device: 'App/1' }), await stored({ userId }), await stored({ userId })]
  const endedItem = (sid: string, endedBy: string) => ({ pk: `user#${userId}`, sk: `session#${sid}`, createdAt: one.createdAt, lastUsedAt: one.lastUsedAt, expiresAt: AT, endedBy })
  t.equal(await repository.endSession(userId, one.sid, two.sid, 'operation 1'), 'done')
  t.same(await itemOf(one), endedItem(one.sid, 'operation 1'))
  t.equal(await repository.getSession(userId, one.sid), undefined)
  t.equal(await repository.endSession(userId, one.sid, two.sid, 'operation 1'), 'done', 'again, after a lost answer')
  t.equal(await repository.endSession(userId, one.sid, two.sid, 'operation 2'), 'unknown')
  t.equal(await repository.endSession(userId, newId(), two.sid, 'operation 3'), 'unknown')
  t.equal(await repository.endSession(userId, two.sid, one.sid, 'operation 4'), 'ended')
  t.equal(await repository.endSession(userId, one.sid, one.sid, 'operation 5'), 'ended')
  t.equal(await after(60).endSession(userId, two.sid, three.sid, 'operation 6'), 'ended')
  t.same(await repository.getSession(userId, two.sid), two, 'and nothing was written for these')
  t.equal(await after(59).endSession(userId, two.sid, two.sid, 'operation 7'), 'done')
  t.same(await itemOf(two), { ...endedItem(two.sid, 'operation 7'), expiresAt: AT + 59 })
})

t.test('of a user’s sessions those are deleted that have ended, and no other item', async t => {
  const userId = newId()
  const ids = Array.from({ length: 30 }, () => newId())
  const session = sessionOf()
  for (const sid of ids) await put({ ...session, pk: `user#${userId}`, sk: `session#${sid}` })
  await put({ pk: `user#${userId}`, sk: 'challenge#of a change', expiresAt: AT + 60 })
  const bystander = await stored()
  const asked: string[] = []
  const [kept] = ids
  await repository.deleteSessions(userId, sid => { asked.push(sid); return sid !== kept })
  t.same(asked.sort(), ids.toSorted())
  t.same(await keysOf(userId), ['challenge#of a change', `session#${kept}`])
  const replica = staleReads(app.dynamodb)
  await repository.deleteSessions(userId, () => false)
  replica.freeze()
  await put({ ...session, pk: `user#${userId}`, sk: 'session#of now' })
  await repository.deleteSessions(userId, () => true)
  replica.stop()
  t.same(await keysOf(userId), ['challenge#of a change'], 'as the table has it now')
  t.ok(await itemOf(bystander))
})

t.test('a user who is forgotten leaves a marker that names no one, for as long as erasures are remembered', async t => {
  const { userId } = await stored()
  for (let i = 0; i < 30; i++) await put({ pk: `user#${userId}`, sk: `session#${newId()}`, expiresAt: AT })
  const [challengeId, stranger] = [newId(), await opened()]
  await repository.openChallenge({ challengeId, userId, address: 'an address', undoes: 'email-change', expiresAt: AT + 60 })
  const replica = staleReads(app.dynamodb)
  t.equal(await repository.isErased(userId), false)
  replica.freeze()
  const calls = recordCalls(app)
  await repository.forgetUser(userId)
  t.equal(calls.stop().filter(name => name === 'DeleteItemCommand').length, 33, 'each item once, and the challenge')
  t.equal(await repository.isErased(userId), true)
  replica.stop()
  t.same(await keysOf(userId), [])
  t.equal(await challengeItem(challengeId), undefined)
  t.ok(await challengeItem(stranger))
  const pk = `erased#${nameless(userId)}`
  t.same(await itemAt(app.dynamodb, pk, 'erased'), { pk, sk: 'erased', kind: 'erased', expiresAt: AT + ERASED_FOR })
  t.equal(await after(ERASED_FOR - 1).isErased(userId), true)
  t.equal(await after(ERASED_FOR).isErased(userId), false)
})
