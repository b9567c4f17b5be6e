import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { ChangeMessageVisibilityCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { endLeases } from '../../local/leases.ts'
import { startSqs } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'
import { startEngines } from '../engines.ts'
import { measureTimes, report, workload } from '../promise.ts'
import { until } from '../until.ts'
import { mailsIn, newDir, post, start } from './running.ts'

t.test('after a start no message is in flight, and what a crash interrupted was no failed receive', async t => {
  const dataDir = join(newDir(t), 'sqs')
  const { queues } = readTemplate()
  const first = await startSqs({ dataDir, queues })
  const QueueUrl = first.queueUrl('EmailQueue')
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: first.endpoint })
  for (const MessageBody of ['in flight', 'backing off', 'waiting']) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }))
  for (let i = 0; i < 2; i++) {
    const { Messages: [message] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
    if (message!.Body === 'backing off') await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: message!.ReceiptHandle, VisibilityTimeout: 600 }))
  }
  sqs.destroy()
  await first.stop()

  const second = await startSqs({ dataDir, port: first.port, queues })
  t.teardown(() => second.stop())
  const { ready, inflight } = second.server.inspectQueue('EmailQueue')!.messages
  t.strictSame(ready.map(({ body, approximateReceiveCount }) => [body, approximateReceiveCount]).sort(), [['backing off', 0], ['in flight', 0], ['waiting', 0]])
  t.strictSame(inflight, [])
})

t.test('after a start no lease is held, and what was sent is sent', async t => {
  const { dynamodbEndpoint: endpoint } = await startEngines(t)
  const dynamodb = new DynamoDBClient({ ...LOCAL_AWS, endpoint })
  t.teardown(() => dynamodb.destroy())
  const { tables } = readTemplate()
  const soon = Date.now() + 60_000
  await dynamodb.send(new PutItemCommand({ TableName: 'EmailTable', Item: { messageId: { S: 'a' }, state: { S: 'sending' }, leaseId: { S: 'x' }, leaseUntil: { N: String(soon) } } }))
  await dynamodb.send(new PutItemCommand({ TableName: 'EmailTable', Item: { messageId: { S: 'b' }, state: { S: 'sent' } } }))
  t.equal(await endLeases(endpoint, tables), 1)
  const item = async (id: string) => (await dynamodb.send(new GetItemCommand({ TableName: 'EmailTable', Key: { messageId: { S: id } }, ConsistentRead: true }))).Item
  t.match(await item('a'), { state: { S: 'sending' }, leaseUntil: { N: '0' } })
  t.strictSame(await item('b'), { messageId: { S: 'b' }, state: { S: 'sent' } })
  t.equal(await endLeases(endpoint, tables), 0)
})

/** Registrations under way; nearly all are acknowledged before the kill. */
const COUNT = workload({ short: 60, full: 400 })

/** Kills everything under load, and starts it again. Times in seconds. */
async function killAndStart (t: Test) {
  const dir = newDir(t)
  const env = { RATE_LIMIT_MAX: '1000000' }
  const first = await start(t, dir, env)
  const acknowledged: string[] = []
  let next = 0
  let isKilled = false
  const clients = Array.from({ length: 20 }, async () => {
    while (next < COUNT && !isKilled) {
      const email = `user${next++}@example.com`
      const answer = await post(`${first.api}/v2/users`, { email, name: 'Ada' }).catch(() => undefined)
      if (answer?.status === 202) acknowledged.push(email)
    }
  })
  // Some mails are out then, some are with the worker, some are not in the queue yet.
  await until(async () => (await mailsIn(first.inbox)).length >= COUNT / 10, { timeoutMs: 60_000 })
  first.child.kill('SIGKILL')
  isKilled = true
  await Promise.all([...clients, first.exited])

  const queues = new DatabaseSync(join(dir, 'sqs/fauxqs.db'))
  const { inFlight } = queues.prepare('SELECT count(*) AS inFlight FROM sqs_messages WHERE receipt_handle IS NOT NULL').get() as { inFlight: number }
  queues.close()

  const second = await start(t, dir, env)
  const ready = performance.now()
  const recipients = async () => (await mailsIn(second.inbox)).flatMap(({ to }) => to.map(({ address }) => address))
  const missing = async () => {
    const mailed = new Set(await recipients())
    return acknowledged.filter(email => !mailed.has(email))
  }
  const before = await missing()
  await until(async () => (await missing()).length === 0, { timeoutMs: 60_000 }).catch(() => {})
  const late = (performance.now() - ready) / 1000
  const [lost, mailed] = [await missing(), await recipients()]
  t.comment(`${inFlight} messages in flight, ${mailed.length - new Set(mailed).size} mails sent twice`)
  second.child.kill('SIGTERM')
  await second.exited
  return { acknowledged: acknowledged.length, before: before.length, lost, late }
}

t.test('a kill -9 under load loses no mail, and the next start has all of them out within ten seconds', async t => {
  const { found: { acknowledged, before, lost, late }, again } = await measureTimes(() => killAndStart(t), ({ lost, late }) => lost.length > 0 || late < 10)
  t.strictSame(lost, [])
  report(t, {
    promise: 39,
    figure: `${acknowledged} acknowledged, ${before} of their mails missing at the start; ${lost.length} of them ${late.toFixed(1)} s after it${again}`,
    holds: lost.length === 0 && late < 10
  })
})
