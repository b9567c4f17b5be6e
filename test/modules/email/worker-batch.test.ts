import { randomUUID } from 'node:crypto'
import t from 'tap'
import { MessageBusy } from '../../../src/modules/email/errors.ts'
import type { Delivery } from '../../../src/modules/email/service.ts'
import { createWorker } from '../../../src/modules/email/worker.ts'
import type { SpanOptions } from '../../../src/plugins/spans.ts'
import { watch } from './parts.ts'
import { emailMessage, sqsRecord } from './records.ts'

// What the worker makes of the records of a batch, by a clock that stands still.

const AT = Date.parse('2027-03-01T12:00:00.000Z')
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

function createWorld () {
  const { log, count, counted, logged } = watch()
  const world = {
    deliveries: [] as Delivery[],
    spans: [] as SpanOptions[],
    shown: [] as [receiptHandle: string, seconds: number][],
    refreshed: 0,
    failure: undefined as Error | undefined,
    queueFailure: undefined as Error | undefined,
    counted,
    logged,
    handleBatch: (...args: Parameters<typeof worker.handleBatch>) => worker.handleBatch(...args)
  }
  const worker = createWorker({
    service: {
      async deliver (delivery, log) {
        log.info({}, 'delivered')
        world.deliveries.push(delivery)
        if (world.failure !== undefined) throw world.failure
      }
    },
    queue: {
      async showIn (receiptHandle, seconds) {
        world.shown.push([receiptHandle, seconds])
        if (world.queueFailure !== undefined) throw world.queueFailure
      }
    },
    keys: { async refresh () { world.refreshed++ } },
    spans: {
      async run (span, work) {
        world.spans.push(span)
        return await work()
      }
    },
    count,
    log,
    now: () => AT
  })
  return world
}

const attribute = (stringValue: string) => ({ stringValue, dataType: 'String' })

t.test('a record is delivered with what its attributes say', async t => {
  const world = createWorld()
  const message = emailMessage()
  const record = sqsRecord(message, { correlationId: 'of-a-request', attempt: 12, unconfirmed: 1, receives: 2, sentAt: AT - 3000, firstReceivedAt: AT - 2000 })
  record.messageAttributes['traceparent'] = attribute(TRACE)
  t.same(await world.handleBatch({ Records: [record] }), { batchItemFailures: [] })
  t.equal(world.refreshed, 1, 'the secret of codes may be another by now')
  t.same(world.deliveries, [{ message, correlationId: 'of-a-request', attempt: 12, unconfirmed: 1, receives: 2, sentAt: AT - 3000, firstReceivedAt: AT - 2000, deadline: AT + 240_000 }])
  t.same(world.spans, [{ name: 'deliver SIGN_IN_CODE', kind: 'consumer', parent: TRACE, attributes: { 'correlation.id': 'of-a-request' } }])
  t.same(world.logged(), [{ level: 'info', correlationId: 'of-a-request', sqsMessageId: record.messageId, messageId: message.messageId, msg: 'delivered' }])
  t.same(world.shown, [])
  t.same(world.counted(), {})
})

t.test('attributes that are missing or wrong are none', async t => {
  const world = createWorld()
  const bare = { ...sqsRecord(emailMessage()), messageAttributes: {} }
  t.same(await world.handleBatch({ Records: [bare] }), { batchItemFailures: [] })
  t.match(world.deliveries.pop(), { correlationId: /^[0-9a-f-]{36}$/, attempt: 0, unconfirmed: 0 })
  t.equal(world.spans[0]!.parent, undefined)
  for (const [value, attempt] of [['7', 7], ['1234', 1234], ['12345', 0], ['', 0], ['-1', 0], ['1.5', 0], ['x1', 0], ['1x', 0], ['ten', 0]] as const) {
    await world.handleBatch({ Records: [{ ...bare, messageAttributes: { attempt: attribute(value) } }] })
    t.equal(world.deliveries.pop()!.attempt, attempt, value)
  }
  await world.handleBatch({ Records: [{ ...bare, messageAttributes: { correlationId: attribute('a b'), traceparent: attribute('x') } }] })
  t.match(world.deliveries.pop(), { correlationId: /^[0-9a-f-]{36}$/ })
})

t.test('a batch ends two seconds before its invocation does, and after four minutes at the latest', async t => {
  const world = createWorld()
  for (const [deadline, end] of [[AT + 30_000, AT + 28_000], [AT + 900_000, AT + 240_000], [undefined, AT + 240_000]] as const) {
    await world.handleBatch({ Records: [sqsRecord(emailMessage())] }, deadline === undefined ? {} : { deadline })
    t.equal(world.deliveries.pop()!.deadline, end)
  }
})

t.test('a record that failed comes back later each time, and one that nothing can mend at once', async t => {
  const world = createWorld()
  const cases: [name: string, failure: Error | undefined, receives: number, seconds: number, body?: string][] = [
    ['first', new Error('down'), 1, 30],
    ['second', new Error('down'), 2, 120],
    ['last', new Error('down'), 3, 120],
    ['another delivery is at it', new MessageBusy(AT + 41_500), 1, 42],
    ['it has just ended', new MessageBusy(AT - 5000), 2, 1],
    ['not a message', undefined, 1, 1, '{'],
    ['not a message, again', undefined, 2, 1, '{']
  ]
  for (const [name, failure, receives, seconds, body] of cases) {
    world.failure = failure
    const message = emailMessage()
    const record = sqsRecord(body ?? message, { receives, receiptHandle: randomUUID(), correlationId: 'failed' })
    t.same(await world.handleBatch({ Records: [record] }), { batchItemFailures: [{ itemIdentifier: record.messageId }] }, name)
    t.same(world.shown.splice(0), [[record.receiptHandle, seconds]], name)
    t.same(world.counted(), failure instanceof MessageBusy ? {} : { MailsFailed: 1 }, name)
    const line = world.logged().at(-1)
    t.match(line, { level: 'warn', correlationId: 'failed', sqsMessageId: record.messageId, receives, retryInSeconds: seconds, msg: 'message failed' }, name)
    t.equal(line!['err'], failure === undefined ? 'EMAIL_MESSAGE_INVALID' : failure instanceof MessageBusy ? 'EMAIL_MESSAGE_BUSY' : 'down')
    t.equal(line!['messageId'], body === undefined ? message.messageId : undefined)
  }
})

t.test('when the back-off cannot be set either, both are logged, and the record fails all the same', async t => {
  const world = createWorld()
  world.failure = new Error('down')
  world.queueFailure = new Error('no such handle')
  const records = [sqsRecord(emailMessage()), sqsRecord(emailMessage())]
  t.same(await world.handleBatch({ Records: records }), { batchItemFailures: records.map(({ messageId }) => ({ itemIdentifier: messageId })) }, 'a batch that failed as a whole is reported like any other')
  const lines = world.logged().filter(({ level }) => level === 'warn')
  t.equal(lines.length, 4)
  t.match(lines.filter(({ err }) => err === 'no such handle'), [{ msg: /^the back-off could not be set/ }, {}])
})
