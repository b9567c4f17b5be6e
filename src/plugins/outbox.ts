import { DeleteCommand, GetCommand, PutCommand, QueryCommand, type PutCommandInput } from '@aws-sdk/lib-dynamodb'
import fp from 'fastify-plugin'
import { entryOf, OUTBOX_INDEX, OUTBOX_SHARDS, outboxAttributes, type OutboxEntry } from '../shared/outbox.ts'

/** The outbox entries of one table. */
export interface OutboxStore<E extends OutboxEntry> {
  /** The put of an entry, for a transaction together with what it announces. */
  write (entry: E): Required<Pick<PutCommandInput, 'TableName' | 'Item'>>
  put (entry: E): Promise<void>
  /** Strongly consistent. */
  get (eventId: string): Promise<E | undefined>
  /** Safe to repeat. */
  remove (eventId: string): Promise<void>
  /** Entries older than a moment, through the sparse index. */
  pending (olderThan: Date): AsyncIterable<E>
}

/** Opens the outbox of a table; `key` makes the table's own key attributes out of an event's id. */
export type OpenOutbox = <E extends OutboxEntry>(table: string, key: (eventId: string) => Record<string, string>) => OutboxStore<E>

declare module 'fastify' {
  interface FastifyInstance {
    openOutbox: OpenOutbox
  }
}

/** The transactional outbox (see shared/outbox) as tables keep it: each module opens the one in its own table. */
export default fp(async function outbox (app) {
  const client = app.dynamodb

  app.decorate('openOutbox', <E extends OutboxEntry>(table: string, key: (eventId: string) => Record<string, string>): OutboxStore<E> => {
    const write = (entry: E) => ({ TableName: table, Item: { ...outboxAttributes(entry), ...key(entry.eventId) } })
    return {
      write,

      async put (entry) {
        await client.send(new PutCommand(write(entry)))
      },

      async get (eventId) {
        const { Item } = await client.send(new GetCommand({ TableName: table, Key: key(eventId), ConsistentRead: true }))
        return entryOf(Item ?? {}) as E | undefined
      },

      async remove (eventId) {
        await client.send(new DeleteCommand({ TableName: table, Key: key(eventId) }))
      },

      async * pending (olderThan) {
        for (const shard of OUTBOX_SHARDS) {
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
            for (const item of page.Items ?? []) yield entryOf(item) as E
            ExclusiveStartKey = page.LastEvaluatedKey
          } while (ExclusiveStartKey !== undefined)
        }
      }
    }
  })
}, { name: 'outbox', dependencies: ['dynamodb'] })
