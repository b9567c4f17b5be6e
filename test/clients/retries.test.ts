import t from 'tap'
import { createCaller } from '../../clients/typescript/src/call.ts'
import { createUserService, ProblemError } from '../../clients/typescript/src/index.ts'
import { retryAfterOf } from '../../clients/typescript/src/problem.ts'
import { until } from '../until.ts'
import { problem, startScripted, type Step } from './scripted.ts'

const OK: Step = { status: 200, body: { status: 'healthy' } }
const POST = { method: 'POST', path: '/v2/things', contentType: 'application/json' }

/** The error that a call rejects with. */
async function problemOf (call: Promise<unknown>): Promise<ProblemError> {
  const error = await call.then(() => undefined, (error: unknown) => error)
  if (!(error instanceof ProblemError)) throw new Error(`not a problem: ${String(error)}`)
  return error
}

async function callerTo (steps: Step[], retry = {}) {
  const server = await startScripted(t, steps)
  return { ...server, call: createCaller({ baseUrl: `${server.url}/`, fetch, retry }), service: createUserService({ baseUrl: server.url, retry }) }
}

t.test('a 429 and a 503 are retried after the delay of the header', async t => {
  const { service, received } = await callerTo([problem(429, 'RATE_LIMITED', { 'retry-after': '1' }), problem(503, 'UNAVAILABLE', { 'retry-after': new Date(Date.now() + 1000).toUTCString() }), OK])
  t.match(await service.health.live(), { status: 200, data: { status: 'healthy' } })
  t.equal(received.length, 3)
  t.ok(received[1]!.at - received[0]!.at >= 990, `waited ${Math.round(received[1]!.at - received[0]!.at)} ms`)
})

t.test('without the header the delay is short, and attempts are bounded', async t => {
  const { service, received } = await callerTo(Array.from({ length: 9 }, () => problem(503, 'UNAVAILABLE')), { attempts: 3 })
  const error = await problemOf(service.health.live())
  t.match(error, { status: 503, code: 'UNAVAILABLE' })
  t.equal(received.length, 3)
})

t.test('a delay that is longer than the call may take is thrown at once', async t => {
  const { service, received } = await callerTo([problem(429, 'AUTH_CODES_EXHAUSTED', { 'retry-after': '3600' }), OK])
  const error = await problemOf(service.health.live())
  t.match(error, { status: 429, code: 'AUTH_CODES_EXHAUSTED', retryAfter: 3600, detail: 'What is wrong', correlationId: 'abc-1' })
  t.equal(received.length, 1)
})

t.test('a POST without an idempotency key is sent once, whatever happens to it', async t => {
  for (const step of [problem(503, 'UNAVAILABLE', { 'retry-after': '0' }), problem(429, 'RATE_LIMITED', { 'retry-after': '0' }), 'drop'] as Step[]) {
    const { call, received } = await callerTo([step, OK])
    await t.rejects(call(POST, { body: {} }))
    t.equal(received.length, 1)
    t.notOk('idempotency-key' in received[0]!.headers)
  }
})

t.test('a POST with an idempotency key is sent again with the same key and body, after a lost answer too', async t => {
  const { call, received } = await callerTo(['drop', problem(409, 'STILL_RUNNING', { 'retry-after': '0' }), problem(503, 'UNAVAILABLE', { 'retry-after': '0' }), OK])
  await call({ ...POST, keyed: true }, { body: { a: 1 } })
  t.equal(received.length, 4)
  const keys = new Set(received.map(({ headers }) => headers['idempotency-key']))
  t.match([...keys], [/^[0-9a-f-]{36}$/], 'one key')
  t.same(new Set(received.map(({ body }) => body)), new Set(['{"a":1}']))
})

t.test('each call has a key of its own, unless the caller gives one', async t => {
  const { call, received } = await callerTo([OK, OK, OK])
  for (const options of [{}, {}, { idempotencyKey: 'mine' }]) await call({ ...POST, keyed: true }, { body: {}, ...options })
  const [first, second, third] = received.map(({ headers }) => headers['idempotency-key'])
  t.not(first, second)
  t.equal(third, 'mine')
})

t.test('a conflict without a delay, and every other error, is not retried', async t => {
  for (const status of [400, 403, 404, 409, 412, 422, 500]) {
    const { call, received } = await callerTo([problem(status, 'SOME_CODE'), OK])
    const error = await problemOf(call({ ...POST, keyed: true }, { body: {} }))
    t.match(error, { status, code: 'SOME_CODE' })
    t.equal(received.length, 1)
  }
})

