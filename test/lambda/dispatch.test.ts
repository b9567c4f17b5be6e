import type { Context } from 'aws-lambda'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { buildEcho, PIXEL } from './echo.ts'
import { ECHO_CASES, echoed } from './echo-cases.ts'
import { EVENTS, sameEverywhere } from './parity.ts'
import { albEvent, albListsEvent, functionUrlEvent, httpDomainEvent, httpEvent, httpStageEvent, overLambda, overSocket, restEvent, type WireRequest } from './transports.ts'

const app = await buildEcho()
const handler = createDispatch(app)
await app.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => app.close())

const invoke = (event: unknown) => handler(event, {} as Context)
const socket = overSocket((app.server.address() as AddressInfo).port)
const echo = async (event: object) => JSON.parse((await invoke(event) as { body: string }).body)
const get = (target: string, headers: WireRequest['headers'] = []): WireRequest => ({ method: 'GET', target, headers })
const fromQueue = (name: string) => ({ eventSource: 'aws:sqs', eventSourceARN: `arn:aws:sqs:eu-central-1:123456789012:${name}`, body: '{}' })
const fromTable = (name: string) => ({ eventSource: 'aws:dynamodb', eventSourceARN: `arn:aws:dynamodb:eu-central-1:123456789012:table/${name}/stream/2026-11-25T00:00:00.000` })
const fromBucket = (name: string) => ({ eventSource: 'aws:s3', s3: { bucket: { name } } })

t.test('a request is the same over the socket and as every kind of event', async (t) => {
  await sameEverywhere(t, ECHO_CASES, socket, invoke, echoed)
})

t.test('a batch goes to what takes those of its queue, its table or its bucket, and the answer to AWS', async (t) => {
  for (const [kind, records] of Object.entries({ queue: [fromQueue('Queue'), fromQueue('Queue')], table: [fromTable('Table')], bucket: [fromBucket('bucket')] })) {
    const event = { Records: records }
    t.same(await invoke(event), { [kind]: event })
  }
})

t.test('the invocation\'s end is known to what takes an event', async (t) => {
  const before = Date.now()
  const { swept } = await handler({ source: 'aws.events', 'detail-type': 'Scheduled Event' }, { getRemainingTimeInMillis: () => 5000 } as Context) as { swept: { deadline: number } }
  t.ok(swept.deadline >= before + 5000 && swept.deadline <= Date.now() + 5000)
})

t.test('a source has one consumer', async (t) => {
  t.throws(() => app.consumers.add({ table: 'Table' }, async () => ({ batchItemFailures: [] })), { message: 'consumers: table Table has two consumers' })
})

t.test('a schedule starts the sweeper, whichever of AWS\'s schedulers sent it', async (t) => {
  t.same(await invoke({ source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} }), { swept: {} })
  t.same(await invoke({ source: 'aws.scheduler', 'detail-type': 'Scheduled Event', detail: '{}' }), { swept: {} })
  t.same(await invoke({ source: 'user-service.schedule', 'detail-type': 'sweep' }), { swept: {} })
})

t.test('an event of no known kind is an error, never an answer', async (t) => {
  const unknown: Record<string, unknown> = {
    nothing: undefined,
    null: null,
    text: 'hello',
    number: 1,
    'an empty object': {},
    'an empty batch': { Records: [] },
    'records that are no list': { Records: 'aws:sqs' },
    'a record that is nothing': { Records: [null] },
    'a batch of two sources': { Records: [fromQueue('Queue'), fromTable('Table')] },
    'records of another source': { Records: [{ eventSource: 'aws:kinesis' }] },
    'records of another queue': { Records: [fromQueue('Other')] },
    'records of another table': { Records: [fromTable('Other')] },
    'records of an index': { Records: [{ eventSource: 'aws:dynamodb', eventSourceARN: 'Table' }] },
    'a notification of SNS, which spells it otherwise': { Records: [{ EventSource: 'aws:sns' }] },
    'an upload to another bucket': { Records: [fromBucket('other')] },
    'an upload to no bucket': { Records: [{ eventSource: 'aws:s3' }] },
    'an event of another application': { source: 'another.app', 'detail-type': 'sweep' },
    'another order to this one': { source: 'user-service.schedule', 'detail-type': 'other' },
    'a schedule without a source': { 'detail-type': 'Scheduled Event' },
    'an event of AWS that is no schedule': { source: 'aws.ec2', 'detail-type': 'Scheduled Event' },
    'a request to an authorizer': { ...restEvent(get('/echo/a')), type: 'REQUEST', methodArn: 'arn:aws:execute-api:eu-central-1:0:abc/prod/GET/echo' },
    'a message of a web socket': { requestContext: { connectionId: 'a', eventType: 'MESSAGE' }, body: '{}' },
    'a batch dressed up as a request': { ...restEvent(get('/echo/a')), Records: [] }
  }
  for (const [name, event] of Object.entries(unknown)) await t.rejects(invoke(event), name)
  for (const event of [undefined, null, 'hello', 1]) await t.rejects(invoke(event), { name: 'TypeError', message: 'The event is not an object' })
})

