import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { createChallengeRepository } from '../../../src/modules/auth/challenge-repository.ts'
import { createCodeRepository, type CodeCount } from '../../../src/modules/auth/code-repository.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, recordCalls, staleReads } from '../../faults.ts'
import { itemAt, itemsOf, outboxOf, TABLE } from './support.ts'

const NOW = new Date('2026-11-22T12:00:00.900Z')
/** in seconds since the epoch */
const AT = 1795348800
const SECOND = 1000

/** Small, and the longest window is a network's. */
const LIMITS = {
  address: [{ window: 10 * SECOND, max: 4 }, { window: 60 * SECOND, max: 6 }],
  network: [{ window: 10 * SECOND, max: 2 }, { window: 90 * SECOND, max: 4 }],
  site: [{ window: 10 * SECOND, max: 3 }, { window: 80 * SECOND, max: 5 }]
}

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

const now = () => NOW
const challenges = createChallengeRepository({ dynamodb: app.dynamodb, table: TABLE, now })
const codes = createCodeRepository({ dynamodb: app.dynamodb, outbox: outboxOf(app), challenges, table: TABLE, now })
const put = (Item: object) => app.dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...Item } }))
const listsAt = (address: string) => itemAt(app.dynamodb, `codes#${address}`, 'all')

/** The moment so many seconds after `NOW`. */
const moment = (seconds: number) => new Date(NOW.getTime() + seconds * SECOND)
const iso = (seconds: number) => moment(seconds).toISOString()
const countOf = (seconds: number, more: Partial<CodeCount> = {}): CodeCount => ({ address: 'A', network: 'N', challengeId: newId(), at: moment(seconds), limits: LIMITS, ...more })
const entryOf = (email: string) => outboxEntry('code.requested', {
  subject: email, correlationId: 'x', now: NOW, data: { challengeId: newId(), expiresAt: iso(600), email, userId: newId(), network: 'N' }
}) as AuthEntry

t.test('a code is counted in one call, in the lists of its address, its network and its site, newest first', async t => {
  const address = newId()
  const calls = recordCalls(app)
  t.equal(await codes.requestCode(countOf(0, { address, site: 'S', challengeId: 'c1' }), undefined), undefined)
  t.equal(await codes.requestCode(countOf(1, { address, network: 'M', challengeId: 'c2' }), undefined), undefined)
  t.equal(await codes.requestCode(countOf(2, { address, site: 'S', challengeId: 'c3' }), undefined), undefined)
  t.equal(await codes.requestCode(countOf(2, { address, site: 'S', challengeId: 'c3' }), undefined), undefined, 'again, after a lost answer')
  t.same(calls.stop(), Array(4).fill('UpdateItemCommand'))
  t.same(await listsAt(address), {
    pk: `codes#${address}`,
    sk: 'all',
    codes: [`${iso(2)} c3`, `${iso(1)} c2`, `${iso(0)} c1`],
    'network#N': [iso(2), iso(0)],
    'network#M': [iso(1)],
    'network#S': [iso(2), iso(0)],
    expiresAt: AT + 93 // whole seconds, and not before the longest window has passed
  })
})

t.test('who asks once too often learns when the next code may be requested, and is not counted', async t => {
  const network = (n: number) => ({ network: `network ${n}` })
  const site = (n: number) => ({ network: `network ${n}`, site: 'S' })
  const cases: [what: string, asked: [seconds: number, more: Partial<CodeCount>][], notBefore: number][] = [
    ['a network in a short time', [[0, {}], [4, {}], [9.999, {}]], 10],
    ['a network in a long time', [[0, {}], [4, {}], [20, {}], [24, {}], [89.999, {}]], 90],
    ['an address in a short time', [[0, network(1)], [1, network(2)], [2, network(3)], [3, network(4)], [4, network(5)]], 10],
    ['an address in a long time', [[0, network(1)], [1, network(2)], [20, network(3)], [21, network(4)], [40, network(5)], [41, network(6)], [59, network(7)]], 60],
    ['a site in a short time', [[0, site(1)], [1, site(2)], [2, site(3)], [3, site(4)]], 10],
    ['a site in a long time', [[0, site(1)], [1, site(2)], [61, site(3)], [62, site(4)], [75, site(5)], [79, site(6)]], 80],
    ['the one that lasts longest counts', [[0, {}], [1, {}], [20, {}], [21, {}], [22, {}]], 90]
  ]
  for (const [what, asked, end] of cases) {
    const address = newId()
    for (const [seconds, more] of asked.slice(0, -1)) t.equal(await codes.requestCode(countOf(seconds, { address, ...more }), undefined), undefined, `${what}, at ${seconds}`)
    const before = await listsAt(address)
    const [seconds, more] = asked.at(-1)!
    t.same(await codes.requestCode(countOf(seconds, { address, ...more }), undefined), { notBefore: moment(end).getTime() }, what)
    t.same(await listsAt(address), before)
    t.equal(await codes.requestCode(countOf(end + 0.001, { address, ...more }), undefined), undefined, `${what}, at ${end}`)
  }
})

