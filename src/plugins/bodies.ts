import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isUtf8 } from 'node:buffer'
import { BodyMalformed, pointerTo, UnsupportedMediaType, validationError, type FieldError } from '../shared/errors.ts'

const JSON_ONLY = ['application/json']

const EMPTY = 'The body is empty; expected JSON'

/** Maximum number of fields to report, and of characters in a pointer, when a body has lone surrogates. */
const MAX_FIELD_ERRORS = 20
const MAX_POINTER = 256

/** Maximum characters of a client's header that an answer repeats. */
const MAX_QUOTED = 60

/** A header's value in a form that is safe to repeat in an answer: short, printable, no quotes. */
const quoted = (value: string) => `"${value.replace(/[^\x20-\x7e]|["\\<>]/g, '').slice(0, MAX_QUOTED)}"`

/** A route accepts the content types that its document lists. */
const acceptedBy = ({ routeOptions }: FastifyRequest) => (routeOptions.schema as { consumes?: string[] } | undefined)?.consumes ?? JSON_ONLY

/** Checks the headers that describe a body. Returns `undefined` when they allow JSON in UTF-8. */
function mediaTypeError (request: FastifyRequest): Error | undefined {
  const { headers } = request
  const accepted = acceptedBy(request)
  const { 'content-type': contentType, 'content-encoding': contentEncoding } = headers
  if (contentType === undefined) return new UnsupportedMediaType(`The body must be ${accepted.join(' or ')}; this one has no content type`)
  const [type = '', ...parameters] = contentType.split(';')
  if (!accepted.includes(type.trim().toLowerCase())) return new UnsupportedMediaType(`The body must be ${accepted.join(' or ')}; this one is ${quoted(contentType)}`)
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'charset') continue
    if (!/^"?utf-?8"?$/i.test(value.trim())) return new UnsupportedMediaType(`The body must be in UTF-8; this one has the charset ${quoted(value.trim())}`)
  }
  if (contentEncoding !== undefined) return new UnsupportedMediaType(`The body must not be compressed; this one has Content-Encoding ${quoted(contentEncoding)}`)
}

/** Answers an unsupported type of a patch with the types that are supported, RFC 5789 §2.2. */
function sayAccepted (request: FastifyRequest, reply: FastifyReply, error: Error): Error {
  if (request.method === 'PATCH' && error instanceof UnsupportedMediaType) reply.header('accept-patch', acceptedBy(request).join(', '))
  return error
}

/** In JSON text: an escape for half a character. A lone one has no form in UTF-8, so it would be stored as U+FFFD. */
const SURROGATE = /\\ud[89a-f]/i

/** The fields of a body with a lone surrogate in their value or name. Not recursive, because a body may be 30,000 levels deep. */
function brokenFields (body: unknown): FieldError[] {
  const broken: FieldError[] = []
  const rest: [pointer: string, value: unknown][] = [['', body]]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [pointer, value] = next
    if (typeof value === 'string' && !value.isWellFormed()) broken.push({ pointer, detail: 'must consist of whole characters' })
    if (typeof value !== 'object' || value === null) continue
    for (const [name, below] of Object.entries(value)) {
      if (!name.isWellFormed()) broken.push({ pointer, detail: 'must have property names of whole characters' })
      // Every schema rejects bodies deeper than this.
      else if (pointer.length < MAX_POINTER) rest.push([pointer + pointerTo(name), below])
    }
  }
  return broken.slice(0, MAX_FIELD_ERRORS)
}

const takesBody = ({ routeOptions }: FastifyRequest) => (routeOptions.schema as { body?: unknown } | undefined)?.body !== undefined

/**
 * Accepts uncompressed JSON in UTF-8, of the types that a route's schema lists under `consumes` (default:
 * `application/json`). A request without a body is served whatever its headers say, unless the route needs a body.
 */
export default fp(async function bodies (app) {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  // Errors about a body that may still turn out to be empty, because a chunked body has no length.
  const errors = new WeakMap<FastifyRequest, Error>()

  // Runs before the body is read.
  app.addHook('preParsing', (request, reply, payload, done) => {
    const { headers } = request
    const contentType = headers['content-type']
    const isEmpty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
    if (isEmpty && contentType === undefined) return done(takesBody(request) ? new BodyMalformed(EMPTY) : null, payload)
    // Fast path for what nearly every client sends.
    const error = contentType === 'application/json' && headers['content-encoding'] === undefined ? undefined : mediaTypeError(request)
    if (takesBody(request)) {
      if (error !== undefined || isEmpty) return done(error === undefined ? new BodyMalformed(EMPTY) : sayAccepted(request, reply, error), payload)
    } else if (error !== undefined) {
      errors.set(request, error)
    }
    // The content type has been checked. Fastify would check it again, and reject a DELETE without a body for an unknown
    // type. It is overwritten and not deleted, because deleting a property makes the object slower.
    if (contentType !== 'application/json' || isEmpty) headers['content-type'] = undefined
    done(null, payload)
  })

  app.addContentTypeParser<Buffer>(['application/json', '*'], { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(takesBody(request) ? new BodyMalformed(EMPTY) : null, undefined)
    const error = errors.get(request)
    if (error !== undefined) return done(error)
    if (!isUtf8(body)) return done(new BodyMalformed('The body is not valid UTF-8'))
    const text = body.toString()
    return parseJson(request, text, (error, parsed) => {
      if (error !== null || !SURROGATE.test(text)) return done(error, parsed)
      const broken = brokenFields(parsed)
      done(broken.length > 0 ? validationError(broken) : null, parsed)
    })
  })
}, { name: 'bodies', dependencies: ['errors'] })
