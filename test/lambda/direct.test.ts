import { METHODS } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { createAdapter } from '../../src/lambda/adapter.ts'
import { createDirect } from '../../src/lambda/direct.ts'
import type { HttpEvent } from '../../src/lambda/http-event.ts'
import { createHttp } from '../../src/lambda/http.ts'
import type { AppRequest, HttpAnswer, Serve } from '../../src/lambda/serve.ts'
import type { App } from '../../src/app.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { ANSWER_NAMES, buildDirectApp, HOOK_NAMES } from './direct-app.ts'
import { ECHO_CASES } from './echo-cases.ts'
import { EVENTS, served } from './parity.ts'
import { createRandom, randomEvent } from './random-events.ts'
import { serviceCases } from './service-cases.ts'
import { albListsEvent, functionUrlEvent, httpEvent, overLambda, restEvent, type Send, type ToEvent, type WireRequest } from './transports.ts'
import { compareWays, type Http } from './ways.ts'

const app = await buildDirectApp()
t.teardown(() => app.close())
await app.ready()

const adapter = createHttp(app, await createAdapter(app))
const counted = { direct: 0 }
const serveDirectly = createDirect(app)
const direct = createHttp(app, request => {
  counted.direct++
  return serveDirectly(request)
})

const get = (target: string, headers: WireRequest['headers'] = []): WireRequest => ({ method: 'GET', target, headers })
const post = (target: string, body: Buffer | string, headers: WireRequest['headers'] = []): WireRequest => ({ method: 'POST', target, headers, body })

const BINARY = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * 7) % 256))
const TYPED: [string, string] = ['Content-Type', 'text/plain']

/** Requests that are easily converted wrongly. */
const HOSTILE: WireRequest[] = [
  ...ANSWER_NAMES.flatMap(name => ['GET', 'HEAD', 'POST'].map(method => ({ method, target: `/answer/${name}` }))),
  ...HOOK_NAMES.flatMap(hook => ['thrown', 'rejected'].flatMap(way => [get(`/hook/${hook}/${way}`), post(`/hook/${hook}/${way}`, 'x', [TYPED])])),
  get('/hook/onError/thrown'),
  get('/hook/onResponse/thrown'),
  get('/hook/onRequest/sent'),
  get('/hook/onSend/replaced'),
  post('/hook/preParsing/replaced', BINARY, [TYPED]),
  get('/timeout'),
  ...['iterated', 'piped', 'as-text', 'never', 'streamed'].flatMap(way => ['', 'é', BINARY, 'x'.repeat(200_000)].map(body => post(`/read/${way}`, body, [TYPED]))),
  ...[...METHODS, 'BREW', 'get', ''].flatMap(method => [{ method, target: '/raw/method' }, { method, target: '/nowhere' }]),
  get('/raw/a', [['X-Twice', 'a'], ['X-Twice', 'b'], ['x-twice', 'c'], ['Accept', 'a'], ['Accept', 'b'], ['Authorization', 'a'], ['Authorization', 'b'], ['Content-Type', 'a/b'], ['Content-Type', 'c/d'], ['Cookie', 'a=1'], ['Cookie', 'b=2'], ['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2'], ['User-Agent', 'a'], ['User-Agent', 'b'], ['Host', 'b']]),
  get('/raw/a', [['X-Empty', ''], ['', 'no name'], ['Host', ''], ['user-agent', ''], ['content-type', '']]),
  get('/raw/a', [['__proto__', 'a'], ['constructor', 'b'], ['toString', 'c'], ['hasOwnProperty', 'd']]),
  get('/raw/a', [['__proto__', 'a'], ['__proto__', 'b']]),
  get('/raw/a', [['Connection', 'keep-alive'], ['Keep-Alive', 'timeout=5'], ['Upgrade', 'websocket'], ['TE', 'trailers'], ['Expect', '100-continue']]),
  get('/raw/a', [['Transfer-Encoding', 'chunked']]),
  post('/raw/a', 'abc', [TYPED, ['Transfer-Encoding', 'chunked'], ['Connection', 'close']]),
  get('/raw/a', [['Content-Length', '5']]),
  post('/raw/a', 'abc', [['Content-Length', '1'], ['content-length', '7']]),
  get('/raw/a', [['Accept-Version', '1.x']]),
  get('/nowhere', [['Accept-Version', '1.x']]),
  get('/raw/a', [['X-Utf8', 'Zoë 🦊'], ['X-Lines', 'a\r\nX-Injected: b'], ['X-Long', 'x'.repeat(50_000)]]),
  get('/raw/a', [['x-apigateway-event', 'a'], ['X-Aws-Lambda-Fastify-Request', 'b'], ['X-ApiGateway-Context', 'c'], ['x-request-id', 'd']]),
  get('/raw/a', [['X-Correlation-Id', 'abc-1']]),
  get('/raw/a', [['Origin', 'https://a.example'], ['Access-Control-Request-Method', 'GET']]),
  { method: 'OPTIONS', target: '*' },
  { method: 'OPTIONS', target: '/raw/a', headers: [['Origin', 'https://a.example'], ['Access-Control-Request-Method', 'POST']] },
  { ...get('/raw/a', [TYPED]), body: 'a GET with a body' },
  { method: 'HEAD', target: '/raw/a', body: 'x' },
  { method: 'DELETE', target: '/raw/a', body: '' },
  post('/raw/a', ''),
  post('/raw/a', BINARY, [['Content-Type', 'application/octet-stream']]),
  post('/raw/a', BINARY, [['Content-Type', 'application/json']]),
  post('/raw/a', '\uFFFD', [TYPED]),
  post('/small', 'over the limit', [TYPED]),
  post('/small', 'x', [TYPED]),
  ...['/', '', '//', '//raw/a', '///', '/raw', '/raw/', '/raw//', `/raw/${'x'.repeat(20_000)}`, '/raw/%', '/raw/%zz', '/raw/%c3', '/raw/%00', '/raw/a%2Fb', '/raw/%2e%2e/a', '/raw/../a', '/raw/./a', '/raw/..', '/raw/a\\b', '/raw/a b', '/raw/a\tb', '/raw/a\nb', '/raw/"', '/raw/\'', '/raw/<>', '/raw/{}', '/raw/[]', '/raw/|^`', '/raw/é', '/raw/🦊', '/raw/\ud800', '/raw/a;b=c', '/raw/a:b@c', '/raw/~!$&()*+,=', 'raw/a', 'http://a.example/raw/a', '/raw/#a', '/raw/a#b?c', '/%72aw/a'].map(target => get(target)),
  ...['', '?', 'a', 'a=', '=a', '=', '&', '&&', 'a=1&a=2', 'a=1;b=2', 'a=b=c', 'a=%', 'a=%zz', '%=1', '%zz', 'a=%00', 'a=+%2B %20', 'a=é', 'a=🦊', 'a=\'', 'a="', 'a=<>', 'a=[]{}|^`\\', 'a=/?:@', 'a=1#b', '__proto__=a&__proto__=b', '__proto__[x]=1', 'constructor=a', `a=${'x'.repeat(20_000)}`, 'a=1,2', 'a=\ud800', 'a=\t'].map(query => get(`/raw/a?${query}`))
]

