import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { DynamoDBBatchResponse, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { LOCAL_AWS } from '../local/aws.ts'
import { deliverObjects, type Attempts } from '../local/bucket-notifications.ts'
import { createCheckpoints, type Checkpoints } from '../local/checkpoints.ts'
import { deliverMessages } from '../local/queue-mapping.ts'
import { queueArn } from '../local/sqs.ts'
import { deliverPage } from '../local/stream-mapping.ts'
import { createStreamReader, type StreamReader } from '../local/stream-reader.ts'
import { template, type Engines } from './engines.ts'

/** What takes the batches of queues and streams: an app, or a function that stands for one. */
interface Deliverer { consumers: { deliver (event: { Records: unknown }): Promise<unknown> } }

/** Services that send the mails of an app whose e-mail module has been extracted. */
const mailers = new WeakMap<object, Deliverer>()

/** Has `pump` hand the queue of an app to another one. */
export function mailFrom (app: Deliverer, mailer: Deliverer): void {
  mailers.set(app, mailer)
}

/** How far `pump` has read the streams of a set of engines. */
const readers = new WeakMap<Engines, { client: DynamoDBStreamsClient, checkpoints: Checkpoints, all: StreamReader[] }>()

function readersOf (engines: Engines): StreamReader[] {
  const { client, checkpoints, all } = readers.get(engines) ?? { client: new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint }), checkpoints: createCheckpoints(), all: undefined }
  // moto puts a copy of its tables in their place after a failed transaction: an iterator from before it finds nothing new.
  const current = all === undefined || engines.dynamodb === 'moto' ? template.streamMappings.map(({ table }) => createStreamReader(client, table, checkpoints)) : all
  readers.set(engines, { client, checkpoints, all: current })
  return current
}

const pumps = new WeakMap<Engines, Promise<void>>()

/**
 * Does what AWS does behind the requests until nothing is left: feeds the tables' streams, the queue and new objects of
 * the bucket to their consumers. Failed mails are tried again at once, until the queue's redrive policy takes them; a stream record that
 * fails three times fails the test.
 */
export async function pump (app: Deliverer, engines: Engines, mailer: Deliverer = mailers.get(app) ?? app): Promise<void> {
  // One after the other: what one of them has in its hands, another would not find, and would end before it is delivered.
  const turn = (pumps.get(engines) ?? Promise.resolve()).catch(() => {}).then(() => pumpOnce(app, engines, mailer))
  pumps.set(engines, turn)
  await turn
}

async function pumpOnce (app: Deliverer, engines: Engines, mailer: Deliverer): Promise<void> {
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint })
  const s3 = new S3Client({ ...LOCAL_AWS, endpoint: engines.s3Endpoint, forcePathStyle: true })
  const attempts: Attempts = new Map()
  try {
    for (let moved = true; moved;) {
      moved = false
      for (const [i, reader] of readersOf(engines).entries()) {
        for (let page = await reader.read(); page !== undefined; page = await reader.read()) {
          const { shardId } = page
          moved = true
          await deliverPage(page, {
            mapping: { ...template.streamMappings[i]!, maximumRetries: 2 },
            handler: event => app.consumers.deliver({ ...event }) as Promise<DynamoDBBatchResponse>,
            backOff: () => 10,
            onDone: record => reader.commit(shardId, record.dynamodb!.SequenceNumber!),
            async onDiscard (records, { error }) {
              throw new Error(`pump: the outbox failed three times on ${JSON.stringify(records)}`, { cause: error })
            }
          })
        }
      }
      for (const mapping of template.queueMappings) {
        if (await engines.isQueueEmpty(mapping.queue)) continue // a look costs less than a request
        const step = { mapping, handler: (event: SQSEvent) => mailer.consumers.deliver({ ...event }) as Promise<SQSBatchResponse>, sqs, queueUrl: engines.queueUrl(mapping.queue), queueArn: queueArn(mapping.queue), wait: 0, retryAfter: 0 }
        while ((await deliverMessages(step)).received > 0) moved = true
      }
      if (moved) continue
      for (const mapping of template.bucketMappings) {
        const delivered = await deliverObjects({
          mapping,
          handler: event => app.consumers.deliver(event),
          s3,
          attempts,
          backOff: () => 0,
          async onDiscard (_, { error }) { throw new Error('pump: an upload could not be checked', { cause: error }) }
        })
        if (delivered > 0) moved = true
      }
    }
  } finally {
    s3.destroy()
    sqs.destroy()
  }
}