t.test('retries can be switched off for a call', async t => {
  const { service, received } = await callerTo([problem(503, 'UNAVAILABLE', { 'retry-after': '0' }), OK])
  t.match(await problemOf(service.health.ready({ retry: false })), { status: 503 })
  t.equal(received.length, 1)
})

t.test('a signal ends a call while it waits for a retry, and while it waits for the answer', async t => {
  for (const step of [problem(503, 'UNAVAILABLE', { 'retry-after': '20' }), 'wait'] as Step[]) {
    const { service, received } = await callerTo([step, OK])
    const controller = new AbortController()
    const start = performance.now()
    const call = service.health.live({ signal: controller.signal })
    const isEnded = t.rejects(call, { message: 'the user left' })
    await until(() => received.length === 1)
    controller.abort(new Error('the user left'))
    await isEnded
    t.ok(performance.now() - start < 5000)
    t.equal(received.length, 1)
  }
  const { service, received } = await callerTo([OK])
  await t.rejects(service.health.live({ signal: AbortSignal.abort(new Error('too late')) }), { message: 'too late' })
  t.equal(received.length, 0)
})

t.test('a problem names its fields, and an answer that is no problem document is an error too', async t => {
  const errors = [{ pointer: '/email', detail: 'is required' }]
  const { service, url } = await callerTo([
    { status: 400, body: { status: 400, code: 'VALIDATION_FAILED', detail: 'The request is not valid', errors } },
    { status: 502, body: '<html>Bad gateway</html>' },
    { status: 500, body: 'null', headers: { 'content-type': 'application/json' } }
  ])
  const invalid = await problemOf(service.users.create({ body: { email: 'a@example.com', name: 'Ab' } }))
  t.match(invalid, { name: 'ProblemError', message: 'The request is not valid', code: 'VALIDATION_FAILED', errors })
  t.ok(invalid.concerns('email') && invalid.concerns('/email') && !invalid.concerns('name'))
  t.match(await problemOf(service.health.live()), { status: 502, code: 'UNKNOWN', body: '<html>Bad gateway</html>', errors: [] })
  t.match(await problemOf(service.health.live()), { status: 500, code: 'UNKNOWN', body: null })
  await t.rejects(createUserService({ baseUrl: url, retry: { attempts: 1 } }).health.live(), TypeError, 'a failure of the network is fetch\'s own error')
})

t.test('parameters, conditions and headers are put where they belong', async t => {
  const { call, received } = await callerTo([{ status: 200, body: {}, headers: { etag: '"1"', 'x-correlation-id': 'abc-2' } }, { status: 304, headers: { etag: '"1"' } }, { status: 204 }])
  const first = await call({ method: 'GET', path: '/v2/users/{id}' }, { path: { id: 'a/b c' }, query: { limit: 5, tag: ['x', 'y'], none: undefined }, headers: { 'x-correlation-id': 'abc-2' } })
  t.match(first, { status: 200, etag: '"1"', correlationId: 'abc-2' })
  t.equal(received[0]!.path, '/v2/users/a%2Fb%20c?limit=5&tag=x&tag=y')
  t.match(received[0]!.headers, { 'x-correlation-id': 'abc-2', accept: /application\/json/ })
  t.match(await call({ method: 'GET', path: '/v2/users/me' }, { ifNoneMatch: first.etag }), { status: 304, data: undefined })
  t.match(await call({ method: 'DELETE', path: '/v2/users/me' }, { ifMatch: first.etag }), { status: 204, data: undefined })
  t.match(received.slice(1).map(({ headers }) => headers), [{ 'if-none-match': '"1"' }, { 'if-match': '"1"' }])
})

t.test('Retry-After is read in both forms, and anything else is ignored', async t => {
  const now = Date.parse('2026-11-26T00:00:00Z')
  for (const [value, seconds] of [['7', 7], ['0', 0], ['Thu, 26 Nov 2026 00:00:09 GMT', 9], ['Wed, 25 Nov 2026 00:00:00 GMT', 0], ['-5', undefined], ['soon', undefined], ['', undefined]] as const) {
    t.equal(retryAfterOf(new Headers({ 'retry-after': value }), now), seconds, value)
  }
})
