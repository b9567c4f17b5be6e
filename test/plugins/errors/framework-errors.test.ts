import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { until } from '../../until.ts'
import { rawRequest, sayTo } from '../raw-http.ts'

// What Node answers, or does, by itself before any hook of ours.

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { server: { requestTimeout: 300, http: { headersTimeout: 300, connectionsCheckingInterval: 50 } } })
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const SECURITY = { 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'x-content-type-options': 'nosniff', 'strict-transport-security': /max-age/, 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store', date: / GMT$/ }

t.test('every answer that Node would give by itself has the shape, the headers and the log line of all others', async t => {
  for (const [what, bytes, status, code] of [
    ['no HTTP', 'hello\r\n\r\n', 400, 'BAD_REQUEST'],
    ['a bad length', 'GET /v2/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400, 'BAD_REQUEST'],
    ['two lengths', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'BAD_REQUEST'],
    ['HTTP/2 without being asked', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'BAD_REQUEST'],
    ['headers that are too large', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['a path that is too long', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['a method that HTTP does not know', 'BREW /v2/users HTTP/1.1\r\nHost: x\r\n\r\n', 501, 'METHOD_NOT_IMPLEMENTED'],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n', 501, 'METHOD_NOT_IMPLEMENTED'],
    ['no Host', 'GET /v2/users/me HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'HOST_MISSING'],
    ['headers that never end', 'GET /health/live HTTP/1.1\r\nHost: x\r\n', 408, 'REQUEST_TIMEOUT'],
    ['a body that never ends', 'POST /v2/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{', 408, 'REQUEST_TIMEOUT']
  ] as const) {
    app.logLines.length = 0
    const answer = await sayTo(port, bytes)
    t.equal(answer.status, status, what)
    t.match(answer.headers, { ...SECURITY, 'content-type': 'application/problem+json; charset=utf-8', 'x-correlation-id': UUID, connection: 'close' }, what)
    t.match(JSON.parse(answer.body), { status, code, correlationId: answer.headers['x-correlation-id'] }, what)
    const line = await until(() => app.logLines.find(({ msg }) => msg === 'answered'))
    t.match(line, { statusCode: status, correlationId: answer.headers['x-correlation-id'] }, `${what} is logged`)
    t.notMatch(JSON.stringify(app.logLines), /xxxx|BREW|hello/, 'and nothing that was sent')
  }
})

t.test('a client that leaves in the middle of its body is not a failure of the service', async t => {
  const head = 'POST /v2/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  for (const [what, body, leave] of [
    ['closes', 'Content-Length: 60\r\n\r\n{"email":"', socket => socket.end()],
    ['resets', 'Content-Length: 60\r\n\r\n{"email":"', socket => socket.resetAndDestroy()],
    ['resets a chunked body', 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"em', socket => socket.resetAndDestroy()],
    ['sends a chunk that is none', 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"emaxx\r\n', () => {}],
    ['stays and sends no more', 'Content-Length: 60\r\n\r\n{"email":"', () => {}]
  ] as [string, string, (socket: Socket) => void][]) {
    app.logLines.length = 0
    const requests = once(app.server, 'request')
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.resume().write(head + body)
    await requests
    leave(socket)
    await until(() => app.logLines.some(({ msg }) => msg === 'the client left before the whole body had arrived'))
    t.same(app.logLines.filter(({ level }) => level === 'error'), [], `${what}: nothing is reported`)
    socket.destroy()
  }
})

t.test('an Expect that is none of ours is passed over, and 100-continue is answered', async t => {
  const odd = await sayTo(port, rawRequest('GET', '/health/live', { headers: 'Expect: a-miracle\r\n' }))
  t.equal(odd.status, 200)
  t.match(odd.headers, { 'x-correlation-id': UUID, 'x-content-type-options': 'nosniff' })
  t.equal((await sayTo(port, rawRequest('PUT', '/v2/users', { headers: 'Expect: a-miracle\r\n' }))).status, 405)

  const socket = connect(port, '127.0.0.1')
  const all = text(socket)
  socket.write(rawRequest('POST', '/v2/users', { headers: 'Expect: 100-continue\r\n', body: '{"email":"expect@example.com","name":"Ada"}' }))
  t.match(await all, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /)
})

t.test('a request to switch protocols is a request like any other', async t => {
  for (const headers of ['Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n']) {
    const answer = await sayTo(port, `GET /health/live HTTP/1.1\r\nHost: x\r\n${headers}\r\n`.replace('Connection: Upgrade', 'Connection: close, Upgrade'))
    t.equal(answer.status, 200)
    t.match(answer.headers, { 'x-correlation-id': UUID })
  }
})

t.test('bytes after an answer cannot be read as a part of it', async t => {
  const gate = Promise.withResolvers<void>()
  const server = await buildTestApp(t, engines)
  t.teardown(() => gate.resolve())
  await server.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(`${rawRequest('GET', '/health/live').replace('Connection: close\r\n', '')}hello\r\n\r\n`)
  const all = await text(socket)
  t.equal(all.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0, all.includes('HTTP/1.1 200') && all.includes('HTTP/1.1 400') ? 2 : 1)
  t.ok(all.split('\r\n\r\n')[0]!.split('HTTP/1.1').length === 2, 'no answer begins inside the headers of another')
})

t.test('HEAD of every GET has its status and headers, and no body', async t => {
  for (const target of ['/health/live', '/v1/health', '/.well-known/jwks.json', '/openapi/v1.json', '/openapi/v2.json', '/docs', '/docs/swagger-ui.css', '/docs/start.js', '/verify', '/nowhere', '/v2/users/me']) {
    const get = await sayTo(port, rawRequest('GET', target))
    const head = await sayTo(port, rawRequest('HEAD', target))
    t.equal(head.status, get.status, target)
    t.equal(head.body, '', target)
    const stable = ({ headers }: typeof get) => Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(date|ratelimit.*|x-correlation-id|transfer-encoding)$/.test(name)))
    t.same(stable(head), stable(get), target)
  }
})

t.test('a slow client is not refused while its request goes on', async t => {
  const socket = connect(port, '127.0.0.1')
  const all = text(socket)
  socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n')
  await sleep(100)
  socket.write('Connection: close\r\n\r\n')
  t.match(await all, /^HTTP\/1\.1 200 /)
})
