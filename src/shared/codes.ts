import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'

const DIGITS = 8

/**
 * The code of a challenge: HOTP's truncation (RFC 4226 §5.3) of HMAC-SHA-256 over the challenge id. Derived where it is
 * mailed and where it is checked, so that no code is ever stored, queued or logged.
 *
 * @returns 8 digits
 */
export function codeFor (codeKey: Buffer, challengeId: string): string {
  const mac = createHmac('sha256', codeKey).update(challengeId).digest()
  const offset = mac[mac.length - 1]! & 0x0f
  const number = mac.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}

/** Whether a code is the challenge's under one of the keys (a secret may have been rotated since it was mailed). */
export function isCodeFor (codeKeys: readonly Buffer[], challengeId: string, code: string): boolean {
  let equal = false
  const given = Buffer.from(code)
  for (const key of codeKeys) {
    const expected = Buffer.from(codeFor(key, challengeId))
    // No early return: which key matched must not show in the time.
    equal = (given.length === expected.length && timingSafeEqual(given, expected)) || equal
  }
  return equal
}

/** A keyed name for a person's data where the data itself must not stand (counters, logs). 128 bits, base64url. */
export function pseudonym (pseudonymKey: Buffer, value: string): string {
  return createHmac('sha256', pseudonymKey).update(value).digest('base64url').slice(0, 22)
}

/** How long a code can be used after it was asked for. */
const CHALLENGE_LIFETIME_MS = 10 * 60_000

/** A new challenge id and, as ISO 8601, until when its code can be used. */
export function newChallenge (now: Date): { challengeId: string, expiresAt: string } {
  return { challengeId: randomUUID(), expiresAt: new Date(now.getTime() + CHALLENGE_LIFETIME_MS).toISOString() }
}
