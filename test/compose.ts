import { CreateBucketCommand, DeleteObjectsCommand, ListObjectsV2Command, PutBucketCorsCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateQueueCommand, GetQueueAttributesCommand, PurgeQueueCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { Redis } from 'ioredis'
import { randomBytes } from 'node:crypto'
import { LOCAL_ACCOUNT, LOCAL_AWS } from '../local/aws.ts'
import { createTables } from '../local/dynamodb.ts'
import { queueAttributes } from '../local/sqs.ts'
import type { Template } from '../local/template.ts'

// The engines of compose.yaml, in place of those that startEngines starts: ENGINES=compose npm test. All files share them, so
// files run one after the other, and each begins with a database of its own, and empty queues, buckets and Redis. docs/compose.md says which files can.

/** Where compose.yaml publishes its engines. */
export const COMPOSE = {
  dynamodb: 'http://127.0.0.1:28000',
  sqs: 'http://127.0.0.1:29324',
  s3: 'http://127.0.0.1:29090',
  redis: 'redis://127.0.0.1:26379'
} as const

/** Whether tests use the engines of compose.yaml. */
export const usesCompose = (): boolean => process.env['ENGINES'] === 'compose'

/** Selects a database of DynamoDB Local, which keeps one for each access key. */
function selectDatabase (accessKeyId: string): void {
  LOCAL_AWS.credentials.accessKeyId = accessKeyId
  process.env['AWS_ACCESS_KEY_ID'] = accessKeyId
}

async function emptyQueues (client: SQSClient, queues: Template['queues']): Promise<void> {
  // Dead-letter queues first: others name them.
  for (const [QueueName, queue] of Object.entries(queues).sort(([, a], [, b]) => Number(a.redrive !== undefined) - Number(b.redrive !== undefined))) {
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName }))
    await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: queueAttributes(queue) }))
    await client.send(new PurgeQueueCommand({ QueueUrl }))
  }
}

async function emptyBuckets (buckets: string[], origins: string[]): Promise<void> {
  const client = new S3Client({ ...LOCAL_AWS, endpoint: COMPOSE.s3, forcePathStyle: true })
  try {
    for (const Bucket of buckets) {
      await client.send(new CreateBucketCommand({ Bucket })).catch((error: Error) => { if (!/^BucketAlready/.test(error.name)) throw error })
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }))
      if (Contents.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } }))
      if (origins.length > 0) await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: [{ AllowedOrigins: origins, AllowedMethods: ['POST', 'GET'] }] } }))
    }
  } finally {
    client.destroy()
  }
}

async function emptyRedis (): Promise<void> {
  const client = new Redis(COMPOSE.redis, { lazyConnect: true, maxRetriesPerRequest: 1 })
  client.on('error', () => {}) // reported by the call
  try {
    await client.connect()
    await client.flushall()
  } finally {
    client.disconnect()
  }
}

export interface ComposeEngines {
  dynamodb: string
  sqs: string
  s3: string
  redis: string
  queueUrl (id: string): string
  /** whether no message waits, is delayed or is in flight */
  isQueueEmpty (id: string): Promise<boolean>
  stop (): void
}

/**
 * Makes the template's tables, queues and buckets in the engines of compose.yaml, empty.
 *
 * @throws when an engine does not answer
 */
export async function takeComposeEngines (template: Pick<Template, 'tables' | 'queues' | 'buckets'>, origins: string[] = []): Promise<ComposeEngines> {
  // A database of its own: tables that are removed and made again would still have the records of their former streams.
  const former = LOCAL_AWS.credentials.accessKeyId
  selectDatabase(randomBytes(8).toString('hex'))
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: COMPOSE.sqs })
  const reached = async (name: keyof typeof COMPOSE, work: Promise<void>) => await work.catch((cause: unknown) => { throw new Error(`compose: ${name} at ${COMPOSE[name]} cannot be used: docker compose up --wait starts it`, { cause }) })
  await Promise.all([
    reached('dynamodb', createTables(COMPOSE.dynamodb, template.tables)),
    reached('sqs', emptyQueues(sqs, template.queues)),
    reached('s3', emptyBuckets(Object.values(template.buckets), origins)),
    reached('redis', emptyRedis())
  ])
  const queueUrl = (id: string) => `${COMPOSE.sqs}/${LOCAL_ACCOUNT}/${id}`
  return {
    ...COMPOSE,
    queueUrl,
    async isQueueEmpty (id) {
      const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl(id), AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesDelayed', 'ApproximateNumberOfMessagesNotVisible'] }))
      return Object.values(Attributes).every(count => Number(count) === 0)
    },
    stop () {
      sqs.destroy()
      // For the tests after one that has taken engines of its own.
      selectDatabase(former)
    }
  }
}
