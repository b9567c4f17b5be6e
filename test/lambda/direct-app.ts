import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { buildEcho, PIXEL } from './echo.ts'

/** What `/raw/*` answers: all that a handler can read of a request, apart from its objects. */
const rawHandler = async (request: import('fastify').FastifyRequest) => {
  const { raw } = request
  const body = request.body as Buffer | undefined
  const pairs = raw.rawHeaders.flatMap((name, index) => index % 2 === 0 ? [[name, raw.rawHeaders[index + 1]]] : [])
  return {
    method: raw.method,
    url: raw.url,
    originalUrl: request.originalUrl,
    query: request.query,
    params: request.params,
    headers: Object.entries(request.headers).filter(([, value]) => value !== undefined).sort(),
    rawHeaders: pairs.filter(([, value]) => value !== undefined).sort(),
    names: [request.ip, request.host, request.hostname, request.port, request.protocol],
    versions: [raw.httpVersion, raw.httpVersionMajor, raw.httpVersionMinor],
    socket: [raw.socket.remoteAddress, 'encrypted' in raw.socket, raw.socket.destroyed],
    aborted: raw.aborted,
    body: body === undefined ? null : { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
  }
}

const SOME = { schema: { response: { 200: Type.Object({ a: Type.Number() }) } } }

/** Ways to answer, each with a path of its own. */
const ANSWERS: Record<string, (reply: FastifyReply) => unknown> = {
  stream: reply => reply.type('text/plain').send(Readable.from(['a', 'é', 'b'])),
  'stream-of-bytes': reply => reply.type('image/png').send(Readable.from([PIXEL, PIXEL])),
  'stream-without-type': reply => reply.send(Readable.from([Buffer.from('abc')])),
  'stream-of-nothing': reply => reply.type('text/plain').send(Readable.from([])),
  'stream-large': reply => reply.type('text/plain').send(Readable.from(Array.from({ length: 64 }, () => 'x'.repeat(16_384)))),
  'stream-slow': reply => {
    const stream = new PassThrough()
    setImmediate(() => { stream.write('first ', () => setImmediate(() => stream.end('last'))) })
    return reply.type('text/plain').send(stream)
  },
  'stream-that-fails-at-once': reply => reply.send(new Readable({ read () { this.destroy(new Error('no source')) } })),
  'web-stream': reply => reply.type('text/plain').send(new Response('from the web').body),
  'web-response': reply => reply.send(new Response('a response', { status: 203, headers: { 'x-from': 'web', 'content-type': 'text/plain' } })),
  'bytes-of-text': reply => reply.type('text/plain').send(Buffer.from('Zoë')),
  'typed-array': reply => reply.send(new Uint16Array([1, 2, 3])),
  'bytes-that-are-no-text': reply => reply.type('text/plain').send(Buffer.from([0x61, 0xff, 0xfe, 0x62])),
  'half-a-surrogate': reply => reply.type('text/plain').send('a\ud800b'),
  'byte-order-mark': reply => reply.type('text/plain').send('\ufeffa'),
  'no-type': reply => reply.code(200).send(null),
  'null-with-type': reply => reply.type('image/png').send(null),
  'empty-text': reply => reply.send(''),
  json: reply => reply.send({ a: [1, 'ü', null] }),
  problem: reply => reply.code(418).type('application/problem+json').send({ a: 1 }),
  svg: reply => reply.type('image/svg+xml').send('<svg/>'),
  xml: reply => reply.type('application/atom+xml; charset=utf-8').send('<a/>'),
  jsonp: reply => reply.type('application/javascript').send('a()'),
  '204-with-text': reply => reply.code(204).send('text'),
  304: reply => reply.code(304).header('etag', '"a"').send(),
  '304-with-text': reply => reply.code(304).header('etag', '"a"').send('text'),
  205: reply => reply.code(205).send(),
  103: reply => reply.code(103).send(),
  599: reply => reply.code(599).send('x'),
  'wrong-length': reply => reply.header('content-length', 3).type('text/plain').send('longer'),
  'numbers-in-headers': reply => reply.header('x-number', 5).header('x-true', true).header('x-empty', '').send('x'),
  'lists-in-headers': reply => reply.header('x-list', ['a', 'b']).header('vary', ['origin', 'accept']).send('x'),
  'headers-of-the-connection': reply => reply.header('connection', 'close').header('keep-alive', 'timeout=5').header('date', 'Thu, 01 Jan 2026 00:00:00 GMT').send('x'),
  'one-cookie': reply => reply.header('set-cookie', 'a=1').send('x'),
  'a-list-of-one-cookie': reply => reply.header('set-cookie', ['a=1']).send('x'),
  'three-cookies': reply => reply.header('set-cookie', 'a=1').header('set-cookie', ['b=2', 'c=3']).send('x'),
  'no-cookies': reply => reply.header('set-cookie', []).send('x'),
  trailers: reply => reply.trailer('x-sum', (_reply, _payload, done) => { done(null, 'abc') }).send('x'),
  'early-hints': async reply => {
    await new Promise<void>(resolve => { reply.writeEarlyHints({ link: '</a.css>; rel=preload' }, resolve) })
    return 'x'
  },
  raw: reply => {
    reply.hijack()
    reply.raw.writeHead(201, 'Made', { 'Content-Type': 'text/plain', 'X-Upper': 'A' })
    reply.raw.end('raw')
  },
  'raw-list': reply => {
    reply.hijack()
    reply.raw.writeHead(200, ['X-One', 'a', 'X-One', 'b', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'])
    reply.raw.end()
  },
  'raw-set-and-given': reply => {
    reply.hijack()
    reply.raw.setHeader('X-Set', 'a')
    reply.raw.setHeader('X-Both', 'a')
    reply.raw.appendHeader('Set-Cookie', 'a=1')
    reply.raw.writeHead(200, { 'x-both': 'b', 'content-type': 'text/html' })
    reply.raw.end('x')
  },
  'raw-parts': reply => {
    reply.hijack()
    reply.raw.statusCode = 202
    reply.raw.setHeader('content-type', 'text/plain')
    reply.raw.write('w\u00e9', 'latin1')
    reply.raw.write(Buffer.from('-'))
    reply.raw.write('aGk=', 'base64', () => { reply.raw.end('6869', 'hex', () => {}) })
  },
  'raw-end-alone': reply => {
    reply.hijack()
    reply.raw.end(() => {})
  },
  'raw-flushed': reply => {
    reply.hijack()
    reply.raw.setHeader('content-type', 'text/plain')
    reply.raw.flushHeaders()
    reply.raw.end('x')
  },
  'raw-without-date': reply => {
    reply.hijack()
    reply.raw.sendDate = false
    reply.raw.end('x')
  },
  'raw-twice': reply => {
    reply.hijack()
    reply.raw.on('error', () => {})
    reply.raw.end('one')
    reply.raw.end('two')
    reply.raw.write('three')
  },
  'sent-twice': reply => {
    reply.send('one')
    reply.send('two')
  },
  awaited: async reply => {
    await reply.send('awaited')
    return reply
  },
  'returned-and-sent': async reply => {
    setImmediate(() => { reply.send('later') })
    return reply
  },
  thrown: () => { throw new Error('a secret') },
  'thrown-text': () => { throw 'a text' },
  rejected: async () => { throw Object.assign(new Error('gone'), { statusCode: 410, code: 'GONE' }) },
  'rejected-with-nothing': async () => { throw undefined },
  'sent-as-error': reply => reply.send(new Error('sent')),
  'not-of-its-schema': reply => reply.send({ a: 'not a number' }),
  'cannot-be-serialized': reply => {
    const circle: Record<string, unknown> = {}
    circle['circle'] = circle
    return reply.type('application/json').send(circle)
  },
  'status-0': reply => reply.code(0).send(),
  'not-found': reply => { reply.callNotFound() }
}

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const

/** The echo app with every way in which a handler or a hook can answer, fail or read. */
export async function buildDirectApp () {
  const built = await buildEcho()
  const app = built as unknown as FastifyInstance
  const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS']
  app.route({ method: METHODS, url: '/raw/*', handler: rawHandler })
  for (const [name, handler] of Object.entries(ANSWERS)) app.route({ method: METHODS, url: `/answer/${name}`, ...(name === 'not-of-its-schema' ? SOME : {}), handler: (_request, reply) => handler(reply) })

  for (const hook of HOOKS) {
    const fail = () => { throw new Error(`in ${hook}`) }
    app.route({ method: ['GET', 'POST'], url: `/hook/${hook}/thrown`, [hook]: fail, handler: async () => ({ a: 1 }) })
    app.route({ method: ['GET', 'POST'], url: `/hook/${hook}/rejected`, [hook]: async () => fail(), handler: async () => ({ a: 1 }) })
  }
  app.get('/hook/onError/thrown', { onError: async () => { throw new Error('in onError') } }, async () => { throw new Error('first') })
  app.get('/hook/onResponse/thrown', { onResponse: async () => { throw new Error('in onResponse') } }, async () => 'x')
  app.get('/hook/onRequest/sent', { onRequest: async (_request, reply) => reply.code(202).send('early') }, async () => 'late')
  app.get('/hook/onSend/replaced', { onSend: async () => Readable.from(['replaced']) }, async () => 'x')
  app.post('/hook/preParsing/replaced', { preParsing: async (_request, _reply, payload) => payload.pipe(new PassThrough()) }, async request => ({ bytes: (request.body as Buffer).length }))
  app.get('/never', () => new Promise(() => {}))
  app.get('/timeout', { handlerTimeout: 20 }, () => new Promise(() => {}))

  // Reads the body itself, in each way that a stream has.
  await app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
    const total = async (stream: AsyncIterable<Buffer>) => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk)
      return Buffer.concat(chunks).toString('latin1')
    }
    scope.post('/read/iterated', async request => total(request.raw))
    scope.post('/read/piped', async request => total(request.raw.pipe(new PassThrough())))
    scope.post('/read/as-text', async request => {
      let text = ''
      request.raw.setEncoding('utf8')
      for await (const chunk of request.raw) text += String(chunk)
      return text
    })
    scope.post('/read/never', async () => 'not read')
    scope.post('/read/streamed', (request, reply) => reply.type('application/octet-stream').send(request.raw))
  })
  return built
}

/** Names of the ways to answer. */
export const ANSWER_NAMES = Object.keys(ANSWERS)
export const HOOK_NAMES = HOOKS
