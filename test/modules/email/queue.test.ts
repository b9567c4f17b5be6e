import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import t from 'tap'
import { createQueue } from '../../../src/modules/email/queue.ts'
import { LOCAL_AWS } from '../../../local/aws.ts'
import { startEngines } from '../../engines.ts'
import { emailMessage } from './records.ts'

const engines = await startEngines(t)
const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint })
t.teardown(() => { sqs.destroy() })
const queueUrl = engines.queueUrl('EmailQueue')
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const messages = () => engines.sqs.inspectQueue('EmailQueue')!.messages
const text = (StringValue: string) => ({ DataType: 'String', StringValue })
const number = (StringValue: string) => ({ DataType: 'Number', StringValue })

t.test('a message is queued with what the worker must know about it, and nothing else', async t => {
  const message = emailMessage()
  const queue = createQueue({ sqs, queueUrl })
  await queue.send(message, { correlationId: 'of-a-request' })
  const [ready] = messages().ready
  t.same(JSON.parse(ready!.body), message)
  t.match(ready!.messageAttributes, { correlationId: text('of-a-request') })
  t.same(Object.keys(ready!.messageAttributes), ['correlationId'])
  t.same(messages().delayed, [])

  const traced = createQueue({ sqs, queueUrl, traceparent: () => TRACE })
  const start = Date.now()
  await traced.send(emailMessage(), { correlationId: 'tried', attempt: 3, unconfirmed: 1, delaySeconds: 900 })
  const [delayed] = messages().delayed
  t.match(delayed!.messageAttributes, { correlationId: text('tried'), traceparent: text(TRACE), attempt: number('3'), unconfirmed: number('1') })
  t.ok(delayed!.delayUntil! >= start + 900_000)
})

t.test('a message that was received is shown again when it is told', async t => {
  const queue = createQueue({ sqs, queueUrl })
  const { Messages: [received] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl }))
  const start = Date.now()
  await queue.showIn(received!.ReceiptHandle!, 1200)
  const [held] = messages().inflight
  t.ok(held!.visibilityDeadline >= start + 1_200_000)
})

t.test('a queue that delays its messages delays those that ask for nothing else', async t => {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'slow', Attributes: { DelaySeconds: '600' } }))
  const queue = createQueue({ sqs, queueUrl: QueueUrl! })
  await queue.send(emailMessage(), { correlationId: 'of-a-request' })
  t.equal(engines.sqs.inspectQueue('slow')!.messages.delayed.length, 1)
})
