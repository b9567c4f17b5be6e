import type { DynamoDBBatchResponse, DynamoDBStreamEvent, S3Event, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import fp from 'fastify-plugin'
import { isObject } from '../shared/is-object.ts'
import type {} from './metrics.ts'

/** The deadline of an invocation, in milliseconds since the epoch; without it there is no deadline. */
export interface Invocation { deadline?: number | undefined }

/** The batch and the answer of each kind of source. */
interface Kinds {
  queue: { event: SQSEvent, answer: SQSBatchResponse }
  table: { event: DynamoDBStreamEvent, answer: DynamoDBBatchResponse }
  bucket: { event: S3Event, answer: void }
}
type Kind = keyof Kinds
type Consumer<K extends Kind> = (event: Kinds[K]['event'], invocation: Invocation) => Promise<Kinds[K]['answer']>

export interface Consumers {
  /** Registers the consumer of a source: a queue by its URL, a table's stream by the table's name, a bucket by its name. */
  add<K extends Kind> (source: { [key in K]: string } & { [key in Exclude<Kind, K>]?: never }, consumer: Consumer<K>): void
  /** Passes a batch of records to the consumer of its source. Throws when the source has no consumer, or the batch has several sources. */
  deliver (event: { Records: unknown }, invocation?: Invocation): Promise<unknown>
}

declare module './metrics.ts' {
  interface MetricNames {
    /** how long the oldest message of a batch has waited in its queue, delays and retries included */
    QueueLagSeconds: 'seconds'
    /** how long the oldest record of a batch has waited in its table's stream */
    StreamLagSeconds: 'seconds'
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    consumers: Consumers
  }
}

/**
 * The source of a record as `kind name`, from its ARN:
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

/** When a record came into its queue or stream, in milliseconds since the epoch; NaN for a bucket's. Of a stream only the second is known. */
function arrivalOf ({ attributes, dynamodb }: { attributes?: { SentTimestamp?: string }, dynamodb?: { ApproximateCreationDateTime?: number } }): number {
  return Number(attributes?.SentTimestamp ?? (dynamodb?.ApproximateCreationDateTime ?? NaN) * 1000)
}

/** The map from event sources to their consumers, for the Lambda entry and for the local event-source mappings. */
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
      const consumer = sources.size === 1 ? all.get(source!) : undefined
      // An error and not a silent success, so that AWS retries the batch and keeps it if it still fails.
      if (consumer === undefined) throw new Error(`Records of an unknown source: ${sources.size > 1 ? 'more than one' : source ?? 'none'}`)
      const [kind, name] = source!.split(' ') as [Kind, string]
      const lag = Math.max(0, Date.now() - Math.min(...(event.Records as object[]).map(arrivalOf))) / 1000
      if (!Number.isNaN(lag)) app.metrics.measure(kind === 'queue' ? 'QueueLagSeconds' : 'StreamLagSeconds', lag, { source: name })
      return await consumer(event as never, invocation)
    }
  })
}, { name: 'consumers', dependencies: ['metrics'] })
