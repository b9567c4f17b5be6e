import {
  DescribeStreamCommand, GetRecordsCommand, GetShardIteratorCommand, ListStreamsCommand, type _Record, type DynamoDBStreamsClient, type Shard
} from '@aws-sdk/client-dynamodb-streams'
import { ChangeMessageVisibilityCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, SendMessageCommand, type Message, type SQSClient } from '@aws-sdk/client-sqs'
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from './aws.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { DynoxideFile } from './dynoxide-file.ts'
import { matches } from './filters.ts'
import type { QueueMapping, StreamMapping } from './template.ts'

// Event-source mappings between a stream or a queue and a function, implemented after the AWS documentation:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html

/** The deadline of an invocation, in milliseconds since the epoch: its start plus the function's timeout. */
export interface Invocation { deadline: number }

export type StreamHandler = (event: DynamoDBStreamEvent, invocation: Invocation) => Promise<DynamoDBBatchResponse | void>
export type QueueHandler = (event: SQSEvent, invocation: Invocation) => Promise<SQSBatchResponse | void>

/** Milliseconds between two reads of an idle stream. AWS reads four times a second; here a developer is waiting. */
const POLL_INTERVAL = 100

/** Milliseconds between two looks at the version of a database. */
const LOOK_INTERVAL = 100

/** Milliseconds after which is read although nothing was written: an iterator may have expired. */
const LONGEST_REST = 5000

/**
 * Waits for a write to a database since it had a version. A look costs 4 µs; a read of a stream is two calls of 1 to 2 ms,
 * which at every interval made 7 % of a core at rest.
 */
export async function written ({ version, seen, signal }: { version: () => number, seen: number, signal: AbortSignal }): Promise<void> {
  let rest = LONGEST_REST
  do {
    await sleep(LOOK_INTERVAL, undefined, { signal })
    rest -= LOOK_INTERVAL
  } while (rest > 0 && version() === seen)
}

/** The part of a logger that reports failures in the background. */
export interface Reporter {
  warn (details: object, message: string): void
}

/** Index of the first record that a handler reported as failed; -1 for none, 0 when the reported record is not in the batch. */
function firstFailure (response: DynamoDBBatchResponse | SQSBatchResponse | void, ids: string[]): number {
  const failed = response?.batchItemFailures ?? []
  if (failed.length === 0) return -1
  const positions = failed.map(({ itemIdentifier }) => ids.indexOf(itemIdentifier))
  return Math.max(0, Math.min(...positions))
}

// ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Records of one shard, in order, with the position after them. */
export interface StreamPage {
  shardId: string
  records: DynamoDBRecord[]
}

export interface StreamReader {
  streamArn (): Promise<string>
  /** The next records of any shard after the committed position; `undefined` when there are none now. */
  read (): Promise<StreamPage | undefined>
  /** Moves the position to after a record of the last page. */
  commit (shardId: string, sequenceNumber: string): void
}

/** Lambda's JSON form of an attribute value: binary data is base64, not bytes as in the SDK. */
function lambdaImage (image: Record<string, unknown> | undefined) {
  if (image === undefined) return undefined
  return JSON.parse(JSON.stringify(image, (_key, value: unknown) => value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value))
}

function lambdaRecord ({ dynamodb, ...record }: _Record, streamArn: string): DynamoDBRecord {
  const { ApproximateCreationDateTime, Keys, NewImage, OldImage, ...rest } = dynamodb!
  const images = { Keys: lambdaImage(Keys), NewImage: lambdaImage(NewImage), OldImage: lambdaImage(OldImage) }
  return {
    eventID: record.eventID!,
    eventName: record.eventName!,
    eventVersion: record.eventVersion!,
    eventSource: record.eventSource!,
    awsRegion: LOCAL_AWS.region,
    dynamodb: {
      ApproximateCreationDateTime: Math.floor(ApproximateCreationDateTime!.getTime() / 1000),
      ...Object.fromEntries(Object.entries(images).filter(([, image]) => image !== undefined)),
      ...rest
    },
    eventSourceARN: streamArn,
    ...(record.userIdentity === undefined ? {} : { userIdentity: { type: record.userIdentity.Type, principalId: record.userIdentity.PrincipalId } })
  } as DynamoDBRecord
}

