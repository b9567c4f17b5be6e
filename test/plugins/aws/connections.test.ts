import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type Agent } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { createRequestHandler } from '../../../src/plugins/aws/connections.ts'
import { until } from '../../until.ts'

// The handler alone, with the clock in the test's hand; test/plugins/aws.test.ts has it in real clients.

/** TLS with a shared key, which needs no certificate. */
const SHARED_KEY = { ciphers: 'PSK', maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const
const KEY = Buffer.alloc(16, 7)

type Handler = ReturnType<typeof createRequestHandler>
type Request = Parameters<Handler['handle']>[0]

/** A server that answers as it is told, and a handler; `ask` resolves to the answer's status, `connections` counts those that were made. */
async function start (t: Test, { protocol = 'http:', isRepeatable = true, requestTimeout = 10_000, connectionTimeout = 10_000 } = {}) {
  const state = { connections: 0, requests: 0, answer: (response: ServerResponse) => { response.end('{}') } }
  const listener = async (request: Readable, response: ServerResponse) => {
    await buffer(request).catch(() => {})
    state.requests++
    state.answer(response)
  }
  const server = protocol === 'http:' ? createHttpServer(listener) : createHttpsServer({ ...SHARED_KEY, pskCallback: () => KEY }, listener)
  server.on(protocol === 'http:' ? 'connection' : 'secureConnection', () => { state.connections++ })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const handler = createRequestHandler({ connectionTimeout, requestTimeout, isRepeatable })
  t.teardown(() => { handler.destroy(); server.close(); server.closeAllConnections() })
  const { port } = server.address() as AddressInfo
  const request = (body?: unknown) => ({ protocol, hostname: '127.0.0.1', port, method: 'POST', path: '/', query: {}, headers: body === undefined ? { 'content-length': '0' } : { 'content-length': '2' }, body }) as unknown as Request
  if (protocol === 'https:') {
    // The handler's settings are made with its first request.
    const { httpsAgent } = await (handler as unknown as { configProvider: Promise<{ httpsAgent: Agent }> }).configProvider
    Object.assign(httpsAgent.options, { ...SHARED_KEY, pskCallback: () => ({ psk: KEY, identity: 'test' }), checkServerIdentity: () => undefined })
  }
  return Object.assign(state, {
    handler,
    async ask (body?: unknown) {
      const { response } = await handler.handle(request(body))
      await buffer(response.body as Readable)
      // The connection is kept a turn later.
      await new Promise(resolve => setImmediate(resolve))
      return response.statusCode
    }
  })
}

/** The clock of the process. */
function holdClock (t: Test) {
  const { now } = Date
  let time = now()
  Date.now = () => time
  t.teardown(() => { Date.now = now })
  return (ms: number) => { time += ms }
}

for (const protocol of ['http:', 'https:']) {
  t.test(`${protocol} a connection is used again for up to five seconds of idleness, by a clock that goes on`, async t => {
    const pass = holdClock(t)
    const service = await start(t, { protocol })
    for (const [ms, connections] of [[0, 1], [0, 1], [5000, 1], [5001, 2], [4999, 2], [-1, 3], [0, 3]] as const) {
      pass(ms)
      t.equal(await service.ask(), 200)
      t.equal(service.connections, connections, `after ${ms} ms`)
    }
    t.equal(service.requests, 7)
  })

  t.test(`${protocol} a kept connection that turns out to be lost costs none of the requests, and all that are kept`, async t => {
    const service = await start(t, { protocol })
    const held: ServerResponse[] = []
    service.answer = response => { held.push(response) }
    const first = [service.ask(), service.ask(), service.ask()]
    await until(() => held.length === 3)
    for (const response of held) response.end('{}')
    await Promise.all(first)
    service.answer = response => {
      // What is lost is lost before an answer.
      service.answer = next => { next.end('{}') }
      response.socket!.destroy()
    }
    t.same([service.connections, await service.ask('{}'), service.connections], [3, 200, 4])
    t.same([await service.ask(), service.connections], [200, 4])
  })
}

t.test('what may be sent again is sent once more, over a new connection, and no oftener', async t => {
  for (const [what, { isRepeatable, body, isKept, requests }] of Object.entries({
    'no body': { isRepeatable: true, body: undefined, isKept: true, requests: 2 },
    'a text': { isRepeatable: true, body: '{}', isKept: true, requests: 2 },
    bytes: { isRepeatable: true, body: Buffer.from('{}'), isKept: true, requests: 2 },
    'a stream, which is used up': { isRepeatable: true, body: () => Readable.from([Buffer.from('{}')]), isKept: true, requests: 1 },
    'what may have been carried out': { isRepeatable: false, body: '{}', isKept: true, requests: 1 },
    'over a new connection': { isRepeatable: true, body: '{}', isKept: false, requests: 1 }
  })) {
    const service = await start(t, { isRepeatable })
    if (isKept) await service.ask()
    service.requests = 0
    service.answer = response => { response.socket!.destroy() }
    await t.rejects(service.ask(typeof body === 'function' ? body() : body), { code: 'ECONNRESET' }, what)
    t.equal(service.requests, requests, what)
  }
})

t.test('an answer that does not come in its time is an error, and the request is not sent again', async t => {
  const service = await start(t, { requestTimeout: 100 })
  await service.ask()
  service.answer = () => {}
  service.requests = 0
  await t.rejects(service.ask('{}'), { name: 'TimeoutError' })
  t.equal(service.requests, 1)
})

t.test('a hundred requests at the same time have a connection each', async t => {
  const service = await start(t)
  const held: ServerResponse[] = []
  service.answer = response => { held.push(response) }
  const asked = Array.from({ length: 100 }, () => service.ask())
  await until(() => held.length === 100)
  for (const response of held) response.end('{}')
  await Promise.all(asked)
  t.equal(service.connections, 100)
})
