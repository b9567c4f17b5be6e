import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { nameless } from '../../src/shared/erasure.ts'
import { pagesOf } from './items.ts'

/** The accounts that were erased, by their hashed ids. */
export interface Ledger {
  readonly size: number
  has (userId: string): boolean
}

const ledgerOf = (hashes: ReadonlySet<string>): Ledger => ({ size: hashes.size, has: userId => hashes.has(nameless(userId)) })

/** The attribute that has the marker of an erasure in its key, by the table's kind. */
const MARKED = { users: 'userId', auth: 'pk' } as const
const PREFIX = 'erased#'

/**
 * Collects the markers of erasures from tables, and ids of erased accounts from elsewhere. The table of accounts has a
 * marker from the transaction of each erasure, the auth table from seconds later: either is enough (ADR 113).
 */
export async function readLedger (dynamodb: DynamoDBDocumentClient, tables: { kind: keyof typeof MARKED, name: string }[], ids: Iterable<string> = []): Promise<Ledger> {
  const hashes = new Set([...ids].map(nameless))
  for (const { kind, name } of tables) {
    for await (const page of pagesOf(dynamodb, name, { FilterExpression: `begins_with(${MARKED[kind]}, :prefix)`, ExpressionAttributeValues: { ':prefix': PREFIX } })) {
      for (const item of page) hashes.add(String(item[MARKED[kind]]).slice(PREFIX.length))
    }
  }
  return ledgerOf(hashes)
}
