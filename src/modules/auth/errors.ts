import createError from '@fastify/error'

// One answer for every reason: to say which part is wrong would help only attackers who guess.
export const CodeInvalid = createError('AUTH_CODE_INVALID', 'The code is wrong, has expired, has been used or was tried too often; request a new one', 401)
export const RefreshTokenInvalid = createError('AUTH_REFRESH_TOKEN_INVALID', 'The refresh token is no longer valid; sign in again', 401)

export const SessionNotFound = createError('AUTH_SESSION_NOT_FOUND', 'There is no such session', 404)

// The answer to a right code only: the caller has shown that the mailbox is theirs.
export const EmailTaken = createError('AUTH_EMAIL_TAKEN', 'The address belongs to another account', 409)
export const EmailChangesExhausted = createError('AUTH_EMAIL_CHANGES_EXHAUSTED', 'The address of this account has been changed too often in the last seven days; try again in a few days', 409)

export const CodesExhausted = createError('AUTH_CODES_EXHAUSTED', 'Too many codes have been sent to this address; use the newest one, or try again after the time in Retry-After', 429)

/** The address has reached its limit of codes, in total or from this network. `retryAfter` in seconds. */
export function codesExhausted (retryAfter: number): Error {
  return Object.assign(new CodesExhausted(), { retryAfter })
}
