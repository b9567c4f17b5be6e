import awsLambdaFastify from '@fastify/aws-lambda'
import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2, Context } from 'aws-lambda'
import type { FastifyInstance } from 'fastify'
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

type RequestHeaders = Record<string, string | string[] | undefined>
export type HttpEvent = APIGatewayProxyEvent | APIGatewayProxyEventV2 | ALBEvent

/** The answer to every kind of HTTP event; each source uses the fields that it knows. */
interface HttpAnswer {
  statusCode: number
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded?: boolean
}

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

/**
 * The part of a path that the event's resource describes. With `/{proxy+}` and its parameter, that is the path after the
 * base path of a custom domain. `undefined` when the event does not contain it.
 */
function describedPath (path: string, event: HttpEvent): string | undefined {
  if (isAlb(event)) return undefined
  const resource = isV2(event) ? /^\S+ (\/\S*)$/.exec(event.routeKey ?? '')?.[1] : event.resource
  if (typeof resource !== 'string') return undefined
  const withoutSlash = (text: string) => text.replace(/\/$/, '')
  const names = [...resource.matchAll(/\{([^}+]+)\+?\}/g)].map(([, name]) => name!)
  // Events written by hand, for a test, may lack the parameters.
  if (names.some(name => event.pathParameters?.[name] === undefined)) return undefined
  const filled = withoutSlash(resource.replace(/\{([^}+]+)\+?\}/g, (_match, name: string) => event.pathParameters![name]!))
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

/** Headers in lower case. A repeated header stays a list, and is joined as Node joins it. */
function headersOf (event: HttpEvent): RequestHeaders {
  // Without this the adapter would set a user agent of its own.
  const headers: RequestHeaders = { 'user-agent': undefined }
  const given = isV2(event) ? event.headers : event.multiValueHeaders ?? event.headers ?? {}
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) && value.length === 1 ? value[0]! : value
  }
  if (isV2(event) && event.cookies !== undefined) headers['cookie'] = event.cookies.join('; ')
  // The event has the complete body, so these headers are dropped and the length is counted.
  delete headers['content-length']
  delete headers['transfer-encoding']
  // A compressed answer is base64, which a REST API decodes only for clients that accept one of its binary types.
  if (!isV2(event) && !isAlb(event)) delete headers['accept-encoding']
  return headers
}

/**
 * The body in a form that the app can check. Sources that pass JSON on as text have replaced bytes that are not UTF-8 by U+FFFD.
 * Each becomes an invalid byte again, so that the app rejects the body, and does not store what its client never wrote.
 */
function bodyOf ({ body, isBase64Encoded }: HttpEvent): Pick<HttpEvent, 'body' | 'isBase64Encoded'> {
  if (isBase64Encoded || typeof body !== 'string' || !body.includes('\uFFFD')) return { body: body ?? null, isBase64Encoded }
  const bytes = Buffer.from(body).toString('latin1').replaceAll('\xEF\xBF\xBD', '\xFF')
  return { body: Buffer.from(bytes, 'latin1').toString('base64'), isBase64Encoded: true }
}

/** The client's address as AWS saw it. A load balancer has no field for it, but appends it to X-Forwarded-For, with the port if configured. */
function sourceIpOf (event: HttpEvent, headers: RequestHeaders): string | undefined {
  if (isV2(event)) return event.requestContext.http.sourceIp
  if (!isAlb(event)) return event.requestContext.identity?.sourceIp
  return addressOf([headers['x-forwarded-for'] ?? []].flat().at(-1)?.split(',').at(-1) ?? '')
}

// Everything that is not text is binary. An answer without a content type is empty, so it does not matter.
const isText = (contentType: string | undefined) => contentType === undefined || /^(?:text\/|application\/(?:[a-z.-]+\+)?(?:json|xml|javascript)\b)/.test(contentType)

/** Passes HTTP events to Fastify, and returns its answers in the format of the event's source. */
export function createHttp (app: App) {
  const publicPath = basePathOf(app.config.PUBLIC_URL)
  const proxy = awsLambdaFastify(app as unknown as FastifyInstance, {
    // The app does not read the event. The adapter drops client headers that use its own header names.
    decorateRequest: false,
    // The stage has been removed already, so a stage named v1 does not remove /v1.
    retainStage: true,
    enforceBase64: ({ headers }) => headers['content-encoding'] !== undefined || !isText(headers['content-type'])
  }) as (request: object, context: Context) => Promise<HttpAnswer>

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

  async function answer (event: HttpEvent, context: Context): Promise<HttpAnswer> {
    const httpMethod = isV2(event) ? event.requestContext.http.method : event.httpMethod
    if (!METHODS.includes(httpMethod) || httpMethod === 'CONNECT') return refuse(event, 501, 'METHOD_NOT_IMPLEMENTED', 'This method is not supported')
    try {
      const headers = headersOf(event)
      const query = queryOf(event)
      // In the format of a REST API's event, which the adapter passes on unchanged.
      const request = {
        version: isV2(event) ? '2.0' : '1.0',
        httpMethod,
        path: pathOf(event, publicPath) + (query === '' ? '' : `?${query}`),
        headers,
        requestContext: { identity: { sourceIp: sourceIpOf(event, headers) } },
        ...bodyOf(event)
      }
      return await proxy(request, context)
    } catch (error) {
      app.log.warn({ err: error }, 'an HTTP event that is not a valid request')
      return refuse(event, 400, 'REQUEST_MALFORMED', 'The request cannot be understood')
    }
  }

  return async function http (event: HttpEvent, context: Context): Promise<HttpAnswer> {
    const result = await answer(event, context)
    // JSON escapes one byte as six at most, so shorter answers fit without counting.
    const limit = isAlb(event) ? MAX_ALB_ANSWER : MAX_ANSWER
    if (result.body.length > limit / 6 - 16_384 && Buffer.byteLength(JSON.stringify(result)) > limit) {
      app.log.error({ bytes: result.body.length }, 'the answer is too large for Lambda')
      const { statusCode, code, message } = new Internal()
      return refuse(event, statusCode!, code, message)
    }
    // Hop-by-hop headers (RFC 9110 §7.6.1) belong to a connection, and here is none.
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) delete result.headers?.[name]
    if (isAlb(event) && event.multiValueHeaders !== undefined) {
      // A target group that sends header lists reads only header lists.
      const lists = Object.fromEntries(Object.entries(result.headers ?? {}).map(([name, value]) => [name, [value]]))
      return { statusCode: result.statusCode, multiValueHeaders: { ...lists, ...result.multiValueHeaders }, body: result.body, isBase64Encoded: result.isBase64Encoded ?? false }
    }
    return result
  }
}
