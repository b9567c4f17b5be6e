import { addressOf } from '../shared/network.ts'
import { isAlb, isV2, type HttpEvent } from './http-event.ts'
import { pathOf } from './request-path.ts'
import type { AppRequest } from './serve.ts'

type RequestHeaders = AppRequest['headers']

/** The query as the client wrote it. Only a REST API decodes it; a load balancer leaves names and values unchanged. */
function queryOf (event: HttpEvent): string {
  if (isV2(event)) return event.rawQueryString
  const encode = isAlb(event) ? String : encodeURIComponent
  const parameters = event.multiValueQueryStringParameters ?? event.queryStringParameters ?? {}
  return Object.entries(parameters)
    .flatMap(([name, values]) => (Array.isArray(values) ? values : [values ?? '']).map(value => `${encode(name)}=${encode(value)}`))
    .join('&')
}

/** Headers of which Node keeps the first value only; the length of the body is counted. See `message.headers` in its documentation. */
const SINGLE = new Set(['age', 'authorization', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent'])

/** A repeated header as Node joins it. */
function joined (name: string, values: unknown[]): string | string[] {
  if (name === 'set-cookie') return values.map(String)
  return SINGLE.has(name) ? String(values[0]) : values.join(name === 'cookie' ? '; ' : ', ')
}

const DROPPED = new Set([
  // The event has the complete body, so the length is counted.
  'content-length', 'transfer-encoding',
  // The adapter's own, which it trusts.
  'x-aws-lambda-fastify-request', 'x-apigateway-event', 'x-apigateway-context',
  // Would set the prototype.
  '__proto__'
])

/** Headers in lower case, as Node gives them to a server. */
export function headersOf (event: HttpEvent): RequestHeaders {
  const headers: RequestHeaders = {}
  const given: Record<string, unknown> = isV2(event) ? event.headers : event.multiValueHeaders ?? event.headers ?? {}
  // A compressed answer is base64, which a REST API decodes only for clients that accept one of its binary types.
  const isRest = !isV2(event) && !isAlb(event)
  for (const name in given) {
    const value = given[name]
    const lower = name.toLowerCase()
    if (value === undefined || DROPPED.has(lower) || (isRest && lower === 'accept-encoding')) continue
    headers[lower] = !Array.isArray(value) ? String(value) : value.length === 1 ? String(value[0]) : joined(lower, value)
  }
  if (isV2(event) && event.cookies !== undefined) headers['cookie'] = event.cookies.join('; ')
  return headers
}

/**
 * The bytes of a body. Sources that pass JSON on as text have replaced bytes that are not UTF-8 by U+FFFD. Each becomes an
 * invalid byte again, so that the app rejects the body, and does not store what its client never wrote.
 */
function bodyOf ({ body, isBase64Encoded }: HttpEvent): Buffer | null {
  if (body === undefined || body === null) return null
  if (isBase64Encoded) return Buffer.from(body, 'base64')
  const bytes = Buffer.from(body)
  return String(body).includes('\uFFFD') ? Buffer.from(bytes.toString('latin1').replaceAll('\xEF\xBF\xBD', '\xFF'), 'latin1') : bytes
}

/** The client's address as AWS saw it. A load balancer has no field for it, but appends it to X-Forwarded-For, with the port if configured. */
function sourceIpOf (event: HttpEvent, headers: RequestHeaders): string | undefined {
  if (isV2(event)) return event.requestContext.http.sourceIp
  if (!isAlb(event)) return event.requestContext.identity?.sourceIp
  return addressOf([headers['x-forwarded-for'] ?? []].flat().at(-1)?.split(',').at(-1) ?? '')
}

/** The request that an event carries. Throws when it carries none. */
export function requestOf (event: HttpEvent, method: string, publicPath: string): AppRequest {
  const headers = headersOf(event)
  const query = queryOf(event)
  const body = bodyOf(event)
  const address = sourceIpOf(event, headers)
  if (body !== null) headers['content-length'] = String(body.length)
  // AWS always passes it on. `inject` gives it to events without it.
  headers['host'] ||= 'localhost:80'
  return {
    method,
    target: pathOf(event, publicPath) + (query === '' ? '' : `?${query}`),
    headers,
    body,
    address: address === undefined || address === '' ? '127.0.0.1' : address,
    isV2: isV2(event)
  }
}
