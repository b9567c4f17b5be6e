// What AWS runs behind the requests, as a process of its own: the event-source mappings and the sweep, with the app that
// they hand their batches to. Its argument is the file of its checkpoints. RIG_DELIVERIES is how often each batch of a
// queue is delivered, all at the same time, as SQS may do.
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { LOCAL_ACCOUNT, LOCAL_AWS } from '../../local/aws.ts'
import { createCheckpoints } from '../../local/checkpoints.ts'
import { startQueueMapping } from '../../local/queue-mapping.ts'
import { startStreamMapping } from '../../local/stream-mapping.ts'
import { queueArn } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/plugins/config.ts'

/** Milliseconds between two sweeps, and the age of the entries that they handle: what a killed engine forgot is soon found. */
const SWEEP = 2000

const template = readTemplate()
const config = loadConfig(process.env)
const app = await buildApp({ config, docs: { source: 'routes' } })
await app.ready()
const deliver = async (event: { Records: unknown }) => await app.consumers.deliver(event) as never
const deliveries = Number(process.env['RIG_DELIVERIES'] ?? 1)
// A message is done as soon as one of its deliveries was.
async function deliverOften (event: SQSEvent): Promise<SQSBatchResponse> {
  const responses = await Promise.all(Array.from({ length: deliveries }, async (): Promise<SQSBatchResponse> => await deliver({ ...event })))
  const failed = ({ itemIdentifier: id }: { itemIdentifier: string }) => responses.every(({ batchItemFailures }) => batchItemFailures.some(({ itemIdentifier }) => itemIdentifier === id))
  return { batchItemFailures: responses[0]!.batchItemFailures.filter(failed) }
}
const streams = new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: config.AWS_ENDPOINT_URL_DYNAMODB! })
const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: config.AWS_ENDPOINT_URL_SQS! })
const queueUrl = (id: string) => `${config.AWS_ENDPOINT_URL_SQS!}/${LOCAL_ACCOUNT}/${id}`
const checkpoints = createCheckpoints(process.argv[2])
for (const mapping of template.streamMappings) startStreamMapping({ mapping, handler: deliver, streams, sqs, queueUrl, checkpoints, log: app.log, backOff: () => 200 })
for (const mapping of template.queueMappings) startQueueMapping({ mapping, handler: deliverOften, sqs, queueUrl: queueUrl(mapping.queue), queueArn: queueArn(mapping.queue), log: app.log })
setInterval(() => { app.outbox.sweep({ minAge: SWEEP }).catch(() => {}) }, SWEEP)
console.log('ready')
