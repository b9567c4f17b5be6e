import { numberIn } from '../../shared/ids.ts'
import type { AccountNow, Actor, User } from './contract.ts'
import type { FormerAddress, StoredUser } from './schemas.ts'

/** The user without the fields that only the table needs. */
export function publicUser (stored: StoredUser): User {
  const { expiresAt, avatar, sessions, formerAddresses, ...user } = stored
  return user
}

/** The user without what is known of earlier mails to the address. */
export function withoutMail ({ mail, ...user }: StoredUser): StoredUser {
  return user
}

/**
 * Whether a session of an account has ended. A session's id carries the version of the account with which the session
 * started, so the answer needs no clock, and a sign-in that was under way when the sessions ended has ended too.
 */
export function hasEnded ({ sessions }: StoredUser, sid: string): boolean {
  return sessions !== undefined && numberIn(sid) < sessions.since && sid !== sessions.kept
}

/** Whether this account may sign in and act now, with this token. */
export function isActing (user: StoredUser | undefined, { sid, email }: Omit<Actor, 'userId'> = {}): user is StoredUser {
  return user !== undefined && user.status !== 'SUSPENDED' &&
    (sid === undefined || !hasEnded(user, sid)) &&
    (email === undefined || email === user.email)
}

/** The addresses that an account can have back, oldest first. */
export function openAddresses ({ formerAddresses = [] }: StoredUser, now: Date): FormerAddress[] {
  return formerAddresses.filter(({ until }) => until * 1000 > now.getTime())
}

export function accountNow (user: StoredUser | undefined, now: Date): AccountNow {
  return {
    hasEnded: sid => user === undefined || hasEnded(user, sid),
    canUndo: id => user !== undefined && openAddresses(user, now).some(({ challengeId }) => challengeId === id)
  }
}
