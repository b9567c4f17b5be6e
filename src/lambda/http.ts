import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import { METHODS, type IncomingHttpHeaders } from 'node:http'
import type { App } from '../app.ts'
import { CORRELATION_HEADER, correlationIdOf } from '../plugins/correlation.ts'
import { SECURITY_HEADERS } from '../plugins/security-headers.ts'
import { lifecycleHeaders, versionOfPath } from '../plugins/versions.ts'
import { basePathOf } from '../shared/base-path.ts'
import { Internal } from '../shared/errors.ts'
import { isObject } from '../shared/is-object.ts'
import { addressOf } from '../shared/network.ts'
import { renderFault } from '../shared/problem.ts'
import { createAdapter } from './adapter.ts'
import { createDirect } from './direct.ts'
import type { AppRequest, HttpAnswer, Serve } from './serve.ts'

type RequestHeaders = AppRequest['headers']
export type HttpEvent = APIGatewayProxyEvent | APIGatewayProxyEventV2 | ALBEvent

/** Maximum bytes of an answer as JSON that Lambda passes on; behind a load balancer it is 1 MB. */
const MAX_ANSWER = 6_291_556
const MAX_ALB_ANSWER = 1_048_576

/** Whether an event carries an HTTP request. */
export function isHttp (event: Record<string, unknown>): event is Record<string, unknown> & HttpEvent {
  const context = event['requestContext']
  // An authorizer's event looks like an HTTP request, but its answer would be read as a policy.
  if (!isObject(context) || 'methodArn' in event || 'routeArn' in event) return false
  return typeof event['httpMethod'] === 'string' || (isObject(context['http']) && typeof context['http']['method'] === 'string')
}

const isV2 = (event: HttpEvent): event is APIGatewayProxyEventV2 => 'http' in event.requestContext
const isAlb = (event: HttpEvent): event is ALBEvent => 'elb' in event.requestContext

/** The path without the stage. An HTTP API puts the stage in front, unless it is the default stage or has a custom domain. */
function withoutStage (event: HttpEvent): string {
  if (!isV2(event)) return event.path
  const { rawPath, requestContext: { stage, domainName } } = event
  return domainName.includes('.execute-api.') && rawPath.startsWith(`/${stage}/`) ? rawPath.slice(stage.length + 1) : rawPath
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const withoutSlash = (text: string) => text.endsWith('/') ? text.slice(0, -1) : text

const parts = new Map<string, string[]>()
/** A resource of the API, split at its parameters. An API has few resources. */
function partsOf (resource: string): string[] {
  let known = parts.get(resource)
  if (known === undefined) parts.set(resource, known = resource.split(/\{([^}+]+)\+?\}/))
  return known
}

/**
 * The part of a path that the event's resource describes. With `/{proxy+}` and its parameter, that is the path after the
 * base path of a custom domain. `undefined` when the event does not contain it.
 */
function describedPath (path: string, event: HttpEvent): string | undefined {
  if (isAlb(event)) return undefined
  const resource = isV2(event) ? /^\S+ (\/\S*)$/.exec(event.routeKey ?? '')?.[1] : event.resource
  if (typeof resource !== 'string') return undefined
  let whole = ''
  // Every second part is the name of a parameter.
  for (const [index, part] of partsOf(resource).entries()) {
    const text = index % 2 === 0 ? part : event.pathParameters?.[part]
    // Events written by hand, for a test, may lack the parameters.
    if (text === undefined) return undefined
    whole += text
  }
  const filled = withoutSlash(whole)
  // An AWS hostname has no base path, so the whole path matches first.
  for (let start = 0; start !== -1; start = path.indexOf('/', start + 1)) {
    const rest = withoutSlash(path.slice(start))
    if (rest === filled || decoded(rest) === filled || decoded(rest) === decoded(filled)) return path.slice(start)
  }
  return filled === '' ? '/' : undefined
}

/** The path without the base path (REST API) or API mapping (HTTP API) that a custom domain puts in front. */
function withoutBasePath (path: string, event: HttpEvent, publicPath: string): string {
  if (isAlb(event)) return path
  const described = describedPath(path, event)
  if (described !== undefined) return described
  // A catch-all route does not describe the path, so the path of PUBLIC_URL is removed. Not for an AWS hostname, where
  // PUBLIC_URL ends in the stage.
  const isCustom = !/\.(?:execute-api|lambda-url)\./.test(event.requestContext.domainName ?? '.execute-api.')
  if (!isCustom || publicPath === '' || !(path === publicPath || path.startsWith(`${publicPath}/`))) return path
  return path.slice(publicPath.length) || '/'
}

