import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SQSClient } from '@aws-sdk/client-sqs'
import { DeleteCommand } from '@aws-sdk/lib-dynamodb'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createCheckpoints } from '../../local/checkpoints.ts'
import { startStreamMapping } from '../../local/stream-mapping.ts'
import { readTemplate } from '../../local/template.ts'
import aws from '../../src/plugins/aws/index.ts'
import breakers from '../../src/plugins/breakers.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import consumers from '../../src/plugins/consumers.ts'
import dynamodb from '../../src/plugins/dynamodb.ts'
import { createLogger } from '../../src/plugins/logging.ts'
import metrics from '../../src/plugins/metrics.ts'
import outbox from '../../src/plugins/outbox/index.ts'
import spans from '../../src/plugins/spans.ts'
import { outboxEntry, type OutboxEntry } from '../../src/shared/outbox.ts'
import { startEngines, type Test } from '../engines.ts'
import { deliver, entryRecord as record, sequenceNumber, streamRecord, waiting } from '../outbox.ts'
import { report, workload } from '../promise.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)

type Order = OutboxEntry<'order.placed', { n: number }>
const ENTRIES = { 'order.placed': Type.Object({ n: Type.Integer() }) }
const userKey = (eventId: string) => ({ userId: `outbox#${eventId}` })
const authKey = (eventId: string) => ({ pk: `outbox#${eventId}`, sk: 'outbox' })
const longAgo = () => new Date(Date.now() - 120_000)
const order = (n: number, subject = `order ${n}`, now = longAgo()): Order => outboxEntry('order.placed', { subject, correlationId: 'test', data: { n }, now })
const entryRecord = (entry: OutboxEntry) => record(entry)

/** The outbox and what it needs, without any module of the service. */
async function build (t: Test, from = engines) {
  const logLines: Record<string, unknown>[] = []
  const loaded = loadConfig(from.env)
  const app = Fastify({ loggerInstance: createLogger(loaded, { write: line => { logLines.push(JSON.parse(line) as Record<string, unknown>) } }) as FastifyBaseLogger })
  await app.register(config, { config: loaded })
  for (const plugin of [aws, spans, metrics, breakers, dynamodb, consumers, outbox]) await app.register(plugin)
  t.teardown(async () => {
    for (const { eventId } of await waiting(app, 'UsersTable')) await app.dynamodb.send(new DeleteCommand({ TableName: 'UsersTable', Key: userKey(eventId) }))
    await app.close()
  })
  const counted = (metric: string) => logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)
  return Object.assign(app as Omit<typeof app, 'then'>, { logLines, counted })
}

/** The same, with one open outbox and a handler that keeps what it was given. */
async function buildOpen (t: Test, handle: (entry: Order) => Promise<void> = async () => {}, from = engines) {
  const app = await build(t, from)
  const handled: number[] = []
  const store = app.outbox.open({ table: 'UsersTable', key: userKey, entries: ENTRIES })
  app.outbox.on<Order>('order.placed', async (entry) => {
    await handle(entry)
    handled.push(entry.data.n)
  })
  await app.ready()
  return Object.assign(app, { handled, put: (entry: Order) => store.put(entry) })
}

t.test('an app whose types and handlers do not match one to one does not boot', async (t) => {
  const without = await build(t)
  without.outbox.open({ table: 'UsersTable', key: userKey, entries: ENTRIES })
  await t.rejects(async () => await without.ready(), { message: 'outbox: order.placed has no handler' })

  const unknown = await build(t)
  unknown.outbox.open({ table: 'UsersTable', key: userKey, entries: ENTRIES })
  unknown.outbox.on('order.placed', async () => {})
  unknown.outbox.on('order.shipped', async () => {})
  await t.rejects(async () => await unknown.ready(), { message: 'outbox: no open outbox has the type order.shipped' })

  const twice = await build(t)
  twice.outbox.on('order.placed', async () => {})
  t.throws(() => twice.outbox.on('order.placed', async () => {}), { message: 'outbox: order.placed has two handlers' })
})

t.test('an entry is handled once and removed, however often the stream delivers it', async (t) => {
  const app = await buildOpen(t)
  const entry = order(1)
  await app.put(entry)
  for (let i = 0; i < 3; i++) t.same(await deliver(app, entryRecord(entry)), [])
  t.same(app.handled, [1])
  t.same(await waiting(app), [])
})

t.test('entries of one subject are handled in their order, subjects side by side', async (t) => {
  let running = 0
  let most = 0
  const app = await buildOpen(t, async () => {
    most = Math.max(most, ++running)
    await new Promise(resolve => { setImmediate(resolve) })
    running--
  })
  const entries = Array.from({ length: 60 }, (_, n) => order(n, `subject ${n % 6}`))
  for (const entry of entries) await app.put(entry)
  t.same(await deliver(app, ...entries.map(entryRecord)), [])
  for (let subject = 0; subject < 6; subject++) {
    t.same(app.handled.filter(n => n % 6 === subject), entries.map(({ data }) => data.n).filter(n => n % 6 === subject))
  }
  t.ok(most > 1 && most <= 6, `${most} at once`)
})

