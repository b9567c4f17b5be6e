import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { loadTemplate } from '../template/evaluate.ts'

/** A request as a client writes it: the target and the headers exactly as they go over the wire. */
export interface WireRequest {
  method: string
  /** path and query, as written */
  target: string
  headers?: [name: string, value: string][]
  body?: Buffer | string
}

/** An answer as a client sees it. Names in lower case, cookies apart because only they may come more than once. */
export interface WireResponse {
  status: number
  headers: Record<string, string>
  cookies: string[]
  body: Buffer
}

export type Send = (request: WireRequest) => Promise<WireResponse>

/** The address of every client in the events below. */
const CLIENT = '127.0.0.1'

/** What an answer's connection has to do with, and what every answer has its own of. */
const OF_THE_CONNECTION = ['connection', 'date', 'keep-alive', 'transfer-encoding']

const split = (target: string) => {
  const [path, ...query] = target.split('?')
  return { path: path!, query: query.join('?') }
}

const bodyOf = ({ body }: WireRequest) => body === undefined ? undefined : Buffer.from(body)

/** What a client sends beside what the request names. */
const headersOf = (request: WireRequest): [string, string][] => [
  ['Host', 'localhost'],
  ...(request.body === undefined ? [] : [['Content-Length', String(bodyOf(request)!.length)] as [string, string]]),
  ...request.headers ?? []
]

/** Sends over a socket, untouched by any URL parser. */
export function overSocket (port: number): Send {
  return async (request) => {
    const outgoing = httpRequest({ host: '127.0.0.1', port, method: request.method, path: request.target, headers: headersOf(request).flat(), agent: false })
    const answered = Promise.withResolvers<IncomingMessage>()
    outgoing.on('response', answered.resolve)
    // A server that refuses a large body answers and closes before all of it is sent.
    outgoing.on('error', (error: NodeJS.ErrnoException) => { if (error.code !== 'EPIPE') answered.reject(error) })
    outgoing.on('close', () => answered.reject(new Error('closed without an answer')))
    outgoing.end(bodyOf(request))
    const incoming = await answered.promise
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const { 'set-cookie': cookies = [], ...headers } = incoming.headers
    return { status: incoming.statusCode!, headers: visible(headers), cookies, body: Buffer.concat(chunks) }
  }
}

function visible (headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), String(value)] as const)
    .filter(([name]) => !OF_THE_CONNECTION.includes(name)))
}

interface Answer {
  statusCode: number
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded: boolean
}

/** Sends as an event of Lambda's, and reads the answer as AWS would. */
export function overLambda (invoke: (event: unknown) => Promise<unknown>, toEvent: ToEvent): Send {
  return async (request) => {
    const answer = await invoke(toEvent(request)) as Answer
    const { 'set-cookie': single, ...headers } = answer.headers ?? {}
    const lists = { ...answer.multiValueHeaders }
    const cookies = answer.cookies ?? lists['set-cookie'] ?? (single === undefined ? [] : [single])
    delete lists['set-cookie']
    const all = { ...headers, ...Object.fromEntries(Object.entries(lists).map(([name, values]) => [name, values.join(', ')])) }
    return {
      status: answer.statusCode,
      headers: visible(all),
      cookies,
      body: Buffer.from(answer.body, answer.isBase64Encoded ? 'base64' : 'utf8')
    }
  }
}

export type ToEvent = (request: WireRequest) => object

/** Every value of every header or parameter, under its name. */
function grouped (pairs: Iterable<[string, string]>): Record<string, string[]> {
  // Not an object: `__proto__` and `constructor` are names like others.
  const groups = new Map<string, string[]>()
  for (const [name, value] of pairs) groups.set(name, [...groups.get(name) ?? [], value])
  return Object.fromEntries(groups)
}

const last = (groups: Record<string, string[]>) => Object.fromEntries(Object.entries(groups).map(([name, values]) => [name, values.at(-1)!]))

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const pairsOf = (query: string): [string, string][] => query === ''
  ? []
  : query.split('&').map(pair => {
    const [name, ...value] = pair.split('=')
    return [name!, value.join('=')]
  })

const { Api, HttpApi } = loadTemplate().Resources
const BINARY_TYPES = (Api!.Properties['BinaryMediaTypes'] as string[]).map(type => type.replace('~1', '/'))
const HTTP_PATHS = HttpApi!.Properties['Body'].paths as Record<string, object>

/** Whether the template's REST API passes a body on as bytes. */
function isBinary (request: WireRequest): boolean {
  const type = headersOf(request).find(([name]) => name.toLowerCase() === 'content-type')?.[1].split(';')[0]!.trim().toLowerCase() ?? ''
  return BINARY_TYPES.some(binary => binary === type || binary === '*/*' || (binary.endsWith('/*') && type.startsWith(binary.slice(0, -1))))
}

