import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isUnavailable } from '../../shared/aws-errors.ts'
import { fieldName, Internal, MethodNotAllowed, NotFound, Unavailable, type FieldError } from '../../shared/errors.ts'
import { renderFault, type Fault } from '../../shared/problem.ts'
import { CORRELATION_HEADER } from '../correlation.ts'

// What Fastify itself refuses, in our words. The rest of its catalogue keeps its status and is told as BAD_REQUEST.
const FASTIFY_ERRORS: Record<string, readonly [code: string, detail: string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than 64 KiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['BODY_MALFORMED', 'The body is empty; expected JSON'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['BODY_MALFORMED', 'The body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BODY_MALFORMED', 'The body is not as long as Content-Length says'],
  FST_ERR_BAD_URL: ['URL_MALFORMED', 'The address is not a valid URL']
}

/** A body with ten thousand unknown properties is answered with the first few of them. */
const MAX_FIELD_ERRORS = 20

/** Characters of a property's name that are repeated to who sent it. */
const MAX_NAME = 60

const UNKNOWN_VALUE = 'is not a known value'
const WRONG_FORM = 'has a form, or characters, that cannot be taken'

/** Seconds. One window of a breaker, and long enough for a throttled table to recover its burst. */
const RETRY_AFTER = '5'

function fieldErrors (error: FastifyError): FieldError[] {
  const place = error.validationContext === 'body' ? '' : '#'
  const faults = (error.validation ?? [])
    // Of a choice, that nothing in it fits is told once, and not why each of its branches does not.
    .filter(({ schemaPath }) => !/\/anyOf\/\d/.test(schemaPath))
    .slice(0, MAX_FIELD_ERRORS)
  return faults.map(({ instancePath, keyword, params, message }) => {
    const below = (name: unknown) => `${place}${instancePath}/${String(name).slice(0, MAX_NAME).replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (keyword === 'required') return { pointer: below(params['missingProperty']), detail: 'is required' }
    if (keyword === 'discriminator') return { pointer: below(params['tag']), detail: params['tagValue'] === undefined ? 'is required' : UNKNOWN_VALUE }
    if (keyword === 'additionalProperties') return { pointer: below(params['additionalProperty']), detail: 'is not a known property' }
    const detail = keyword === 'anyOf' ? UNKNOWN_VALUE : keyword === 'pattern' ? WRONG_FORM : message ?? 'is not valid'
    return { pointer: `${place}${instancePath}`, detail }
  })
}

const summary = (errors: FieldError[]) => errors.map(({ pointer, detail }) => `${fieldName(pointer)} ${detail}`).join('; ')

/** What an entry of the catalogue says of itself. */
const told = ({ statusCode, code, message }: FastifyError) => ({ status: statusCode!, code, detail: message })

function faultOf (error: FastifyError & { errors?: FieldError[] }, request: FastifyRequest): Fault {
  const base = { instance: request.url.split('?', 1)[0]!.slice(0, 256), correlationId: request.id }
  if (error.validation !== undefined) {
    const errors = fieldErrors(error)
    return { ...base, status: 400, code: 'VALIDATION_FAILED', detail: summary(errors), errors }
  }
  if (isUnavailable(error)) {
    return { ...base, ...told(new Unavailable()) }
  }
  const status = error.statusCode ?? 500
  if (status >= 500 && error.code !== 'DEPENDENCY_UNAVAILABLE') {
    return { ...base, ...told(new Internal()) }
  }
  const known = FASTIFY_ERRORS[error.code]
  if (known !== undefined) return { ...base, status, code: known[0], detail: known[1] }
  // JSON.parse quotes the body in its message: nothing of a parser's own words is repeated.
  if (error instanceof SyntaxError || error.code === undefined || error.code.startsWith('FST_')) {
    return { ...base, status, code: 'BAD_REQUEST', detail: error instanceof SyntaxError ? 'The body is not valid JSON' : 'The request cannot be understood' }
  }
  return { ...base, status, code: error.code, detail: error.message, errors: error.errors }
}

/** Answers with an error in the shape of the version that was asked; logs it when it is ours. */
export function sendError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const fault = faultOf(error, request)
  if (fault.status >= 500) request.log.error({ err: error, code: fault.code }, 'request failed')
  if (fault.status === 503) reply.header('retry-after', RETRY_AFTER)
  if (fault.status === 401) reply.header('www-authenticate', wwwAuthenticate(request, fault.code))
  reply.header(CORRELATION_HEADER, request.id)
  const { contentType, body } = renderFault(fault, isV1(request) ? 'v1' : 'v2')
  return reply.code(fault.status).type(contentType).serializer(JSON.stringify).send(body)
}

// RFC 6750 §3.1: no error code when the client sent no token at all.
function wwwAuthenticate (request: FastifyRequest, code: string): string {
  return request.headers.authorization === undefined || code !== 'AUTH_TOKEN_INVALID'
    ? 'Bearer realm="user-service"'
    : 'Bearer realm="user-service", error="invalid_token"'
}

/** Whether a request asks for version 1; unknown paths below it included. */
export const isV1 = (request: Pick<FastifyRequest, 'url'>): boolean => /^\/v1(?:[/?]|$)/.test(request.url)

/** Methods of the routes whose pattern matches a path; empty when none does. */
function allowedMethods (routes: Map<string, Set<string>>, url: string): string[] {
  const path = url.split('?', 1)[0]!.split('/')
  const allowed = new Set<string>()
  for (const [pattern, methods] of routes) {
    const parts = pattern.split('/')
    const matches = parts.length === path.length && parts.every((part, i) => part === path[i] || (part.startsWith(':') && path[i] !== ''))
    if (matches) for (const method of methods) allowed.add(method)
  }
  return [...allowed].sort()
}

function collectRoutes (app: FastifyInstance): Map<string, Set<string>> {
  const routes = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return
    const methods = routes.get(url) ?? new Set()
    for (const m of Array.isArray(method) ? method : [method]) methods.add(m)
    routes.set(url, methods)
  })
  return routes
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Throws what is said of an address and a method that no route answers: 404, or 405 with `Allow`. */
    refuse (request: FastifyRequest, reply: FastifyReply): never
  }
}

/** One error handler for everything, with 404 and 405 decided before a body is read. */
export default fp(async function errors (app) {
  const routes = collectRoutes(app)
  app.decorate('refuse', (request, reply) => {
    const allowed = allowedMethods(routes, request.url)
    if (allowed.length === 0) throw new NotFound()
    reply.header('allow', allowed.join(', '))
    throw new MethodNotAllowed()
  })
  // After every onRequest hook: what they say on an answer (CORS, the end of v1) holds for these as well.
  app.addHook('preParsing', async (request, reply) => { if (request.is404) app.refuse(request, reply) })
  app.setNotFoundHandler((request, reply) => app.refuse(request, reply))
  app.setErrorHandler<FastifyError>((error, request, reply) => sendError(error, request, reply))
}, { name: 'errors', dependencies: ['correlation'] })
