import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda'
import type { OutboxEntry } from '../../shared/outbox.ts'
import type { Invocation } from '../consumers.ts'
import type { Spans } from '../spans.ts'
import type { OutboxStore } from './store.ts'

/** Entries handled in parallel per outbox. Each waits for four or five AWS calls. */
const CONCURRENCY = 16

/** Milliseconds after which an entry counts as not delivered. Normally the stream takes less than a second. */
const OVERDUE_MS = 60_000

/**
 * No entry is started in this many milliseconds before the end of an invocation: an AWS call without an answer takes
 * 2.5 s, and some handlers make another call after it.
 */
const LAST_START_MS = 4000

/** Handles an entry. Must be safe to repeat; rejects on failure. */
export type Handler = (entry: OutboxEntry) => Promise<void>

export interface SweepOptions extends Invocation {
  /** minimum age of an entry in milliseconds; default: longer than a stream takes. Use less when no stream will deliver the entries, as after a crash of the local system */
  minAge?: number
}

export interface SweepResult {
  resent: number
  /** whether the time ran out before every outbox had been read completely */
  isIncomplete: boolean
}

declare module '../metrics.ts' {
  interface MetricNames {
    /** outbox entries that their stream did not deliver, and the sweep did */
    OutboxResent: true
    /** failed tries to handle an outbox entry */
    OutboxFailed: true
  }
}

