import { DynamoDBClient, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { DynamoDBBatchResponse, DynamoDBStreamEvent, SQSEvent } from 'aws-lambda'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createCheckpoints } from '../../local/checkpoints.ts'
import type { Mapping } from '../../local/mapping-loop.ts'
import { deliverMessages, startQueueMapping, type QueueHandler } from '../../local/queue-mapping.ts'
import { startStreamMapping, type StreamHandler } from '../../local/stream-mapping.ts'
import { queueArn } from '../../local/sqs.ts'
import type { QueueMapping, StreamMapping } from '../../local/template.ts'
import { dynamodbEngines, startEngines, type EngineOptions } from '../engines.ts'
import { until } from '../until.ts'

const STREAM: StreamMapping = {
  table: 'UsersTable',
  batchSize: 10,
  maximumRetries: 2,
  bisects: true,
  reportsItemFailures: true,
  filters: [{ eventName: ['INSERT'], dynamodb: { NewImage: { kind: { S: ['outbox'] } } } }],
  failureQueue: 'RelayFailureQueue',
  timeout: 10_000
}
const QUEUE: QueueMapping = { queue: 'EmailQueue', batchSize: 10, reportsItemFailures: true, timeout: 10_000 }

async function setUp (t: Test, options: EngineOptions = {}) {
  const engines = await startEngines(t, options)
  const aws = { ...LOCAL_AWS, maxAttempts: 1 }
  const dynamodb = new DynamoDBClient({ ...aws, endpoint: engines.dynamodbEndpoint })
  const streams = new DynamoDBStreamsClient({ ...aws, endpoint: engines.dynamodbEndpoint })
  const sqs = new SQSClient({ ...aws, endpoint: engines.sqsEndpoint })
  t.teardown(() => { dynamodb.destroy(); streams.destroy(); sqs.destroy() })
  const warnings: string[] = []
  const log = { warn: (_details: object, message: string) => { warnings.push(message) } }

  async function put (id: string, kind = 'outbox') {
    await dynamodb.send(new PutItemCommand({ TableName: 'UsersTable', Item: { userId: { S: id }, kind: { S: kind }, bytes: { B: Buffer.from('ab') } } }))
  }
  function startStream (handler: StreamHandler, { mapping = STREAM, checkpoints = createCheckpoints(), backOff = () => 1 }: { mapping?: StreamMapping, checkpoints?: ReturnType<typeof createCheckpoints>, backOff?: () => number } = {}): Mapping {
    const running = startStreamMapping({ mapping, handler, streams, sqs, queueUrl: engines.queueUrl, checkpoints, log, backOff })
    t.teardown(() => running.stop())
    return running
  }
  async function send (body: string, correlationId?: string) {
    await sqs.send(new SendMessageCommand({
      QueueUrl: engines.queueUrl('EmailQueue'),
      MessageBody: body,
      MessageAttributes: correlationId === undefined ? undefined : { correlationId: { DataType: 'String', StringValue: correlationId } }
    }))
  }
  function startQueue (handler: QueueHandler): Mapping {
    const running = startQueueMapping({ mapping: QUEUE, handler, sqs, queueUrl: engines.queueUrl('EmailQueue'), queueArn: queueArn('EmailQueue'), log, concurrency: 1 })
    t.teardown(() => running.stop())
    return running
  }
  const messages = (queue: string) => engines.sqs.inspectQueue(queue)!.messages
  return { engines, dynamodb, sqs, warnings, put, startStream, send, startQueue, messages }
}

const idsOf = (event: DynamoDBStreamEvent) => event.Records.map(({ dynamodb }) => dynamodb!.Keys!['userId']!.S!)
const fail = (event: DynamoDBStreamEvent, ids: string[]): DynamoDBBatchResponse => ({
  batchItemFailures: event.Records.filter(({ dynamodb }) => ids.includes(dynamodb!.Keys!['userId']!.S!)).map(({ dynamodb }) => ({ itemIdentifier: dynamodb!.SequenceNumber! }))
})

