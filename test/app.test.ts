import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { SpanOptions, Tracer } from '../src/plugins/spans.ts'
import { buildTestApp } from './app.ts'
import { startEngines } from './engines.ts'
import { sayTo } from './plugins/raw-http.ts'
import { until } from './until.ts'

const engines = await startEngines(t)
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const REGISTRATION = { method: 'POST', url: '/v2/users', payload: { email: 'ada@example.com', name: 'Ada' } } as const

t.test('a request has one line in the log, and one id, which is not taken from another header', async t => {
  const app = await buildTestApp(t, engines)
  const { headers } = await app.inject({ url: '/v2/users/me', headers: { 'request-id': 'forged' } })
  t.match(headers['x-correlation-id'], UUID)
  await until(() => app.logLines.some(({ msg }) => msg === 'answered'))
  t.match(app.logLines.filter(({ msg }) => /request|answered/.test(String(msg))), [{ msg: 'answered', correlationId: headers['x-correlation-id'] }])
  t.equal(app.logLines.length, 1)
})

t.test('an id of any length gets to its route, and a request without Host to our answer', async t => {
  const app = await buildTestApp(t, engines)
  t.equal((await app.inject(`/v2/users/${'x'.repeat(1000)}`)).statusCode, 401)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { status, body } = await sayTo((app.server.address() as AddressInfo).port, 'GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n')
  t.equal(status, 400)
  t.match(JSON.parse(body), { code: 'HOST_MISSING' })
})

t.test('with a tracer requests and their calls of AWS services are parts of traces', async t => {
  const parts: SpanOptions[] = []
  const tracer: Tracer = {
    start (part) {
      parts.push(part)
      return { traceparent: `part ${parts.length}`, end () {} }
    }
  }
  const app = await buildTestApp(t, engines, { tracer })
  t.equal((await app.inject(REGISTRATION)).statusCode, 202)
  t.match(parts.find(({ name }) => name === 'POST /v2/users'), { kind: 'server' })
  t.match(parts.find(({ name }) => name === 'DynamoDB TransactWriteItems'), { kind: 'client', parent: 'part 1' })
  t.notOk((await buildTestApp(t, engines)).dynamodb.middlewareStack.identify().some(name => name.startsWith('span')), 'without one the clients are left alone')
})

t.test('on Lambda calls of AWS services ask for the trace of the invocation', async t => {
  let asked = 0
  const app = await buildTestApp(t, engines, { tracing: { daemon: '127.0.0.1:2000', header: () => { asked++; return undefined } } })
  await app.inject(REGISTRATION)
  t.ok(asked > 0)
})

t.test('lines of answers carry metrics where they are asked for', async t => {
  const app = await buildTestApp(t, engines, { metrics: { inAnswers: true } })
  await app.inject('/v2/users/me')
  t.match(await until(() => app.logLines.find(({ msg }) => msg === 'answered')), { RequestSeconds: Number })
})

t.test('a limit of requests that run at once is kept', async t => {
  const app = await buildTestApp(t, engines, { loadLimits: { maxRunning: 0, maxLate: Infinity, maxRunningLate: 0 } })
  t.match((await app.inject('/v2/users/me')).json(), { status: 503, code: 'OVERLOADED' })
})
