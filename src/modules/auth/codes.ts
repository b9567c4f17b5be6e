import { newId } from '../../shared/ids.ts'
import type { ChallengeTicket } from './contract.ts'

/** How long a code is valid after it was requested. */
const LIFETIME_MS = 10 * 60_000

/** A new challenge and the time at which its code expires. */
export function newChallenge (now: Date, challengeId = newId()): ChallengeTicket {
  return { challengeId, expiresAt: new Date(now.getTime() + LIFETIME_MS).toISOString() }
}
