import { nameless } from '../../src/shared/erasure.ts'
import type { Item } from './expressions.ts'

// What is allowed in the tables, whatever the order of calls was. Looks at items alone and knows nothing of the code that
// writes them.

const isLive = (item: Item, now: number) => item['expiresAt'] === undefined || Number(item['expiresAt']) > Math.floor(now / 1000)

export interface Account { id: string, email: string, status: string, version: number, former: string[] }

/** The accounts in the users table, at a time in milliseconds. */
export function accountsIn (items: readonly Item[], now: number): Account[] {
  return items.filter(item => item['kind'] === 'user' && isLive(item, now)).map(item => ({
    id: String(item['userId']),
    email: String(item['email']),
    status: String(item['status']),
    version: Number(item['version']),
    former: (item['formerAddresses'] as { email: string, until: number }[] | undefined ?? []).filter(({ until }) => until * 1000 > now).map(({ email }) => email)
  }))
}

/** Who has claimed which address. */
export function claimsIn (items: readonly Item[], now: number): Map<string, string> {
  return new Map(items.filter(item => item['kind'] === 'claim' && isLive(item, now)).map(item => [String(item['userId']).slice('email#'.length), String(item['ownerId'])]))
}

/** What is wrong with the accounts and their claims at this moment; `undefined` when nothing is. */
export function accountFault (items: readonly Item[], now: number): string | undefined {
  const accounts = accountsIn(items, now)
  const claims = claimsIn(items, now)
  for (const { id, email, former } of accounts) {
    for (const address of [email, ...former]) if (claims.get(address) !== id) return `account ${id} has ${address} without a claim of its own`
    if (items.some(item => item['userId'] === `erased#${nameless(id)}`)) return `account ${id} is there although it was erased`
  }
  for (const [address, owner] of claims) {
    const account = accounts.find(({ id }) => id === owner)
    if (account === undefined) return `${address} is claimed by no account`
    if (account.email !== address && !account.former.includes(address)) return `${address} is claimed by an account that does not have it`
  }
  return undefined
}

/** The sessions of a user that are live. */
export function sessionsIn (items: readonly Item[], userId: string, now: number): Item[] {
  return items.filter(item => item['pk'] === `user#${userId}` && String(item['sk']).startsWith('session#') && isLive(item, now))
}