t.test('what is no new entry is passed over', async (t) => {
  const app = await buildOpen(t)
  const entry = { ...order(1), kind: 'outbox' }
  t.same(await deliver(app, streamRecord('UsersTable', entry, 'MODIFY'), streamRecord('UsersTable', entry, 'REMOVE'), streamRecord('UsersTable', { userId: 'x', kind: 'user' }), streamRecord('UsersTable', { kind: 7 })), [])
  t.same(app.handled, [])
})

t.test('what is wrong in a batch is named, in the order of the stream, and logged without what it holds; everything else is handled', async (t) => {
  const app = await buildOpen(t)
  const good = Array.from({ length: 46 }, (_, n) => order(n))
  for (const entry of good) await app.put(entry)
  const unreadable = entryRecord(order(100))
  unreadable.dynamodb!.NewImage!['data'] = { X: 'y' } as never
  const bad = [
    entryRecord({ ...order(101), type: 'order.lost' }),
    entryRecord({ ...order(102), type: 'toString' }),
    streamRecord('UsersTable', { kind: 'outbox', outbox: '0', eventId: 'x' }),
    entryRecord({ ...order(103), data: { n: 'canary' } as never }),
    unreadable
  ]
  const Records = good.map(entryRecord)
  Records.splice(3, 0, bad[0]!)
  Records.splice(17, 0, bad[1]!, bad[2]!)
  Records.push(bad[3]!, bad[4]!)
  t.same(await deliver(app, ...Records), bad.map(sequenceNumber))
  t.same(app.handled.toSorted((a, b) => a - b), good.map(({ data }) => data.n))
  t.notOk(JSON.stringify(app.logLines).includes('canary'))
})

t.test('an entry whose handler fails stays, is named and counted, and is handled when it comes again', async (t) => {
  let isBroken = true
  const app = await buildOpen(t, async ({ data }) => { if (isBroken && data.n === 2) throw new Error('broken') })
  const entries = [order(1), order(2), order(3)]
  for (const entry of entries) await app.put(entry)
  const records = entries.map(entryRecord)
  t.same(await deliver(app, ...records), [sequenceNumber(records[1]!)])
  t.same((await waiting(app)).map(({ eventId }) => eventId), [entries[1]!.eventId])
  t.equal(app.counted('OutboxFailed'), 1)
  isBroken = false
  t.same(await deliver(app, records[1]!), [])
  t.same(app.handled.toSorted(), [1, 2, 3])
  t.same(await waiting(app), [])
})

t.test('what the stream could not deliver the sweep handles, counts and reports; what may still be on its way it leaves', async (t) => {
  let isBroken = true
  const app = await buildOpen(t, async ({ data }) => { if (isBroken && data.n === 2) throw new Error('broken') })
  t.same(await app.outbox.sweep(), { resent: 0, isIncomplete: false })
  const young = order(9, 'young', new Date())
  for (const entry of [order(0), order(1), order(2), young]) await app.put(entry)
  await t.rejects(app.outbox.sweep(), { message: '1 outbox entries could not be handled' }, 'an alarm is due')
  t.equal(app.counted('OutboxResent'), 2)
  t.match(app.logLines.at(-1), { msg: 'swept', resent: 2, failed: 1, isIncomplete: false })
  isBroken = false
  t.same(await app.outbox.sweep(), { resent: 1, isIncomplete: false })
  t.same((await waiting(app)).map(({ eventId }) => eventId), [young.eventId])
  t.same(await app.outbox.sweep({ minAge: -1000 }), { resent: 1, isIncomplete: false }, 'where no stream delivers, nothing is too young')
})

t.test('an entry that cannot be read does not keep a sweep from the others', async (t) => {
  const app = await buildOpen(t)
  await app.put({ ...order(1), type: 'order.lost' as never })
  await app.put(order(2))
  await t.rejects(app.outbox.sweep(), { message: '1 outbox entries could not be handled' })
  t.same(app.handled, [2])
})

