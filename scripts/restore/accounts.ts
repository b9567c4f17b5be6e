import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import { adminsKey, claimKey, claimsOf, isLive, userIn } from '../../src/modules/users/items.ts'
import type { StoredUser } from '../../src/modules/users/schemas.ts'
import type { Item } from './items.ts'

// Accounts as a table holds them, and what a write of them names.

export type Writes = NonNullable<TransactWriteCommandInput['TransactItems']>

/** The account in an item; `undefined` without an item. */
export type Account = StoredUser | 'invalid' | undefined

export const asUser = (item: Item | undefined): Account => {
  try {
    return userIn(item, '')
  } catch {
    return 'invalid'
  }
}

export const holds = (user: Account, email: string, seconds: number): boolean =>
  user !== undefined && user !== 'invalid' && isLive(user, seconds) && claimsOf(user, seconds).has(email)

/** Keys of the claims of the addresses that an account has. */
export const claimKeysOf = (user: Account, seconds: number): string[] =>
  user === undefined || user === 'invalid' ? [] : [...claimsOf(user, seconds).keys()].map(email => claimKey(email).userId)

/** The condition that an item has not changed since it was read. Every write of the service moves the version on. */
export const ifVersion = (version: unknown) => version === undefined
  ? { ConditionExpression: 'attribute_not_exists(version)' }
  : { ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': version } }

/** The check, in a transaction, that an account has not changed since it was read. */
export const ifStill = (TableName: string, { id, version }: { id: string, version: unknown }) => ({ ConditionCheck: { TableName, Key: { userId: id }, ...ifVersion(version) } })

/** Adds an account to the set of admins. */
export const addAdmin = (TableName: string, id: string) => ({
  Update: { TableName, Key: adminsKey, UpdateExpression: 'ADD ids :ids SET kind = :kind', ExpressionAttributeValues: { ':ids': new Set([id]), ':kind': 'admins' } }
})
