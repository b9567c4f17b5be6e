import Fastify from 'fastify'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { App } from '../../../src/app.ts'
import correlation from '../../../src/plugins/correlation.ts'
import { answerClientError, FRAMEWORK_CODES, sendFrameworkError } from '../../../src/plugins/errors/framework-errors.ts'
import errors from '../../../src/plugins/errors/index.ts'
import { until } from '../../until.ts'
import { sayTo } from '../raw-http.ts'

// What is said on a bare socket, word for word; framework-errors.test.ts has what is the same for all of it.

const logLines: Record<string, unknown>[] = []
const app = Fastify({
  logger: { level: 'info', stream: { write: (line: string) => { logLines.push(JSON.parse(line) as Record<string, unknown>) } } },
  clientErrorHandler: answerClientError,
  frameworkErrors: sendFrameworkError,
  requestTimeout: 300,
  http: { headersTimeout: 300, connectionsCheckingInterval: 50 }
})
t.teardown(() => app.close())
app.decorate('config', { PUBLIC_URL: 'http://localhost:3000', V1_SUNSET: '2027-12-31' } as App['config'])
await app.register(correlation)
await app.register(errors)
app.get('/begun', (_request, reply) => {
  reply.hijack()
  reply.raw.writeHead(200, { 'content-length': '100' }).write('{"begun":')
})
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo
const answered = () => logLines.filter(({ msg }) => msg === 'answered')

const NO_HTTP = { status: 400, title: 'Bad Request', code: 'BAD_REQUEST', detail: 'The request cannot be understood' }
const NO_METHOD = { status: 501, title: 'Not Implemented', code: 'METHOD_NOT_IMPLEMENTED', detail: 'This method is not supported' }
const TOO_LARGE = { status: 431, title: 'Request Header Fields Too Large', code: 'HEADERS_TOO_LARGE', detail: 'The headers are larger than 16 KiB' }
const TOO_SLOW = { status: 408, title: 'Request Timeout', code: 'REQUEST_TIMEOUT', detail: 'The request did not arrive in time' }

t.test('the answer, its status line and its log line say what was wrong', async t => {
  for (const [bytes, said, cause] of [
    ['hello\r\n\r\n', NO_HTTP, 'HPE_INVALID_METHOD'],
    ['GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', NO_HTTP, 'HPE_INVALID_CONTENT_LENGTH'],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, TOO_LARGE, 'HPE_HEADER_OVERFLOW'],
    ['GET / HTTP/1.1\r\nHost: x\r\n', TOO_SLOW, 'ERR_HTTP_REQUEST_TIMEOUT'],
    ['CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n', NO_METHOD, 'CONNECT'],
    ['BREW /a/b?c HTTP/1.1\r\nHost: x\r\n\r\n', NO_METHOD, 'HPE_INVALID_METHOD'],
    ['A /a HTTP/1.0\r\n\r\n', NO_METHOD, 'HPE_INVALID_METHOD']
  ] as const) {
    logLines.length = 0
    const { status, headers, body } = await sayTo(port, bytes)
    const { correlationId, ...rest } = JSON.parse(body) as { correlationId: string }
    t.strictSame(rest, { ...said, type: `urn:user-service:problem:${said.code.toLowerCase().replaceAll('_', '-')}`, instance: '/' }, bytes.slice(0, 40))
    t.equal(status, said.status)
    t.match(headers, { 'content-length': String(Buffer.byteLength(body)), 'x-correlation-id': correlationId, 'cache-control': 'no-store', connection: 'close' })
    t.match(answered(), [{ level: 30, statusCode: said.status, code: said.code, cause, correlationId }])
  }
  for (const [bytes, line] of [['hello\r\n\r\n', '400 Bad Request'], ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', '501 Not Implemented'], [`GET /${'x'.repeat(20_000)}`, '431 Request Header Fields Too Large'], ['GET / HTTP/1.1\r\n', '408 Request Timeout']] as const) {
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes)
    t.equal((await text(socket)).split('\r\n')[0], `HTTP/1.1 ${line}`)
  }
})

t.test('only a whole request line with a method in capital letters is one of a method that is not supported', async t => {
  for (const line of ['brew /a HTTP/1.1', '_BREW /a HTTP/1.1', 'BREW /a b HTTP/1.1', 'BREW  HTTP/1.1', 'BREW /a HTTP/2.0', 'BREW /a HTTP/1.x', 'BREW /a HTTP/1.1 ', 'BREW /a', 'BREW\t/a HTTP/1.1', `BREW /${'a'.repeat(1024)} HTTP/1.1`]) {
    t.equal((await sayTo(port, `${line}\r\nHost: x\r\n\r\n`)).status, 400, line.slice(0, 40))
  }
})

t.test('the documents name each of these codes', async t => {
  t.strictSame([...FRAMEWORK_CODES].sort(), [NO_HTTP, NO_METHOD, TOO_LARGE, TOO_SLOW].map(({ code }) => code).sort())
})

t.test('an answer that has begun is cut off, and not followed by another', async t => {
  logLines.length = 0
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  let all = ''
  socket.on('data', chunk => { all += String(chunk) })
  socket.write('GET /begun HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => all.includes('begun'))
  socket.write('hello\r\n\r\n')
  await once(socket, 'close')
  t.equal(all.split('HTTP/1.1 ').length, 2)
  t.ok(all.endsWith('{"begun":'))
  t.same(answered(), [])
})

t.test('a client that has gone is not answered', async t => {
  logLines.length = 0
  const connected = once(app.server, 'connection')
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  const [theirs] = await connected as [Socket]
  const failed = once(app.server, 'clientError')
  socket.write('GET / HTTP/1.1\r\n')
  await until(() => theirs.bytesRead > 0)
  socket.resetAndDestroy()
  t.match(await failed, [{ code: 'ECONNRESET' }])
  await until(() => theirs.destroyed)
  t.same(answered(), [])
})

t.test('a connection that is closing is closed, without a second answer', async t => {
  logLines.length = 0
  const connected = once(app.server, 'connection')
  const socket = connect(port, '127.0.0.1').resume()
  t.teardown(() => socket.destroy())
  const [theirs] = await connected as [Socket]
  theirs.end()
  answerClientError.call(app, Object.assign(new Error('no HTTP'), { code: 'HPE_INVALID_METHOD', bytesParsed: 0, rawPacket: { parsed: true } }) as never, theirs)
  t.ok(theirs.destroyed)
  t.same(answered(), [])
})

t.test('a path that no router takes is answered with the headers of every answer, and those of its version', async t => {
  for (const version of ['v1', 'v2']) {
    const { statusCode, headers, body } = await app.inject(`/${version}/%zz`)
    t.equal(statusCode, 400)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', 'x-correlation-id': /./ })
    t.equal(headers['sunset'], version === 'v1' ? 'Fri, 31 Dec 2027 00:00:00 GMT' : undefined)
    t.match(JSON.parse(body), version === 'v1' ? { success: false, error: 'The path is not a valid URL path' } : { code: 'URL_MALFORMED' })
  }
})
