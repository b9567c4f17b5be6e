import awsLambdaFastify from '@fastify/aws-lambda'
import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2, Context } from 'aws-lambda'
import type { FastifyInstance } from 'fastify'
import { METHODS, type IncomingHttpHeaders } from 'node:http'
import type { App } from '../app.ts'
import { CORRELATION_HEADER, correlationIdOf } from '../plugins/correlation.ts'
import { SECURITY_HEADERS } from '../plugins/security-headers.ts'
import { lifecycleHeaders, versionOfPath } from '../plugins/versions.ts'
import { Internal } from '../shared/errors.ts'
import { addressOf } from '../shared/network.ts'
import { renderFault } from '../shared/problem.ts'

type RequestHeaders = Record<string, string | string[] | undefined>
export type HttpEvent = APIGatewayProxyEvent | APIGatewayProxyEventV2 | ALBEvent

/** What is answered to every kind of HTTP event; each source takes of it what it knows. */
interface HttpAnswer {
  statusCode: number
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded?: boolean
}

/** Bytes of an answer, as JSON, that Lambda passes on; behind a load balancer it is 1 MB. */
const MAX_ANSWER = 6_291_556
const MAX_ALB_ANSWER = 1_048_576

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Whether an event carries an HTTP request. */
export function isHttp (event: Record<string, unknown>): event is Record<string, unknown> & HttpEvent {
  const context = event['requestContext']
  // An authorizer's event looks like the request it is about: an answer to that request would be read as a policy.
  if (!isObject(context) || 'methodArn' in event || 'routeArn' in event) return false
  return typeof event['httpMethod'] === 'string' || (isObject(context['http']) && typeof context['http']['method'] === 'string')
}

const isV2 = (event: HttpEvent): event is APIGatewayProxyEventV2 => 'http' in event.requestContext
const isAlb = (event: HttpEvent): event is ALBEvent => 'elb' in event.requestContext

/** The path without the stage, which an HTTP API puts in front of it unless it is the default one, or has a domain of its own. */
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
 * The end of a path that the event's own resource describes: with `/{proxy+}` and its parameter, what comes behind the
 * base path of a custom domain. `undefined` when the event does not say.
 */
function describedPath (path: string, event: HttpEvent): string | undefined {
  if (isAlb(event)) return undefined
  const resource = isV2(event) ? /^\S+ (\/\S*)$/.exec(event.routeKey ?? '')?.[1] : event.resource
  if (typeof resource !== 'string') return undefined
  const withoutSlash = (text: string) => text.replace(/\/$/, '')
  const names = [...resource.matchAll(/\{([^}+]+)\+?\}/g)].map(([, name]) => name!)
  // Events that were written by hand, for a test, leave the parameters out.
  if (names.some(name => event.pathParameters?.[name] === undefined)) return undefined
  const filled = withoutSlash(resource.replace(/\{([^}+]+)\+?\}/g, (_match, name: string) => event.pathParameters![name]!))
  // An address of AWS's own has no base path: the whole of it is found first.
  for (let start = 0; start !== -1; start = path.indexOf('/', start + 1)) {
    const rest = withoutSlash(path.slice(start))
    if (rest === filled || decoded(rest) === filled || decoded(rest) === decoded(filled)) return path.slice(start)
  }
  return filled === '' ? '/' : undefined
}

/** A path without the base path (of a REST API) or API mapping (of an HTTP API) that a custom domain puts in front of it. */
function withoutBasePath (path: string, event: HttpEvent, publicPath: string): string {
  if (isAlb(event)) return path
  const described = describedPath(path, event)
  if (described !== undefined) return described
  // A route that takes every path describes none: then it is where the service is reached at. Not under an address of
  // AWS's own, where PUBLIC_URL ends in the stage.
  const isCustom = !/\.(?:execute-api|lambda-url)\./.test(event.requestContext.domainName ?? '.execute-api.')
  if (!isCustom || publicPath === '' || !(path === publicPath || path.startsWith(`${publicPath}/`))) return path
  return path.slice(publicPath.length) || '/'
}

