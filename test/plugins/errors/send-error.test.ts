import Fastify, { type InjectOptions } from 'fastify'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'
import { SHARED_CODES, sendError } from '../../../src/plugins/errors/send-error.ts'
import { Overloaded, TooManyRequests, Unauthorized, Unavailable } from '../../../src/shared/errors.ts'
import { throttled } from '../../faults.ts'
import { until } from '../../until.ts'

const logLines: Record<string, unknown>[] = []
const app = Fastify({
  bodyLimit: 1000,
  ajv: { customOptions: { removeAdditional: false, allErrors: true } },
  logger: { level: 'info', stream: { write: (line: string) => { logLines.push(JSON.parse(line) as Record<string, unknown>) } } },
  frameworkErrors: (error, request, reply) => { sendError(error, request, reply) }
})
t.teardown(() => app.close())
await app.register(correlation)
await app.register(errors)
const sent: string[] = []
app.addHook('onSend', async (_request, _reply, payload) => { sent.push(String(payload)) })
const LEFT = 'the client left before the whole body had arrived'
/** what the route throws */
let thrown: unknown
for (const url of ['/thrown', '/v1/thrown', '/v2/thrown', '/thrown/*']) app.post(url, async () => { throw thrown })
app.post('/fields', { schema: { body: { type: 'object', properties: {}, additionalProperties: false } } }, async () => ({}))

const ask = async (request: InjectOptions = {}) => {
  logLines.length = 0
  const { statusCode: status, headers, body } = await app.inject({ method: 'POST', url: '/thrown', ...request })
  const { code, detail, errors, instance } = JSON.parse(body) as Record<string, unknown>
  if (logLines.some(({ msg }) => msg === LEFT)) throw new Error('a client that is there was logged as one that left')
  return { status, code, detail, errors, instance, headers, body, reported: logLines.filter(({ level }) => level === 50) }
}
const answerTo = async (error: unknown, request?: InjectOptions) => {
  thrown = error
  return await ask(request)
}
const json = { 'content-type': 'application/json' }
const fault = (properties: object, message = 'hush') => Object.assign(new Error(message), properties)

t.test('what Fastify refuses by itself has a text of ours', async t => {
  for (const [request, status, code, detail] of [
    [{ payload: `"${'x'.repeat(1000)}"`, headers: json }, 413, 'BODY_TOO_LARGE', 'The body is larger than 64 KiB'],
    [{ payload: '{', headers: json }, 400, 'BODY_MALFORMED', 'The body is not valid JSON'],
    [{ payload: '{}', headers: { ...json, 'content-length': '3' } }, 400, 'BODY_MALFORMED', 'The body is not as long as Content-Length says'],
    [{ url: '/%zz' }, 400, 'URL_MALFORMED', 'The path is not a valid URL path'],
    [{ payload: 'x', headers: { 'content-type': 'text/xml' } }, 415, 'BAD_REQUEST', 'The request cannot be understood']
  ] as const) {
    const answer = await ask(request)
    t.match(answer, { status, code, detail })
    t.same(answer.reported, [], 'nothing is wrong here')
    t.equal(answer.headers['x-correlation-id'], JSON.parse(answer.body).correlationId)
  }
})

t.test('an error with a status and a code of its own is shown as it is, one without is not', async t => {
  const errors = [{ pointer: '/name', detail: 'is taken' }]
  t.match(await answerTo(fault({ statusCode: 409, code: 'NAME_TAKEN', errors }, 'The name is taken')), { status: 409, code: 'NAME_TAKEN', detail: 'The name is taken', errors, reported: [] })
  t.equal((await answerTo(fault({ statusCode: 404, code: 'NO_SUCH' }))).errors, undefined)
  for (const [error, status, detail] of [
    [fault({ statusCode: 422 }), 422, 'The request cannot be understood'],
    [fault({ statusCode: 400, code: 'FST_ERR_OF_TOMORROW' }), 400, 'The request cannot be understood'],
    [Object.assign(new SyntaxError('Unexpected token h in hush'), { statusCode: 400, code: 'A_PARSER' }), 400, 'The body is not valid JSON'],
    [fault({ statusCode: 499, code: undefined }), 499, 'The request cannot be understood']
  ] as const) t.match(await answerTo(error), { status, code: 'BAD_REQUEST', detail, reported: [] })
})

t.test('a failure of the service is a 500 that says nothing of it, and is reported', async t => {
  for (const error of [fault({}), fault({ statusCode: 500, code: 'FST_ERR_REP_INVALID_PAYLOAD_TYPE' }), fault({ statusCode: 502, code: 'SOMETHING' }), new TypeError('hush')]) {
    const answer = await answerTo(error)
    t.match(answer, { status: 500, code: 'INTERNAL', detail: 'Something went wrong on our side; quote the correlation id when you report it' })
    t.notMatch(answer.body, 'hush')
    t.match(answer.reported, [{ err: { message: 'hush' }, code: 'INTERNAL', msg: 'request failed' }])
    t.equal(answer.headers['retry-after'], undefined)
  }
})

