import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Engines } from '../../engines.ts'

const engines = await startEngines(t)

/** The plain server as a process of its own, where the clients' addresses are real ones. */
async function startServer (t: Test, engines: Engines, env: Record<string, string>): Promise<string> {
  const server = spawn(process.execPath, ['src/server.ts'], {
    env: { ...engines.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => server.kill('SIGKILL'))
  for await (const line of createInterface(server.stdout)) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (url === undefined) continue
    server.stdout.resume()
    return url
  }
  throw new Error('the server ended before it listened')
}

const FORGED = (i: number) => ({
  'x-forwarded-for': `203.0.113.${i}`,
  forwarded: `for=203.0.113.${i}`,
  'x-real-ip': `203.0.113.${i}`,
  'x-client-ip': `203.0.113.${i}`,
  'true-client-ip': `203.0.113.${i}`,
  'x-apigateway-event': encodeURIComponent(JSON.stringify({ requestContext: { identity: { sourceIp: `203.0.113.${i}` } } }))
})

t.test('a client address has RATE_LIMIT_MAX requests in a window, and another address its own', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '3', RATE_LIMIT_WINDOW_SECONDS: '1' } })
  const ask = async (remoteAddress: string) => (await app.inject({ url: '/v2/users/me', remoteAddress })).statusCode
  t.same([await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.1')], [401, 401, 401, 429])
  t.equal(await ask('192.0.2.2'), 401)
  t.equal((await app.inject({ url: '/health/live', remoteAddress: '192.0.2.1' })).statusCode, 200, 'health is not limited')
  const { headers } = await app.inject({ url: '/v2/users/me', remoteAddress: '192.0.2.1' })
  await new Promise(resolve => setTimeout(resolve, Number(headers['retry-after']) * 1000 + 50))
  t.equal(await ask('192.0.2.1'), 401, 'after the time in Retry-After')
})

t.test('an IPv6 client is its /64, with any suffix', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '3' } })
  const ask = async (remoteAddress: string) => (await app.inject({ url: '/v2/users/me', remoteAddress })).statusCode
  t.same([await ask('2001:db8:1:2::1'), await ask('2001:db8:1:2::2'), await ask('2001:db8:1:2:ffff::3'), await ask('2001:db8:1:2::4')], [401, 401, 401, 429])
  t.equal(await ask('2001:db8:1:3::1'), 401)
})

t.test('who sends bad tokens or asks for what is not there is limited as well', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '3' } })
  const statuses: number[] = []
  for (const request of [{ url: '/v2/users/me', headers: { authorization: 'Bearer x' } }, { url: '/nowhere' }, { method: 'PUT' as const, url: '/v1/users' }, { url: '/v2/users/me' }, { url: '/nowhere' }]) {
    statuses.push((await app.inject(request)).statusCode)
  }
  t.same(statuses, [401, 404, 405, 429, 429])
})

t.test('what sends mails shares a fifth of the limit, tokens and codes a half, each beside the rest', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '10' } })
  const ask = async (urls: string[]) => {
    const statuses: number[] = []
    for (const url of urls) statuses.push((await app.inject({ method: 'POST', url, payload: {} })).statusCode)
    return statuses
  }
  t.same(await ask(['/v2/users', '/v1/users', '/v2/auth/challenges', '/v1/auth/challenges']), [400, 400, 429, 429])
  t.same(await ask(['/v2/auth/tokens', '/v2/auth/revoke', '/v1/auth/tokens', '/v2/auth/tokens', '/v2/auth/revoke', '/v2/auth/tokens']), [400, 400, 400, 400, 400, 429])
  t.equal((await app.inject('/v2/users/me')).statusCode, 401)
  t.match((await app.inject('/v2/users/me')).headers['ratelimit'], /^"general";r=8;t=\d+$/, 'neither is counted in the general limit')
})

t.test('a preflight is neither counted nor refused, however many there are', async t => {
  const origin = 'https://app.example.com'
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '5', CORS_ORIGIN: origin } })
  const preflight = () => app.inject({ method: 'OPTIONS', url: '/v2/users', headers: { origin, 'access-control-request-method': 'POST' } })
  for (let i = 0; i < 10; i++) t.equal((await preflight()).statusCode, 204)
  const answer = await app.inject({ method: 'POST', url: '/v2/users', payload: {}, headers: { origin } })
  t.equal(answer.statusCode, 400)
  t.match(answer.headers['ratelimit'], /^"mail";r=0;t=\d+$/, 'the first of one')
  t.equal((await app.inject({ method: 'POST', url: '/v2/users', payload: {}, headers: { origin } })).statusCode, 429)
  t.equal((await preflight()).statusCode, 204)
})

t.test('each class says in its headers what it allows, and a request of many resources costs ten', async t => {
  const app = await buildTestApp(t, engines, {
    env: { RATE_LIMIT_MAX: '95', RATE_LIMIT_WINDOW_SECONDS: '90' },
    beforeReady: app => { app.post('/many', { config: { limit: 'bulk' } }, async () => 'ok') }
  })
  for (const [method, url, name, quota] of [['GET', '/v2/users/me', 'general', 95], ['POST', '/v2/auth/tokens', 'credential', 48], ['POST', '/v2/auth/challenges', 'mail', 19], ['POST', '/many', 'bulk', 10]] as const) {
    const { headers } = await app.inject({ method, url, ...(method === 'GET' ? {} : { payload: {} }) })
    t.equal(headers['ratelimit-policy'], `"${name}";q=${quota};w=90`, url)
    t.match(headers['ratelimit'], new RegExp(`^"${name}";r=${quota - 1};t=[1-9]\\d?$`), url)
  }
})