for (const [engine, skip] of await dynamodbEngines()) {
  t.test(`${engine}: new outbox entries reach the handler in order, in the shape of Lambda, and nothing else does`, { skip }, async t => {
    const { dynamodb, put, startStream } = await setUp(t, { dynamodb: engine })
    await put('u1', 'user')
    for (let i = 0; i < 25; i++) await put(`e${i}`)
    await dynamodb.send(new UpdateItemCommand({ TableName: 'UsersTable', Key: { userId: { S: 'e0' } }, UpdateExpression: 'SET x = :x', ExpressionAttributeValues: { ':x': { S: '1' } } }))
    const events: DynamoDBStreamEvent[] = []
    const left: number[] = []
    startStream(async (event, { deadline }) => { events.push(event); left.push(deadline - Date.now()) })
    const seen = () => events.flatMap(idsOf)
    await until(() => seen().length >= 25)
    await put('last')
    await until(() => seen().includes('last'))
    t.strictSame(seen(), [...Array.from({ length: 25 }, (_, i) => `e${i}`), 'last'])
    t.ok(left.every(ms => ms > 9000 && ms <= 10_000), 'each batch has the function’s timeout')
    t.ok(events.every(({ Records }) => Records.every(record => /:table\/UsersTable\/stream\//.test(record.eventSourceARN!))))
    t.ok(events.every(({ Records }) => Records.length <= 10), 'batches are as large as the mapping says')
    const [record] = events[0]!.Records
    t.match(record, { eventName: 'INSERT', eventSource: 'aws:dynamodb', eventVersion: '1.1', awsRegion: 'us-east-1', eventSourceARN: /:table\/UsersTable\/stream\//, eventID: String })
    t.match(record!.dynamodb, { Keys: { userId: { S: 'e0' } }, NewImage: { bytes: { B: 'YWI=' } }, SequenceNumber: String, StreamViewType: 'NEW_AND_OLD_IMAGES' })
    t.notOk('OldImage' in record!.dynamodb!)
    t.ok(Number.isInteger(record!.dynamodb!.ApproximateCreationDateTime), 'seconds, not a Date')
  })
}

t.test('a batch is retried from its first failed record', async t => {
  const { put, startStream, warnings } = await setUp(t)
  for (const id of ['a', 'b', 'c', 'd']) await put(id)
  const batches: string[][] = []
  let isBroken = true
  startStream(async event => {
    batches.push(idsOf(event))
    const failures = fail(event, isBroken ? ['b'] : [])
    isBroken = false
    return failures
  })
  await until(() => batches.length >= 2)
  t.strictSame(batches, [['a', 'b', 'c', 'd'], ['b', 'c', 'd']])
  t.strictSame(warnings, [])
})

t.test('a record that always fails is bisected out, retried as often as the mapping says, and reported to the failure queue', async t => {
  const { put, startStream, messages } = await setUp(t)
  const ids = Array.from({ length: 8 }, (_, i) => `e${i}`)
  for (const id of ids) await put(id)
  const done = new Set<string>()
  let attemptsAlone = 0
  startStream(async event => {
    const seen = idsOf(event)
    if (seen.length === 1 && seen[0] === 'e5') attemptsAlone++
    if (seen.includes('e5')) throw new Error('cannot handle e5')
    for (const id of seen) done.add(id)
  })
  const [message] = await until(() => messages('RelayFailureQueue').ready.length > 0 && messages('RelayFailureQueue').ready)
  await until(() => done.size === 7)
  t.strictSame([...done].sort(), ids.filter(id => id !== 'e5'))
  t.equal(attemptsAlone, 3, 'once and two retries')
  const report = JSON.parse(message!.body) as { requestContext: object, DDBStreamBatchInfo: { startSequenceNumber: string, endSequenceNumber: string } }
  t.match(report, { requestContext: { condition: 'RetryAttemptsExhausted', approximateInvokeCount: 3 }, DDBStreamBatchInfo: { batchSize: 1, streamArn: /UsersTable/, shardId: String } })
  t.equal(report.DDBStreamBatchInfo.startSequenceNumber, report.DDBStreamBatchInfo.endSequenceNumber)
  t.equal(messages('RelayFailureQueue').ready.length, 1, 'only that one')
})

t.test('a batch without bisection is given up as a whole', async t => {
  const { put, startStream, messages } = await setUp(t)
  for (const id of ['a', 'b', 'c']) await put(id)
  const batches: string[][] = []
  startStream(async event => {
    batches.push(idsOf(event))
    if (batches.at(-1)!.includes('a')) throw new Error('cannot')
  }, { mapping: { ...STREAM, bisects: false } })
  const [message] = await until(() => messages('RelayFailureQueue').ready.length > 0 && messages('RelayFailureQueue').ready)
  t.strictSame(batches, [['a', 'b', 'c'], ['a', 'b', 'c'], ['a', 'b', 'c']])
  t.match(JSON.parse(message!.body), { DDBStreamBatchInfo: { batchSize: 3 } })
})

t.test('an answer that names a record of another batch fails the batch', async t => {
  const { put, startStream } = await setUp(t)
  await put('a')
  let calls = 0
  startStream(async () => ({ batchItemFailures: calls++ === 0 ? [{ itemIdentifier: 'of another batch' }] : [] }))
  await until(() => calls === 2)
  t.pass('tried again')
})

t.test('after a restart reading goes on behind the last batch that was done', async t => {
  const { engines, put, startStream } = await setUp(t)
  const file = join(engines.dir, 'checkpoints.json')
  await put('a')
  const before: string[] = []
  const first = startStream(async event => { before.push(...idsOf(event)) }, { checkpoints: createCheckpoints(file) })
  await until(() => before.length === 1)
  await first.stop()
  await put('b')
  const after: string[] = []
  startStream(async event => { after.push(...idsOf(event)) }, { checkpoints: createCheckpoints(file) })
  await until(() => after.includes('b'))
  t.strictSame(after, ['b'])
})

t.test('a batch that was being retried when it was stopped comes again after a restart', async t => {
  const { engines, put, startStream } = await setUp(t)
  const file = join(engines.dir, 'checkpoints.json')
  await put('a')
  let calls = 0
  const first = startStream(async () => { calls++; throw new Error('not yet') }, { checkpoints: createCheckpoints(file), backOff: () => 60_000 })
  await until(() => calls === 1)
  await first.stop()
  const after: string[] = []
  startStream(async event => { after.push(...idsOf(event)) }, { checkpoints: createCheckpoints(file) })
  await until(() => after.length === 1)
  t.strictSame(after, ['a'])
})

t.test('a stop waits for the batch in hand', async t => {
  const { put, startStream } = await setUp(t)
  await put('a')
  let release = () => {}
  let isIn = false
  let isOut = false
  const running = startStream(async () => {
    isIn = true
    await new Promise<void>(resolve => { release = resolve })
    isOut = true
  })
  await until(() => isIn)
  const stopped = running.stop()
  release()
  await stopped
  t.ok(isOut)
})

t.test('an engine that was away is read again when it is back', async t => {
  const { engines, put, startStream, warnings } = await setUp(t)
  const seen: string[] = []
  startStream(async event => { seen.push(...idsOf(event)) })
  await put('a')
  await until(() => seen.includes('a'))
  await engines.faults.dynamodb.stop('SIGKILL')
  await until(() => warnings.length > 0)
  await engines.faults.dynamodb.start()
  await put('b')
  await until(() => seen.includes('b'))
  t.strictSame(seen, ['a', 'b'])
  t.equal(warnings.length, 1, 'said once')
})

t.test('messages reach the handler in the shape of Lambda and are deleted when they are handled', async t => {
  const { send, startQueue, messages } = await setUp(t)
  await send('{"n":1}', 'corr-1')
  const events: SQSEvent[] = []
  let left = 0
  startQueue(async (event, { deadline }) => { events.push(event); left = deadline - Date.now() })
  await until(() => events.length === 1)
  t.ok(left > 9000 && left <= 10_000, 'the function’s timeout')
  const [record] = events[0]!.Records
  t.match(record, {
    messageId: String,
    receiptHandle: String,
    body: '{"n":1}',
    md5OfBody: /^[0-9a-f]{32}$/,
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:EmailQueue',
    awsRegion: 'us-east-1',
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: /^\d{13}$/, ApproximateFirstReceiveTimestamp: /^\d{13}$/, SenderId: String }
  })
  t.strictSame(record!.messageAttributes['correlationId'], { stringValue: 'corr-1', stringListValues: [], binaryListValues: [], dataType: 'String' })
  await until(() => messages('EmailQueue').ready.length + messages('EmailQueue').inflight.length === 0)
})

t.test('of a batch that failed in part, the rest is deleted and the failed ones stay hidden for the visibility time-out', async t => {
  const { send, startQueue, messages, warnings } = await setUp(t)
  for (const body of ['good 1', 'bad', 'good 2']) await send(body)
  const handled: string[] = []
  startQueue(async event => {
    handled.push(...event.Records.map(({ body }) => body))
    return { batchItemFailures: event.Records.filter(({ body }) => body === 'bad').map(({ messageId }) => ({ itemIdentifier: messageId })) }
  })
  await until(() => messages('EmailQueue').ready.length === 0 && messages('EmailQueue').inflight.length === 1)
  const [hidden] = messages('EmailQueue').inflight
  t.equal(hidden!.message.body, 'bad')
  t.ok(hidden!.visibilityDeadline > Date.now() + 250_000, 'the time-out of the template: 300 s')
  t.equal(handled.filter(body => body === 'bad').length, 1)
  await until(() => warnings.length > 0)
})

t.test('a handler that throws deletes nothing', async t => {
  const { send, startQueue, messages } = await setUp(t)
  await send('a')
  let calls = 0
  startQueue(async () => { calls++; throw new Error('down') })
  await until(() => calls === 1)
  t.equal(messages('EmailQueue').inflight.length, 1)
})

t.test('a message that failed three times is in the dead-letter queue', async t => {
  const { engines, sqs, send, messages } = await setUp(t)
  await send('bad')
  const counts: string[] = []
  const step = {
    mapping: QUEUE,
    sqs,
    queueUrl: engines.queueUrl('EmailQueue'),
    queueArn: queueArn('EmailQueue'),
    wait: 0,
    retryAfter: 0,
    handler: async ({ Records }: SQSEvent) => {
      counts.push(Records[0]!.attributes.ApproximateReceiveCount)
      return { batchItemFailures: [{ itemIdentifier: Records[0]!.messageId }] }
    }
  }
  while ((await deliverMessages(step)).received > 0);
  t.strictSame(counts, ['1', '2', '3'])
  t.strictSame(messages('EmailDeadLetterQueue').ready.map(({ body }) => body), ['bad'])
})
