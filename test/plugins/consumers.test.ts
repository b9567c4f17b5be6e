import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import type { App } from '../../src/app.ts'
import consumers, { type Invocation } from '../../src/plugins/consumers.ts'
import metrics from '../../src/plugins/metrics.ts'

const NOW = Date.UTC(2026, 10, 27, 12)

/** Consumers of a queue, a table and a bucket, at a fixed time; what they were given, and what was measured. */
async function build (t: Test) {
  const { now } = Date
  Date.now = () => NOW
  t.teardown(() => { Date.now = now })
  const app = Fastify()
  t.teardown(() => app.close())
  const given: unknown[] = []
  const measured: unknown[] = []
  app.decorate('config', {} as App['config'])
  await app.register(fp(async () => {}, { name: 'config' }))
  await app.register(metrics, { metrics: { scraped: { count () {}, show () {}, observe (...measure) { measured.push(measure) } } } })
  await app.register(consumers)
  const consumer = (kind: string) => async (event: object, invocation: Invocation) => {
    given.push([kind, event, invocation])
    return { batchItemFailures: [{ itemIdentifier: kind }] }
  }
  app.consumers.add({ queue: 'https://sqs.eu-central-1.amazonaws.com/123456789012/Mails' }, consumer('queue'))
  app.consumers.add({ table: 'Users' }, consumer('table'))
  app.consumers.add({ bucket: 'pictures' }, consumer('bucket') as never)
  return { app, given, measured, deliver: (Records: unknown, invocation?: Invocation) => app.consumers.deliver({ Records }, invocation) }
}

const fromQueue = (arn: string, sent?: number) => ({ eventSource: 'aws:sqs', eventSourceARN: arn, attributes: sent === undefined ? {} : { SentTimestamp: String(sent) } })
const fromTable = (arn: string, seconds?: number) => ({ eventSource: 'aws:dynamodb', eventSourceARN: arn, dynamodb: seconds === undefined ? {} : { ApproximateCreationDateTime: seconds } })
const MAILS = 'arn:aws:sqs:eu-central-1:123456789012:Mails'
const USERS = 'arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Users/stream/2026-11-25T00:00:00.000'
const ofBucket = (name: unknown) => ({ eventSource: 'aws:s3', s3: { bucket: { name } } })

t.test('a batch goes to the consumer of its source, with its deadline, and the answer back', async t => {
  const { given, deliver } = await build(t)
  for (const [kind, records] of [['queue', [fromQueue(MAILS), fromQueue(MAILS)]], ['table', [fromTable(USERS)]], ['table', [fromTable('arn:aws:dynamodb:::table/Users/stream/x')]], ['bucket', [ofBucket('pictures')]]] as const) {
    t.same(await deliver(records, { deadline: 7 }), { batchItemFailures: [{ itemIdentifier: kind }] })
    t.same(given.at(-1), [kind, { Records: records }, { deadline: 7 }])
  }
  await deliver([fromTable(USERS)])
  t.same(given.at(-1), ['table', { Records: [fromTable(USERS)] }, {}], 'without a deadline there is none')
})

t.test('without the plugin for metrics it does not start', async t => {
  await t.rejects(async () => await Fastify().register(consumers), { message: /The dependency 'metrics' of plugin 'consumers' is not registered/ })
})

t.test('a source has one consumer, whatever the address of its queue', async t => {
  const { app } = await build(t)
  const consumer = async () => ({ batchItemFailures: [] })
  t.throws(() => app.consumers.add({ queue: 'http://localhost:9324/000000000000/Mails' }, consumer), { message: 'consumers: queue Mails has two consumers' })
  t.throws(() => app.consumers.add({ table: 'Users' }, consumer), { message: 'consumers: table Users has two consumers' })
  t.throws(() => app.consumers.add({ bucket: 'pictures' }, consumer as never), { message: 'consumers: bucket pictures has two consumers' })
  app.consumers.add({ table: 'Mails' }, consumer)
  app.consumers.add({ table: 'a/Users' }, consumer)
})

t.test('what has no consumer is an error, and never a success', async t => {
  const { given, measured, deliver } = await build(t)
  for (const [records, named] of [
    [[], 'none'], [undefined, 'none'], ['aws:sqs', 'none'], [[null], 'none'], [['aws:sqs'], 'none'], [[{}], 'none'], [[{ eventSource: 'aws:kinesis', eventSourceARN: MAILS }], 'none'],
    [[fromQueue(MAILS), fromTable(USERS)], 'more than one'], [[fromQueue(MAILS), null], 'more than one'], [[fromQueue(MAILS), fromQueue(`${MAILS}2`)], 'more than one'],
    [[fromQueue(`${MAILS}2`)], 'queue Mails2'], [[fromQueue('Mails')], 'queue '], [[{ eventSource: 'aws:sqs', eventSourceARN: 7 }], 'queue '], [[{ eventSource: 'aws:sqs' }], 'queue '],
    [[fromTable(USERS.replace('/stream', '2/stream'))], 'table Users2'], [[fromTable('Users')], 'table '], [[{ eventSource: 'aws:dynamodb' }], 'table '],
    [[fromTable(`x${USERS}`)], 'table '], [[fromTable(USERS.replace('arn:aws-cn', 'arn:'))], 'table '], [[fromTable(USERS.replace('dynamodb', 'kinesis'))], 'table '], [[fromTable(USERS.replace('/stream/2026-11-25T00:00:00.000', ''))], 'table '],
    [[ofBucket('others')], 'bucket others'], ...[ofBucket(7), ofBucket(undefined), { eventSource: 'aws:s3', s3: { bucket: null } }, { eventSource: 'aws:s3', s3: null }, { eventSource: 'aws:s3' }].map((record): [unknown, string] => [[record], 'bucket '])
  ] as const) t.equal((await deliver(records).catch((error: unknown) => error) as Error).message, `Records of an unknown source: ${named}`, JSON.stringify(records))
  t.same([given, measured], [[], []])
})

t.test('how long the oldest record has waited is measured in seconds, for queues and streams', async t => {
  const { measured, deliver } = await build(t)
  await deliver([fromQueue(MAILS, NOW - 1000), fromQueue(MAILS, NOW - 2500), fromQueue(MAILS, NOW)])
  await deliver([fromTable(USERS, NOW / 1000 - 3), fromTable(USERS, NOW / 1000 - 60)])
  await deliver([fromQueue(MAILS, NOW + 5000)])
  t.same(measured, [['QueueLagSeconds', 2.5, { source: 'Mails' }], ['StreamLagSeconds', 60, { source: 'Users' }], ['QueueLagSeconds', 0, { source: 'Mails' }]], 'a clock that is ahead means no wait')
  measured.length = 0
  await deliver([ofBucket('pictures')])
  await deliver([fromQueue(MAILS)])
  await deliver([fromTable(USERS)])
  await deliver([{ eventSource: 'aws:sqs', eventSourceARN: MAILS }])
  t.same(measured, [], 'of what does not say when it came nothing is known')
})
