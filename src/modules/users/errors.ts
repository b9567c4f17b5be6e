import createError from '@fastify/error'

/** v1 only: v2 answers a known address like an unknown one. The words are the article's. */
export const EmailTaken = createError('USERS_EMAIL_TAKEN', 'User already exists', 409)
/** Also for somebody else's account: whether it exists is not told. */
export const UserNotFound = createError('USERS_NOT_FOUND', 'There is no such user', 404)
export const UserConflict = createError('USERS_CONFLICT', 'The user was changed by somebody else at the same moment; try again', 409)
