import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import t from 'tap'
import { isAlb, isHttp, isV2 } from '../../src/lambda/http-event.ts'
import { headersOf, requestOf } from '../../src/lambda/request.ts'
import { isBinary } from '../../src/lambda/serve.ts'
import { albEvent, albListsEvent, functionUrlEvent, httpEvent, restBinaryEvent, restEvent, type ToEvent, type WireRequest } from './transports.ts'

const get = (target: string, headers: WireRequest['headers'] = []): WireRequest => ({ method: 'GET', target, headers })
const of = (event: object) => requestOf(event as APIGatewayProxyEvent, 'GET', '')

t.test('a header that comes twice is joined as Node joins it', async t => {
  const first = ['age', 'authorization', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent']
  for (const toEvent of [restEvent, albListsEvent]) {
    for (const name of first) {
      const event = { ...toEvent(get('/')), multiValueHeaders: { [name]: ['one', 'two'] } }
      t.equal(headersOf(event as APIGatewayProxyEvent)[name], 'one', name)
    }
    const { multiValueHeaders: _, ...event } = { ...toEvent(get('/')) as APIGatewayProxyEvent }
    const lists = (multiValueHeaders: object) => headersOf({ ...event, multiValueHeaders } as APIGatewayProxyEvent)
    t.same(lists({ Accept: ['a', 'b'] }), { accept: 'a, b' })
    t.same(lists({ Cookie: ['a=1', 'b=2'] }), { cookie: 'a=1; b=2' })
    t.same(lists({ 'Set-Cookie': ['a', 'b'] }), { 'set-cookie': ['a', 'b'] })
    t.same(lists({ 'Set-Cookie': ['a'], Age: [1] }), { 'set-cookie': 'a', age: '1' })
    t.same(lists({ 'X-A': 'not a list', 'X-B': undefined }), { 'x-a': 'not a list' })
  }
})

t.test('headers that the event makes untrue, or that the app must not see, are left out', async t => {
  const given = { 'Content-Length': '5', 'Transfer-Encoding': 'chunked', 'x-aws-lambda-fastify-request': 'a', 'x-apigateway-event': 'b', 'x-apigateway-context': 'c', 'X-Kept': 'd' }
  const hostile = JSON.parse(`{"__proto__":"e",${JSON.stringify(given).slice(1)}`) as Record<string, string>
  for (const toEvent of [restEvent, httpEvent, albEvent]) {
    const { multiValueHeaders: _, ...event } = toEvent(get('/')) as APIGatewayProxyEvent
    const headers = headersOf({ ...event, headers: hostile } as never)
    t.strictSame(Object.entries(headers), [['x-kept', 'd']])
  }
  const accepts = (toEvent: ToEvent) => headersOf(toEvent(get('/', [['Accept-Encoding', 'br']])) as APIGatewayProxyEvent)['accept-encoding']
  t.same([restEvent, httpEvent, functionUrlEvent, albEvent, albListsEvent].map(accepts), [undefined, 'br', 'br', 'br', 'br'], 'a REST API cannot pass a compressed answer on')
  t.same(headersOf({ ...restEvent(get('/')), headers: null, multiValueHeaders: null } as never), {})
  t.equal(headersOf({ ...httpEvent(get('/')), cookies: ['a=1', 'b=2'] } as never)['cookie'], 'a=1; b=2')
  t.notOk('cookie' in headersOf(httpEvent(get('/')) as APIGatewayProxyEventV2))
  t.notOk('cookie' in headersOf({ ...restEvent(get('/')), cookies: ['a=1'] } as never), 'a REST API has no such field')
})

t.test('the query is written again as the client wrote it', async t => {
  for (const toEvent of [restEvent, httpEvent, functionUrlEvent, albEvent, albListsEvent]) {
    t.equal(of(toEvent(get('/a'))).target, '/a')
    t.equal(of(toEvent(get('/a?b=c&d=%26'))).target, '/a?b=c&d=%26')
  }
  for (const toEvent of [restEvent, albListsEvent]) t.equal(of(toEvent(get('/a?b=1&b=2'))).target, '/a?b=1&b=2')
  const { multiValueQueryStringParameters: _, ...single } = restEvent(get('/a?b=c d')) as APIGatewayProxyEvent
  t.equal(of(single).target, '/a?b=c%20d', 'an event without lists')
  t.equal(of({ ...single, queryStringParameters: { b: undefined } }).target, '/a?b=')
  t.equal(of({ ...single, queryStringParameters: null }).target, '/a')
})

t.test('the bytes of a body are those that the client sent, or cannot be valid', async t => {
  const event = restEvent(get('/')) as APIGatewayProxyEvent
  const bodyOf = (body: string | null | undefined, isBase64Encoded = false) => of({ ...event, body, isBase64Encoded })
  t.equal(bodyOf(null).body, null)
  t.equal(bodyOf(undefined).body, null)
  t.notOk('content-length' in bodyOf(null).headers)
  t.equal(bodyOf('é').body?.toString('hex'), 'c3a9')
  t.equal(bodyOf('é').headers['content-length'], '2')
  t.equal(bodyOf('/w==', true).body?.toString('hex'), 'ff')
  t.equal(bodyOf('eA==\ufffd', true).body?.toString(), 'x', 'base64 with what is none')
  t.equal(bodyOf('77+9', true).body?.toString('hex'), 'efbfbd', 'a replacement character that the client wrote')
  t.equal(bodyOf('a\ufffdé\ufffd').body?.toString('hex'), '61ffc3a9ff', 'each replaced byte is invalid again')
  t.equal(of(restBinaryEvent({ ...get('/'), body: 'é' })).body?.toString('hex'), 'c3a9')
})

t.test('the client is where AWS saw it', async t => {
  for (const toEvent of [restEvent, httpEvent, functionUrlEvent, albEvent, albListsEvent]) t.equal(of(toEvent(get('/'))).address, '127.0.0.1')
  const forwarded = (value: string | undefined) => of({ ...albEvent(get('/')), headers: value === undefined ? {} : { 'x-forwarded-for': value } }).address
  t.equal(forwarded('198.51.100.7'), '198.51.100.7')
  t.equal(forwarded('10.0.0.1, 198.51.100.7'), '198.51.100.7', 'what the client wrote itself comes before')
  t.equal(forwarded('198.51.100.7:4711'), '198.51.100.7')
  t.equal(forwarded('[2001:db8::1]:4711'), '2001:db8::1')
  t.equal(forwarded(undefined), '127.0.0.1')
  for (const toEvent of [httpEvent, functionUrlEvent]) {
    const { requestContext, ...event } = toEvent(get('/')) as APIGatewayProxyEventV2
    t.equal(of({ ...event, requestContext: { ...requestContext, http: { ...requestContext.http, sourceIp: '203.0.113.9' } } }).address, '203.0.113.9')
  }
  const event = restEvent(get('/', [['X-Forwarded-For', '198.51.100.7']])) as APIGatewayProxyEvent
  t.equal(of(event).address, '127.0.0.1', 'a header does not count elsewhere')
  t.equal(of({ ...event, requestContext: { ...event.requestContext, identity: { sourceIp: '203.0.113.9' } } }).address, '203.0.113.9')
  t.equal(of({ ...event, requestContext: { ...event.requestContext, identity: { sourceIp: '' } } }).address, '127.0.0.1')
  t.equal(of({ ...event, requestContext: { ...event.requestContext, identity: undefined } }).address, '127.0.0.1', 'an event that was written by hand')
})

t.test('a host is always there', async t => {
  const event = restEvent(get('/')) as APIGatewayProxyEvent
  t.equal(of({ ...event, multiValueHeaders: {} }).headers['host'], 'localhost:80')
  t.equal(of({ ...event, multiValueHeaders: { Host: [''] } }).headers['host'], 'localhost:80')
  t.equal(of({ ...event, multiValueHeaders: { Host: ['api.example.com'] } }).headers['host'], 'api.example.com')
})

t.test('events are told apart', async t => {
  const kinds = [restEvent, httpEvent, functionUrlEvent, albEvent].map(toEvent => toEvent(get('/')) as ALBEvent)
  t.same(kinds.map(isV2), [false, true, true, false])
  t.same(kinds.map(isAlb), [false, false, false, true])
  t.same(kinds.map(event => of(event).isV2), [false, true, true, false])
  for (const event of kinds) t.ok(isHttp({ ...event }))
  for (const [event, what] of [
    [{}, 'nothing'],
    [{ requestContext: 'text', httpMethod: 'GET' }, 'no context'],
    [{ requestContext: {} }, 'no method'],
    [{ requestContext: { http: {} } }, 'no method within'],
    [{ requestContext: { http: { method: 5 } } }, 'a method that is no text'],
    [{ requestContext: { http: 'GET' } }, 'no object'],
    [{ requestContext: {}, httpMethod: 5 }, 'a method that is no text, elsewhere'],
    [{ ...kinds[0], methodArn: 'arn' }, 'of an authorizer of a REST API'],
    [{ ...kinds[1], routeArn: 'arn' }, 'of an authorizer of an HTTP API']
  ] as const) t.notOk(isHttp(event), what)
})

t.test('an answer is text by its type, and base64 otherwise', async t => {
  for (const type of ['text/plain', 'text/html; charset=utf-8', 'application/json', 'application/problem+json', 'application/atom+xml; charset=utf-8', 'application/xml', 'application/javascript', 'application/vnd.api+json']) {
    t.notOk(isBinary({ 'content-type': type }), type)
    t.ok(isBinary({ 'content-type': type, 'content-encoding': 'br' }), 'compressed')
  }
  for (const type of ['image/png', 'application/octet-stream', 'application/jsonp', 'image/svg+xml', 'x-text/plain', 'application/json5', 'application/zip+text/plain']) t.ok(isBinary({ 'content-type': type }), type)
  t.notOk(isBinary({}), 'an answer without a body')
})
