import { newId } from './ids.ts'

/**
 * An entry of a transactional outbox: what a write has to announce, put into the same table in the same transaction.
 * See plugins/outbox for what happens to it.
 */
export interface OutboxEntry<T extends string = string, D = unknown> {
  eventId: string
  type: T
  /** what the entry is about: entries of one subject are handled in their order */
  subject: string
  /** ISO 8601 */
  occurredAt: string
  correlationId: string
  data: D
}

export function outboxEntry<T extends string, D> (type: T, { subject, correlationId, data, now, eventId = newId() }: {
  subject: string
  correlationId: string
  data: D
  now: Date
  /** given where the same announcement may be made twice, so that both are one */
  eventId?: string
}): OutboxEntry<T, D> {
  return { eventId, type, subject, occurredAt: now.toISOString(), correlationId, data }
}
