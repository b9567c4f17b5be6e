import { newId } from './ids.ts'

/**
 * An entry of a transactional outbox. It announces a write and is put into the same table in the same transaction.
 * plugins/outbox delivers it.
 */
export interface OutboxEntry<T extends string = string, D = unknown> {
  eventId: string
  type: T
  /** the subject of the entry; entries of one subject are handled in order */
  subject: string
  /** ISO 8601 */
  occurredAt: string
  correlationId: string
  /** W3C's, of the request that caused it; where traces are on */
  traceparent?: string
  data: D
}

export function outboxEntry<T extends string, D> (type: T, { subject, correlationId, data, now, eventId = newId() }: {
  subject: string
  correlationId: string
  data: D
  now: Date
  /** set by callers that may make the same entry twice, so that the repetition is recognised */
  eventId?: string
}): OutboxEntry<T, D> {
  return { eventId, type, subject, occurredAt: now.toISOString(), correlationId, data }
}
