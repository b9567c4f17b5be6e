import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import spans, { type SpanOptions, type Tracer } from '../../src/plugins/spans.ts'
import { until } from '../until.ts'

const TRACEPARENT = `00-${'4b'.repeat(16)}-${'0a'.repeat(8)}-01`

function refuse (error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  void reply.code(error.statusCode!).send({ at: 'the router' })
}

/** An app that answers what runs, and the parts of traces that it recorded, each with how it ended. */
async function buildTraced (t: Test, { isTraced = true } = {}) {
  const parts: (SpanOptions & { traceparent: string, result?: object })[] = []
  const tracer: Tracer = {
    start (span) {
      const part: typeof parts[number] = { ...span, traceparent: `part ${parts.length + 1}` }
      parts.push(part)
      return { traceparent: part.traceparent, end (result) { part.result = result } }
    }
  }
  const app = Fastify({ genReqId: () => 'request-1', frameworkErrors: refuse })
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => { if (request.headers['x-refused'] !== undefined) throw new Error('refused') })
  let answers = 0
  await app.register(spans, { tracer: isTraced ? tracer : undefined })
  app.addHook('onResponse', async () => { answers++ })
  app.get('/things/:id', async () => ({ runs: app.spans.traceparent() ?? 'nothing' }))
  for (const status of [500, 499]) app.get(`/${status}`, async (_request, reply) => { await reply.code(status).send({}) })
  await app.ready()
  const ended = (count: number) => until(() => parts.length === count && parts.every(({ result }) => result !== undefined))
  return { app, parts, ended, answers: () => answers }
}

t.test('a request is a part that ends with its answer, known by its route and never by its address', async t => {
  const { app, parts, ended, answers } = await buildTraced(t)
  const answer = await app.inject({ url: '/things/secret?secret', headers: { traceparent: TRACEPARENT } })
  t.same(answer.json(), { runs: 'part 1' }, 'and what it does belongs to it')
  for (const url of ['/500', '/499', '/secret']) await app.inject(url)
  await app.inject({ url: '/500', headers: { traceparent: 'none' } })
  await ended(5)
  await until(() => answers() === 5)
  const part = (n: number, name: string, route: string | undefined, status: number, parent?: string) => ({
    name,
    kind: 'server',
    parent,
    attributes: { 'http.request.method': 'GET', 'http.route': route, 'correlation.id': 'request-1' },
    traceparent: `part ${n}`,
    result: { error: status >= 500 ? String(status) : undefined, attributes: { 'http.response.status_code': status } }
  })
  t.strictSame(parts, [
    part(1, 'GET /things/:id', '/things/:id', 200, TRACEPARENT),
    part(2, 'GET /500', '/500', 500),
    part(3, 'GET /499', '/499', 499),
    part(4, 'unknown path', undefined, 404),
    part(5, 'GET /500', '/500', 500)
  ])
  t.notMatch(JSON.stringify(parts), /secret/)
})

t.test('what is refused before is answered, and is no part', async t => {
  const { app, parts, answers } = await buildTraced(t)
  const answer = await app.inject('/things/%zz')
  t.equal(answer.statusCode, 400)
  t.same(answer.json(), { at: 'the router' })
  t.equal((await app.inject({ url: '/things/1', headers: { 'x-refused': 'yes' } })).statusCode, 500)
  await until(() => answers() === 1)
  t.same(parts, [])
})

t.test('work is a part of what runs, or of what it came with, and ends with it', async t => {
  const { app: { spans }, parts } = await buildTraced(t)
  t.equal(spans.traceparent(), undefined)
  const attributes = { 'rpc.service': 'Mail' }
  const done = await spans.run({ name: 'deliver', kind: 'consumer', parent: TRACEPARENT, attributes }, async () => {
    t.equal(spans.traceparent(), 'part 1')
    const inner = await spans.run({ name: 'send', kind: 'client' }, async () => spans.traceparent())
    t.equal(spans.traceparent(), 'part 1')
    return [inner]
  })
  t.same(done, ['part 2'])
  await t.rejects(spans.run({ name: 'fail', kind: 'consumer' }, async () => { throw new RangeError('secret') }), { name: 'RangeError', message: 'secret' })
  t.strictSame(parts, [
    { name: 'deliver', kind: 'consumer', parent: TRACEPARENT, attributes, traceparent: 'part 1', result: {} },
    { name: 'send', kind: 'client', parent: 'part 1', traceparent: 'part 2', result: {} },
    { name: 'fail', kind: 'consumer', parent: undefined, traceparent: 'part 3', result: { error: 'RangeError' } }
  ])
})

t.test('a call in the background is done, and is no trace', async t => {
  const { app: { spans }, parts } = await buildTraced(t)
  t.equal(await spans.run({ name: 'look', kind: 'client' }, async () => spans.traceparent() ?? 'nothing'), 'nothing')
  t.same(parts, [])
})

t.test('without a tracer work carries on the trace that it came with, and requests are left alone', async t => {
  const { app, parts } = await buildTraced(t, { isTraced: false })
  const { spans } = app
  const run = (parent?: string) => spans.run({ name: 'deliver', kind: 'consumer', parent }, async () => await spans.run({ name: 'send', kind: 'client' }, async () => spans.traceparent() ?? 'nothing'))
  t.equal(await run(TRACEPARENT), TRACEPARENT)
  t.equal(await run(), 'nothing')
  t.same((await app.inject({ url: '/things/1', headers: { traceparent: TRACEPARENT } })).json(), { runs: 'nothing' })
  t.same(parts, [])
})
