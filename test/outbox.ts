import { marshall } from '@aws-sdk/util-dynamodb'
import { PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda'
import { AUTH_ENTRIES } from '../src/modules/auth/schemas.ts'
import { outboxAttributes } from '../src/plugins/outbox/store.ts'
import type { OutboxEntry } from '../src/shared/outbox.ts'
import type { TestApp } from './app.ts'

const tableOf = ({ type }: OutboxEntry) => Object.hasOwn(AUTH_ENTRIES, type) ? 'AuthTable' : 'UsersTable'
const keyOf = (entry: OutboxEntry) => tableOf(entry) === 'AuthTable' ? { pk: `outbox#${entry.eventId}`, sk: 'outbox' } : { userId: `outbox#${entry.eventId}` }

/** Puts an entry into its outbox by hand. */
export async function leaveBehind (app: Pick<TestApp, 'dynamodb'>, entry: OutboxEntry): Promise<void> {
  await app.dynamodb.send(new PutCommand({ TableName: tableOf(entry), Item: { ...outboxAttributes(entry), ...keyOf(entry) } }))
}

/** The outbox entries that wait in a table, oldest first. */
export async function waiting (app: Pick<TestApp, 'dynamodb'>, ...tables: ('UsersTable' | 'AuthTable')[]): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = []
  for (const TableName of tables.length === 0 ? ['UsersTable', 'AuthTable'] : tables) {
    const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true }))
    entries.push(...Items.filter(({ kind }) => kind === 'outbox') as unknown as OutboxEntry[])
  }
  return entries.sort((a, b) => a.occurredAt.localeCompare(b.occurredAt)).map(({ eventId, type, subject, occurredAt, correlationId, data }) => ({ eventId, type, subject, occurredAt, correlationId, data }))
}

let sequence = 0

/** The removal of an expired item, as the stream reports it: no engine expires items by itself. */
export const expiryRecord = (table: string, item: Record<string, unknown>): DynamoDBRecord =>
  ({ ...streamRecord(table, item, 'REMOVE'), userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' } })

/** A record of a table's stream, as Lambda gets it. */
export function streamRecord (table: string, item: Record<string, unknown>, eventName: 'INSERT' | 'MODIFY' | 'REMOVE' = 'INSERT'): DynamoDBRecord {
  const image = marshall(item, { removeUndefinedValues: true }) as NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']>
  return {
    eventName,
    eventSource: 'aws:dynamodb',
    eventSourceARN: `arn:aws:dynamodb:us-east-1:000000000000:table/${table}/stream/2026-11-25T00:00:00.000`,
    dynamodb: { SequenceNumber: String(1e20 + 1e5 * ++sequence), ...(eventName === 'REMOVE' ? { OldImage: image } : { NewImage: image }) }
  }
}

export const entryRecord = (entry: OutboxEntry): DynamoDBRecord => streamRecord(tableOf(entry), outboxAttributes(entry))

/** Delivers records of one stream. @returns the sequence numbers of those that failed */
export async function deliver (app: Pick<TestApp, 'consumers'>, ...Records: DynamoDBRecord[]): Promise<string[]> {
  if (Records.length === 0) return []
  const { batchItemFailures } = await app.consumers.deliver({ Records }) as DynamoDBBatchResponse
  return batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
}

export const sequenceNumber = (record: DynamoDBRecord): string => record.dynamodb!.SequenceNumber!