/** The part of a logger that the relay needs. */
interface Log {
  child (bindings: object): Log
  debug (message: string): void
  info (details: object, message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

interface RelayOptions {
  run: Spans['run']
  handlerOf: (type: string) => Handler | undefined
  count: (metric: 'OutboxResent' | 'OutboxFailed') => void
  log: Log
}

/** Handles outbox entries that a stream delivers or a sweep finds, and removes each one afterwards. */
export function createRelay ({ run, handlerOf, count, log: parentLog }: RelayOptions) {
  const isOver = ({ deadline }: Invocation) => deadline !== undefined && Date.now() > deadline - LAST_START_MS

  async function handle (store: OutboxStore, entry: OutboxEntry): Promise<void> {
    const { eventId, type, occurredAt, correlationId } = entry
    const log = parentLog.child({ correlationId, eventId, eventType: type })
    try {
      // The entry was handled before. A repetition, however late, changes nothing.
      if (!await store.has(eventId)) return log.debug('handled before')
      await run({ name: `handle ${type}`, kind: 'consumer', parent: entry.traceparent, attributes: { 'correlation.id': correlationId } }, () => handlerOf(type)!(entry))
      await store.remove(eventId)
      log.info({ waitedMs: Date.now() - Date.parse(occurredAt) }, 'handled')
    } catch (err) {
      log.error({ err }, 'an outbox entry could not be handled')
      count('OutboxFailed')
      throw err
    }
  }

  return {
    /** Handles a batch of a table's stream. Returns the failed records in the order of the stream. */
    async handleBatch (store: OutboxStore, event: DynamoDBStreamEvent, invocation: Invocation): Promise<DynamoDBBatchResponse> {
      const failed = new Set<string>()
      const expired: { sequenceNumber: string, item: Record<string, unknown> }[] = []
      const lanes = new Map<string, { sequenceNumber: string, entry: OutboxEntry }[]>()
      for (const record of event.Records) {
        const sequenceNumber = record.dynamodb?.SequenceNumber ?? ''
        try {
          const item = expiredItem(record)
          if (item !== undefined) expired.push({ sequenceNumber, item })
          const entry = announcedEntry(store, record)
          if (entry === undefined) continue
          const lane = lanes.get(entry.subject)
          if (lane === undefined) lanes.set(entry.subject, [{ sequenceNumber, entry }])
          else lane.push({ sequenceNumber, entry })
        } catch (err) {
          parentLog.error({ err, sequenceNumber }, 'a stream record could not be read')
          failed.add(sequenceNumber)
        }
      }
      // Entries of one subject are handled in order. Subjects do not wait for each other, not even for a failing one.
      await inParallel(lanes.values(), async (lane) => {
        for (const { sequenceNumber, entry } of lane) {
          if (isOver(invocation)) failed.add(sequenceNumber)
          else await handle(store, entry).catch(() => failed.add(sequenceNumber))
        }
      })
      await inParallel(expired, async ({ sequenceNumber, item }) => {
        try {
          if (isOver(invocation)) failed.add(sequenceNumber)
          else await store.announceExpiry(item)
        } catch (err) {
          parentLog.error({ err, sequenceNumber }, 'the removal of an expired item could not be announced')
          count('OutboxFailed')
          failed.add(sequenceNumber)
        }
      })
      // Lambda retries from the first failed record. Later records that were handled are recognised as handled.
      const inOrder = event.Records.map(record => record.dynamodb?.SequenceNumber ?? '').filter(sequenceNumber => failed.has(sequenceNumber))
      return { batchItemFailures: inOrder.map(itemIdentifier => ({ itemIdentifier })) }
    },

    /**
     * Handles entries that the streams could not deliver, in all stores in parallel, so that a failing store does not delay
     * the others. Starts no entry near the end of the invocation, and ends when no entry is in flight.
     *
     * @throws AggregateError when an entry or a store failed
     */
    async sweep (stores: Iterable<OutboxStore>, { minAge = OVERDUE_MS, ...invocation }: SweepOptions): Promise<SweepResult> {
      const result: SweepResult = { resent: 0, isIncomplete: false }
      const errors: unknown[] = []

      async function sweepStore (store: OutboxStore) {
        async function * inTime () {
          for await (const entry of store.pending(new Date(Date.now() - minAge))) {
            if (isOver(invocation)) {
              result.isIncomplete = true
              return
            }
            yield entry
          }
        }
        await inParallel(inTime(), async (entry) => {
          try {
            if (entry instanceof Error) throw entry
            await handle(store, entry)
            result.resent++
            count('OutboxResent')
          } catch (error) {
            errors.push(error)
          }
        })
      }

      await Promise.all([...stores].map(store => sweepStore(store).catch(error => errors.push(error))))
      const counts = { ...result, failed: errors.length }
      if (result.isIncomplete) parentLog.warn(counts, 'the sweep ran out of time; the next one continues')
      else if (result.resent + errors.length > 0) parentLog.info(counts, 'swept')
      if (errors.length > 0) throw new AggregateError(errors, `${errors.length} outbox entries could not be handled`)
      return result
    }
  }
}

/** The new entry in a stream record, or `undefined` for every other write. */
function announcedEntry (store: OutboxStore, { eventName, dynamodb }: DynamoDBRecord): OutboxEntry | undefined {
  const image = dynamodb?.NewImage
  if (eventName !== 'INSERT' || image?.['kind']?.S !== 'outbox') return undefined
  return store.entryIn(unmarshall(image as Record<string, AttributeValue>))
}

/** The item that DynamoDB has removed because it had expired, or `undefined` for every other write. */
function expiredItem ({ eventName, userIdentity, dynamodb }: DynamoDBRecord): Record<string, unknown> | undefined {
  // Only removals by the TTL name the service as their author.
  const { type, principalId } = (userIdentity ?? {}) as { type?: unknown, principalId?: unknown }
  if (eventName !== 'REMOVE' || type !== 'Service' || principalId !== 'dynamodb.amazonaws.com') return undefined
  return dynamodb?.OldImage === undefined ? undefined : unmarshall(dynamodb.OldImage as Record<string, AttributeValue>)
}

/** Runs `work` for each item with limited parallelism. Rejects only when no call is in flight any more. */
async function inParallel<T> (items: Iterable<T> | AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  // All share one generator, because a generator queues concurrent calls of next(). Other iterators may not.
  const source = (async function * () { yield * items })()
  const ended = await Promise.allSettled(Array.from({ length: CONCURRENCY }, async () => {
    for await (const item of source) await work(item)
  }))
  for (const { status, ...end } of ended) if (status === 'rejected') throw (end as PromiseRejectedResult).reason
}