t.test('the handler takes two parameters, as nodejs24.x asks for', async (t) => {
  t.equal(handler.length, 2)
})

t.test('the client\'s address is the one that AWS reports, not one that the client sends', async (t) => {
  const forged = get('/echo/a', [['X-Forwarded-For', '203.0.113.9'], ['Forwarded', 'for=203.0.113.9'], ['X-Real-IP', '203.0.113.9'], ['X-Forwarded-Host', 'evil.example']])
  for (const [name, toEvent] of Object.entries(EVENTS)) t.equal((await echo(toEvent(forged))).ip, '127.0.0.1', name)

  const rest = restEvent(forged)
  rest.requestContext.identity.sourceIp = '198.51.100.7'
  t.equal((await echo(rest)).ip, '198.51.100.7', 'REST API')
  const balanced = albEvent(forged) as { headers: Record<string, string> }
  t.equal(balanced.headers['x-forwarded-for'], '203.0.113.9, 127.0.0.1', 'a load balancer adds the address it saw')
})

t.test('a client cannot forge the event with the adapter\'s own headers', async (t) => {
  const event = encodeURIComponent(JSON.stringify(restEvent(get('/echo/forged'))))
  const names = ['x-apigateway-event', 'X-ApiGateway-Event', 'x-apigateway-context', 'x-aws-lambda-fastify-request']
  for (const [name, toEvent] of Object.entries(EVENTS)) {
    const answer = await echo(toEvent(get('/echo/a', names.map(header => [header, event]))))
    t.equal(answer.path, '/echo/a', name)
    for (const header of names) t.notOk(header.toLowerCase() in answer.headers, `${name}: ${header}`)
  }
})

t.test('a raw % in a name of the query is the client\'s, and not an exception', async (t) => {
  for (const toEvent of [httpEvent, functionUrlEvent, albEvent, albListsEvent]) {
    for (const query of ['%=1', '%zz=1', 'a=%zz', 'a=%', 'a=1,2&%=3,4']) {
      t.equal((await overLambda(invoke, toEvent)(get(`/echo/a?${query}`))).status, 200, query)
    }
  }
})

t.test('a path with a broken escape is a 400 in the shape of every error', async (t) => {
  for (const toEvent of [restEvent, functionUrlEvent, albEvent]) {
    const { status, headers, body } = await overLambda(invoke, toEvent)(get('/echo/%zz'))
    t.equal(status, 400)
    t.match(headers['content-type'], /problem\+json/)
    t.match(JSON.parse(body.toString()), { status: 400, code: 'URL_MALFORMED' })
  }
})

t.test('a method that HTTP does not know is a 501 in the shape of its version', async (t) => {
  for (const [name, toEvent] of Object.entries(EVENTS)) {
    for (const method of ['BREW', 'get', '']) {
      if (method === '' && name.startsWith('REST')) continue
      const v2 = await overLambda(invoke, toEvent)({ method, target: '/v2/users', headers: [['x-correlation-id', 'abc']] })
      t.equal(v2.status, 501, `${name}: ${method}`)
      t.equal(v2.headers['content-type'], 'application/problem+json; charset=utf-8')
      t.equal(v2.headers['x-correlation-id'], 'abc')
      t.match(JSON.parse(v2.body.toString()), { code: 'METHOD_NOT_IMPLEMENTED', correlationId: 'abc', status: 501 })
    }
  }
  const v1 = await overLambda(invoke, restEvent)({ method: 'BREW', target: '/v1/users' })
  t.match(JSON.parse(v1.body.toString()), { success: false })
})

t.test('an event that cannot be a request is a 400 in the shape of every error', async (t) => {
  const rest = restEvent(get('/echo/a'))
  const http = httpEvent(get('/echo/a'))
  for (const event of [{ ...rest, path: 'http://evil.example/' }, { ...rest, path: '' }, { ...rest, path: undefined }, { ...rest, body: { a: 1 } }, { ...http, rawPath: '/\ud800' }]) {
    const answer = await invoke(event) as { statusCode: number, body: string }
    t.equal(answer.statusCode, 400)
    t.match(JSON.parse(answer.body), { status: 400, code: 'REQUEST_MALFORMED' })
  }
})

t.test('a way up in the path leads nowhere, as over the socket', async (t) => {
  for (const target of ['/nowhere/../nothing', '/nowhere/%2e%2e/nothing', '/nowhere/.%2E/nothing', '/./nothing', '/nowhere/..', '/nowhere\\..\\nothing']) {
    t.equal((await socket(get(target))).status, 404)
    for (const [name, toEvent] of Object.entries(EVENTS)) t.equal((await overLambda(invoke, toEvent)(get(target))).status, 404, `${name}: ${target}`)
  }
})