/** One source for each form of answer. */
const FORMS: ToEvent[] = [restEvent, httpEvent, albListsEvent]

/** These requests as events, those of hand-written events, and some that are damaged. */
function hostileEvents (): string[] {
  const events: string[] = []
  for (const request of [...HOSTILE, ...ECHO_CASES]) {
    // Some mebibytes are compared once.
    const isLarge = (request.body?.length ?? 0) > 1024 ** 2 || request.target.includes('bytes=')
    for (const toEvent of isLarge ? [functionUrlEvent] : /^\/(?:answer|hook|read|nowhere|raw\/method)/.test(request.target) ? FORMS : Object.values(EVENTS)) events.push(JSON.stringify(toEvent(request)))
  }
  for (const toEvent of Object.values(EVENTS)) {
    const whole = toEvent(post('/raw/a?b=c', 'body', [TYPED])) as Record<string, unknown>
    for (const [name, values] of Object.entries({
      headers: [null, {}, { 'x-number': 5, 'x-null': null, 'x-list': ['a', 'b'], 'x-object': {}, 'x-true': true }],
      multiValueHeaders: [null, {}, { Host: ['a'], 'x-none': [], host: [], 'x-mixed': [1, null, 'a'], 'x-text': 'a' }],
      multiValueQueryStringParameters: [null, {}, { a: [], b: ['1', '2'] }],
      queryStringParameters: [null, { a: 'b', c: null }],
      rawQueryString: ['', '?', 'a=\''],
      body: [null, '', 'not base64!', 5, {}, [1, 2]],
      isBase64Encoded: [true, false, 'yes'],
      cookies: [[], ['a=1', 'b=2']],
      path: ['', null, 5],
      rawPath: ['', '/raw/é']
    })) {
      for (const value of values) events.push(JSON.stringify({ ...whole, [name]: value }))
    }
  }
  return [...new Set(events)]
}
const EVENTS_TO_COMPARE = hostileEvents()