t.test('an outbox whose entries all hang and fail keeps no other from being swept, and the sweep ends in its time', async (t) => {
  const app = await build(t)
  const swept: string[] = []
  const orders = app.outbox.open({ table: 'UsersTable', key: userKey, entries: ENTRIES })
  const mails = app.outbox.open({ table: 'AuthTable', key: authKey, entries: { 'mail.asked': Type.Object({}) } })
  let release = () => {}
  const hung = new Promise<void>(resolve => { release = resolve })
  let inFlight = 0
  app.outbox.on('order.placed', async () => {
    inFlight++
    await hung.finally(() => { inFlight-- })
    throw new Error('the bus is down')
  })
  app.outbox.on('mail.asked', async ({ eventId }) => { swept.push(eventId) })
  await app.ready()
  for (let n = 0; n < 50; n++) await orders.put(order(n))
  for (let n = 0; n < 20; n++) await mails.put(outboxEntry('mail.asked', { subject: `${n}`, correlationId: 'x', data: {}, now: longAgo() }))

  // Entries are started until four seconds before the end of the invocation.
  const deadline = Date.now() + 7000
  const sweep = app.outbox.sweep({ deadline })
  await until(() => swept.length === 20)
  t.ok(inFlight > 0, 'while the others hang')
  await until(() => Date.now() > deadline - 3900)
  release()
  await t.rejects(sweep, /^\d+ outbox entries could not be handled$/)
  t.equal(inFlight, 0, 'it ended when nothing was in flight')
  const left = await waiting(app, 'UsersTable')
  t.equal(left.length, 50)
  t.ok(app.counted('OutboxFailed') < 50, `${app.counted('OutboxFailed')} were tried`)
  t.equal(app.counted('OutboxResent'), 20)
  t.match(app.logLines.find(({ isIncomplete }) => isIncomplete === true), { resent: 20, failed: app.counted('OutboxFailed') })
})

t.test('near the end of an invocation a batch starts no entry, and names what it has not started', async (t) => {
  const app = await buildOpen(t)
  const entries = [order(201), order(202)]
  for (const entry of entries) await app.put(entry)
  const records = entries.map(entryRecord)
  const answer = await app.consumers.deliver({ Records: records }, { deadline: Date.now() + 1000 })
  t.same(answer, { batchItemFailures: records.map(record => ({ itemIdentifier: sequenceNumber(record) })) })
  t.same(app.handled, [])
})

t.test('of many entries in a stream one that cannot be read holds up no other, and ends in the failure queue', async (t) => {
  const size = workload({ short: 100, full: 1000 })
  const engines = await startEngines(t) // whose stream has nothing of other tests
  const app = await buildOpen(t, undefined, engines)
  const streams = new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint })
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint })
  t.teardown(() => { streams.destroy(); sqs.destroy() })
  const entries = Array.from({ length: size }, (_, n) => order(1000 + n))
  const bad = entries[Math.floor(size / 2)]!
  bad.data = { n: 'not a number' } as never
  for (let i = 0; i < size; i += 50) await Promise.all(entries.slice(i, i + 50).map(app.put))

  /** how often each entry was delivered until it was handled, or at all */
  const deliveries = new Map<string, number>()
  const mapping = readTemplate().streamMappings.find(({ table }) => table === 'UsersTable')!
  const running = startStreamMapping({
    mapping,
    async handler (event) {
      const ids = event.Records.map(({ dynamodb }) => dynamodb!.NewImage!['eventId']!.S!)
      for (const id of ids) if (!isHandled(id)) deliveries.set(id, (deliveries.get(id) ?? 0) + 1)
      return await app.consumers.deliver({ ...event }, { deadline: Date.now() + mapping.timeout }) as never
    },
    streams,
    sqs,
    queueUrl: engines.queueUrl,
    checkpoints: createCheckpoints(),
    log: { warn () {} },
    backOff: () => 1
  })
  t.teardown(() => running.stop())
  const numbers = new Map(entries.map(({ eventId, data }) => [eventId, data.n]))
  const isHandled = (eventId: string) => app.handled.includes(numbers.get(eventId)!)
  const failures = () => engines.sqs.inspectQueue('RelayFailureQueue')!.messages.ready
  const good = entries.filter(entry => entry !== bad)
  await until(() => good.every(({ eventId }) => isHandled(eventId)) && failures().length > 0, { timeoutMs: 100_000 })
  const atOnce = good.filter(({ eventId }) => deliveries.get(eventId) === 1).length
  const tries = deliveries.get(bad.eventId)!
  const [failure] = failures()
  t.match(JSON.parse(failure!.body), { requestContext: { condition: 'RetryAttemptsExhausted' }, DDBStreamBatchInfo: { batchSize: 1 } })
  const left = await until(async () => { const all = await waiting(app, 'UsersTable'); return all.length === 1 && all })
  t.same(left.map(({ eventId }) => eventId), [bad.eventId], 'it stays in the table, for the sweep and its alarm')
  report(t, { promise: 8, figure: `${atOnce} of ${size - 1} relayed with their first delivery, ${failures().length} in the failure queue after ${tries} deliveries`, holds: atOnce === size - 1 && failures().length === 1 && Number.isFinite(mapping.maximumRetries) })
})