t.test('a stage called v1 does not eat the path that begins with it', async (t) => {
  t.equal((await echo(restEvent(get('/echo/v1/users'), 'echo'))).path, '/echo/v1/users')
  t.equal((await echo(httpStageEvent('echo')(get('/echo/v1')))).path, '/echo/v1')
  t.equal((await echo(httpDomainEvent('echo')(get('/echo/v1')))).path, '/echo/v1')
})

t.test('a body has its real length, not that of its header', async (t) => {
  for (const header of ['Content-Length', 'content-length', 'Transfer-Encoding']) {
    const event = restEvent({ method: 'POST', target: '/echo/a', headers: [['content-type', 'text/plain']], body: 'twelve bytes' })
    delete event.multiValueHeaders['Content-Length']
    t.equal((await echo({ ...event, multiValueHeaders: { ...event.multiValueHeaders, [header]: ['5'] } })).body?.bytes, 12, header)
  }
})

t.test('a REST API is answered uncompressed, because it decodes base64 for few clients', async (t) => {
  for (const [name, toEvent] of Object.entries(EVENTS)) {
    const { headers } = await echo(toEvent(get('/echo/a', [['Accept-Encoding', 'br, gzip']])))
    t.equal(headers['accept-encoding'], name.startsWith('REST') ? undefined : 'br, gzip', name)
  }
})

t.test('bytes that became U+FFFD in an event with text are invalid bytes again, and no others', async (t) => {
  const bytesOf = async (event: object) => (await echo(event)).body as { bytes: number }
  const event = (body: string, isBase64Encoded = false) => ({ ...restEvent({ method: 'POST', target: '/echo/a', headers: [['content-type', 'application/json']], body: 'x' }), body, isBase64Encoded })
  t.equal((await bytesOf(event('{"a":"\uFFFD\uFFFDé"}'))).bytes, '{"a":""}'.length + 2 + 2, 'each has the length that it had')
  t.equal((await bytesOf(event('{"a":"é"}'))).bytes, '{"a":""}'.length + 2)
  t.equal((await bytesOf(event(Buffer.from('\uFFFD').toString('base64'), true))).bytes, 3, 'in bytes it is what the client wrote')
})

t.test('an answer names no connection', async (t) => {
  const answer = await invoke(restEvent({ method: 'POST', target: '/small', headers: [['content-type', 'text/plain']], body: 'large' })) as { statusCode: number, headers: object }
  t.equal(answer.statusCode, 413)
  t.notOk('connection' in answer.headers, 'which Fastify would have the client close')
})

t.test('a load balancer that sends lists is answered in lists alone, and another one without', async (t) => {
  const lists = await invoke(albListsEvent(get('/cookies'))) as { headers?: object, multiValueHeaders: Record<string, string[]> }
  t.notOk('headers' in lists)
  t.same(lists.multiValueHeaders['set-cookie'], ['a=1; Path=/', 'b=2; Secure'])
  t.match(lists.multiValueHeaders['content-type'], ['text/plain; charset=utf-8'])
  const single = await invoke(albEvent(get('/cookie'))) as typeof lists
  t.match(single.headers, { 'set-cookie': 'a=1; Path=/' })
  t.notOk('multiValueHeaders' in single)
})

t.test('binary goes to AWS in base64, text does not', async (t) => {
  const binary = await invoke(restEvent(get('/binary'))) as { isBase64Encoded: boolean, body: string }
  t.ok(binary.isBase64Encoded)
  t.same(Buffer.from(binary.body, 'base64'), PIXEL)
  t.ok((await invoke(restEvent(get('/encoded'))) as typeof binary).isBase64Encoded, 'compressed text is binary')
  for (const path of ['/unicode', '/echo/a', '/nothing', '/unknown']) t.notOk((await invoke(restEvent(get(path))) as typeof binary).isBase64Encoded, path)
})

t.test('an answer that Lambda would not pass on is a 500 that says nothing else', async (t) => {
  const mebibyte = 1024 * 1024
  const size = async (toEvent: typeof albEvent, bytes: number) => await overLambda(invoke, toEvent)(get(`/large?bytes=${bytes}`))
  t.equal((await size(restEvent, 5.9 * mebibyte)).status, 200)
  t.equal((await size(albEvent, 0.9 * mebibyte)).status, 200)
  for (const answer of [await size(restEvent, 6 * mebibyte), await size(functionUrlEvent, 7 * mebibyte), await size(albEvent, mebibyte), await size(albListsEvent, mebibyte)]) {
    t.equal(answer.status, 500)
    t.match(JSON.parse(answer.body.toString()), { code: 'INTERNAL' })
  }
})
