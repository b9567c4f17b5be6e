import { Type } from '@sinclair/typebox'
import type { DynamoDBRecord } from 'aws-lambda'
import t from 'tap'
import outboxPlugin from '../../src/plugins/outbox/index.ts'
import { createRelay } from '../../src/plugins/outbox/relay.ts'
import { createStore } from '../../src/plugins/outbox/store.ts'
import { outboxEntry, type OutboxEntry } from '../../src/shared/outbox.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { intercept, throttled } from '../faults.ts'
import { expiryRecord, sequenceNumber, streamRecord, waiting } from '../outbox.ts'
import { until } from '../until.ts'
import { checkDependencies } from './dependencies.ts'

checkDependencies('outbox', outboxPlugin, ['dynamodb', 'consumers', 'metrics', 'spans'])

const table = 'UsersTable'
const ENTRIES = { 'order.placed': Type.Object({ n: Type.Integer() }) }
const key = (eventId: string) => ({ userId: `outbox#${eventId}` })
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const MINUTE = 60_000

type Order = OutboxEntry<'order.placed', { n: number }>
const order = (n: number, age = 2 * MINUTE): Order => outboxEntry('order.placed', { subject: `order ${n}`, correlationId: `c${n}`, data: { n }, now: new Date(Date.now() - age) })

const { dynamodb } = await buildTestApp(t, await startEngines(t))
const expired = ({ n }: Record<string, unknown>) => {
  if (n === 'broken') throw new Error('broken')
  return { ...order(n as number), eventId: `expired ${String(n)}` }
}
const store = createStore(dynamodb, { table, key, entries: ENTRIES, expired })

t.afterEach(async () => { for (const { eventId } of await waiting({ dynamodb }, table)) await store.remove(eventId) })

