import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { createChallengeRepository, type OpenChallenge } from '../../../src/modules/auth/challenge-repository.ts'
import { ERASED_FOR } from '../../../src/shared/erasure.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { staleReads } from '../../faults.ts'
import { itemAt, itemsOf, repositoryAt, TABLE } from './support.ts'

const NOW = new Date('2026-11-22T12:00:00.900Z')
/** in seconds since the epoch */
const AT = 1795348800

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

/** The challenges at `NOW`, or seconds later. */
const after = (seconds: number) => createChallengeRepository({ dynamodb: app.dynamodb, table: TABLE, now: () => new Date(NOW.getTime() + 1000 * seconds) })
const challenges = after(0)
const itemOf = (challengeId: string) => itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge')
const put = (challengeId: string, attributes: object) => app.dynamodb.send(new PutCommand({ TableName: TABLE, Item: { pk: `challenge#${challengeId}`, sk: 'challenge', ...attributes } }))

const challengeOf = (more: Partial<OpenChallenge> = {}): OpenChallenge => ({ challengeId: newId(), userId: newId(), address: 'the address', expiresAt: AT + 600, ...more })
async function opened (more?: Partial<OpenChallenge>): Promise<OpenChallenge> {
  const challenge = challengeOf(more)
  t.equal(await challenges.open(challenge), true)
  return challenge
}

t.test('a challenge is an item of its own, and one that is no sign-in has a place in its account’s partition too', async t => {
  for (const [more, hasPlace] of [[{}, false], [{ emailChange: { email: 'new@example.com', sid: 'a session' } }, true], [{ undoes: 'email-change' }, true]] satisfies [Partial<OpenChallenge>, boolean][]) {
    const { challengeId, ...challenge } = await opened(more)
    t.same(await itemOf(challengeId), { pk: `challenge#${challengeId}`, sk: 'challenge', ...challenge })
    const [pk, sk] = [`user#${challenge.userId}`, `challenge#${challengeId}`]
    t.same(await itemAt(app.dynamodb, pk, sk), hasPlace ? { pk, sk, expiresAt: AT + 600 } : undefined)
    const { expiresAt, ...known } = challenge
    t.same(await challenges.takeTry(challengeId, 'a try'), known)
  }
})

t.test('opened again, a challenge stays as it is, and says whether it is still the same one’s', async t => {
  const { challengeId, userId } = await opened()
  const before = await itemOf(challengeId)
  t.equal(await challenges.open(challengeOf({ challengeId, userId, address: 'another', expiresAt: AT + 900 })), true)
  t.equal(await challenges.open(challengeOf({ challengeId })), false, 'of another account')
  t.same(await itemOf(challengeId), before)

  await put(challengeId, { userId, usedBy: 'a session', expiresAt: AT + 600 })
  t.equal(await challenges.open(challengeOf({ challengeId, userId })), false, 'it was used')
  await put(challengeId, { usedBy: 'erasure', expiresAt: AT - 1 })
  t.equal(await challenges.open(challengeOf({ challengeId, userId })), false, 'used, and expired since')
  t.equal((await itemOf(challengeId))?.['usedBy'], 'erasure')
  await put(challengeId, { expiresAt: AT + 600 })
  t.equal(await challenges.open(challengeOf({ challengeId, userId })), false, 'no one’s')

  const expired = await opened({ expiresAt: AT })
  t.equal(await challenges.open(challengeOf({ challengeId: expired.challengeId })), true, 'one that has expired unused is opened anew')
})

t.test('its account learns when a challenge ends and how many tries were made, and no other does', async t => {
  const { challengeId, userId } = await opened()
  t.same(await challenges.stateOf(challengeId, userId), { expiresAt: AT + 600, tries: 0 })
  const replica = staleReads(app.dynamodb)
  await challenges.stateOf(challengeId, userId)
  replica.freeze()
  for (const tryId of ['one', 'two']) await challenges.takeTry(challengeId, tryId)
  t.same(await challenges.stateOf(challengeId, userId), { expiresAt: AT + 600, tries: 2 }, 'as it is now')
  replica.stop()
  await challenges.giveBack(challengeId, 'one')
  t.same(await challenges.stateOf(challengeId, userId), { expiresAt: AT + 600, tries: 1 })
  t.equal(await challenges.stateOf(challengeId, newId()), undefined)
  t.equal(await challenges.stateOf(newId(), userId), undefined)
  t.ok(await after(599).stateOf(challengeId, userId))
  t.equal(await after(600).stateOf(challengeId, userId), undefined)
})