t.test('a route with a class that does not exist keeps the app from starting', async t => {
  await t.rejects(buildTestApp(t, engines, { beforeReady: app => { app.get('/x', { config: { limit: 'cheap' as never } }, async () => 'x') } }), /\/x has the unknown class cheap/)
})

t.test('answers of every kind are counted: 410, 404, and paths that are malformed', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '4', V1_ENABLED: 'false' } })
  const statuses: number[] = []
  for (const url of ['/v1/users', '/v2/users/%zz', '/nowhere', '/v1/%', '/v1/users', '/v2/users/%zz']) statuses.push((await app.inject(url)).statusCode)
  t.same(statuses, [410, 400, 404, 410, 429, 429])
})

t.test('no header makes one client into many', async t => {
  const url = await startServer(t, engines, { RATE_LIMIT_MAX: '5' })
  const statuses: number[] = []
  for (let i = 1; i <= 7; i++) statuses.push((await fetch(`${url}/v2/users/me`, { headers: FORGED(i) })).status)
  t.same(statuses, [401, 401, 401, 401, 401, 429, 429])
})

t.test('behind a proxy named in TRUST_PROXY the address before it counts, and what the client wrote itself does not', async t => {
  const url = await startServer(t, engines, { RATE_LIMIT_MAX: '2', TRUST_PROXY: '127.0.0.1/32,10.0.0.0/8' })
  const ask = async (forwardedFor: string) => (await fetch(`${url}/v2/users/me`, { headers: { 'x-forwarded-for': forwardedFor } })).status
  t.same([await ask('203.0.113.1'), await ask('203.0.113.1'), await ask('203.0.113.1')], [401, 401, 429])
  t.equal(await ask('203.0.113.2'), 401)
  // The proxy appends what it saw; all to the left of that is the client's invention.
  t.equal(await ask('198.51.100.7, 203.0.113.1'), 429)
  t.equal(await ask('198.51.100.7, 203.0.113.1, 10.1.2.3'), 429)
})

t.test('a proxy that is not in TRUST_PROXY is a client', async t => {
  const url = await startServer(t, engines, { RATE_LIMIT_MAX: '2', TRUST_PROXY: '10.0.0.0/8' })
  const statuses: number[] = []
  for (let i = 1; i <= 3; i++) statuses.push((await fetch(`${url}/v2/users/me`, { headers: FORGED(i) })).status)
  t.same(statuses, [401, 401, 429])
})

t.test('a proxy that writes a port makes no client into many, and is still a proxy', async t => {
  const url = await startServer(t, engines, { RATE_LIMIT_MAX: '2', TRUST_PROXY: '127.0.0.1/32,10.0.0.0/8' })
  const ask = async (forwardedFor: string) => (await fetch(`${url}/v2/users/me`, { headers: { 'x-forwarded-for': forwardedFor } })).status
  t.same([await ask('203.0.113.1:40001'), await ask('203.0.113.1:40002'), await ask('203.0.113.1')], [401, 401, 429])
  t.equal(await ask('203.0.113.2, 10.1.2.3:8080'), 401, 'the client behind the second proxy, and not that proxy, is counted')
  t.equal(await ask('203.0.113.3, 10.1.2.3:8081'), 401)
  t.equal(await ask('203.0.113.4, 10.1.2.3:8082'), 401)
  t.same([await ask('[2001:db8::1]:5000'), await ask('[2001:db8::2]:5001'), await ask('2001:db8::3')], [401, 401, 429])
})

t.test('a client that resets its connection at once is no failure of the service', async t => {
  const app = await buildTestApp(t, engines)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const seen: unknown[] = []
  app.server.on('request', request => { seen.push(request.socket.remoteAddress) })
  for (let i = 0; i < 5; i++) {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /v2/users/me HTTP/1.1\r\nhost: x\r\n\r\n')
    socket.resetAndDestroy()
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/v2/users/me`)).status, 401)
  t.ok(seen.includes(undefined), 'its address is unknown')
  t.same(app.logLines.filter(line => line['level'] === 'error'), [])
})

t.test('a module can count in the process what its own rules limit', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_WINDOW_SECONDS: '30' } })
  const take = (bucket: string, key: string, max: number) => {
    try {
      app.rateLimits.take(bucket, key, max)
    } catch (error) {
      return error as Error & { statusCode: number, retryAfter: number }
    }
  }
  for (let i = 0; i < 3; i++) t.equal(take('tries', 'a', 3), undefined)
  const refused = take('tries', 'a', 3)
  t.match(refused, { statusCode: 429, code: 'RATE_LIMITED' })
  t.ok(refused!.retryAfter > 0 && refused!.retryAfter <= 30)
  t.equal(take('tries', 'b', 3), undefined)
  t.equal(take('mails', 'a', 3), undefined, 'another bucket')
  t.equal(take('tries', 'x'.repeat(10_000), 1), undefined)
  t.match(take('tries', 'x'.repeat(10_000), 1), { statusCode: 429 })
})