/** A relay, with what it logs, counts and traces. */
function open (handle: (entry: Order) => Promise<void> = async () => {}) {
  const lines: { level: string, message: string, [detail: string]: unknown }[] = []
  const counts: string[] = []
  const spans: object[] = []
  const logger = (bindings: object) => ({
    child: (more: object) => logger({ ...bindings, ...more }),
    debug: (message: string) => { lines.push({ level: 'debug', message, ...bindings }) },
    info: (details: object, message: string) => { lines.push({ level: 'info', message, ...bindings, ...details }) },
    warn: (details: object, message: string) => { lines.push({ level: 'warn', message, ...bindings, ...details }) },
    error: (details: object, message: string) => { lines.push({ level: 'error', message, ...bindings, ...details }) }
  })
  const relay = createRelay({
    run: async (span, work) => { spans.push(span); return await work() },
    handlerOf: type => type === 'order.placed' ? handle as never : undefined,
    count: metric => { counts.push(metric) },
    log: logger({})
  })
  const deliver = async (Records: DynamoDBRecord[], deadline?: number) => (await relay.handleBatch(store, { Records }, { deadline })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
  return { relay, deliver, lines, counts, spans }
}

const recordOf = (entry: Order) => streamRecord(table, store.write(entry).Item!)

t.test('an entry is handled as a part of its trace, and its log lines say which it was, and how long it has waited', async t => {
  const { deliver, lines, spans, counts } = open()
  const entry = { ...order(1), traceparent: TRACE }
  await store.put(entry)
  for (let i = 0; i < 2; i++) t.same(await deliver([recordOf(entry)]), [])
  t.same(spans, [{ name: 'handle order.placed', kind: 'consumer', parent: TRACE, attributes: { 'correlation.id': 'c1' } }])
  const which = { correlationId: 'c1', eventId: entry.eventId, eventType: 'order.placed' }
  t.match(lines, [{ level: 'info', message: 'handled', ...which }, { level: 'debug', message: 'handled before', ...which }])
  const waitedMs = Number(lines[0]!['waitedMs'])
  t.ok(waitedMs >= 2 * MINUTE && waitedMs < 3 * MINUTE, `${waitedMs}`)
  t.same(counts, [])
})

t.test('an entry whose handler fails is logged with the error, counted and named', async t => {
  const { deliver, lines, counts } = open(async () => { throw new Error('broken') })
  const entry = order(1)
  await store.put(entry)
  t.same(await deliver([recordOf(entry)]).then(failed => failed.length), 1)
  t.match(lines, [{ level: 'error', message: 'an outbox entry could not be handled', err: { message: 'broken' }, eventId: entry.eventId }])
  t.same(counts, ['OutboxFailed'])
  t.equal((await waiting({ dynamodb }, table)).length, 1)
})

t.test('at most sixteen entries of a batch are handled at once', async t => {
  const release = Promise.withResolvers<void>()
  let running = 0
  let most = 0
  const { deliver } = open(async () => {
    most = Math.max(most, ++running)
    await release.promise
    running--
  })
  const entries = Array.from({ length: 20 }, (_, n) => order(n))
  for (const entry of entries) await store.put(entry)
  const delivered = deliver(entries.map(recordOf))
  await until(() => running === 16)
  release.resolve()
  t.same(await delivered, [])
  t.equal(most, 16)
})

t.test('only what DynamoDB has removed because it had expired is announced', async t => {
  const { deliver, counts } = open()
  const gone = (n: number, change: object = {}): DynamoDBRecord => ({ ...expiryRecord(table, { n }), ...change })
  const service = { type: 'Service', principalId: 'dynamodb.amazonaws.com' }
  t.same(await deliver([
    gone(1),
    gone(2, { userIdentity: undefined }),
    gone(3, { userIdentity: { ...service, type: 'User' } }),
    gone(4, { userIdentity: { ...service, principalId: 'another.amazonaws.com' } }),
    gone(5, { eventName: 'MODIFY' }),
    gone(6, { eventName: 'INSERT' }),
    gone(7, { dynamodb: { SequenceNumber: '7' } }),
    gone(8, { dynamodb: undefined })
  ]), [])
  t.same((await waiting({ dynamodb }, table)).map(({ eventId }) => eventId), ['expired 1'])
  t.same(counts, [])
})

t.test('an expired item that cannot be announced is logged, counted and named, and keeps no other from it', async t => {
  const { deliver, counts, lines } = open()
  const [good, bad] = [expiryRecord(table, { n: 1 }), expiryRecord(table, { n: 'broken' })]
  t.same(await deliver([bad, good]), [sequenceNumber(bad)])
  t.same((await waiting({ dynamodb }, table)).map(({ eventId }) => eventId), ['expired 1'])
  t.match(lines, [{ level: 'error', message: 'the removal of an expired item could not be announced', err: { message: 'broken' }, sequenceNumber: sequenceNumber(bad) }])
  t.same(counts, ['OutboxFailed'])
})

t.test('a record that cannot be read is logged and named, and fails the whole batch where it has no number', async t => {
  const { deliver, lines, counts } = open()
  const bad = recordOf({ ...order(1), data: { n: 'x' } as never })
  t.same(await deliver([bad]), [sequenceNumber(bad)])
  t.match(lines, [{ level: 'error', message: 'a stream record could not be read', err: { message: /no valid data/ }, sequenceNumber: sequenceNumber(bad) }])
  t.same(counts, [])
  t.same(await deliver([{ ...bad, dynamodb: { NewImage: bad.dynamodb!.NewImage! } }]), [''])
})

t.test('what holds no entry is passed over', async t => {
  const { deliver, lines } = open(async () => { throw new Error('broken') })
  const record = recordOf(order(1))
  const others: DynamoDBRecord[] = [{ ...record, eventName: 'MODIFY' }, { ...record, dynamodb: undefined }, { ...record, dynamodb: { SequenceNumber: '1' } }, streamRecord(table, { userId: 'x' }), streamRecord(table, { userId: 'x', kind: 7 }), streamRecord(table, { userId: 'x', kind: 'user' })] as never
  t.same(await deliver(others), [])
  t.same(lines, [])
})

t.test('nothing is begun in the last four seconds of an invocation, and what was not begun is named', async t => {
  const { now } = Date
  t.teardown(() => { Date.now = now })
  const at = now()
  Date.now = () => at
  let handled = 0
  const { deliver, relay, lines } = open(async () => { handled++ })
  const entry = order(1)
  await store.put(entry)
  const records = [recordOf(entry), expiryRecord(table, { n: 2 })]
  t.same(await deliver(records, at + 3999), records.map(sequenceNumber))
  t.equal(handled, 0)
  t.equal((await waiting({ dynamodb }, table)).length, 1)
  t.same(await relay.sweep([store], { deadline: at + 3999 }), { resent: 0, isIncomplete: true })
  t.match(lines, [{ level: 'warn', message: 'the sweep ran out of time; the next one continues', resent: 0, isIncomplete: true, failed: 0 }])
  t.equal(handled, 0)
  t.same(await deliver(records, at + 4000), [])
  t.equal(handled, 1)
  t.same(await relay.sweep([store], { deadline: at + 4000 }), { resent: 1, isIncomplete: false })
})

t.test('a sweep handles what is older than a minute, counts it and says so, and says nothing where there is nothing', async t => {
  const handled: number[] = []
  const { relay, lines, counts } = open(async ({ data }) => { handled.push(data.n) })
  t.same(await relay.sweep([store], {}), { resent: 0, isIncomplete: false })
  t.same([lines, counts], [[], []])
  for (const entry of [order(1, 61_000), order(2, 30_000)]) await store.put(entry)
  t.same(await relay.sweep([store], {}), { resent: 1, isIncomplete: false })
  t.same(handled, [1])
  t.same(counts, ['OutboxResent'])
  t.match(lines.at(-1), { level: 'info', message: 'swept', resent: 1, isIncomplete: false, failed: 0 })
  t.same(await relay.sweep([store], { minAge: 20_000 }), { resent: 1, isIncomplete: false })
})

t.test('a sweep that fails says how much it did and what went wrong, and goes on with the other tables', async t => {
  const { relay, lines, counts } = open(async ({ data }) => { if (data.n === 1) throw new Error('broken') })
  for (const n of [1, 2]) await store.put(order(n))
  await t.rejects(relay.sweep([store], {}), { name: 'Error', message: '1 outbox entries could not be handled', errors: [{ message: 'broken' }] })
  t.match(lines.at(-1), { level: 'info', message: 'swept', resent: 1, failed: 1 })
  t.same(counts.toSorted(), ['OutboxFailed', 'OutboxResent'])
  await t.rejects(relay.sweep([store], {}), { message: '1 outbox entries could not be handled' })
  t.match(lines.at(-1), { level: 'info', message: 'swept', resent: 0, failed: 1 }, 'also when nothing else was done')

  await store.put(order(3))
  const stop = intercept(dynamodb, { command: 'QueryCommand', onTheLine: false }, async ({ input, send }) => {
    if (input['TableName'] === 'AuthTable') throw throttled()
    return await send()
  })
  const down = createStore(dynamodb, { table: 'AuthTable', key, entries: ENTRIES })
  await t.rejects(relay.sweep([down, store], {}), { message: '2 outbox entries could not be handled' })
  stop()
  t.match(lines.at(-1), { resent: 1, failed: 2 })
})
