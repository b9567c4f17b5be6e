import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { isDeepStrictEqual } from 'node:util'
import { claimKey, claimsOf, erasedKey, isLive, userItem } from '../../src/modules/users/items.ts'
import type { StoredUser } from '../../src/modules/users/schemas.ts'
import { asUser, claimKeysOf, holds, type Account } from './accounts.ts'
import { itemsOf, type Item } from './items.ts'
import type { Ledger } from './ledger.ts'

/** What becomes of the accounts of a restored table. The first three are copied. */
export type Outcome = 'missing' | 'older' | 'altered' | 'same' | 'newer' | 'erased' | 'taken' | 'invalid'

/** Accounts that are named by claims of an address which they do not hold, by address. */
type Owners = Map<string, { id: string, version: unknown }>

export interface Judgement { outcome: Outcome, item: Item | undefined, present: Account, owners: Owners }

export interface JudgeOptions {
  dynamodb: DynamoDBDocumentClient
  /** name of the live table */
  live: string
  ledger: Ledger
  seconds: number
}

/** The keys of the live items that an account is judged by. */
export const keysOf = (backup: StoredUser, seconds: number): string[] => [backup.id, erasedKey(backup.id).userId, ...claimKeysOf(backup, seconds)]

/** How the live account differs from the one of the backup. */
function compared (backup: StoredUser, item: Item | undefined, present: Account): Outcome {
  if (item === undefined) return 'missing'
  if (present === undefined || present === 'invalid') return 'altered'
  if (present.version !== backup.version) return present.version > backup.version ? 'newer' : 'older'
  return isDeepStrictEqual(userItem(present), userItem(backup)) ? 'same' : 'altered'
}

/** What is to be done with an account. `items`: the live items of its keys. */
export async function judge (backup: StoredUser, items: ReadonlyMap<string, Item>, { dynamodb, live, ledger, seconds }: JudgeOptions): Promise<Judgement> {
  const item = items.get(backup.id)
  const present = asUser(item)
  const owners: Owners = new Map()
  const result = (outcome: Outcome) => ({ outcome, item, present, owners })
  if (ledger.has(backup.id) || items.has(erasedKey(backup.id).userId)) return result('erased')
  const outcome = compared(backup, item, present)
  if (outcome === 'newer' || outcome === 'same') return result(outcome)
  for (const email of claimsOf(backup, seconds).keys()) {
    const claim = items.get(claimKey(email).userId)
    const id = claim === undefined || !isLive(claim, seconds) ? undefined : claim['ownerId']
    if (typeof id !== 'string' || id === backup.id) continue
    const owner = (await itemsOf(dynamodb, live, 'userId', [id])).get(id)
    // The claim of a former address is not worth losing the account for.
    if (holds(asUser(owner), email, seconds)) return result('taken')
    owners.set(email, { id, version: owner?.['version'] })
  }
  return result(outcome)
}
