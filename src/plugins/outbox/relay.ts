import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda'
import type { OutboxEntry } from '../../shared/outbox.ts'
import type { Invocation } from '../consumers.ts'
import type { OutboxStore } from './store.ts'

/** Entries handled at a time, for each outbox. Each waits for four or five calls of AWS. */
const CONCURRENCY = 16

/** Milliseconds after which an entry counts as not delivered: the stream takes less than a second when all is well. */
const OVERDUE_MS = 60_000

/**
 * Milliseconds before the end of an invocation in which no entry is started: an AWS call that gets no answer takes
 * 2.5 s, and a handler makes another one after it at times.
 */
const LAST_START_MS = 4000

/** Does what follows from an entry. Safe to repeat; rejects when it could not be done. */
export type Handler = (entry: OutboxEntry) => Promise<void>

export interface SweepOptions extends Invocation {
  /** milliseconds that an entry must have waited; default: longer than a stream takes. Less where no stream delivers what waits, as after a crash of everything */
  minAge?: number
}

export interface SweepResult {
  resent: number
  /** whether the time was over before every outbox had been read to its end */
  isIncomplete: boolean
}

declare module '../metrics.ts' {
  interface MetricNames {
    OutboxResent: true
    OutboxFailed: true
  }
}

/** As much of a logger as the relay needs. */
interface Log {
  child (bindings: object): Log
  debug (message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

interface RelayOptions {
  handlerOf: (type: string) => Handler | undefined
  count: (metric: 'OutboxResent' | 'OutboxFailed') => void
  log: Log
}

/** Handles the entries of outboxes, as a stream delivers them or a sweep finds them, and removes each once it is handled. */
export function createRelay ({ handlerOf, count, log: parentLog }: RelayOptions) {
  const isOver = ({ deadline }: Invocation) => deadline !== undefined && Date.now() > deadline - LAST_START_MS

  async function handle (store: OutboxStore, entry: OutboxEntry): Promise<void> {
    const { eventId, type, correlationId } = entry
    const log = parentLog.child({ correlationId, eventId, eventType: type })
    try {
      // Delivered before and handled: a repetition, however late, changes nothing.
      if (!await store.has(eventId)) return log.debug('handled before')
      await handlerOf(type)!(entry)
      await store.remove(eventId)
      log.debug('handled')
    } catch (err) {
      log.error({ err }, 'an outbox entry could not be handled')
      count('OutboxFailed')
      throw err
    }
  }

  return {
    /** A batch of the stream of a store's table. Names the records that failed, in the order of the stream. */
    async handleBatch (store: OutboxStore, event: DynamoDBStreamEvent, invocation: Invocation): Promise<DynamoDBBatchResponse> {
      const failed = new Set<string>()
      const lanes = new Map<string, { sequenceNumber: string, entry: OutboxEntry }[]>()
      for (const record of event.Records) {
        const sequenceNumber = record.dynamodb?.SequenceNumber ?? ''
        try {
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
      // What concerns one subject happens in its order; subjects do not wait for each other, nor for one that fails.
      await inParallel(lanes.values(), async (lane) => {
        for (const { sequenceNumber, entry } of lane) {
          if (isOver(invocation)) failed.add(sequenceNumber)
          else await handle(store, entry).catch(() => failed.add(sequenceNumber))
        }
      })
      // Lambda starts again at the first of them; what was handled after it is found to be.
      const inOrder = event.Records.map(record => record.dynamodb?.SequenceNumber ?? '').filter(sequenceNumber => failed.has(sequenceNumber))
      return { batchItemFailures: inOrder.map(itemIdentifier => ({ itemIdentifier })) }
    },

    /**
     * Handles what the streams could not deliver, in all stores at once: one whose entries fail does not keep the others
     * waiting. Starts no entry near the end of the invocation, and ends when none is in flight.
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
      if (result.isIncomplete) parentLog.warn(result, 'the sweep ran out of time; the next one goes on')
      if (errors.length > 0) throw new AggregateError(errors, `${errors.length} outbox entries could not be handled`)
      return result
    }
  }
}

/** The entry that a stream record announces, or `undefined` for every other write: only a new entry is news. */
function announcedEntry (store: OutboxStore, { eventName, dynamodb }: DynamoDBRecord): OutboxEntry | undefined {
  const image = dynamodb?.NewImage
  if (eventName !== 'INSERT' || image?.['kind']?.S !== 'outbox') return undefined
  return store.entryIn(unmarshall(image as Record<string, AttributeValue>))
}

/** Runs `act` for each item, so many at a time; rejects once nothing is in flight any more. */
async function inParallel<T> (items: Iterable<T> | AsyncIterable<T>, act: (item: T) => Promise<void>): Promise<void> {
  // One generator for all: it queues their calls of next(), which an iterator need not.
  const source = (async function * () { yield * items })()
  const ended = await Promise.allSettled(Array.from({ length: CONCURRENCY }, async () => {
    for await (const item of source) await act(item)
  }))
  for (const { status, ...end } of ended) if (status === 'rejected') throw (end as PromiseRejectedResult).reason
}
