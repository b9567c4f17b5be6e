import t, { type Test } from 'tap'
import type { Config } from '../../src/plugins/config.ts'
import { startTracing } from '../../src/server/tracing.ts'
import { attributesOf, startCollector } from './collector.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

async function start (t: Test, { path = '' } = {}) {
  const collector = await startCollector(t)
  const { tracer, close } = (await startTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}${path}`, SERVICE_NAME: 'orders', STAGE: 'staging' } as Config))!
  t.teardown(close)
  return { ...collector, tracer, close }
}

t.test('a part of a trace has its kind, its parent, what it is about, and how it ended', async t => {
  const { tracer, close, spans, scopes, bodies } = await start(t)
  const began = tracer.start({ name: 'GET /orders', kind: 'server', parent: `00-${TRACE}-${PARENT}-01`, attributes: { 'http.route': '/orders' } })
  t.match(began.traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`))
  for (const kind of ['consumer', 'client'] as const) tracer.start({ name: kind, kind, parent: began.traceparent }).end({ error: 'TimeoutError' })
  began.end({ attributes: { 'http.response.status_code': 200 } })
  await close()

  const [consumer, client, server] = spans
  t.match([server, consumer, client].map(span => [span!.name, span!.kind, span!.traceId, span!.parentSpanId]), [
    ['GET /orders', 2, TRACE, PARENT],
    ['consumer', 5, TRACE, server!.spanId],
    ['client', 3, TRACE, server!.spanId]
  ])
  t.equal(spans.length, 3)
  t.same(server!.status, { code: 0 })
  t.same(attributesOf(server!), { 'http.route': '/orders', 'http.response.status_code': 200 })
  for (const failed of [consumer!, client!]) {
    t.same(failed.status, { code: 2 })
    t.same(attributesOf(failed), { 'error.type': 'TimeoutError' })
  }
  t.same(scopes.map(({ scope }) => scope.name), ['user-service'])
  t.match(bodies[0], /"service\.name","value":\{"stringValue":"orders"\}.*"deployment\.environment\.name","value":\{"stringValue":"staging"\}/)
})

t.test('without a parent a trace begins, and one that the client does not sample is carried on and not recorded', async t => {
  const { tracer, close, spans } = await start(t)
  const first = tracer.start({ name: 'first', kind: 'server' })
  t.match(first.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  first.end({})
  const unsampled = tracer.start({ name: 'unsampled', kind: 'server', parent: `00-${TRACE}-${PARENT}-00` })
  t.match(unsampled.traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  unsampled.end({})
  tracer.start({ name: 'third', kind: 'server', parent: `00-${TRACE}-${PARENT}-01` }).end({})
  await close()
  t.same(spans.map(({ name }) => name), ['first', 'third'])
  t.notOk(spans[0]!.parentSpanId)
  const IS_REMOTE = 0x200
  t.same(spans.map(({ flags }) => flags & IS_REMOTE), [0, IS_REMOTE], 'whose parent is another process')
})

t.test('an address of the collector may end with a slash', async t => {
  const { tracer, close, spans } = await start(t, { path: '/' })
  tracer.start({ name: 'one', kind: 'server' }).end({})
  await close()
  t.equal(spans.length, 1)
})
