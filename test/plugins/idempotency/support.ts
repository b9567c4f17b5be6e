import { DeleteCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { TestApp } from '../../app.ts'

export interface Item { pk: string, sk: string, operationId: string, startedAt: string, lease: number, expiresAt: number, answer?: Uint8Array }

/** The records of idempotency keys in the auth table. */
export async function recordsOf (app: Pick<TestApp, 'dynamodb' | 'config'>): Promise<Item[]> {
  const { Items } = await app.dynamodb.send(new ScanCommand({ TableName: app.config.AUTH_TABLE, ConsistentRead: true, FilterExpression: 'kind = :kind', ExpressionAttributeValues: { ':kind': 'idempotency' } }))
  return Items as Item[]
}

/** Changes the records as time does: what the next request finds is as if it came later. */
export async function alter (app: Pick<TestApp, 'dynamodb' | 'config'>, change: Partial<Pick<Item, 'startedAt' | 'lease' | 'expiresAt'>>): Promise<void> {
  for (const { pk, sk } of await recordsOf(app)) {
    for (const [name, value] of Object.entries(change)) {
      await app.dynamodb.send(new UpdateCommand({ TableName: app.config.AUTH_TABLE, Key: { pk, sk }, UpdateExpression: 'SET #name = :value', ExpressionAttributeNames: { '#name': name }, ExpressionAttributeValues: { ':value': value } }))
    }
  }
}

/** Removes all records, so that a test sees only its own. */
export async function forgetRecords (app: Pick<TestApp, 'dynamodb' | 'config'>): Promise<void> {
  for (const { pk, sk } of await recordsOf(app)) await app.dynamodb.send(new DeleteCommand({ TableName: app.config.AUTH_TABLE, Key: { pk, sk } }))
}
