import createError from '@fastify/error'

// One answer each, whatever the reason: which of several things is wrong helps only who is guessing.
export const CodeInvalid = createError('AUTH_CODE_INVALID', 'The code is wrong, expired, already used or was tried too often; ask for a new one', 401)
export const RefreshTokenInvalid = createError('AUTH_REFRESH_TOKEN_INVALID', 'The refresh token is no longer valid; sign in again', 401)

export const CodesExhausted = createError('AUTH_CODES_EXHAUSTED', 'This address has been sent as many codes as it may get; use the newest one, or try again after the time in Retry-After', 429)

/** The address, or the network that asks for it, has had its share of codes. `retryAfter` in seconds. */
export function codesExhausted (retryAfter: number): Error {
  return Object.assign(new CodesExhausted(), { retryAfter })
}