/** As the template's REST API writes it: the query decoded, bodies as text unless their type is binary. */
export function restEvent (request: WireRequest, stage = 'prod'): APIGatewayProxyEvent {
  const { path, query } = split(request.target)
  const headers = grouped(headersOf(request))
  const parameters = grouped(pairsOf(query.replaceAll('+', ' ')).map(([name, value]) => [decoded(name), decoded(value)]))
  const body = bodyOf(request)
  return {
    resource: '/{proxy+}',
    path,
    httpMethod: request.method,
    headers: last(headers),
    multiValueHeaders: headers,
    queryStringParameters: query === '' ? null : last(parameters),
    multiValueQueryStringParameters: query === '' ? null : parameters,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
    requestContext: {
      resourceId: 'abc123',
      resourcePath: '/{proxy+}',
      httpMethod: request.method,
      path: `/${stage}${path}`,
      accountId: '000000000000',
      protocol: 'HTTP/1.1',
      stage,
      domainName: 'abc123.execute-api.eu-central-1.amazonaws.com',
      requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      requestTimeEpoch: 1767225600000,
      apiId: 'abc123',
      authorizer: null,
      identity: { sourceIp: CLIENT, userAgent: null } as APIGatewayProxyEvent['requestContext']['identity']
    },
    body: body?.toString(isBinary(request) ? 'base64' : 'utf8') ?? null,
    isBase64Encoded: body !== undefined && isBinary(request)
  }
}

/** As a REST API with `binaryMediaTypes: ['*~1*']` writes it: every body in base64. */
export function restBinaryEvent (request: WireRequest): APIGatewayProxyEvent {
  const body = bodyOf(request)
  return { ...restEvent(request), body: body?.toString('base64') ?? null, isBase64Encoded: body !== undefined }
}

/** The route of the template's HTTP API that takes a request. */
function routeKeyOf (method: string, path: string): string {
  return method.toLowerCase() in (HTTP_PATHS[path] ?? {}) ? `${method} ${path}` : '$default'
}

function v2Event (request: WireRequest, path: string, { stage, domainName, routeKey = '$default' }: { stage: string, domainName: string, routeKey?: string }): APIGatewayProxyEventV2 {
  const { query } = split(request.target)
  const { cookie, ...headers } = grouped(headersOf(request).map(([name, value]) => [name.toLowerCase(), value]))
  const body = bodyOf(request)
  const isText = /json|^text\//.test(headers['content-type']?.[0] ?? '')
  return {
    version: '2.0',
    routeKey,
    rawPath: path,
    rawQueryString: query,
    ...(cookie === undefined ? {} : { cookies: cookie.flatMap(value => value.split('; ')) }),
    headers: Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(',')])),
    ...(query === '' ? {} : { queryStringParameters: Object.fromEntries(Object.entries(grouped(pairsOf(query))).map(([name, values]) => [decoded(name), values.map(decoded).join(',')])) }),
    requestContext: {
      accountId: '000000000000',
      apiId: 'abc123',
      domainName,
      domainPrefix: 'abc123',
      http: { method: request.method, path, protocol: 'HTTP/1.1', sourceIp: CLIENT, userAgent: '' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey,
      stage,
      time: '01/Jan/2026:00:00:00 +0000',
      timeEpoch: 1767225600000
    },
    ...(body === undefined ? {} : { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body !== undefined && !isText
  }
}

const EXECUTE_API = 'abc123.execute-api.eu-central-1.amazonaws.com'

/** As a stage of the template's HTTP API writes it: the path decoded, and the route that takes the request. */
const httpApiEvent = (request: WireRequest, stage: string, domainName: string, prefix = '') => {
  const path = decoded(split(request.target).path)
  return v2Event(request, `${prefix}${path}`, { stage, domainName, routeKey: routeKeyOf(request.method, path) })
}

/** As an HTTP API's default stage writes it. */
export const httpEvent: ToEvent = request => httpApiEvent(request, '$default', EXECUTE_API)

/** As an HTTP API's stage of a name writes it: that name in front of the path. */
export const httpStageEvent = (stage: string): ToEvent => request => httpApiEvent(request, stage, EXECUTE_API, `/${stage}`)

/** As an HTTP API under a domain of one's own writes it: the stage has a name, and the path has none of it. */
export const httpDomainEvent = (stage: string): ToEvent => request => httpApiEvent(request, stage, 'api.example.com')

/** As a Function URL writes it: the path as the client wrote it. */
export const functionUrlEvent: ToEvent = request =>
  v2Event(request, split(request.target).path, { stage: '$default', domainName: 'abc123.lambda-url.eu-central-1.on.aws' })

/** As a load balancer writes it: nothing decoded, the client's address at the end of a header. */
export const albEvent: ToEvent = request => {
  const { path, query } = split(request.target)
  const headers = albHeaders(request)
  return { ...albCommon(request, path), headers: last(headers), queryStringParameters: last(grouped(pairsOf(query))) } satisfies ALBEvent
}

/** As a load balancer writes it whose target group sends lists. */
export const albListsEvent: ToEvent = request => {
  const { path, query } = split(request.target)
  return { ...albCommon(request, path), multiValueHeaders: albHeaders(request), multiValueQueryStringParameters: grouped(pairsOf(query)) } satisfies ALBEvent
}

function albHeaders (request: WireRequest): Record<string, string[]> {
  const headers = grouped(headersOf(request).map(([name, value]) => [name.toLowerCase(), value]))
  headers['x-forwarded-for'] = [[...headers['x-forwarded-for'] ?? [], CLIENT].join(', ')]
  return headers
}

function albCommon (request: WireRequest, path: string) {
  const body = bodyOf(request)
  const isText = /^(?:text\/.*|application\/(?:json|javascript|xml))(?:;|$)/.test(headersOf(request).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '')
  return {
    requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-central-1:000000000000:targetgroup/user-service/0' } },
    httpMethod: request.method,
    path,
    body: body?.toString(isText ? 'utf8' : 'base64') ?? '',
    isBase64Encoded: body !== undefined && !isText
  }
}