/** The path as the client wrote it, as far as it is still known: everyone hands it on percent-encoded but an HTTP API, which decodes it. */
function pathOf (event: HttpEvent, publicPath: string): string {
  const isDecoded = isV2(event) && !event.requestContext.domainName.includes('.lambda-url.')
  const given = withoutBasePath(withoutStage(event), event, publicPath)
  const path = isDecoded ? encodeURI(given) : given
  if (!path.startsWith('/')) throw new URIError('The path does not start with a slash')
  return path
    // What a URL parser would take for the end of the path, or change.
    .replace(/[\\?#\s]/g, encodeURIComponent)
    // And for a way up: the socket does not resolve these either.
    .replace(/(?<=\/)(?:\.|%2e){1,2}(?=\/|$)/gi, dots => dots.replace(/\.|%2e/gi, '%252e'))
}

/** The query as the client wrote it. Only a REST API decodes it; a load balancer leaves each name and value as it was. */
function queryOf (event: HttpEvent): string {
  if (isV2(event)) return event.rawQueryString
  const encode = isAlb(event) ? String : encodeURIComponent
  const parameters = event.multiValueQueryStringParameters ?? event.queryStringParameters ?? {}
  return Object.entries(parameters)
    .flatMap(([name, values]) => (Array.isArray(values) ? values : [values ?? '']).map(value => `${encode(name)}=${encode(value)}`))
    .join('&')
}

/** Headers in lower case; what came more than once stays a list, which is joined as Node joins it. */
function headersOf (event: HttpEvent): RequestHeaders {
  // Without this the adapter names one of its own.
  const headers: RequestHeaders = { 'user-agent': undefined }
  const given = isV2(event) ? event.headers : event.multiValueHeaders ?? event.headers ?? {}
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) && value.length === 1 ? value[0]! : value
  }
  if (isV2(event) && event.cookies !== undefined) headers['cookie'] = event.cookies.join('; ')
  // The event's body is whole whatever they say, and its length is counted.
  delete headers['content-length']
  delete headers['transfer-encoding']
  return headers
}

/** The client's address as AWS saw it. A load balancer has no field for it, but writes it at the end of the header, with the port if it is configured to. */
function sourceIpOf (event: HttpEvent, headers: RequestHeaders): string | undefined {
  if (isV2(event)) return event.requestContext.http.sourceIp
  if (!isAlb(event)) return event.requestContext.identity?.sourceIp
  return addressOf([headers['x-forwarded-for'] ?? []].flat().at(-1)?.split(',').at(-1) ?? '')
}

// What is not text is binary; the type of an answer without one does not matter, it is empty.
const isText = (contentType: string | undefined) => contentType === undefined || /^(?:text\/|application\/(?:[a-z.-]+\+)?(?:json|xml|javascript)\b)/.test(contentType)

/** HTTP events to Fastify, and its answers back in the shape of the event's source. */
export function createHttp (app: App) {
  const publicPath = new URL(app.config.PUBLIC_URL).pathname.replace(/\/$/, '')
  const proxy = awsLambdaFastify(app as unknown as FastifyInstance, {
    // Nothing here reads the event. What a client sends under the adapter's own header names is dropped by it.
    decorateRequest: false,
    // The path is ours already: a stage that is called v1 does not eat /v1.
    retainStage: true,
    enforceBase64: ({ headers }) => headers['content-encoding'] !== undefined || !isText(headers['content-type'])
  }) as (request: object, context: Context) => Promise<HttpAnswer>

  /** An answer to what cannot be made into a request. */
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
      // In the shape of a REST API's event, from which the adapter derives nothing more.
      const request = {
        version: isV2(event) ? '2.0' : '1.0',
        httpMethod,
        path: pathOf(event, publicPath) + (query === '' ? '' : `?${query}`),
        headers,
        requestContext: { identity: { sourceIp: sourceIpOf(event, headers) } },
        body: event.body ?? null,
        isBase64Encoded: event.isBase64Encoded
      }
      return await proxy(request, context)
    } catch (error) {
      app.log.warn({ err: error }, 'an HTTP event that is not a request')
      return refuse(event, 400, 'REQUEST_MALFORMED', 'The request cannot be understood')
    }
  }

  return async function http (event: HttpEvent, context: Context): Promise<HttpAnswer> {
    const result = await answer(event, context)
    // JSON makes six bytes of one at the worst: what is shorter than that fits without being counted.
    const limit = isAlb(event) ? MAX_ALB_ANSWER : MAX_ANSWER
    if (result.body.length > limit / 6 - 16_384 && Buffer.byteLength(JSON.stringify(result)) > limit) {
      app.log.error({ bytes: result.body.length }, 'an answer too large for Lambda')
      const { statusCode, code, message } = new Internal()
      return refuse(event, statusCode!, code, message)
    }
    // Hop-by-hop (RFC 9110 §7.6.1): they belong to a connection that is not there.
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) delete result.headers?.[name]
    if (isAlb(event) && event.multiValueHeaders !== undefined) {
      // A target group that sends lists reads nothing but lists.
      const lists = Object.fromEntries(Object.entries(result.headers ?? {}).map(([name, value]) => [name, [value]]))
      return { statusCode: result.statusCode, multiValueHeaders: { ...lists, ...result.multiValueHeaders }, body: result.body, isBase64Encoded: result.isBase64Encoded ?? false }
    }
    return result
  }
}