/** Compares both ways on every event, and reports the first differences; they say enough. */
async function compareAll (first: Http, second: Http, events: string[], report: (event: string, index: number, difference: object) => void) {
  const statuses = new Set<number>()
  let differences = 0
  for (const [index, event] of events.entries()) {
    const { status, difference } = await compareWays(first, second, event)
    statuses.add(status)
    if (difference !== undefined && differences++ < 5) report(event, index, difference)
  }
  return { statuses, differences }
}

t.test('an event that is easily converted wrongly is answered directly as through the adapter', async t => {
  counted.direct = 0
  const { statuses, differences } = await compareAll(direct, adapter, EVENTS_TO_COMPARE, (event, _index, difference) => t.fail(event.slice(0, 500), difference))
  const compared = EVENTS_TO_COMPARE.length
  t.equal(differences, 0)
  t.ok(compared > 1500, `${compared} events`)
  t.ok(counted.direct > compared * 0.7, `most of them, ${counted.direct}, were answered directly`)
  for (const status of [200, 201, 202, 203, 204, 205, 304, 400, 404, 405, 410, 413, 418, 500, 501, 599]) t.ok(statuses.has(status), `one of the answers is ${status}`)
})

t.test('a random event is answered directly as through the adapter', async t => {
  const seed = Number(process.env['RANDOM_SEED'] ?? 136)
  const random = createRandom(seed)
  const events = Array.from({ length: 1500 }, () => randomEvent(random))
  counted.direct = 0
  const { statuses, differences } = await compareAll(direct, adapter, events, (event, index, difference) => t.fail(`RANDOM_SEED=${seed}, event ${index}: ${event.slice(0, 500)}`, difference))
  t.equal(differences, 0)
  t.ok(counted.direct > 500 && counted.direct < 1400, `${counted.direct} were answered directly, and the others by the adapter`)
  t.ok([200, 400, 404, 413, 501].every(status => statuses.has(status)), [...statuses.keys()].sort().join(' '))
})

t.test('a handler that never answers keeps the invocation waiting, as through the adapter', async t => {
  for (const http of [direct, adapter]) {
    let isOver = false
    void http(restEvent(get('/never'))).finally(() => { isOver = true })
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    t.notOk(isOver)
  }
})

t.test('the comparison finds every planted difference', async t => {
  const answered = (change: (answer: HttpAnswer) => unknown): Serve => async request => {
    const answer = await serveDirectly(request)
    change(answer)
    return answer
  }
  const asked = (change: (request: AppRequest) => Partial<AppRequest>): Serve => request => serveDirectly({ ...request, ...change(request) })
  const planted: Record<string, Serve> = {
    'a status': answered(answer => { if (answer.statusCode === 599) answer.statusCode = 598 }),
    'a header that is missing': answered(answer => { delete answer.headers!['x-empty'] }),
    'a header that is added': answered(answer => { answer.headers!['x-added'] = '' }),
    'a header in another form': answered(answer => { if (answer.headers!['x-list'] !== undefined) answer.headers!['x-list'] = 'a, b' }),
    'no date': answered(answer => { delete answer.headers!['date'] }),
    'a list for one cookie': answered(answer => {
      if (answer.headers!['set-cookie'] !== undefined) answer.multiValueHeaders = { 'set-cookie': [answer.headers!['set-cookie']] }
    }),
    'the order of cookies': answered(answer => answer.cookies?.reverse()),
    'text in base64': answered(answer => {
      if (answer.isBase64Encoded === true || answer.body === '') return
      answer.isBase64Encoded = true
      answer.body = Buffer.from(answer.body).toString('base64')
    }),
    'half of a surrogate pair': answered(answer => { answer.body = answer.body.replace('a\uFFFDb', 'a\ud800b') }),
    'a body for HEAD': async request => {
      const answer = await serveDirectly(request)
      return request.method === 'HEAD' ? { ...answer, body: ' ' } : answer
    },
    'the length of an empty body': asked(({ headers, body }) => body?.length === 0 ? { headers: { ...headers, 'content-length': undefined } } : {}),
    'a byte of a body': asked(({ body }) => body === null || body.length < 2000 ? {} : { body: Buffer.concat([body.subarray(1), Buffer.from('x')]) }),
    'the last of two headers': asked(({ headers }) => headers['x-twice'] === undefined ? {} : { headers: { ...headers, 'x-twice': 'c' } }),
    'a header in upper case': asked(({ headers: { expect, ...headers } }) => ({ headers: { ...headers, Expect: expect } })),
    'a query that is decoded': asked(({ target }) => ({ target: target.replace('%2B', '+') })),
    'another address': asked(() => ({ address: '127.0.0.2' }))
  }
  const events = HOSTILE.filter(({ target }) => /^\/(?:answer|raw)/.test(target)).flatMap(request => [restEvent, httpEvent].map(toEvent => JSON.stringify(toEvent(request))))
  for (const [name, serve] of Object.entries(planted)) {
    const http = createHttp(app, serve)
    let isFound = false
    for (const event of events) {
      isFound = (await compareWays(http, adapter, event)).difference !== undefined
      if (isFound) break
    }
    t.ok(isFound, name)
  }
})

