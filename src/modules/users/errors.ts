import createError from '@fastify/error'

/** In v1, and for admins in v2: v2's own registration gives known and unknown addresses the same answer. The text is the article's. */
export const EmailTaken = createError('USERS_EMAIL_TAKEN', 'User already exists', 409)
/** Also the answer for another user's account, so that callers cannot find out whether it exists. */
export const UserNotFound = createError('USERS_NOT_FOUND', 'There is no such user', 404)
export const UserConflict = createError('USERS_CONFLICT', 'The user was changed by another request at the same time; try again', 409)
/** Without an admin, only a deployment could make another one. */
export const LastAdmin = createError('USERS_LAST_ADMIN', 'This is the last active admin; make another user an admin first', 409)