/** Reads a table's stream from its oldest record, or from its checkpoints. */
export function createStreamReader (client: DynamoDBStreamsClient, tableName: string, checkpoints: Checkpoints): StreamReader {
  let arn: string | undefined
  const iterators = new Map<string, string>()
  const closed = new Set<string>()

  async function streamArn () {
    if (arn === undefined) {
      const { Streams = [] } = await client.send(new ListStreamsCommand({ TableName: tableName }))
      arn = Streams.at(-1)?.StreamArn
      if (arn === undefined) throw new Error(`${tableName} has no stream`)
    }
    return arn
  }

  async function shards () {
    const all: Shard[] = []
    let ExclusiveStartShardId: string | undefined
    do {
      const { StreamDescription } = await client.send(new DescribeStreamCommand({ StreamArn: await streamArn(), ExclusiveStartShardId }))
      all.push(...StreamDescription?.Shards ?? [])
      ExclusiveStartShardId = StreamDescription?.LastEvaluatedShardId
    } while (ExclusiveStartShardId !== undefined)
    const open = all.filter(({ ShardId }) => !closed.has(ShardId!))
    // A child's records come after its parent's.
    return open.filter(({ ParentShardId }) => !open.some(({ ShardId }) => ShardId === ParentShardId)).map(({ ShardId }) => ShardId!)
  }

  async function iteratorOf (shardId: string) {
    const SequenceNumber = checkpoints.get(await streamArn(), shardId)
    const start = { StreamArn: await streamArn(), ShardId: shardId }
    const oldest = () => client.send(new GetShardIteratorCommand({ ...start, ShardIteratorType: 'TRIM_HORIZON' }))
    const { ShardIterator } = SequenceNumber === undefined
      ? await oldest()
      : await client.send(new GetShardIteratorCommand({ ...start, ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber })).catch((error: Error) => {
        // The checkpoint's record has left the stream or belongs to another stream, so read from the oldest record.
        if (error.name === 'TrimmedDataAccessException' || error.name === 'ValidationException') return oldest()
        throw error
      })
    return ShardIterator!
  }

  return {
    streamArn,
    async read () {
      for (const shardId of await shards()) {
        const ShardIterator = iterators.get(shardId) ?? await iteratorOf(shardId)
        iterators.delete(shardId) // kept only while there are no records after it; otherwise the commit sets the position
        const page = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 1000 })).catch((error: Error) => {
          if (error.name !== 'TrimmedDataAccessException' && error.name !== 'ExpiredIteratorException') throw error
        })
        // The iterator has expired. The next read makes a new one from the last commit.
        if (page === undefined) continue
        const { Records = [], NextShardIterator } = page
        if (Records.length > 0) return { shardId, records: await Promise.all(Records.map(async record => lambdaRecord(record, await streamArn()))) }
        if (NextShardIterator === undefined) closed.add(shardId)
        else iterators.set(shardId, NextShardIterator)
      }
      return undefined
    },
    commit (shardId, sequenceNumber) { checkpoints.set(arn!, shardId, sequenceNumber) }
  }
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

export interface Mapping {
  /** Stops accepting new batches. Resolves when the current batch is done or has been put back. */
  stop (): Promise<void>
}

/** Repeats `step` until stopped. An error of the engine is reported once, and `step` is retried until the engine answers. */
export function runLoop (name: string, log: Reporter, step: (signal: AbortSignal) => Promise<void>): Mapping {
  const stopping = new AbortController()
  const { signal } = stopping
  const running = (async () => {
    let isFailing = false
    while (!signal.aborted) {
      try {
        await step(signal)
        isFailing = false
      } catch (error) {
        if (signal.aborted) return
        if (!isFailing) log.warn({ err: error }, `${name}: interrupted, continues when the engine answers`)
        isFailing = true
        await sleep(500, undefined, { signal }).catch(() => {})
      }
    }
  })()
  return {
    async stop () {
      stopping.abort()
      await running
    }
  }
}

