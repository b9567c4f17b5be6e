import t from 'tap'
import * as errors from '../../../src/modules/users/errors.ts'
import { exampleOf } from '../../../src/shared/errors.ts'

t.test('what callers are told: the codes are for programs, the texts for people', async t => {
  t.strictSame(Object.fromEntries(Object.entries(errors).map(([name, ErrorClass]) => [name, exampleOf(ErrorClass)])), {
    EmailTaken: { status: 409, code: 'USERS_EMAIL_TAKEN', detail: 'User already exists' },
    UserNotFound: { status: 404, code: 'USERS_NOT_FOUND', detail: 'There is no such user' },
    UserConflict: { status: 409, code: 'USERS_CONFLICT', detail: 'The user was changed by another request at the same time; try again' },
    LastAdmin: { status: 409, code: 'USERS_LAST_ADMIN', detail: 'This is the last active admin; make another user an admin first' }
  })
})
