import { once } from 'node:events'
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/plugins/config.ts'
import { startTracing } from '../../src/server/tracing.ts'
import { codeIn } from '../accounts.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { startEventBus } from '../event-bus.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'
import { attributesOf, startCollector, type Span } from './collector.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)

/** The service with tracing on, listening on a socket: the events of a body come there in another context than with `inject`. */
async function startTraced (t: Test, endpoint: string) {
  const tracing = (await startTracing(loadConfig({ ...engines.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, STAGE: 'staging' })))!
  let arrived = 0
  const app = await buildTestApp(t, engines, {
    env: bus.env,
    tracer: tracing.tracer,
    beforeReady: app => { app.addHook('onRequest', async () => { arrived++ }) }
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, url, arrived: () => arrived, close: tracing.close }
}

const register = (url: string, email: string, headers: Record<string, string> = {}) => fetch(`${url}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ email, name: 'Ada Tracewell' }) })

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`

t.test('one trace leads from the request through outbox, queue and event to the mail', async t => {
  const collector = await startCollector(t)
  const { app, url, close } = await startTraced(t, collector.url)
  const answer = await register(url, 'traced@example.com', { traceparent: TRACEPARENT, 'x-correlation-id': 'traced-1' })
  t.equal(answer.status, 202)
  // DynamoDB Local shows a write in its stream a little later.
  await until(async () => { await pump(app, engines); return bus.events.some(({ correlationId }) => correlationId === 'traced-1') })
  t.equal(engines.mailsTo('traced@example.com').length, 1)
  await close()

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE)
  const named = (name: string) => spans.find(span => span.name === name)!
  const parentOf = ({ parentSpanId }: Span) => spans.find(({ spanId }) => spanId === parentSpanId)
  const path = (span: Span | undefined): string[] => span === undefined ? [] : [...path(parentOf(span)), span.name]
  t.equal(named('POST /v2/users').parentSpanId, '00f067aa0ba902b7', 'the client began it')
  t.same(path(named('send mail')), ['POST /v2/users', 'handle code.requested', 'deliver WELCOME_EMAIL', 'send mail'])
  t.same(path(named('SQS SendMessage')), ['POST /v2/users', 'handle code.requested', 'SQS SendMessage'])
  t.same(path(named('EventBridge PutEvents')), ['POST /v2/users', 'handle code.requested', 'handle user.registered', 'EventBridge PutEvents'])
  t.ok(spans.some(span => span.name === 'DynamoDB TransactWriteItems' && path(span)[0] === 'POST /v2/users' && path(span).length === 2), 'calls of AWS services are parts of it')

  t.same(attributesOf(named('POST /v2/users')), { 'http.request.method': 'POST', 'http.route': '/v2/users', 'correlation.id': 'traced-1', 'http.response.status_code': 202 })
  t.match(collector.bodies[0], /"service\.name","value":\{"stringValue":"user-service"\}.*"deployment\.environment\.name","value":\{"stringValue":"staging"\}/)
  const event = bus.events.find(({ type, correlationId }) => type === 'user.registered' && correlationId === 'traced-1')!
  t.match(event.traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`), 'other services carry it on')
  for (const secret of ['traced@example.com', 'Tracewell', codeIn(engines, 'traced@example.com'), (await answer.json() as { challengeId: string }).challengeId]) t.notOk(collector.bodies.some(body => body.includes(secret)), `${secret} is in no span`)
})

t.test('a body that comes late belongs to the trace of its request', async t => {
  const collector = await startCollector(t)
  const { app, url, arrived, close } = await startTraced(t, collector.url)
  const late = request(`${url}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json', traceparent: TRACEPARENT, connection: 'close' } })
  late.flushHeaders()
  await until(() => arrived() === 1)
  late.end(JSON.stringify({ email: 'late@example.com', name: 'Ada' }))
  const [answer] = await once(late, 'response') as [{ resume: () => void }]
  answer.resume()
  await pump(app, engines)
  await close()
  const mail = collector.spans.find(({ name }) => name === 'send mail')
  t.equal(mail?.traceId, TRACE)
})

t.test('requests without a trace begin traces of their own, and no address of a page is recorded', async t => {
  const collector = await startCollector(t)
  const { app, url, close } = await startTraced(t, collector.url)
  await Promise.all(['one', 'two'].map(name => register(url, `${name}@example.com`, { traceparent: 'not a traceparent' })))
  await fetch(`${url}/wp-login.php?secret=1`)
  await pump(app, engines)
  await close()
  const requests = collector.spans.filter(({ name }) => name === 'POST /v2/users')
  t.equal(new Set(requests.map(({ traceId }) => traceId)).size, 2)
  for (const { traceId, parentSpanId } of requests) {
    t.notOk(parentSpanId)
    t.equal(collector.spans.filter(span => span.traceId === traceId && span.name === 'send mail').length, 1, 'each with its own mail')
  }
  t.ok(collector.spans.some(({ name }) => name === 'unknown path'))
  t.notOk(collector.bodies.some(body => /wp-login|secret/.test(body)))
})

/** What a registration leaves in the outbox, the queue and on the bus, looked at on its way. */
async function leftBy (t: Test, app: TestApp, email: string, change = (item: Record<string, unknown>) => item) {
  const messages: Record<string, { stringValue?: string }>[] = []
  const entries: Record<string, unknown>[] = []
  const deliver = app.consumers.deliver
  const watched = {
    consumers: {
      async deliver (event: { Records: unknown }) {
        const records = event.Records as { dynamodb?: { NewImage?: Record<string, unknown> }, messageAttributes?: Record<string, { stringValue?: string }> }[]
        for (const { dynamodb, messageAttributes } of records) {
          if (dynamodb?.NewImage?.['kind'] !== undefined) {
            dynamodb.NewImage = change(dynamodb.NewImage)
            entries.push(dynamodb.NewImage)
          }
          if (messageAttributes !== undefined) messages.push(messageAttributes)
        }
        return await deliver(event)
      }
    }
  }
  const before = bus.events.length
  await app.inject({ method: 'POST', url: '/v2/users', headers: { traceparent: TRACEPARENT }, payload: { email, name: 'Ada' } })
  await pump(watched, engines)
  t.equal(engines.mailsTo(email).length, 1)
  return { entries, messages, events: bus.events.slice(before) }
}

t.test('without a collector nothing is carried, and entries, messages and events are as they were', async t => {
  const app = await buildTestApp(t, engines, { env: bus.env })
  const { entries, messages, events } = await leftBy(t, app, 'untraced@example.com')
  t.ok(entries.length >= 2 && messages.length === 1 && events.length >= 1)
  for (const entry of entries) t.notOk('traceparent' in entry)
  for (const message of messages) t.same(Object.keys(message), ['correlationId'])
  for (const event of events) t.same(Object.keys(event), ['eventId', 'type', 'version', 'occurredAt', 'correlationId', 'data'])
  t.equal(await startTracing(app.config), undefined)
})

t.test('a function without a collector carries on the trace of an entry that a server has written', async t => {
  const app = await buildTestApp(t, engines, { env: bus.env })
  const { messages, events } = await leftBy(t, app, 'carried@example.com', image => ({ ...image, traceparent: { S: TRACEPARENT } }))
  t.equal(messages[0]!['traceparent']?.stringValue, TRACEPARENT)
  t.ok(events.length >= 1)
  for (const { traceparent } of events) t.equal(traceparent, TRACEPARENT)
})

t.test('entries of before, and with a trace that is none, are handled like any other', async t => {
  const collector = await startCollector(t)
  const { app, close } = await startTraced(t, collector.url)
  const left = await leftBy(t, app, 'before@example.com', ({ traceparent, ...image }) => image)
  t.ok(left.entries.length >= 2)
  await leftBy(t, app, 'strange@example.com', image => ({ ...image, traceparent: { N: '1' } }))
  await close()
  t.equal(collector.spans.filter(({ name }) => name === 'send mail').length, 2)
})

t.test('a collector that is down costs no request anything, and a stop two seconds at most', async t => {
  const { app, url, close } = await startTraced(t, 'http://127.0.0.1:9')
  t.equal((await register(url, 'down@example.com')).status, 202)
  await pump(app, engines)
  t.equal(engines.mailsTo('down@example.com').length, 1)
  const began = performance.now()
  await close()
  t.ok(performance.now() - began < 4000, `${Math.round(performance.now() - began)} ms`)
})
