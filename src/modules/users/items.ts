import { Value } from '@sinclair/typebox/value'
import { nameless } from '../../shared/erasure.ts'
import { withAvatarUrl } from './avatar-url.ts'
import { StoredAuditLine, StoredUser, type AuditLine } from './schemas.ts'

// The keys and items of the users table, for the repositories of this module.

/** Seconds for which an audit line is kept: a year, and time to look at it. */
const AUDIT_FOR = 400 * 24 * 3600

export const claimKey = (email: string) => ({ userId: `email#${email}` })
export const proposalsKey = (userId: string) => ({ userId: `proposals#${userId}` })
/** Marks an account as erased without naming it. */
export const erasedKey = (userId: string) => ({ userId: `erased#${nameless(userId)}` })
/** The set of the ids of all active admins. Only changes of admins touch it. */
export const adminsKey = { userId: 'admins' }
/** Says in which month the first account was created: the end of the list. */
export const listsKey = { userId: 'lists' }

/** The month of a time, as `2026-11`. */
export const monthOf = (time: string): string => time.slice(0, 7)

/** The partition of the index `list` with the accounts that were created in a month. */
export const usersList = (month: string): string => `users#${month}`
/** The partition of the index `status` with those of them that have a status other than ACTIVE. */
export const statusList = (status: string, month: string): string => `${status}#${month}`
/** The partition of the index `list` with the audit lines about an account. */
export const auditList = (userId: string): string => `audit#${nameless(userId)}`

/** Orders a list. Contains the id, so that no two items have the same place. */
const placeOf = (time: string, id: string) => `${time}#${id}`

export function userItem (user: StoredUser) {
  const { id, avatarUrl, ...rest } = user
  const month = monthOf(user.createdAt)
  return {
    ...rest,
    userId: id,
    kind: 'user',
    list: usersList(month),
    listedAt: placeOf(user.createdAt, id),
    ...(user.status === 'ACTIVE' ? {} : { listStatus: statusList(user.status, month) })
  }
}

/** Whether an item has not expired: DynamoDB may remove expired items days late. `seconds` since the epoch. */
export const isLive = (item: Record<string, unknown>, seconds: number): boolean => item['expiresAt'] === undefined || Number(item['expiresAt']) > seconds

/** The user in an item; `undefined` when the item is not a user. Throws when the user is invalid. */
export function userIn (item: Record<string, unknown> | undefined, publicUrl: string): StoredUser | undefined {
  if (item?.['kind'] !== 'user') return undefined
  const { userId, kind, lastEventId, list, listedAt, listStatus, ...rest } = item
  const user = { ...rest, id: userId }
  if (!Value.Check(StoredUser, user)) throw new Error('A record of the users table is not a valid user')
  return withAvatarUrl(user, publicUrl)
}

/** A user's claim on an address. That of a pending user expires with the user. `expiresAt` in seconds since the epoch. */
export const claimItem = (email: string, ownerId: string, expiresAt: number | undefined) =>
  ({ ...claimKey(email), kind: 'claim', ownerId, ...(expiresAt === undefined ? {} : { expiresAt }) })

/** The addresses that an account has claimed, each with the time at which the claim expires, if it does. Times in seconds since the epoch. */
export const claimsOf = ({ email, expiresAt, formerAddresses = [] }: StoredUser, seconds: number) => new Map<string, number | undefined>([
  ...formerAddresses.filter(({ until }) => until > seconds).map(former => [former.email, former.until] as const),
  [email, expiresAt]
])

/** The key is made from the line's id alone: `list` names the account, and only by a hash. */
export const auditKey = (lineId: string) => ({ userId: `audit#${lineId}` })

export function auditItem (line: AuditLine, userId: string) {
  const { id, ...rest } = line
  return { ...rest, ...auditKey(id), kind: 'audit', list: auditList(userId), listedAt: placeOf(line.at, id), expiresAt: Math.floor(Date.parse(line.at) / 1000) + AUDIT_FOR }
}

export function auditLineIn (item: Record<string, unknown>): AuditLine {
  const { userId, kind, list, listedAt, expiresAt, ...rest } = item
  const line = { ...rest, id: String(userId).slice(auditKey('').userId.length) }
  if (!Value.Check(StoredAuditLine, line)) throw new Error('A record of the users table is not a valid audit line')
  return line
}

/** Whether an account counts as one of the admins of whom one must remain. */
export const isActiveAdmin = (user: StoredUser | undefined): boolean => user?.role === 'admin' && user.status === 'ACTIVE'
