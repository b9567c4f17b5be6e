import createError, { type FastifyError } from '@fastify/error'

/** One invalid field: `pointer` is a JSON Pointer (RFC 6901) into the body, or the parameter's name after `#/`. */
export interface FieldError {
  pointer: string
  detail: string
}

const ValidationError = createError('VALIDATION_FAILED', '%s', 400)

/** Maximum length of a property name in an answer. */
const MAX_NAME = 60

/** One step of a JSON Pointer for a property name, truncated. */
export const pointerTo = (name: string): string => `/${name.slice(0, MAX_NAME).replaceAll('~', '~0').replaceAll('/', '~1')}`

/** The field of a pointer in plain form: `name`, `address.city`, or `body` for the whole body. */
export const fieldName = (pointer: string): string => pointer.replace(/^#?\//, '').replaceAll('/', '.') || 'body'

/** All invalid fields in one sentence: `email is required; name must have at least 2 characters`. */
export const summaryOf = (errors: FieldError[]): string => errors.map(({ pointer, detail }) => `${fieldName(pointer)} ${detail}`).join('; ')

/** A 400 that names the fields, for rules that a JSON Schema cannot express. Each detail continues the field's name: `is required`. */
export function validationError (errors: FieldError[]): Error & { errors: FieldError[] } {
  return Object.assign(new ValidationError(summaryOf(errors)), { errors })
}

/** An entry of an error catalogue, made by `createError`. */
export type ErrorClass = new () => FastifyError

/** The parts of an error that the API documents show. */
export function exampleOf (ErrorClass: ErrorClass): { status: number, code: string, detail: string } {
  const { statusCode, code, message } = new ErrorClass()
  return { status: statusCode!, code, detail: message }
}

// Errors that every module may return; a module's own errors are in its `errors.ts`.
export const NotFound = createError('NOT_FOUND', 'There is no resource at this path', 404)
export const MethodNotAllowed = createError('METHOD_NOT_ALLOWED', 'Method not allowed on this path; see the Allow header', 405)
export const HostMissing = createError('HOST_MISSING', 'The Host header is missing', 400)
export const UrlMalformed = createError('URL_MALFORMED', 'The path is not a valid URL path', 400)
export const BodyMalformed = createError<[message: string]>('BODY_MALFORMED', '%s', 400)
export const UnsupportedMediaType = createError<[message: string]>('UNSUPPORTED_MEDIA_TYPE', '%s', 415)
/** Clients rely on this code. It is defined here because every protected route can return it. */
export const TOKEN_INVALID = 'AUTH_TOKEN_INVALID'
export const Unauthorized = createError(TOKEN_INVALID, 'A valid access token is required', 401)
export const Forbidden = createError('FORBIDDEN', 'The role of this account does not allow this operation', 403)
export const Gone = createError('V1_GONE', 'Version 1 of this API has been switched off; use version 2', 410)
export const IdempotencyInProgress = createError('IDEMPOTENCY_IN_PROGRESS', 'The first request with this Idempotency-Key is still running; repeat it after the time in Retry-After', 409)
export const IdempotencyKeyReused = createError('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used for another request; use a new key for each new request', 422)
export const PreconditionFailed = createError('PRECONDITION_FAILED', 'The resource is not in the state that If-Match or If-None-Match asks for; read it again', 412)
export const TooManyRequests = createError('RATE_LIMITED', 'Too many requests; try again after the time in Retry-After', 429)
export const Internal = createError('INTERNAL', 'Something went wrong on our side; quote the correlation id when you report it', 500)
export const Overloaded = createError('OVERLOADED', 'Too many requests are running; try again after the time in Retry-After', 503)
export const Unavailable = createError('DEPENDENCY_UNAVAILABLE', 'A dependency of this service does not answer; try again', 503)
