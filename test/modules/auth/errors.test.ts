import t from 'tap'
import { CodeInvalid, CodesExhausted, codesExhausted, EmailChangesExhausted, EmailTaken, RefreshTokenInvalid, SessionNotFound } from '../../../src/modules/auth/errors.ts'
import { exampleOf } from '../../../src/shared/errors.ts'

t.test('clients know each refusal by its code and status, and people by its text', async t => {
  t.same([CodeInvalid, RefreshTokenInvalid, SessionNotFound, EmailTaken, EmailChangesExhausted, CodesExhausted].map(exampleOf), [
    { status: 401, code: 'AUTH_CODE_INVALID', detail: 'The code is wrong, has expired, has been used or was tried too often; request a new one' },
    { status: 401, code: 'AUTH_REFRESH_TOKEN_INVALID', detail: 'The refresh token is no longer valid; sign in again' },
    { status: 404, code: 'AUTH_SESSION_NOT_FOUND', detail: 'There is no such session' },
    { status: 409, code: 'AUTH_EMAIL_TAKEN', detail: 'The address belongs to another account' },
    { status: 409, code: 'AUTH_EMAIL_CHANGES_EXHAUSTED', detail: 'The address of this account has been changed too often in the last seven days; try again in a few days' },
    { status: 429, code: 'AUTH_CODES_EXHAUSTED', detail: 'Too many codes have been sent to this address; use the newest one, or try again after the time in Retry-After' }
  ])
})

t.test('who has had too many codes learns when to try again', async t => {
  t.match(codesExhausted(17), { statusCode: 429, code: 'AUTH_CODES_EXHAUSTED', retryAfter: 17 })
})