t.test('five tries are counted, the same one once, until the challenge expires', async t => {
  const { challengeId } = await opened()
  for (const tryId of ['1', '2', '3', '4', '5', '5', '1']) t.ok(await challenges.takeTry(challengeId, tryId), tryId)
  t.equal(await challenges.takeTry(challengeId, '6'), undefined)
  await challenges.giveBack(challengeId, '4')
  t.ok(await after(599).takeTry(challengeId, '6'))
  const { challengeId: other } = await opened()
  t.equal(await after(600).takeTry(other, '1'), undefined)
  t.same((await itemOf(other))?.['tries'], undefined)
})

t.test('a try of a challenge that is gone leaves nothing, and gives nothing back', async t => {
  const challengeId = newId()
  t.equal(await challenges.takeTry(challengeId, 'a try'), undefined)
  await challenges.giveBack(challengeId, 'a try')
  t.equal(await itemOf(challengeId), undefined)
})

t.test('an item that is no challenge stops the request', async t => {
  const challengeId = newId()
  await put(challengeId, { userId: newId(), address: 1, expiresAt: AT + 600 })
  await t.rejects(challenges.takeTry(challengeId, 'a try'), { message: 'A challenge in the auth table is not valid' })
})

t.test('a code is spent once its challenge was used or erased, as the table has it now', async t => {
  const { challengeId, userId } = await opened()
  const replica = staleReads(app.dynamodb)
  t.equal(await challenges.isSpent(challengeId), false)
  t.equal(await challenges.isSpent(newId()), false)
  replica.freeze()
  await repositoryAt(app, { now: NOW }).startSession(challengeId, {
    userId, sid: newId(), currentHash: 'a', retired: [], familyKey: 'k', createdAt: NOW.toISOString(), lastUsedAt: NOW.toISOString(), expiresAt: AT + 60
  })
  t.equal(await challenges.isSpent(challengeId), true)
  replica.stop()
})

t.test('what an erasure leaves of a challenge names no one, and is kept as long as erasures are', async t => {
  const SPENT = { sk: 'challenge', usedBy: 'erasure', expiresAt: AT + ERASED_FOR }
  const [me, other] = [newId(), newId()]
  const change = { emailChange: { email: 'new@example.com', sid: 's' }, undoes: 'email-change', tries: new Set(['a try']) }
  const cases: [what: string, before: object | undefined, nextOwner: string | undefined, isSpent: boolean][] = [
    ['one that was never opened', undefined, other, true],
    ['one that was used', { usedBy: 'a session', expiresAt: AT - 9 }, other, true],
    ['the account’s own', { userId: me, address: 'elsewhere', ...change, expiresAt: AT + 60 }, me, true],
    ['of no account that is left', { userId: other, address: 'today', expiresAt: AT + 60 }, undefined, true],
    ['under the key before', { userId: other, address: 'before', expiresAt: AT + 60 }, newId(), true],
    ['that of the next owner', { userId: other, address: 'today', expiresAt: AT + 60 }, other, false],
    ['of another address', { userId: other, address: 'elsewhere', expiresAt: AT + 60 }, undefined, false]
  ]
  for (const [what, before, nextOwner, isSpent] of cases) {
    const challengeId = newId()
    const pk = `challenge#${challengeId}`
    if (before !== undefined) await put(challengeId, before)
    const asked: string[] = []
    await challenges.spend(challengeId, { userId: me, address: ['today', 'before'], nextOwner: async () => { asked.push(what); return nextOwner } })
    t.same(await itemOf(challengeId), isSpent ? { pk, ...SPENT } : { pk, sk: 'challenge', ...before }, what)
    t.equal(await challenges.isSpent(challengeId), isSpent, what)
    const isSomeoneElses = before !== undefined && 'userId' in before && before.userId !== me
    t.equal(asked.length, isSomeoneElses ? 1 : 0, `the next owner is looked up only where it matters: ${what}`)
  }
})

t.test('a challenge is removed for its account only', async t => {
  const { challengeId, userId } = await opened()
  await challenges.removeChallenge(challengeId, newId())
  t.ok(await itemOf(challengeId))
  await challenges.removeChallenge(challengeId, userId)
  t.equal(await itemOf(challengeId), undefined)
  await challenges.removeChallenge(challengeId, userId)
  t.notOk((await itemsOf(app.dynamodb)).some(({ pk }) => pk === `challenge#${challengeId}`))
})