t.test('the entry of a code is put with it, or not at all', async t => {
  const address = newId()
  const entries = Array.from({ length: 3 }, () => entryOf('ada@example.com'))
  const calls = recordCalls(app)
  const outcomes = []
  for (const entry of entries) outcomes.push(await codes.requestCode(countOf(0, { address }), entry))
  t.same(calls.stop(), Array(3).fill('TransactWriteItemsCommand'))
  t.same(outcomes, [undefined, undefined, { notBefore: moment(10).getTime() }])
  const isPut = async ({ eventId }: AuthEntry) => (await itemAt(app.dynamodb, `outbox#${eventId}`, 'outbox'))?.['subject'] === 'ada@example.com'
  t.same(await Promise.all(entries.map(isPut)), [true, true, false])
})

t.test('a session that has ended gets no code, whether or not it would get one else', async t => {
  const userId = newId()
  const sessions = { live: AT + 1, ended: AT }
  for (const [sid, expiresAt] of Object.entries(sessions)) await put({ pk: `user#${userId}`, sk: `session#${sid}`, expiresAt })
  const address = newId()
  const ask = (sid: string, entry?: AuthEntry, challengeId = newId()) => codes.requestCode(countOf(0, { address, challengeId, by: { userId, sid } }), entry)
  const never = entryOf('never@example.com')
  for (const sid of ['ended', 'unknown']) {
    t.equal(await ask(sid), 'ended', sid)
    t.equal(await ask(sid, never), 'ended', sid)
  }
  t.equal(await listsAt(address), undefined)
  t.equal(await ask('live', undefined, 'c1'), undefined)
  t.equal(await ask('live', entryOf('once@example.com')), undefined)
  for (const entry of [undefined, never]) {
    t.same(await ask('live', entry), { notBefore: moment(10).getTime() })
    t.equal(await ask('ended', entry), 'ended')
  }
  t.equal(await ask('ended', undefined, 'c1'), undefined, 'what was counted is counted, also when the session has ended since')
  t.notOk((await itemsOf(app.dynamodb)).some(({ subject }) => subject === 'never@example.com'))
})

t.test('what no limit needs any more is removed, and the rest stays as it is', async t => {
  const address = newId()
  const item = { pk: `codes#${address}`, sk: 'all', expiresAt: AT + 50, other: ['x'] }
  await put({
    ...item,
    codes: [`${iso(-1)} c6`, `${iso(-95)} c5`, `${iso(-89.999)} c4`, `${iso(-90)} c3`, `${iso(-91)} c2`, `${iso(-100)} c1`],
    'network#old': [iso(-95), iso(-100)],
    'network#new': [iso(-1), iso(-60)],
    'network#both': [iso(-60), iso(-99)]
  })
  await codes.trim({ address, limits: LIMITS })
  const trimmed = {
    ...item,
    codes: [`${iso(-1)} c6`, `${iso(-95)} c5`, `${iso(-89.999)} c4`], // the second came late, and stays in its place
    'network#new': [iso(-1), iso(-60)],
    'network#both': [iso(-60)]
  }
  t.same(await listsAt(address), trimmed)
  const calls = recordCalls(app)
  await codes.trim({ address, limits: LIMITS })
  await codes.trim({ address: newId(), limits: LIMITS })
  t.same(calls.stop(), ['GetItemCommand', 'GetItemCommand'], 'where there is nothing to remove, nothing is written')
})

t.test('a long list is trimmed two hundred at a time, the oldest first', async t => {
  const address = newId()
  const old = Array.from({ length: 230 }, (_, i) => `${iso(-100 - i)} c`)
  await put({ pk: `codes#${address}`, sk: 'all', codes: [`${iso(0)} c`, ...old] })
  await codes.trim({ address, limits: LIMITS })
  t.same((await listsAt(address))?.['codes'], [`${iso(0)} c`, ...old.slice(0, 30)])
  await codes.trim({ address, limits: LIMITS })
  t.same((await listsAt(address))?.['codes'], [`${iso(0)} c`])
})

