import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { nameless } from '../../shared/erasure.ts'

// The keys and items of the auth table, for the repositories of this module.

/** An item as it is stored. */
export type Item = Record<string, unknown>

export const challengeKey = (id: string) => ({ pk: `challenge#${id}`, sk: 'challenge' })

/** What belongs to a user is in one partition: sessions, and the places of challenges. */
export const userKey = (userId: string, sk: string) => ({ pk: `user#${userId}`, sk })
export const SESSION = 'session#'
export const sessionKey = (userId: string, sid: string) => userKey(userId, SESSION + sid)
/** Finds the challenge of a change of address when the account is erased. */
export const CHALLENGE = 'challenge#'
export const placeKey = (userId: string, challengeId: string) => userKey(userId, CHALLENGE + challengeId)

/** Says, apart from the table of accounts, that an account was erased: a backup of that table is cleaned by it (ADR 113). */
export const erasureKey = (userId: string) => ({ pk: `erased#${nameless(userId)}`, sk: 'erased' })

/** Whether an item has not expired: DynamoDB may remove expired items days late. `seconds` since the epoch. */
export const isLive = (item: Item | undefined, seconds: number): item is Item => Number(item?.['expiresAt']) > seconds

/**
 * The requested codes of an address, in one item: `codes`, all of them as `time challengeId`, and for each network and
 * each site an attribute with the times of its own; newest first. A limit of N codes in a window holds when the N-th newest one is
 * missing or older than the window. That is a write condition: no read and no cleanup is needed first.
 */
const Codes = Type.Array(Type.String())
export const codesKey = (address: string) => ({ pk: `codes#${address}`, sk: 'all' })
export const NETWORK = 'network#'
/** Finds a challenge whose code was not counted under its id, when the account is erased. */
export const UNCOUNTED = 'challenge#'
export const uncountedKey = (address: string, challengeId: string) => ({ pk: `codes#${address}`, sk: `${UNCOUNTED}${challengeId}` })

export const listIn = (item: Item, name: string): string[] => Value.Check(Codes, item[name]) ? item[name] : []
export const codesIn = (item: Item): string[] => listIn(item, 'codes')
export const partsOf = (code: string) => code.split(' ') as [time: string, challengeId: string]
export const timeOf = (code: string): number => Date.parse(partsOf(code)[0])
