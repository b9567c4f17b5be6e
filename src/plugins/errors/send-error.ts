import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isUnavailable } from '../../shared/aws-errors.ts'
import { HostMissing, Internal, MethodNotAllowed, NotFound, Overloaded, summaryOf, TOKEN_INVALID, Unavailable, type FieldError } from '../../shared/errors.ts'
import { renderFault, type Fault } from '../../shared/problem.ts'
import { CORRELATION_HEADER } from '../correlation.ts'
import { pathOf } from '../request-target.ts'
import { versionOf } from '../versions.ts'
import { fieldErrors } from './field-errors.ts'

// Our texts for Fastify's own errors. Its other errors keep their status and become BAD_REQUEST.
const FASTIFY_ERRORS: Record<string, readonly [code: string, detail: string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than 64 KiB'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['BODY_MALFORMED', 'The body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BODY_MALFORMED', 'The body is not as long as Content-Length says'],
  FST_ERR_BAD_URL: ['URL_MALFORMED', 'The path is not a valid URL path']
}

/** Codes that an operation may answer without declaring them, for the API documents. */
export const SHARED_CODES = [
  ...Object.values(FASTIFY_ERRORS).map(([code]) => code),
  ...[NotFound, MethodNotAllowed, HostMissing, Overloaded].map(Shared => new Shared().code)
]

/** Codes of the failures that clients learn of. Every other one is INTERNAL to them. */
const SHOWN_FAILURES = new Set<string>([Unavailable, Overloaded].map(Shown => new Shown().code))

/** Maximum characters of a path that an answer repeats. */
const MAX_INSTANCE = 256

/** Seconds: one window of a circuit breaker, and long enough for a throttled table to recover. */
const RETRY_AFTER = 5

/** Optional properties of an error, besides code, status and message. */
interface Details {
  errors?: FieldError[]
  /** seconds to wait, for the header `Retry-After` */
  retryAfter?: number
  /** what throws it reports it: it is not logged for each request */
  isReported?: boolean
}

const catalogued = ({ statusCode, code, message }: FastifyError) => ({ status: statusCode!, code, detail: message })

/** Whether the client's connection failed while its body was read. It has the codes of a dependency's connection. */
const isOfClient = (error: FastifyError, { raw }: FastifyRequest) => error === raw.errored

function faultOf (error: FastifyError & Details, request: FastifyRequest): Fault {
  const base = { instance: pathOf(request).slice(0, MAX_INSTANCE), correlationId: request.id }
  if (error.validation !== undefined) {
    const { errors, more } = fieldErrors(error, request.routeOptions.schema as Record<string, unknown> | undefined, id => request.server.getSchema(id), request.body)
    return { ...base, status: 400, code: 'VALIDATION_FAILED', detail: `${summaryOf(errors)}${more > 0 ? `; and ${more} more` : ''}`, errors }
  }
  if (isOfClient(error, request)) return { ...base, status: 400, code: 'BODY_MALFORMED', detail: 'The connection ended before the whole body had arrived' }
  if (isUnavailable(error)) return { ...base, ...catalogued(new Unavailable()) }
  const status = error.statusCode ?? 500
  if (status >= 500 && !SHOWN_FAILURES.has(error.code)) return { ...base, ...catalogued(new Internal()) }
  const known = FASTIFY_ERRORS[error.code]
  if (known !== undefined) return { ...base, status, code: known[0], detail: known[1] }
  // JSON.parse quotes the body in its message, so a parser's message is never repeated.
  if (error instanceof SyntaxError || error.code === undefined || error.code.startsWith('FST_')) {
    return { ...base, status, code: 'BAD_REQUEST', detail: error instanceof SyntaxError ? 'The body is not valid JSON' : 'The request cannot be understood' }
  }
  return { ...base, status, code: error.code, detail: error.message, errors: error.errors }
}

/** Sends an error in the format of the requested version. Logs it when its status is 500 or higher. */
export function sendError (error: FastifyError & Details, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const fault = faultOf(error, request)
  if (fault.status >= 500 && error.isReported !== true) request.log.error({ err: error, code: fault.code }, 'request failed')
  if (isOfClient(error, request)) request.log.info({ code: fault.code }, 'the client left before the whole body had arrived')
  const retryAfter = error.retryAfter ?? (fault.status === 503 ? RETRY_AFTER : undefined)
  if (retryAfter !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfter))))
  if (fault.status === 401) reply.header('www-authenticate', wwwAuthenticate(request, fault.code))
  reply.header(CORRELATION_HEADER, request.id)
  const { contentType, body } = renderFault(fault, versionOf(request) === 'v1' ? 'v1' : 'v2')
  return reply.code(fault.status).type(contentType).serializer(JSON.stringify).send(body)
}

// RFC 6750 §3.1: no error code when the client sent no token. Every bad JWT gets the same description, so that attackers
// do not learn which part is wrong. What is no JWT at all is a mistake of the client's code, which the description names.
function wwwAuthenticate (request: FastifyRequest, code: string): string {
  const { authorization } = request.headers
  if (authorization === undefined || code !== TOKEN_INVALID) return 'Bearer realm="user-service"'
  const description = !/^Bearer +\S/i.test(authorization)
    ? 'The Authorization header must be the word Bearer, a space and the access token'
    : authorization.includes('.')
      ? 'The access token is malformed, expired or not from this service'
      : 'This is not an access token, which has two dots; a refresh token is not accepted here'
  return `Bearer realm="user-service", error="invalid_token", error_description="${description}"`
}