t.test('a code that is counted while old ones are looked for is kept, and they too', async t => {
  const address = newId()
  await put({ pk: `codes#${address}`, sk: 'all', codes: [`${iso(-60)} c2`, `${iso(-100)} c1`] })
  const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async ({ send }) => {
    stop()
    await codes.requestCode(countOf(0, { address, challengeId: 'c3' }), undefined)
    return await send()
  })
  await codes.trim({ address, limits: LIMITS })
  t.same((await listsAt(address))?.['codes'], [`${iso(0)} c3`, `${iso(-60)} c2`, `${iso(-100)} c1`])
})

t.test('the codes of a mailbox are listed newest first, each with its challenge while that is open and the user’s', async t => {
  const [userId, today, before] = [newId(), newId(), newId()]
  const replica = staleReads(app.dynamodb)
  t.same(await codes.codesOf([today, before], userId), [])
  const [mine, strange, gone] = [newId(), newId(), newId()]
  await challenges.open({ challengeId: mine, userId, address: 'a', expiresAt: AT + 60 })
  await challenges.takeTry(mine, 'a try')
  await challenges.open({ challengeId: strange, userId: newId(), address: 'a', expiresAt: AT + 60 })
  await codes.requestCode(countOf(1, { address: today, challengeId: mine }), undefined)
  await codes.requestCode(countOf(2, { address: before, challengeId: strange }), undefined)
  await codes.requestCode(countOf(3, { address: today, challengeId: gone }), undefined)
  await codes.noteUncounted(today, newId(), AT + 60)
  replica.freeze()
  t.strictSame(await codes.codesOf([today, before], userId), [{ requestedAt: iso(3) }, { requestedAt: iso(2) }, { requestedAt: iso(1), challenge: { expiresAt: AT + 60, tries: 1 } }], 'as the table has it now')
  replica.stop()
})

t.test('a challenge that does not have the id of its code is noted beside the codes of the address', async t => {
  const [address, challengeId] = [newId(), newId()]
  await codes.noteUncounted(address, challengeId, AT + 60)
  const [pk, sk] = [`codes#${address}`, `challenge#${challengeId}`]
  t.same(await itemAt(app.dynamodb, pk, sk), { pk, sk, expiresAt: AT + 60 })
})

t.test('with an account, the counts of its address go, the codes from before are spent, and its challenges from after are closed', async t => {
  const [me, next] = [newId(), newId()]
  const [today, before, bystander] = [newId(), newId(), newId()]
  const idOf = { early: newId(), sameTime: newId(), unopened: newId(), formerKey: newId(), late: newId(), lateOfNext: newId(), fresh: newId(), freshOfNext: newId() }
  const open = (challengeId: string, userId: string) => challenges.open({ challengeId, userId, address: 'an address', expiresAt: AT + 600 })
  for (const id of [idOf.early, idOf.sameTime, idOf.formerKey, idOf.late, idOf.fresh]) await open(id, me)
  for (const id of [idOf.lateOfNext, idOf.freshOfNext]) await open(id, next)
  const counted = (ids: [id: string, seconds: number][]) => ids.map(([id, seconds]) => `${iso(seconds)} ${id}`)
  await put({ pk: `codes#${today}`, sk: 'all', codes: counted([[idOf.lateOfNext, 2], [idOf.late, 0.001], [idOf.sameTime, 0], [idOf.unopened, -1], [idOf.early, -2]]) })
  await put({ pk: `codes#${before}`, sk: 'all', codes: counted([[idOf.formerKey, -3]]) })
  await put({ pk: `codes#${bystander}`, sk: 'all', codes: counted([[newId(), -3]]) })
  for (const id of [idOf.fresh, idOf.freshOfNext]) await codes.noteUncounted(today, id, AT + 600)

  const calls = recordCalls(app)
  await codes.forgetCodes({ userId: me, address: ['an address'], mailbox: [today, before], at: iso(0), nextOwner: async () => next })
  t.equal(calls.stop().filter(name => name === 'DeleteItemCommand').length, 8, 'four challenges, two lists and two notes')
  const stateOf = async (challengeId: string) => {
    const item = await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge')
    return item === undefined ? 'gone' : item['usedBy'] === 'erasure' ? 'spent' : 'open'
  }
  t.same(Object.fromEntries(await Promise.all(Object.entries(idOf).map(async ([name, id]) => [name, await stateOf(id)] as const))), {
    early: 'spent', sameTime: 'spent', unopened: 'spent', formerKey: 'spent', late: 'gone', lateOfNext: 'open', fresh: 'gone', freshOfNext: 'open'
  })
  const left = (await itemsOf(app.dynamodb)).map(({ pk }) => pk)
  for (const address of [today, before]) t.notOk(left.includes(`codes#${address}`))
  t.ok(left.includes(`codes#${bystander}`))
})
