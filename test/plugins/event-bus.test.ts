import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import aws from '../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import eventBus from '../../src/plugins/event-bus.ts'
import spans from '../../src/plugins/spans.ts'
import '../credentials.ts'
import { until } from '../until.ts'

const EVENT = { eventId: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', type: 'user.updated', version: 1 as const, occurredAt: '2026-11-27T12:00:00.123Z', correlationId: 'abc', data: { name: 'Ada' } }
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** The plugin alone, and as much of EventBridge as PutEvents needs. */
async function build (t: Test, { env = {} as Record<string, string | undefined>, answer = { FailedEntryCount: 0, Entries: [{ EventId: 'x' }] } as object } = {}) {
  const asked: { headers: IncomingHttpHeaders, body: { Entries: Record<string, unknown>[] } }[] = []
  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    asked.push({ headers: request.headers, body: await json(request) as never })
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer))
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ EVENT_BUS_NAME: 'domain', SERVICE_NAME: 'people', ...env, AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })) })
  await app.register(spans)
  let clients = 0
  await app.register(aws)
  const { traced } = app.aws
  app.aws.traced = client => { clients++; return traced(client) }
  await app.register(eventBus)
  await app.ready()
  return { app, asked, sockets, clients: () => clients }
}

t.test('an event is an entry of the bus, under its type and the time at which it happened, and whole', async t => {
  const { app, asked } = await build(t)
  await app.eventBus.publish(EVENT)
  t.equal(asked[0]!.headers['x-amz-target'], 'AWSEvents.PutEvents')
  const [{ Detail, ...entry } = {}, ...more] = asked[0]!.body.Entries
  t.strictSame(entry, { EventBusName: 'domain', Source: 'people', DetailType: 'user.updated', Time: 1795780800.123 })
  t.strictSame(JSON.parse(String(Detail)), EVENT)
  t.same(more, [])
})

t.test('an event carries on the trace that it belongs to', async t => {
  const { app, asked } = await build(t)
  await app.spans.run({ name: 'relay', kind: 'consumer', parent: TRACEPARENT }, () => app.eventBus.publish(EVENT))
  t.strictSame(JSON.parse(String(asked[0]!.body.Entries[0]!['Detail'])), { ...EVENT, traceparent: TRACEPARENT })
})

t.test('a bus that does not accept an event is an error that names its reason', async t => {
  for (const [answer, reason] of [
    [{ FailedEntryCount: 1, Entries: [{ ErrorCode: 'ThrottlingException' }] }, 'ThrottlingException'],
    [{ FailedEntryCount: 1, Entries: [] }, 'no reason given'],
    [{ FailedEntryCount: 1, Entries: [{}] }, 'no reason given'],
    [{ FailedEntryCount: 1 }, 'no reason given'],
    [{}, 'no reason given']
  ] as const) {
    const { app } = await build(t, { answer })
    await t.rejects(app.eventBus.publish(EVENT), { message: `EventBridge did not accept the event: ${reason}` })
  }
})

t.test('there is one client, made with the first event, whose connections end with the app', async t => {
  const { app, asked, sockets, clients } = await build(t)
  t.equal(clients(), 0)
  await Promise.all([EVENT, EVENT, EVENT].map(app.eventBus.publish))
  await app.eventBus.publish(EVENT)
  t.same([asked.length, clients()], [4, 1])
  t.ok(sockets.size > 0)
  await app.close()
  // Before the server ends them, which it does after five seconds.
  await until(() => sockets.size === 0, { timeoutMs: 3000 })
  const { app: unused } = await build(t)
  await t.resolves(unused.close())
})

t.test('without a bus nothing is sent, and nothing fails', async t => {
  const { app, asked } = await build(t, { env: { EVENT_BUS_NAME: undefined } })
  await app.eventBus.publish(EVENT)
  t.same(asked, [])
})

t.test('it does not start without what it needs', async t => {
  const needed = ['config', 'aws', 'spans']
  for (const missing of needed) {
    const app = Fastify()
    for (const name of needed) if (name !== missing) await app.register(fp(async () => {}, { name }))
    await t.rejects(async () => await app.register(eventBus), { message: `The dependency '${missing}' of plugin 'event-bus' is not registered` })
  }
})
