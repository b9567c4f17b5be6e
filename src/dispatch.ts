import awsLambdaFastify from '@fastify/aws-lambda'
import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2, Context, DynamoDBStreamEvent, SQSEvent } from 'aws-lambda'
import type { FastifyInstance } from 'fastify'
import { METHODS, type IncomingHttpHeaders } from 'node:http'
import type { App } from './app.ts'
import { CORRELATION_HEADER, correlationIdOf } from './plugins/correlation.ts'
import { isV1 } from './plugins/errors.ts'
import { Internal } from './shared/errors.ts'
import { renderFault } from './shared/problem.ts'

type RequestHeaders = Record<string, string | string[] | undefined>
type HttpEvent = APIGatewayProxyEvent | APIGatewayProxyEventV2 | ALBEvent

/** What is answered to every kind of HTTP event; each source takes of it what it knows. */
interface HttpAnswer {
  statusCode: number
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded?: boolean
}

/** The event that EventBridge Scheduler, or a person, sends to have the outbox swept. */
const SWEEP = { source: 'user-service.schedule', detailType: 'sweep' }

/** Bytes of an answer, as JSON, that Lambda passes on; behind a load balancer it is 1 MB. */
const MAX_ANSWER = 6_291_556
const MAX_ALB_ANSWER = 1_048_576

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Where the records of a batch come from: one source, or the batch is not one of ours. */
function recordSource (records: unknown): string | undefined {
  if (!Array.isArray(records) || records.length === 0) return undefined
  const sources = new Set(records.map(record => isObject(record) ? record['eventSource'] : undefined))
  const [source] = sources
  return sources.size === 1 && typeof source === 'string' ? source : undefined
}

function isHttp (event: Record<string, unknown>): event is Record<string, unknown> & HttpEvent {
  const context = event['requestContext']
  // An authorizer's event looks like the request it is about: answering that request would be taken for a policy.
  if (!isObject(context) || 'methodArn' in event || 'routeArn' in event) return false
  return typeof event['httpMethod'] === 'string' || (isObject(context['http']) && typeof context['http']['method'] === 'string')
}

function isSchedule (event: Record<string, unknown>): boolean {
  const { source, 'detail-type': detailType } = event
  return detailType === 'Scheduled Event' ? source === 'aws.events' || source === 'aws.scheduler' : source === SWEEP.source && detailType === SWEEP.detailType
}

const isV2 = (event: HttpEvent): event is APIGatewayProxyEventV2 => 'http' in event.requestContext
const isAlb = (event: HttpEvent): event is ALBEvent => 'elb' in event.requestContext

/** The path without the stage, which an HTTP API puts in front of it unless it is the default one, or has a domain of its own. */
function withoutStage (event: HttpEvent): string {
  if (!isV2(event)) return event.path
  const { rawPath, requestContext: { stage, domainName } } = event
  return domainName.includes('.execute-api.') && rawPath.startsWith(`/${stage}/`) ? rawPath.slice(stage.length + 1) : rawPath
}

/** The path as the client wrote it, as far as it is still known: everyone hands it on percent-encoded but an HTTP API, which decodes it. */
function pathOf (event: HttpEvent): string {
  const isDecoded = isV2(event) && !event.requestContext.domainName.includes('.lambda-url.')
  const path = isDecoded ? encodeURI(withoutStage(event)) : withoutStage(event)
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

/** The client's address as AWS saw it. A load balancer has no field for it, but writes it at the end of the header. */
function sourceIpOf (event: HttpEvent, headers: RequestHeaders): string | undefined {
  if (isV2(event)) return event.requestContext.http.sourceIp
  if (!isAlb(event)) return event.requestContext.identity?.sourceIp
  return [headers['x-forwarded-for'] ?? []].flat().at(-1)?.split(',').at(-1)?.trim()
}

// What is not text is binary; the type of an answer without one does not matter, it is empty.
const isText = (contentType: string | undefined) => contentType === undefined || /^(?:text\/|application\/(?:[a-z.-]+\+)?(?:json|xml|javascript)\b)/.test(contentType)

function createHttp (app: App) {
  const proxy = awsLambdaFastify(app as unknown as FastifyInstance, {
    // Nothing here reads the event. What a client sends under the adapter's own header names is dropped by it.
    decorateRequest: false,
    // The path is ours already: a stage that is called v1 does not eat /v1.
    retainStage: true,
    enforceBase64: ({ headers }) => headers['content-encoding'] !== undefined || !isText(headers['content-type'])
  }) as (request: object, context: Context) => Promise<HttpAnswer>

  /** An answer to what cannot be made into a request. */
  function refuse (event: HttpEvent, status: number, code: string, detail: string): HttpAnswer {
    const instance = String(withoutStage(event)).slice(0, 256)
    const correlationId = correlationIdOf({ headers: headersOf(event) as IncomingHttpHeaders })
    const { contentType, body } = renderFault({ status, code, detail, instance, correlationId }, isV1({ url: instance }) ? 'v1' : 'v2')
    return {
      statusCode: status,
      headers: { 'content-type': contentType, [CORRELATION_HEADER]: correlationId, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
      body: JSON.stringify(body),
      isBase64Encoded: false
    }
  }

  async function answer (event: HttpEvent, context: Context): Promise<HttpAnswer> {
    const httpMethod = isV2(event) ? event.requestContext.http.method : event.httpMethod
    if (!METHODS.includes(httpMethod)) return refuse(event, 501, 'METHOD_NOT_IMPLEMENTED', 'This method is not known here')
    try {
      const headers = headersOf(event)
      const query = queryOf(event)
      // In the shape of a REST API's event, from which the adapter derives nothing more.
      const request = {
        version: isV2(event) ? '2.0' : '1.0',
        httpMethod,
        path: pathOf(event) + (query === '' ? '' : `?${query}`),
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

/**
 * The one Lambda handler: looks at what kind of event it was given and hands it to the part of the app that takes it.
 * To be called before `app.ready()`, because the adapter registers with the app.
 *
 * @throws when the event is of no known kind: AWS then retries it, or keeps it where a person finds it. An HTTP-shaped
 * answer to a batch would count as success, and the batch would be gone.
 */
export function createDispatch (app: App) {
  const http = createHttp(app)
  return async function handler (event: unknown, context: Context): Promise<unknown> {
    if (!isObject(event)) throw new TypeError('The event is not an object')
    if ('Records' in event) {
      const source = recordSource(event['Records'])
      if (source === 'aws:sqs') return await app.email.handleBatch(event as unknown as SQSEvent, { deadline: Date.now() + context.getRemainingTimeInMillis() })
      if (source === 'aws:dynamodb') return await app.relay.handleBatch(event as unknown as DynamoDBStreamEvent)
      // What was uploaded and is not looked at must not be forgotten: the notification fails until something takes it.
      if (source === 'aws:s3') throw new Error('A notification of S3, and no part of this service takes one')
      throw new Error(`Records of no known source: ${source ?? 'none, or more than one'}`)
    }
    if (isHttp(event)) return await http(event, context)
    if (isSchedule(event)) return await app.relay.sweep()
    throw new Error(`An event of no known kind, with the keys: ${Object.keys(event).slice(0, 20).join(', ')}`)
  }
}