t.test('a dependency that does not answer is a 503 for five seconds, and is reported; what reports itself is not', async t => {
  for (const error of [throttled(), fault({ code: 'ECONNREFUSED' }), new Unavailable()]) {
    const answer = await answerTo(error)
    t.match(answer, { status: 503, code: 'DEPENDENCY_UNAVAILABLE', detail: 'A dependency of this service does not answer; try again', reported: [{ code: 'DEPENDENCY_UNAVAILABLE' }] })
    t.equal(answer.headers['retry-after'], '5')
  }
  const overload = await answerTo(Object.assign(new Overloaded(), { retryAfter: 0.2, isReported: true }))
  t.match(overload, { status: 503, code: 'OVERLOADED' })
  t.same(overload.reported, [])
})

t.test('the time to wait is in whole seconds, and never none', async t => {
  for (const [retryAfter, shown] of [[0, '1'], [0.2, '1'], [2, '2'], [2.1, '3'], [undefined, undefined]] as const) {
    t.equal((await answerTo(Object.assign(new TooManyRequests(), { retryAfter }))).headers['retry-after'], shown)
  }
})

t.test('a 401 says how to authenticate, and of a token what is wrong with it', async t => {
  const NO_JWT = 'This is not an access token, which has two dots; a refresh token is not accepted here'
  const BAD_JWT = 'The access token is malformed, expired or not from this service'
  const NO_BEARER = 'The Authorization header must be the word Bearer, a space and the access token'
  const realm = 'Bearer realm="user-service"'
  const headerOf = async (error: Error, authorization?: string) => (await answerTo(error, { headers: authorization === undefined ? {} : { authorization } })).headers['www-authenticate']
  t.equal(await headerOf(new Unauthorized()), realm)
  t.equal(await headerOf(fault({ statusCode: 401, code: 'CODE_WRONG' }), 'Bearer aa.bb.cc'), realm, 'a code is no token')
  t.equal(await headerOf(fault({ statusCode: 403, code: 'AUTH_TOKEN_INVALID' }), 'Bearer aa.bb.cc'), undefined)
  for (const [authorization, description] of [
    ['Bearer aa.bb.cc', BAD_JWT], ['bearer aa.bb.cc', BAD_JWT], ['Bearer   aa.bb.cc', BAD_JWT], ['Bearer hush', NO_JWT],
    ['Beareraa.bb.cc', NO_BEARER], ['Bearer', NO_BEARER], ['Bearer  ', NO_BEARER], ['My Bearer aa.bb.cc', NO_BEARER], ['Basic YTpi', NO_BEARER]
  ] as const) t.equal(await headerOf(new Unauthorized(), authorization), `${realm}, error="invalid_token", error_description="${description}"`, authorization)
})

t.test('the path is repeated without its query, up to 256 characters', async t => {
  for (const [url, instance] of [['/thrown?x=1', '/thrown'], [`/thrown/${'x'.repeat(248)}`, `/thrown/${'x'.repeat(248)}`], [`/thrown/${'x'.repeat(249)}`, `/thrown/${'x'.repeat(248)}`]] as const) t.equal((await answerTo(fault({}), { url })).instance, instance)
})

t.test('of more than twenty invalid fields the number of the others is said', async t => {
  const detailOf = async (count: number) => {
    const { status, code, detail } = await ask({ url: '/fields', payload: Object.fromEntries(Array.from({ length: count }, (_, i) => [i, 1])) })
    t.same([status, code], [400, 'VALIDATION_FAILED'])
    return detail
  }
  t.equal(await detailOf(2), '0 is not a known property; 1 is not a known property')
  t.match(await detailOf(20), /19 is not a known property$/)
  t.match(await detailOf(21), /19 is not a known property; and 1 more$/)
})

t.test('each version has its own shape, and every answer its correlation id', async t => {
  for (const [url, type, shape] of [
    ['/v1/thrown', 'application/json; charset=utf-8', { success: false, error: String }],
    ['/v2/thrown', 'application/problem+json; charset=utf-8', { code: 'INTERNAL' }],
    ['/thrown', 'application/problem+json; charset=utf-8', { code: 'INTERNAL' }]
  ] as const) {
    const { headers, body } = await answerTo(fault({}), { url })
    t.equal(headers['content-type'], type)
    t.match(JSON.parse(body), { ...shape, correlationId: headers['x-correlation-id'] })
  }
})

t.test('the documents name what any operation may answer', async t => {
  t.strictSame(SHARED_CODES.toSorted(), ['BODY_MALFORMED', 'BODY_MALFORMED', 'BODY_TOO_LARGE', 'HOST_MISSING', 'METHOD_NOT_ALLOWED', 'NOT_FOUND', 'OVERLOADED', 'URL_MALFORMED'])
})

t.test('a client that leaves before its whole body has arrived is noted, as a fault of its own', async t => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  logLines.length = 0
  sent.length = 0
  const asked = once(app.server, 'request')
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  socket.write('POST /thrown HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{')
  await asked
  socket.resetAndDestroy()
  const line = await until(() => logLines.find(({ msg }) => msg === LEFT))
  t.match(line, { level: 30, code: 'BODY_MALFORMED' })
  t.same(logLines.filter(({ level }) => level === 50), [])
  t.match(sent.map(text => JSON.parse(text) as object), [{ status: 400, code: 'BODY_MALFORMED', detail: 'The connection ended before the whole body had arrived', instance: '/thrown' }])
})
