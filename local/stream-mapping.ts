import type { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs'
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Checkpoints } from './checkpoints.ts'
import type { DynoxideFile } from './dynoxide-file.ts'
import { matches } from './filters.ts'
import { defaultBackOff, runLoop, written, type Invocation, type Mapping, type Reporter } from './mapping-loop.ts'
import { createStreamReader, type StreamPage } from './stream-reader.ts'
import type { StreamMapping } from './template.ts'

// The event-source mapping between a stream and a function, implemented after the AWS documentation:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html

export type StreamHandler = (event: DynamoDBStreamEvent, invocation: Invocation) => Promise<DynamoDBBatchResponse | void>

/** Milliseconds between two reads of an idle stream. AWS reads four times a second; here a developer is waiting. */
const POLL_INTERVAL = 100

/** Index of the first record that a handler reported as failed; -1 for none, 0 when the reported record is not in the batch. */
function firstFailure (response: DynamoDBBatchResponse | void, ids: string[]): number {
  const failed = response?.batchItemFailures ?? []
  if (failed.length === 0) return -1
  const positions = failed.map(({ itemIdentifier }) => ids.indexOf(itemIdentifier))
  return Math.max(0, Math.min(...positions))
}

export interface StreamDelivery {
  mapping: StreamMapping
  handler: StreamHandler
  /** called with the last finished record, whether it was handled or discarded */
  onDone: (record: DynamoDBRecord) => void
  /** called with the records of a batch that is discarded */
  onDiscard: (records: DynamoDBRecord[], cause: { attempts: number, error: unknown }) => Promise<void>
  /** milliseconds before the n-th retry, counted from 1 */
  backOff: (retry: number) => number
  signal?: AbortSignal | undefined
}

const sequenceNumber = (record: DynamoDBRecord): string => record.dynamodb!.SequenceNumber!

/** Handles one batch in order. As the mapping says, it is retried from its first failed record, bisected, and in the end discarded. */
async function deliverBatch (batch: DynamoDBRecord[], delivery: StreamDelivery): Promise<void> {
  const { mapping, handler, onDone, onDiscard, backOff, signal } = delivery
  let rest = batch
  for (let attempts = 1; rest.length > 0; attempts++) {
    let failedAt: number
    let error: unknown = 'batchItemFailures'
    try {
      const response = await handler({ Records: rest }, { deadline: Date.now() + mapping.timeout })
      failedAt = mapping.reportsItemFailures ? firstFailure(response, rest.map(sequenceNumber)) : -1
    } catch (thrown) {
      failedAt = 0
      error = thrown
    }
    if (failedAt !== 0) {
      const done = failedAt === -1 ? rest : rest.slice(0, failedAt)
      onDone(done.at(-1)!)
      rest = rest.slice(done.length)
      if (rest.length > 0) attempts = 0 // the failed rest is a new batch: its first attempt was part of another batch
      continue
    }
    if (mapping.bisects && rest.length > 1) {
      // Splitting does not count as a retry.
      const middle = Math.ceil(rest.length / 2)
      await deliverBatch(rest.slice(0, middle), delivery)
      signal?.throwIfAborted()
      rest = rest.slice(middle)
      attempts = 0
      continue
    }
    if (attempts > mapping.maximumRetries) {
      await onDiscard(rest, { attempts, error })
      onDone(rest.at(-1)!)
      return
    }
    await sleep(backOff(attempts), undefined, { signal })
  }
}

/** The records of a page that pass the mapping's filter, in batches. */
export async function deliverPage (page: StreamPage, delivery: StreamDelivery): Promise<void> {
  const { mapping, onDone, signal } = delivery
  const wanted = page.records.filter(record => matches(mapping.filters, record))
  for (let i = 0; i < wanted.length; i += mapping.batchSize) {
    await deliverBatch(wanted.slice(i, i + mapping.batchSize), delivery)
    signal?.throwIfAborted()
  }
  onDone(page.records.at(-1)!)
}

/** The message that AWS sends to the failure destination: the position of the records, without their content. */
function failureMessage (mapping: StreamMapping, streamArn: string, shardId: string, records: DynamoDBRecord[], attempts: number, error: unknown) {
  const time = (record: DynamoDBRecord) => new Date(record.dynamodb!.ApproximateCreationDateTime! * 1000).toISOString()
  return {
    requestContext: { requestId: randomUUID(), functionArn: 'local', condition: 'RetryAttemptsExhausted', approximateInvokeCount: attempts },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: error === 'batchItemFailures' ? null : 'Unhandled' },
    version: '1.0',
    timestamp: new Date().toISOString(),
    DDBStreamBatchInfo: {
      shardId,
      startSequenceNumber: sequenceNumber(records[0]!),
      endSequenceNumber: sequenceNumber(records.at(-1)!),
      approximateArrivalOfFirstRecord: time(records[0]!),
      approximateArrivalOfLastRecord: time(records.at(-1)!),
      batchSize: records.length,
      streamArn
    },
    eventSource: mapping.table
  }
}

export interface StreamMappingOptions {
  mapping: StreamMapping
  handler: StreamHandler
  streams: DynamoDBStreamsClient
  sqs: SQSClient
  queueUrl: (id: string) => string
  checkpoints: Checkpoints
  /** dynoxide's database; without it the stream is polled, and keeps what has been read for as long as the engine does */
  file?: Pick<DynoxideFile, 'version' | 'dropRead'> | undefined
  log: Reporter
  backOff?: (retry: number) => number
}

/** Passes a table's stream to a function, as its event-source mapping in the template says. */
export function startStreamMapping ({ mapping, handler, streams, sqs, queueUrl, checkpoints, file, log, backOff = defaultBackOff }: StreamMappingOptions): Mapping {
  const reader = createStreamReader(streams, mapping.table, checkpoints)
  return runLoop(`stream of ${mapping.table}`, log, async signal => {
    const seen = file?.version() // before the read, so that no write falls between the two
    const page = await reader.read()
    if (page === undefined) {
      if (file === undefined) await sleep(POLL_INTERVAL, undefined, { signal })
      else await written({ version: file.version, seen: seen!, signal })
      return
    }
    await deliverPage(page, {
      mapping,
      handler,
      backOff,
      signal,
      onDone: record => reader.commit(page.shardId, sequenceNumber(record)),
      async onDiscard (records, { attempts, error }) {
        log.warn({ err: error instanceof Error ? error : undefined, records: records.length }, `stream of ${mapping.table}: discarded after ${attempts} attempts`)
        if (mapping.failureQueue === undefined) return
        const body = failureMessage(mapping, await reader.streamArn(), page.shardId, records, attempts, error)
        await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl(mapping.failureQueue), MessageBody: JSON.stringify(body) }))
      }
    })
    file?.dropRead(mapping.table, sequenceNumber(page.records.at(-1)!))
  })
}
