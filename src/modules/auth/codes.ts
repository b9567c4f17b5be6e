import { newId } from '../../shared/ids.ts'
import type { ChallengeTicket } from './contract.ts'

/** How long a code can be used after it was asked for. */
const LIFETIME_MS = 10 * 60_000

/** A new challenge and until when its code can be used. */
export function newChallenge (now: Date, challengeId = newId()): ChallengeTicket {
  return { challengeId, expiresAt: new Date(now.getTime() + LIFETIME_MS).toISOString() }
}
