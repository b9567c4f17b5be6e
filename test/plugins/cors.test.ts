import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const engines = await startEngines(t)
const preflight = (origin: string) => ({ method: 'OPTIONS' as const, url: '/v2/users', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } })
const corsHeaders = (headers: object) => Object.keys(headers).filter(name => name.startsWith('access-control-'))

t.test('without CORS_ORIGIN no answer speaks of CORS', async t => {
  const app = await buildTestApp(t, engines)
  for (const request of [preflight('https://app.example.com'), { url: '/health/live', headers: { origin: 'https://app.example.com' } }, { url: '/nowhere', headers: { origin: 'null' } }]) {
    t.same(corsHeaders((await app.inject(request)).headers), [])
  }
})

t.test('with CORS_ORIGIN', async t => {
  const app = await buildTestApp(t, engines, { env: { CORS_ORIGIN: 'https://app.example.com,http://localhost:5173', RATE_LIMIT_MAX: '50' } })

  t.test('each origin in it may call, with credentials, and is named exactly', async t => {
    for (const origin of ['https://app.example.com', 'http://localhost:5173']) {
      const asked = await app.inject(preflight(origin))
      t.equal(asked.statusCode, 204)
      t.match(asked.headers, { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', 'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE', vary: /origin/i })
      for (const url of ['/v2/users/%zz', '/nowhere', '/v1/users']) t.equal((await app.inject({ ...preflight(origin), url })).statusCode, 204, `a preflight for ${url}`)
      const answer = await app.inject({ url: '/health/live', headers: { origin } })
      t.match(answer.headers, { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', 'access-control-expose-headers': /x-correlation-id/, vary: /origin/i })
    }
  })

  t.test('a page may send what makes requests safe to repeat, and read what answers say about it and about limits', async t => {
    const origin = 'https://app.example.com'
    const allowed = String((await app.inject(preflight(origin))).headers['access-control-allow-headers']).split(', ')
    for (const name of ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match']) t.ok(allowed.includes(name), name)
    const exposed = String((await app.inject({ url: '/health/live', headers: { origin } })).headers['access-control-expose-headers']).split(', ')
    for (const name of ['accept-patch', 'etag', 'idempotent-replayed', 'location', 'ratelimit', 'ratelimit-policy', 'retry-after']) t.ok(exposed.includes(name), name)
  })

  t.test('no other origin is, however like it', async t => {
    for (const origin of ['https://app.example.com.evil.example', 'https://evil.example', 'https://app.example.com:8443', 'http://app.example.com', 'https://APP.example.com', 'https://xapp.example.com', 'https://sub.app.example.com', 'http://localhost', 'null', '*', '']) {
      for (const request of [preflight(origin), { url: '/health/live', headers: { origin } }]) {
        const { headers } = await app.inject(request)
        t.equal(headers['access-control-allow-origin'], undefined, origin)
      }
    }
  })

  t.test('every error can be read by the page that caused it', async t => {
    const origin = 'https://app.example.com'
    const gone = await buildTestApp(t, engines, { env: { CORS_ORIGIN: origin, V1_ENABLED: 'false' } })
    for (const [answer, status] of [
      [await app.inject({ url: '/v2/nowhere', headers: { origin } }), 404],
      [await app.inject({ method: 'PUT', url: '/v2/users', headers: { origin } }), 405],
      [await app.inject({ method: 'POST', url: '/v2/users', payload: '{', headers: { origin, 'content-type': 'application/json' } }), 400],
      [await app.inject({ url: '/v2/users/me', headers: { origin } }), 401],
      [await gone.inject({ url: '/v1/health', headers: { origin } }), 410],
      [await app.inject({ url: '/v2/users/%zz', headers: { origin } }), 400],
      [await app.inject({ url: '/%', headers: { origin } }), 400],
      [await app.inject({ method: 'OPTIONS', url: '/v2/users', headers: { origin } }), 405]
    ] as const) {
      t.equal(answer.statusCode, status)
      t.match(answer.headers, { 'access-control-allow-origin': origin, 'access-control-expose-headers': /x-correlation-id/ })
    }
    for (let i = 0; i < 10; i++) await app.inject({ method: 'POST', url: '/v2/users', payload: {}, headers: { origin } })
    const limited = await app.inject({ method: 'POST', url: '/v2/users', payload: {}, headers: { origin } })
    t.equal(limited.statusCode, 429)
    t.match(limited.headers, { 'access-control-allow-origin': origin, 'access-control-expose-headers': /retry-after/ })
  })

  t.test('an OPTIONS that is no preflight is a method like any other', async t => {
    for (const headers of [{}, { origin: 'https://app.example.com' }, { 'access-control-request-method': 'POST' }]) {
      const answer = await app.inject({ method: 'OPTIONS', url: '/v2/users', headers })
      t.equal(answer.statusCode, 405)
      t.equal(answer.headers['allow'], 'GET, HEAD, POST')
      t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
      t.equal((await app.inject({ method: 'OPTIONS', url: '/v2/nowhere', headers })).statusCode, 404)
    }
  })
})
