import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import Fastify from 'fastify'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { completeEnv } from '../../../local/env.ts'
import aws, { type ClientOptions, type Tracing } from '../../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import type { SpanOptions } from '../../../src/plugins/spans.ts'
import '../../credentials.ts'
import { until } from '../../until.ts'

const HEADER = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1'

async function startApp (t: Test, { env = {}, tracing, spans }: { env?: Record<string, string>, tracing?: Tracing, spans?: { run: <T>(span: SpanOptions, work: () => Promise<T>) => Promise<T> } } = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ AWS_REGION: 'eu-west-3', ...env })) })
  await app.register(aws, { tracing, spans })
  await app.ready()
  return app
}

/** A service that answers as the test says, and a call of it by a traced client. */
async function startService (t: Test, answer: (response: ServerResponse) => void = response => response.end('{}')) {
  let requests = 0
  const server = createServer((_request, response) => {
    requests++
    response.setHeader('content-type', 'application/x-amz-json-1.0')
    answer(response)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    endpoint,
    get requests () { return requests },
    callFrom (t: Test, { aws }: Awaited<ReturnType<typeof startApp>>, options: ClientOptions = {}) {
      const client = aws.traced(new SQSClient(aws.clientOptions({ endpoint, ...options })))
      t.teardown(() => client.destroy())
      return () => client.send(new GetQueueAttributesCommand({ QueueUrl: `${endpoint}/queue` }))
    }
  }
}

t.test('a client is of the configured region, and of its own endpoint before the one of all', async t => {
  const app = await startApp(t)
  const { requestHandler, ...options } = app.aws.clientOptions()
  t.strictSame(options, { region: 'eu-west-3', maxAttempts: 3, retryMode: 'standard' })
  t.not(app.aws.clientOptions().requestHandler, requestHandler, 'each has connections of its own')
  const { aws } = await startApp(t, { env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' } })
  t.match(aws.clientOptions(), { endpoint: 'http://127.0.0.1:1' })
  t.match(aws.clientOptions({ endpoint: undefined }), { endpoint: 'http://127.0.0.1:1' })
  t.match(aws.clientOptions({ endpoint: 'http://127.0.0.1:2', maxAttempts: 1 }), { endpoint: 'http://127.0.0.1:2', maxAttempts: 1 })
})

t.test('an attempt that gets no answer ends in its time, and is made again unless it may not be', async t => {
  const app = await startApp(t)
  const silent = await startService(t, () => {})
  await t.rejects(silent.callFrom(t, app, { requestTimeout: 50 })(), { name: 'TimeoutError', $metadata: { attempts: 3 } })
  t.equal(silent.requests, 3)
  await t.rejects(silent.callFrom(t, app, { requestTimeout: 50, maxAttempts: 1 })(), { name: 'TimeoutError' })
  t.equal(silent.requests, 4)
  const start = performance.now()
  await t.rejects(silent.callFrom(t, app, { maxAttempts: 1 })(), { name: 'TimeoutError' })
  const took = performance.now() - start
  t.ok(took > 600, `an attempt has 700 ms, if nothing else is said: ${Math.round(took)} ms`)
})

t.test('with spans each call is one, named by its service and its operation', async t => {
  const begun: SpanOptions[] = []
  const app = await startApp(t, { spans: { run: async (span, work) => { begun.push(span); return await work() } } })
  const service = await startService(t)
  await service.callFrom(t, app)()
  t.strictSame(begun, [{ name: 'SQS GetQueueAttributes', kind: 'client', attributes: { 'rpc.system': 'aws-api', 'rpc.service': 'SQS', 'rpc.method': 'GetQueueAttributes' } }])
  const failing = await startService(t, response => response.writeHead(400).end('{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}'))
  await t.rejects(failing.callFrom(t, app)(), { name: 'QueueDoesNotExist' })
  t.equal(begun.length, 2)
})

t.test('a span is named without the words that the names of all clients and commands end in', async t => {
  const begun: string[] = []
  const app = await startApp(t, { spans: { run: async ({ name }, work) => { begun.push(name); return await work() } } })
  for (const context of [{ clientName: 'ClientVPNClient', commandName: 'CommandLineCommand' }, {}]) {
    const added: Parameters<Parameters<typeof app.aws.traced>[0]['middlewareStack']['add']>[0][] = []
    app.aws.traced({ middlewareStack: { add: middleware => { added.push(middleware) } } })
    t.equal(await added[0]!(async args => args as unknown, context)('made'), 'made')
  }
  t.strictSame(begun, ['ClientVPN CommandLine', ' '])
})

t.test('what may have been carried out is sent again only if that was allowed', async t => {
  const app = await startApp(t)
  for (const [maxAttempts, requests] of [[1, 1], [2, 3]] as const) {
    let isDown = false
    const service = await startService(t, response => { if (isDown) response.socket!.destroy(); else response.end('{}') })
    const call = service.callFrom(t, app, { maxAttempts, requestTimeout: 10_000 })
    await call()
    isDown = true
    await t.rejects(call(), { code: 'ECONNRESET' })
    t.equal(service.requests - 1, requests, 'an attempt over a kept connection is repeated at once')
  }
})

t.test('with tracing each call in a sampled trace is sent to the daemon, over one socket that ends with the app', async t => {
  const senders: number[] = []
  const packets: string[] = []
  const daemon = createSocket('udp4', (message, { port }) => { packets.push(String(message)); senders.push(port) })
  daemon.bind(0, '127.0.0.1')
  await once(daemon, 'listening')
  t.teardown(() => daemon.close())
  let header: string | undefined
  const app = await startApp(t, { tracing: { daemon: `127.0.0.1:${(daemon.address() as AddressInfo).port}`, header: () => header } })
  const service = await startService(t)
  const call = service.callFrom(t, app)
  const other = HEADER.replace('1-5759e988', '1-ffffffff')
  for (header of [undefined, '', other.replace(';Sampled=1', ''), other.replace('Sampled=1', 'Sampled=0')]) await call()
  header = HEADER
  await Promise.all([call(), call()])
  await call()
  await until(() => packets.length >= 3)
  t.equal(packets.length, 3)
  t.notMatch(packets.join('\n'), /ffffffff/, 'none of a trace that is not sampled')
  t.equal(new Set(senders).size, 1)
  t.match(JSON.parse(packets[0]!.split('\n')[1]!), { name: 'SQS', aws: { operation: 'GetQueueAttributes', region: 'eu-west-3', queue_url: `${service.endpoint}/queue` } })
  await app.close()
  // The port is free again.
  const next = createSocket('udp4')
  t.teardown(() => next.close())
  next.bind(senders[0], '127.0.0.1')
  await once(next, 'listening')
})

t.test('without either a client is unchanged, and with both it has one step of each', async t => {
  const { aws } = await startApp(t)
  const client = new SQSClient(aws.clientOptions())
  t.teardown(() => client.destroy())
  const before = client.middlewareStack.identify()
  t.equal(aws.traced(client), client)
  t.same(client.middlewareStack.identify(), before)
  const app = await startApp(t, { tracing: { daemon: '127.0.0.1:9', header: () => undefined }, spans: { run: async (_span, work) => await work() } })
  t.same(app.aws.traced(client).middlewareStack.identify().filter(name => !before.includes(name)).toSorted(), ['span - initialize', 'trace - initialize'], 'around the attempts of a call')
  await t.resolves((await startApp(t, { tracing: { daemon: '127.0.0.1:9', header: () => undefined } })).close(), 'nor is there anything to end')
})

t.test('it does not start without what it needs', async t => {
  await t.rejects(async () => await Fastify().register(aws), { message: /The dependency 'config' of plugin 'aws' is not registered/ })
})
