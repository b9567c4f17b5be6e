import { newId } from './ids.ts'

/**
 * The transactional outbox. A write that must be announced puts one entry beside what it changes, in the same
 * transaction; the table's stream hands the entry to the relay, which acts on it and then removes it. What the stream
 * could not deliver is still in the table, where the sweeper finds it through the sparse `outbox` index.
 */
export interface OutboxEntry<T extends string = string, D = unknown> {
  eventId: string
  type: T
  /** ISO 8601 */
  occurredAt: string
  correlationId: string
  data: D
}

/** An entry as its table stores it, less the table's own key attributes. */
export interface OutboxAttributes extends OutboxEntry {
  kind: 'outbox'
  /** hash key of the sparse `outbox` index */
  outbox: string
}

export const OUTBOX_INDEX = 'outbox'

/** 16 partitions of the index: one takes 1,000 writes a second, and each entry costs it two (put, remove). */
export const OUTBOX_SHARDS: readonly string[] = [...'0123456789abcdef']

export function outboxEntry<T extends string, D> (type: T, correlationId: string, data: D, now = new Date()): OutboxEntry<T, D> {
  return { eventId: newId(), type, occurredAt: now.toISOString(), correlationId, data }
}

export function outboxAttributes (entry: OutboxEntry): OutboxAttributes {
  return { ...entry, kind: 'outbox', outbox: entry.eventId.charAt(0) }
}

/** The entry in a stored item, or `undefined` when the item is something else. */
export function entryOf (item: Record<string, unknown>): OutboxEntry | undefined {
  if (item['kind'] !== 'outbox') return undefined
  const { eventId, type, occurredAt, correlationId, data } = item as unknown as OutboxAttributes
  return { eventId, type, occurredAt, correlationId, data }
}

/** A module's outbox as the relay sees it. */
export interface Outbox<E extends OutboxEntry = OutboxEntry> {
  /** Everything the entry asked for has been done: remove it. Safe to repeat. */
  acknowledge (eventId: string): Promise<void>
  /** Entries older than an age in milliseconds: what the stream could not deliver. */
  pending (minAgeMs: number): AsyncIterable<E>
}
