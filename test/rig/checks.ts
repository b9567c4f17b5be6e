import type { SeenMail } from './system.ts'

// What must not be, in Jepsen's words. `acknowledged` are the addresses whose registration was answered with success.

type Item = Record<string, unknown>

/** Acknowledged addresses without an account. */
export function lostUsers (acknowledged: Iterable<string>, items: Item[]): string[] {
  const emails = new Set(items.filter(({ kind }) => kind === 'user').map(({ email }) => email))
  return [...acknowledged].filter(email => !emails.has(email))
}

/** Acknowledged addresses without a mail. */
export function lostMails (acknowledged: Iterable<string>, mails: SeenMail[]): string[] {
  const mailed = new Set(mails.map(({ to }) => to))
  return [...acknowledged].filter(email => !mailed.has(email))
}

/** Accounts without a claim on their address, and claims without an account. */
export function halfWritten (items: Item[]): string[] {
  const users = new Map(items.filter(({ kind }) => kind === 'user').map(({ userId, email }) => [userId, email]))
  const claims = new Map(items.filter(({ kind }) => kind === 'claim').map(({ userId, ownerId }) => [String(userId).slice('email#'.length), ownerId]))
  return [
    ...[...users].filter(([id, email]) => claims.get(String(email)) !== id).map(([, email]) => `the account of ${String(email)}`),
    ...[...claims].filter(([email, ownerId]) => users.get(ownerId) !== email).map(([email]) => `the claim on ${email}`)
  ]
}

/** Addresses with more than one account. */
export function duplicateUsers (items: Item[]): string[] {
  const emails = items.filter(({ kind }) => kind === 'user').map(({ email }) => String(email))
  return emails.filter((email, i) => emails.indexOf(email) !== i)
}

/** Mails that came before with the same Message-ID. */
export function duplicateMails (mails: SeenMail[]): SeenMail[] {
  const seen = new Set<string>()
  return mails.filter(({ messageId }) => seen.size === seen.add(messageId).size)
}

/** A read that began after a write was acknowledged, with the versions of both. */
export interface Read { acknowledged: number, seen: number }

/** Reads that missed a write that was acknowledged before. */
export const stale = (reads: Read[]): Read[] => reads.filter(({ acknowledged, seen }) => seen < acknowledged)
