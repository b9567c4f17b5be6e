import createError from '@fastify/error'

export const UploadsDisabled = createError('UPLOADS_DISABLED', 'This service stores no avatars', 404)
export const AvatarNotFound = createError('AVATARS_NOT_FOUND', 'There is no such avatar', 404)