/** Half a second, doubled with each retry, up to half a minute. AWS does not publish its own figures. */
export const defaultBackOff = (retry: number) => Math.min(30_000, 250 * 2 ** retry)

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

// ── Queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function lambdaMessage (message: Message, queueArn: string): SQSRecord {
  return {
    messageId: message.MessageId!,
    receiptHandle: message.ReceiptHandle!,
    body: message.Body!,
    attributes: message.Attributes as unknown as SQSRecord['attributes'],
    messageAttributes: Object.fromEntries(Object.entries(message.MessageAttributes ?? {}).map(([name, { StringValue, BinaryValue, DataType }]) => [name, {
      ...(StringValue === undefined ? {} : { stringValue: StringValue }),
      ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
      stringListValues: [],
      binaryListValues: [],
      dataType: DataType as SQSRecord['messageAttributes'][string]['dataType']
    }])),
    md5OfBody: message.MD5OfBody!,
    ...(message.MD5OfMessageAttributes === undefined ? {} : { md5OfMessageAttributes: message.MD5OfMessageAttributes }),
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: LOCAL_AWS.region
  } as SQSRecord
}

export interface QueueStep {
  mapping: QueueMapping
  handler: QueueHandler
  sqs: SQSClient
  queueUrl: string
  queueArn: string
  /** seconds to wait for a first message */
  wait: number
  /** seconds until a failed message is visible again; unset uses the queue's visibility timeout, like AWS */
  retryAfter?: number
  signal?: AbortSignal
}

/** Receives one batch, passes it on and deletes the handled messages. Resolves to the received and the failed messages. */
export async function deliverMessages ({ mapping, handler, sqs, queueUrl, queueArn, wait, retryAfter, signal }: QueueStep): Promise<{ received: number, error?: unknown, failed: number }> {
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: Math.min(10, mapping.batchSize),
    WaitTimeSeconds: wait,
    MessageSystemAttributeNames: ['All'],
    MessageAttributeNames: ['All']
  }), signal === undefined ? {} : { abortSignal: signal })
  if (Messages.length === 0) return { received: 0, failed: 0 }
  let failed = Messages
  let thrown: unknown
  try {
    const response = await handler({ Records: Messages.map(message => lambdaMessage(message, queueArn)) }, { deadline: Date.now() + mapping.timeout })
    const ids = (mapping.reportsItemFailures ? response?.batchItemFailures ?? [] : []).map(({ itemIdentifier }) => itemIdentifier)
    // An id that is not in the batch makes the whole batch fail.
    const isKnown = ids.every(id => Messages.some(({ MessageId }) => MessageId === id))
    failed = isKnown ? Messages.filter(({ MessageId }) => ids.includes(MessageId!)) : Messages
  } catch (error) {
    thrown = error
  }
  const done = Messages.filter(message => !failed.includes(message))
  if (done.length > 0) {
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries: done.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle })) }))
  }
  if (retryAfter !== undefined) {
    for (const { ReceiptHandle } of failed) await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: retryAfter }))
  }
  return { received: Messages.length, failed: failed.length, error: thrown }
}

export interface QueueMappingOptions extends Pick<QueueStep, 'mapping' | 'handler' | 'sqs' | 'queueUrl' | 'queueArn'> {
  log: Reporter
  /** parallel batches; AWS starts with five */
  concurrency?: number
}

/** Passes a queue's messages to a function, as its event-source mapping in the template says. */
export function startQueueMapping ({ log, concurrency = 5, ...step }: QueueMappingOptions): Mapping {
  const name = `queue ${step.mapping.queue}`
  const loops = Array.from({ length: concurrency }, () => runLoop(name, log, async signal => {
    const { failed, error } = await deliverMessages({ ...step, wait: 20, signal })
    if (failed > 0) log.warn({ err: error, messages: failed }, `${name}: failed, visible again after the visibility timeout`)
  }))
  return { async stop () { await Promise.all(loops.map(loop => loop.stop())) } }
}
