import { PurgeQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { GetCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { SQSRecord } from 'aws-lambda'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { intercept, lineError } from '../../faults.ts'
import { deliverMails } from './records.ts'

/** A worker, one that reaches no mail server, and what their tests do with them. */
export async function startWorkers (t: Test) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const { mails } = engines

  const cutOff = await buildTestApp(t, engines, { env: { SMTP_URL: 'smtp://127.0.0.1:1' } }) // no server listens there
  const sqs = new SQSClient({ region: 'us-east-1', endpoint: engines.sqsEndpoint })
  t.teardown(() => sqs.destroy())
  const QueueUrl = engines.queueUrl('EmailQueue')

  async function failuresIn (worker: TestApp, Records: SQSRecord[]): Promise<string[]> {
    return (await deliverMails(worker, { Records })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
  }

  const emptyDeadLetters = () => sqs.send(new PurgeQueueCommand({ QueueUrl: engines.queueUrl('EmailDeadLetterQueue') }))

  /** What `npm run dlq -- redrive` does, and says. */
  async function redrive (): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../../scripts/dlq.ts', import.meta.url)), 'redrive'], {
      env: { ...process.env, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_SQS: engines.sqsEndpoint, EMAIL_QUEUE_URL: QueueUrl }
    })
    return stdout
  }
  const failuresOf = (...records: SQSRecord[]) => failuresIn(app, records)
  const { mailsTo } = engines
  const stored = async (messageId: string) => (await app.dynamodb.send(new GetCommand({ TableName: 'EmailTable', Key: { messageId }, ConsistentRead: true }))).Item
  const counted = (worker: TestApp, metric: string) => worker.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)

  /** Lets the time of a lease pass. */
  const expireLease = (messageId: string) => app.dynamodb.send(new UpdateCommand({
    TableName: 'EmailTable', Key: { messageId }, UpdateExpression: 'SET leaseUntil = :past', ConditionExpression: 'attribute_exists(leaseUntil)', ExpressionAttributeValues: { ':past': Date.now() - 1 }
  }))

  /** Makes commands of the app's DynamoDB client go wrong; `before` or after they have been carried out. */
  function breakDynamodb (when: (input: Record<string, unknown>) => boolean, { times = Infinity, after = false } = {}) {
    let left = times
    // Below the SDK's retries: what fails here is repeated by them.
    return intercept(app.dynamodb, {}, async ({ input, send }) => {
      const item = (input as { Item?: Record<string, { S?: string }> }).Item
      const hit = left > 0 && when(Object.fromEntries(Object.entries(item ?? {}).map(([name, value]) => [name, value.S ?? value])))
      if (!hit) return await send()
      left--
      if (after) await send()
      throw lineError()
    })
  }

  return { engines, app, mails, cutOff, sqs, QueueUrl, failuresIn, emptyDeadLetters, redrive, failuresOf, mailsTo, stored, counted, expireLease, breakDynamodb }
}
