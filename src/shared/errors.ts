import createError from '@fastify/error'

/** One refused field: `pointer` is a JSON Pointer (RFC 6901) into the body, or the parameter's name after `#/`. */
export interface FieldError {
  pointer: string
  detail: string
}

const ValidationError = createError('VALIDATION_FAILED', '%s', 400)

/** The field of a pointer as people write it: `name`, `address.city`; `body` for the whole of it. */
export const fieldName = (pointer: string): string => pointer.replace(/^#?\//, '').replaceAll('/', '.') || 'body'

/** A 400 that names the fields; for rules that a JSON Schema cannot say. */
export function validationError (errors: FieldError[]): Error & { errors: FieldError[] } {
  const message = errors.map(({ pointer, detail }) => `${fieldName(pointer)}: ${detail}`).join('; ')
  return Object.assign(new ValidationError(message), { errors })
}

// What every module may answer; a module's own errors are in its `errors.ts`.
export const NotFound = createError('NOT_FOUND', 'There is nothing at this address', 404)
export const MethodNotAllowed = createError('METHOD_NOT_ALLOWED', 'This address does not take this method; see the Allow header', 405)
export const Unauthorized = createError('AUTH_TOKEN_INVALID', 'A valid access token is required', 401)
export const Forbidden = createError('FORBIDDEN', 'The role of this account does not allow this operation', 403)
export const Gone = createError('V1_GONE', 'Version 1 of this API has been switched off; use version 2', 410)
export const TooManyRequests = createError('RATE_LIMITED', 'Too many requests; try again after the time in Retry-After', 429)
export const Internal = createError('INTERNAL', 'Something went wrong on our side; quote the correlation id when you report it', 500)
export const Unavailable = createError('DEPENDENCY_UNAVAILABLE', 'A part this service depends on does not answer; try again', 503)
