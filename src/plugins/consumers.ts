import type { DynamoDBBatchResponse, DynamoDBStreamEvent, S3Event, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import fp from 'fastify-plugin'

/** Until when an invocation may run, in milliseconds since the epoch; without it, as long as it takes. */
export interface Invocation { deadline?: number | undefined }

/** What is delivered from each kind of source, and what its consumer answers. */
interface Kinds {
  queue: { event: SQSEvent, answer: SQSBatchResponse }
  table: { event: DynamoDBStreamEvent, answer: DynamoDBBatchResponse }
  bucket: { event: S3Event, answer: void }
}
type Kind = keyof Kinds
type Consumer<K extends Kind> = (event: Kinds[K]['event'], invocation: Invocation) => Promise<Kinds[K]['answer']>

export interface Consumers {
  /** Registers what takes the events of a source: a queue by its URL, a table's stream by the table's name, a bucket by its name. */
  add<K extends Kind> (source: { [key in K]: string } & { [key in Exclude<Kind, K>]?: never }, consumer: Consumer<K>): void
  /** Hands a batch of records to the consumer of its source. Throws when there is none, or more than one source. */
  deliver (event: { Records: unknown }, invocation?: Invocation): Promise<unknown>
}

declare module 'fastify' {
  interface FastifyInstance {
    consumers: Consumers
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/**
 * The source of a record as `kind name`, by its ARN:
 * `arn:aws:sqs:REGION:ACCOUNT:QUEUE`, `arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/stream/TIME`, and for S3 by the bucket's name.
 */
function sourceOf (record: unknown): string | undefined {
  if (!isObject(record)) return undefined
  const arn = typeof record['eventSourceARN'] === 'string' ? record['eventSourceARN'] : ''
  switch (record['eventSource']) {
    case 'aws:sqs': return `queue ${arn.split(':')[5] ?? ''}`
    case 'aws:dynamodb': return `table ${/^arn:[^:]+:dynamodb:[^:]*:[^:]*:table\/([^/]+)\//.exec(arn)?.[1] ?? ''}`
    case 'aws:s3': {
      const { s3 } = record
      const bucket = isObject(s3) && isObject(s3['bucket']) ? s3['bucket']['name'] : ''
      return `bucket ${typeof bucket === 'string' ? bucket : ''}`
    }
    default: return undefined
  }
}

/** The one map from event sources to what takes their events: for the Lambda entry, and for what stands in for AWS on a laptop. */
export default fp(async function consumers (app) {
  const all = new Map<string, (event: never, invocation: Invocation) => Promise<unknown>>()

  app.decorate('consumers', {
    add (source, consumer) {
      const [kind, value] = Object.entries(source)[0] as [Kind, string]
      const key = `${kind} ${kind === 'queue' ? value.split('/').at(-1) : value}`
      if (all.has(key)) throw new Error(`consumers: ${key} has two consumers`)
      all.set(key, consumer)
    },

    async deliver (event, invocation = {}) {
      const sources = new Set(Array.isArray(event.Records) ? event.Records.map(sourceOf) : [])
      const [source] = sources
      const consumer = sources.size === 1 && source !== undefined ? all.get(source) : undefined
      // An error and never a silent success: AWS then retries the batch, and keeps what still fails.
      if (consumer === undefined) throw new Error(`Records of no known source: ${sources.size > 1 ? 'more than one' : source ?? 'none'}`)
      return await consumer(event as never, invocation)
    }
  })
}, { name: 'consumers' })
