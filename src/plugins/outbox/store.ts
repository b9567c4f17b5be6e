import { DeleteCommand, GetCommand, PutCommand, QueryCommand, type DynamoDBDocumentClient, type PutCommandInput } from '@aws-sdk/lib-dynamodb'
import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { OutboxEntry } from '../../shared/outbox.ts'
import { traceparentIn } from '../../shared/traceparent.ts'

/** The entry types of an outbox, with the schema of each type's `data`. */
export type EntrySchemas = Record<string, TSchema>

/** An entry of one of these types. */
export type EntryOf<S extends EntrySchemas> = { [T in keyof S & string]: OutboxEntry<T, Static<S[T]>> }[keyof S & string]

export interface OutboxOptions<S extends EntrySchemas> {
  table: string
  /** makes the table's key attributes from an event's id */
  key: (eventId: string) => Record<string, string>
  entries: S
  /** Makes the entry that announces that DynamoDB has removed an expired item; `undefined` when nothing follows from it. Safe to repeat: the same item gives the same event id. */
  expired?: (item: Record<string, unknown>) => EntryOf<S> | undefined
}

/** The outbox in one table, for the module that owns the table. */
export interface Outbox<E extends OutboxEntry = OutboxEntry> {
  /** The put of an entry, for the same transaction as the write that it announces. */
  write (entry: E): Required<Pick<PutCommandInput, 'TableName' | 'Item'>>
  /** Puts an entry on its own, when there is no other write. */
  put (entry: E): Promise<void>
}

/** The outbox in one table, for the relay. */
export interface OutboxStore {
  readonly table: string
  readonly types: readonly string[]
  /** Parses the entry in an item; `undefined` when the item is not an entry. Throws when the entry is invalid. */
  entryIn (item: Record<string, unknown>): OutboxEntry | undefined
  /** Puts the entry that announces the removal of an expired item, if one does. */
  announceExpiry (item: Record<string, unknown>): Promise<void>
  /** Whether the entry has not been handled yet. Strongly consistent. */
  has (eventId: string): Promise<boolean>
  /** Safe to repeat. */
  remove (eventId: string): Promise<void>
  /** Entries older than a time, through the sparse index. */
  pending (olderThan: Date): AsyncIterable<OutboxEntry | Error>
}

export const OUTBOX_INDEX = 'outbox'

/** 16 partitions of the index: each allows 1,000 writes a second, and each entry costs two (put, remove). */
const SHARDS = [...'0123456789abcdef']

const Head = Type.Object({
  eventId: Type.String({ minLength: 1 }),
  type: Type.String(),
  subject: Type.String(),
  occurredAt: Type.String(),
  correlationId: Type.String(),
  traceparent: Type.Optional(Type.Unknown())
})

/** A stored entry without the table's key attributes. */
export function outboxAttributes (entry: OutboxEntry): Record<string, unknown> {
  return { ...entry, kind: 'outbox', outbox: entry.eventId.charAt(0) }
}

export function createStore<S extends EntrySchemas> (client: DynamoDBDocumentClient, { table, key, entries, expired }: OutboxOptions<S>, traceparentNow: () => string | undefined = () => undefined): Outbox<EntryOf<S>> & OutboxStore {
  function write (entry: OutboxEntry) {
    const traceparent = traceparentNow()
    return { TableName: table, Item: { ...outboxAttributes(traceparent === undefined ? entry : { ...entry, traceparent }), ...key(entry.eventId) } }
  }

  function entryIn (item: Record<string, unknown>): OutboxEntry | undefined {
    if (item['kind'] !== 'outbox') return undefined
    if (!Value.Check(Head, item)) throw new Error('An outbox entry has no valid head')
    const { eventId, type, subject, occurredAt, correlationId } = item
    const traceparent = traceparentIn(item.traceparent)
    const schema = Object.hasOwn(entries, type) ? entries[type] : undefined
    if (schema === undefined) throw new Error('An outbox entry has a type that this outbox does not know')
    const data = (item as Record<string, unknown>)['data']
    if (!Value.Check(schema, data)) throw new Error(`An outbox entry of type ${type} has no valid data`)
    return { eventId, type, subject, occurredAt, correlationId, ...(traceparent === undefined ? {} : { traceparent }), data }
  }

  async function put (entry: OutboxEntry): Promise<void> {
    await client.send(new PutCommand(write(entry)))
  }

  return {
    table,
    types: Object.keys(entries),
    write,
    entryIn,

    put,

    async announceExpiry (item) {
      const entry = expired?.(item)
      if (entry !== undefined) await put(entry)
    },

    async has (eventId) {
      const { Item } = await client.send(new GetCommand({ TableName: table, Key: key(eventId), ConsistentRead: true }))
      return Item?.['kind'] === 'outbox'
    },

    async remove (eventId) {
      await client.send(new DeleteCommand({ TableName: table, Key: key(eventId) }))
    },

    async * pending (olderThan) {
      // Each sweep starts with another shard, so that failures in one shard do not block the others in every sweep.
      const first = Math.floor(Math.random() * SHARDS.length)
      for (const shard of [...SHARDS.slice(first), ...SHARDS.slice(0, first)]) {
        let ExclusiveStartKey: Record<string, unknown> | undefined
        do {
          const page = await client.send(new QueryCommand({
            TableName: table,
            IndexName: OUTBOX_INDEX,
            KeyConditionExpression: '#outbox = :shard AND occurredAt < :before',
            ExpressionAttributeNames: { '#outbox': 'outbox' },
            ExpressionAttributeValues: { ':shard': shard, ':before': olderThan.toISOString() },
            ExclusiveStartKey
          }))
          for (const item of page.Items ?? []) {
            try {
              yield entryIn(item)!
            } catch (error) {
              yield error as Error
            }
          }
          ExclusiveStartKey = page.LastEvaluatedKey
        } while (ExclusiveStartKey !== undefined)
      }
    }
  }
}