t.test('the service answers directly as through the adapter, and logs the same', async t => {
  const engines = await startEngines(t)
  engines.env['CORS_ORIGIN'] = 'https://app.example.com'
  const service = await buildTestApp(t, engines)
  const { accessToken, user } = await signIn(service, engines, 'reader@example.com')
  let sent = 0
  const through = (serve: Serve, toEvent: ToEvent): Send => {
    const http = createHttp(service, serve)
    const send = overLambda(event => http(event as HttpEvent), toEvent)
    return request => send({ ...request, ...(typeof request.body === 'string' ? { body: request.body.replaceAll('{n}', String(++sent).padStart(6, '0')) } : {}) })
  }
  let answeredDirectly = 0
  const serve = createDirect(service)
  const counting: Serve = request => {
    answeredDirectly++
    return serve(request)
  }
  const reference = await createAdapter(service)
  const logged = () => service.logLines.splice(0).filter(({ msg }) => msg === 'answered').map(({ method, route, statusCode, userId, level }) => ({ method, route, statusCode, userId, level }))

  const cases = await serviceCases(through(reference, restEvent), { token: accessToken, userId: user.id })
  t.ok(cases.length > 50)
  for (const { title, not = [], ...request } of cases) {
    for (const [kind, toEvent] of Object.entries({ 'REST API': restEvent, 'HTTP API': httpEvent, 'load balancer, lists': albListsEvent })) {
      if (not.includes(kind)) continue
      logged()
      const expected = served(await through(reference, toEvent)(request))
      const expectedLog = logged()
      t.same(served(await through(counting, toEvent)(request)), expected, `${title}, ${kind}`)
      t.same(logged(), expectedLog, `${title}, ${kind}: its log`)
    }
  }
  t.ok(answeredDirectly > cases.length * 2, `${answeredDirectly} directly`)
})

t.test('a response or a request that is destroyed is a 500 in the shape of every error', async t => {
  const broken = await buildDirectApp()
  t.teardown(() => broken.close())
  const failing = broken as App
  failing.get('/v1/destroyed', (_request, reply) => { reply.raw.destroy() })
  failing.get('/v2/destroyed', (_request, reply) => { reply.raw.destroy(new Error('a secret')) })
  failing.get('/v2/destroyed-later', (_request, reply) => {
    reply.raw.write('x')
    setImmediate(() => { reply.raw.destroy() })
  })
  failing.get('/v2/request-destroyed', request => { request.raw.destroy(new Error('a secret')) })
  failing.get('/v2/stream-fails-later', (_request, reply) => {
    async function * parts () {
      yield 'first'
      throw new Error('a secret')
    }
    return reply.type('text/plain').send(Readable.from(parts()))
  })
  failing.get('/v2/bad-header', (_request, reply) => { reply.header('x-bad', 'a\nb').send('x') })
  failing.get('/v2/listener-throws', (_request, reply) => {
    reply.raw.on('finish', () => { throw new Error('a secret') })
    reply.send('x')
  })
  const http = createHttp(failing)
  for (const path of ['/v2/destroyed', '/v2/destroyed-later', '/v2/request-destroyed', '/v2/stream-fails-later']) {
    const { statusCode, headers, body } = await http(restEvent(get(path)))
    t.equal(statusCode, 500, path)
    t.match(headers, { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store', 'x-frame-options': 'DENY' })
    t.match(JSON.parse(body), { status: 500, code: 'INTERNAL', instance: path })
    t.notMatch(body, 'secret')
  }
  const { statusCode: status, body: answered } = await http(restEvent(get('/v2/listener-throws')))
  t.same([status, answered], [200, 'x'], 'an error after the answer does not hold it back')
  // Fastify's own answer. The adapter's keeps the headers that came before the wrong one; a server's does not either.
  const { statusCode, headers } = await http(restEvent(get('/v2/bad-header')))
  t.same([statusCode, Object.keys(headers!)], [500, ['date']])
  t.match(JSON.parse((await http(httpEvent(get('/v1/destroyed')) as HttpEvent)).body), { success: false })
})
