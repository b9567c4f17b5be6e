import { DeleteMessageCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { report, workload } from '../../promise.ts'
import { emailMessage, sqsRecord } from './records.ts'
import { startWorkers } from './worker-support.ts'

const { engines, app, sqs, QueueUrl, failuresOf, mailsTo, stored, expireLease, breakDynamodb } = await startWorkers(t)

t.test('messages delivered three times, out of order and at the same time, are one mail each', async (t) => {
  const size = workload({ short: 40, full: 1000 })
  const messages = Array.from({ length: size }, () => emailMessage())
  let deliveries = [...messages, ...messages, ...messages].map(message => sqsRecord(message)).sort(() => Math.random() - 0.5)
  let repeated = 0
  while (deliveries.length > 0) {
    const batches = Array.from({ length: Math.ceil(deliveries.length / 10) }, (_, i) => deliveries.slice(i * 10, i * 10 + 10))
    const failed = new Set<string>()
    // As many at once as Lambda starts with two workers.
    await Promise.all(Array.from({ length: 20 }, async () => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) for (const id of await failuresOf(...batch)) failed.add(id)
    }))
    // A delivery that came while another one was sending is repeated.
    deliveries = deliveries.filter(({ messageId }) => failed.has(messageId))
    repeated += deliveries.length
  }
  const mailsOf = messages.map(({ email }) => mailsTo(email).length)
  const once = mailsOf.filter(count => count === 1).length
  report(t, { promise: 5, figure: `${size} messages × 3 deliveries, ${repeated} of them repeated: ${mailsOf.reduce((sum, count) => sum + count, 0)} mails`, holds: once === size })
})

t.test('a message that another delivery may be sending is left to it until its lease runs out', async (t) => {
  const message = emailMessage()
  const lease = { messageId: message.messageId, state: 'sending', leaseId: randomUUID(), leaseUntil: Date.now() + 60_000, expiresAt: Date.now() / 1000 + 1000 }
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: lease }))
  await app.email.enqueue(message, 'busy')
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
  const [{ ReceiptHandle }] = Messages as [{ ReceiptHandle: string }]
  const record = sqsRecord(message, { receiptHandle: ReceiptHandle })
  t.same(await failuresOf(record), [record.messageId])
  const [held] = engines.sqs.inspectQueue('EmailQueue')!.messages.inflight
  t.ok(held!.visibilityDeadline >= lease.leaseUntil && held!.visibilityDeadline < lease.leaseUntil + 5_000, 'and not received before')
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
  t.equal((await stored(message.messageId))?.['leaseId'], lease.leaseId, "another's lease is not released")
  await expireLease(message.messageId)
  t.same(await failuresOf(record), [])
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a record that is none of ours fails its message, and says so', async (t) => {
  const message = emailMessage()
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'lost', expiresAt: Date.now() } }))
  const record = sqsRecord(message)
  t.same(await failuresOf(record), [record.messageId])
  t.ok(app.logLines.some(line => line['messageId'] === message.messageId && (line['err'] as { code?: string } | undefined)?.code === 'EMAIL_RECORD_INVALID'))
})

t.test('a record that should have expired does not count', async (t) => {
  const message = emailMessage()
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'sent', expiresAt: Math.floor(Date.now() / 1000) - 1 } }))
  t.same(await failuresOf(sqsRecord(message)), [])
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a lease whose answer was lost is our own', async (t) => {
  const message = emailMessage()
  const repair = breakDynamodb(({ state }) => state === 'sending', { times: 1, after: true })
  t.same(await failuresOf(sqsRecord(message)), [])
  repair()
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a sent mail that cannot be recorded is done all the same; delivered once more, it is the same mail again', async (t) => {
  const message = emailMessage()
  const repair = breakDynamodb(({ state }) => state === 'sent')
  t.same(await failuresOf(sqsRecord(message)), [])
  repair()
  t.ok(app.logLines.some(line => line['messageId'] === message.messageId && line['msg'] === 'a sent mail could not be recorded'))
  const late = sqsRecord(message)
  t.same(await failuresOf(late), [late.messageId], 'its lease is still in force')
  await expireLease(message.messageId)
  t.same(await failuresOf(late), [])
  const [first, second, ...more] = mailsTo(message.email)
  t.same(more, [])
  t.equal(second!.messageId, first!.messageId)
  t.equal(second!.text, first!.text)
})
