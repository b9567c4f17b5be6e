import createError from '@fastify/error'

// One answer each, whatever the reason: which of several things is wrong helps nobody but who is guessing.
export const CodeInvalid = createError('AUTH_CODE_INVALID', 'The code is wrong, too old, already used or was tried too often; ask for a new one', 401)
export const RefreshTokenInvalid = createError('AUTH_REFRESH_TOKEN_INVALID', 'The refresh token is no longer valid; sign in again', 401)
