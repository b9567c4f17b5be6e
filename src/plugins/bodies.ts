import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isUtf8 } from 'node:buffer'
import { BodyMalformed, UnsupportedMediaType } from '../shared/errors.ts'

const JSON_ONLY = ['application/json']

const EMPTY = 'The body is empty; expected JSON'

/** Characters of a client's header that are repeated in the answer. */
const MAX_QUOTED = 60

/** A header's value, fit to be repeated in an answer: short, printable, nothing that ends a string. */
const quoted = (value: string) => `"${value.replace(/[^\x20-\x7e]|["\\<>]/g, '').slice(0, MAX_QUOTED)}"`

/** What is wrong with the headers that describe a body; `undefined` when it can be read as JSON in UTF-8. */
function mediaTypeError ({ headers, routeOptions }: FastifyRequest): Error | undefined {
  // What a route's document says that it takes is what it takes.
  const accepted = (routeOptions.schema as { consumes?: string[] } | undefined)?.consumes ?? JSON_ONLY
  const { 'content-type': contentType, 'content-encoding': contentEncoding } = headers
  if (contentType === undefined) return new UnsupportedMediaType(`The body must be ${accepted.join(' or ')}; this one has no content type`)
  const [type = '', ...parameters] = contentType.split(';')
  if (!accepted.includes(type.trim().toLowerCase())) return new UnsupportedMediaType(`The body must be ${accepted.join(' or ')}; this one says ${quoted(contentType)}`)
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'charset') continue
    if (!/^"?utf-?8"?$/i.test(value.trim())) return new UnsupportedMediaType(`The body must be in UTF-8; this one says charset ${quoted(value.trim())}`)
  }
  if (contentEncoding !== undefined) return new UnsupportedMediaType(`The body must not be compressed; this one says Content-Encoding ${quoted(contentEncoding)}`)
}

/** Whether JSON text has a `\u` escape for half a character. It has no form in UTF-8: stored, it would become U+FFFD. */
function hasLoneSurrogate (text: string): boolean {
  if (!/\\ud[89a-f]/i.test(text)) return false
  const escapes = text.replace(/\\\\/g, '--').replace(/\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}/gi, '')
  return /\\ud[89a-f]/i.test(escapes)
}

const takesBody = ({ routeOptions }: FastifyRequest) => (routeOptions.schema as { body?: unknown } | undefined)?.body !== undefined

/**
 * Bodies: JSON in UTF-8, uncompressed, of the types that a route's schema lists under `consumes` (`application/json`
 * where it lists none). A request without a body is served whatever its headers say of one, unless the route needs it.
 */
export default fp(async function bodies (app) {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  const errors = new WeakMap<FastifyRequest, Error>()

  // Before anything of the body is read.
  app.addHook('preParsing', async request => {
    const { headers } = request
    const isEmpty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
    const error = mediaTypeError(request)
    if (takesBody(request)) {
      if (error !== undefined && !(isEmpty && headers['content-type'] === undefined)) throw error
      if (isEmpty) throw new BodyMalformed(EMPTY)
    } else if (error !== undefined && !isEmpty) {
      // Chunked, it may be empty all the same.
      errors.set(request, error)
    }
    // Settled: Fastify would judge it once more, and refuse a bodiless DELETE for a type that it cannot read.
    delete headers['content-type']
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(takesBody(request) ? new BodyMalformed(EMPTY) : null, undefined)
    const error = errors.get(request)
    if (error !== undefined) return done(error)
    if (!isUtf8(body)) return done(new BodyMalformed('The body is not valid UTF-8'))
    const text = body.toString()
    if (hasLoneSurrogate(text)) return done(new BodyMalformed('The body has an escape for half a character (a lone surrogate)'))
    // Its types know strings only as the body of a request that Fastify has decoded itself.
    return parseJson(request, text, done)
  })
}, { name: 'bodies', dependencies: ['errors'] })