/** The path as the client wrote it, as far as it is known. Every source passes it on percent-encoded, except an HTTP API, which decodes it. */
function pathOf (event: HttpEvent, publicPath: string): string {
  const isDecoded = isV2(event) && !event.requestContext.domainName.includes('.lambda-url.')
  const given = withoutBasePath(withoutStage(event), event, publicPath)
  const path = isDecoded ? encodeURI(given) : given
  if (!path.startsWith('/')) throw new URIError('The path does not start with a slash')
  return path
    // Characters that a URL parser would read as the end of the path, or change.
    .replace(/[\\?#\s]/g, encodeURIComponent)
    // Dot segments are escaped too, because the plain server does not resolve them either.
    .replace(/(?<=\/)(?:\.|%2e){1,2}(?=\/|$)/gi, dots => dots.replace(/\.|%2e/gi, '%252e'))
}

/** The query as the client wrote it. Only a REST API decodes it; a load balancer leaves names and values unchanged. */
function queryOf (event: HttpEvent): string {
  if (isV2(event)) return event.rawQueryString
  const encode = isAlb(event) ? String : encodeURIComponent
  const parameters = event.multiValueQueryStringParameters ?? event.queryStringParameters ?? {}
  return Object.entries(parameters)
    .flatMap(([name, values]) => (Array.isArray(values) ? values : [values ?? '']).map(value => `${encode(name)}=${encode(value)}`))
    .join('&')
}

/** Headers of which Node keeps the first value only. See `message.headers` in its documentation. */
const SINGLE = new Set(['age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent'])

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
function headersOf (event: HttpEvent): RequestHeaders {
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
  if (isBase64Encoded || !String(body).includes('\uFFFD')) return Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')
  return Buffer.from(Buffer.from(body).toString('latin1').replaceAll('\xEF\xBF\xBD', '\xFF'), 'latin1')
}

/** The client's address as AWS saw it. A load balancer has no field for it, but appends it to X-Forwarded-For, with the port if configured. */
function sourceIpOf (event: HttpEvent, headers: RequestHeaders): string | undefined {
  if (isV2(event)) return event.requestContext.http.sourceIp
  if (!isAlb(event)) return event.requestContext.identity?.sourceIp
  return addressOf([headers['x-forwarded-for'] ?? []].flat().at(-1)?.split(',').at(-1) ?? '')
}

/** The request that an event carries. Throws when it carries none. */
function requestOf (event: HttpEvent, method: string, publicPath: string): AppRequest {
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

/** A target that a URL parser leaves as it is: all characters are among those of RFC 3986, and no apostrophe is in its query. */
const PLAIN = /^\/[\w\-.~!$&'()*+,;=:@%/]*(?:\?[\w\-.~!$&()*+,;=:@%/?]+)?$/

/** Passes HTTP events to Fastify, and returns its answers in the format of the event's source. */
export function createHttp (app: App, direct: Serve = createDirect(app)) {
  const publicPath = basePathOf(app.config.PUBLIC_URL)
  let adapter: Promise<Serve> | undefined

  /** The answer to an event that cannot be converted into a request. */
  function refuse (event: HttpEvent, status: number, code: string, detail: string): HttpAnswer {
    const path = withoutStage(event) as unknown
    const instance = typeof path === 'string' ? withoutBasePath(path, event, publicPath).slice(0, 256) : '/'
    const version = versionOfPath(instance)
    const correlationId = correlationIdOf({ headers: headersOf(event) as IncomingHttpHeaders })
    const { contentType, body } = renderFault({ status, code, detail, instance, correlationId }, version ?? 'v2')
    app.log.info({ correlationId, statusCode: status, code }, 'answered')
    return {
      statusCode: status,
      headers: {
        ...SECURITY_HEADERS,
        ...(version === 'v1' ? lifecycleHeaders(app.config) : {}),
        'content-type': contentType,
        [CORRELATION_HEADER]: correlationId,
        'cache-control': 'no-store'
      },
      body: JSON.stringify(body),
      isBase64Encoded: false
    }
  }

  function refuseInternal (event: HttpEvent): HttpAnswer {
    const { statusCode, code, message } = new Internal()
    return refuse(event, statusCode!, code, message)
  }

  async function answer (event: HttpEvent): Promise<HttpAnswer> {
    const method = isV2(event) ? event.requestContext.http.method : event.httpMethod
    if (!METHODS.includes(method) || method === 'CONNECT') return refuse(event, 501, 'METHOD_NOT_IMPLEMENTED', 'This method is not supported')
    let request: AppRequest
    try {
      request = requestOf(event, method, publicPath)
      // As ever, the parser's choice of what to encode is the adapter's.
      if (!PLAIN.test(request.target)) return await (await (adapter ??= createAdapter(app)))(request)
    } catch (error) {
      app.log.warn({ err: error }, 'an HTTP event that is not a valid request')
      return refuse(event, 400, 'REQUEST_MALFORMED', 'The request cannot be understood')
    }
    try {
      return await direct(request)
    } catch (error) {
      app.log.error({ err: error }, 'a request without an answer')
      return refuseInternal(event)
    }
  }

  return async function http (event: HttpEvent): Promise<HttpAnswer> {
    const result = await answer(event)
    // JSON escapes one byte as six at most, so shorter answers fit without counting.
    const limit = isAlb(event) ? MAX_ALB_ANSWER : MAX_ANSWER
    if (result.body.length > limit / 6 - 16_384 && Buffer.byteLength(JSON.stringify(result)) > limit) {
      app.log.error({ bytes: result.body.length }, 'the answer is too large for Lambda')
      return refuseInternal(event)
    }
    if (isAlb(event) && event.multiValueHeaders !== undefined) {
      // A target group that sends header lists reads only header lists.
      const lists = Object.fromEntries(Object.entries(result.headers ?? {}).map(([name, value]) => [name, [value]]))
      return { statusCode: result.statusCode, multiValueHeaders: { ...lists, ...result.multiValueHeaders }, body: result.body, isBase64Encoded: result.isBase64Encoded ?? false }
    }
    return result
  }
}
