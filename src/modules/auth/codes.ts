import { randomUUID } from 'node:crypto'

/** How long a code can be used after it was asked for. */
const CHALLENGE_LIFETIME_MS = 10 * 60_000

/** A new challenge id and, as ISO 8601, until when its code can be used. */
export function newChallenge (now: Date): { challengeId: string, expiresAt: string } {
  return { challengeId: randomUUID(), expiresAt: new Date(now.getTime() + CHALLENGE_LIFETIME_MS).toISOString() }
}
