import t from 'tap'
import { transportsOf } from '../contract/world.ts'
import { bearerOf, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { restEvent, type WireResponse } from '../lambda/transports.ts'
import { report, workload } from '../promise.ts'

const engines = await startEngines(t)
// One window for the whole test, so that what is left of the limit only falls.
const app = await buildTestApp(t, engines, {
  env: { RATE_LIMIT_WINDOW_SECONDS: '3600' },
  beforeReady: app => { app.get('/seen', async ({ ip, ips = [] }) => ({ ip, ips })) }
})
const transports = await transportsOf(app)

/** Addresses that a client may want to have. */
const ADDRESSES = ['203.0.113.9', '127.0.0.1', '10.0.0.1', '::1', '2001:db8::9', '203.0.113.9, 198.51.100.7', '203.0.113.9:443', 'unknown', '169.254.169.254']
const HOSTS = ['evil.example', 'evil.example:443', 'localhost', 'admin.internal', '[::1]:80']

/** The event that a client would like the service to see: from elsewhere, for another path, of an admin. */
const EVENT = (() => {
  const event = restEvent({ method: 'GET', target: '/v2/users' })
  return JSON.stringify({ ...event, requestContext: { ...event.requestContext, identity: { sourceIp: '203.0.113.9' }, authorizer: { role: 'admin', principalId: 'admin', claims: { role: 'admin' } } } })
})()

const FORGED: [string, string][][] = [
  ...['X-Forwarded-For', 'x-forwarded-for', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'Fastly-Client-IP', 'X-Cluster-Client-IP', 'X-Original-Forwarded-For', 'X-Envoy-External-Address', 'X-Appengine-User-IP', 'X-Amzn-Source-Ip'].flatMap(name => ADDRESSES.map(address => [[name, address]] as [string, string][])),
  ...ADDRESSES.map(address => [['Forwarded', `for="${address}";host=evil.example;proto=http`]] as [string, string][]),
  ...HOSTS.flatMap(host => [[['Host', host]], [['X-Forwarded-Host', host], ['X-Forwarded-Proto', 'http'], ['X-Forwarded-Port', '1']], [['X-Original-Host', host], ['X-Host', host]]] as [string, string][][]),
  ...['x-apigateway-event', 'X-ApiGateway-Event', 'x-apigateway-context', 'x-aws-lambda-fastify-request', 'x-amzn-apigateway-event'].flatMap(name => [[[name, EVENT]], [[name, encodeURIComponent(EVENT)]], [[name, '{']]] as [string, string][][]),
  ...[['X-User-Id', 'admin'], ['X-Role', 'admin'], ['X-Amzn-Oidc-Data', 'admin'], ['X-Authenticated-User', 'admin'], ['X-Original-URL', '/v2/users'], ['X-Rewrite-URL', '/v2/users'], ['X-HTTP-Method-Override', 'DELETE'], ['X-Method-Override', 'DELETE']].map(pair => [pair] as [string, string][]),
  [['X-Forwarded-For', '203.0.113.9'], ['X-Forwarded-For', '198.51.100.7'], ['Forwarded', 'for=203.0.113.9'], ['X-Real-IP', '203.0.113.9'], ['x-apigateway-event', encodeURIComponent(EVENT)], ['Host', 'evil.example']]
]

/** What has to be the same whatever headers a client invents. */
const partsOf = ({ status, headers, body }: WireResponse) => {
  const id = headers['x-correlation-id']
  const rest = Object.entries(headers).filter(([name]) => !/^(?:ratelimit(?:-remaining|-reset)?|x-correlation-id)$/.test(name))
  return JSON.stringify({ status, rest, body: body.toString().replaceAll(id!, 'ID') })
}
const left = ({ headers }: WireResponse) => Number(/r=(\d+)/.exec(headers['ratelimit'] ?? '')?.[1])

t.test('no header changes a client\'s address, the key of its limit, its claims, or the links of an answer', async t => {
  const { user } = await signIn(app, engines, 'plain@example.com')
  const { authorization } = await bearerOf(app, user.id, 'user')
  const token: [string, string] = ['Authorization', authorization]
  const requests: { target: string, headers: [string, string][] }[] = [
    { target: '/seen', headers: [] },
    { target: '/v2/users/me', headers: [token] },
    { target: '/v2/users', headers: [token] }, // 403: admins only
    { target: '/v2/users/me', headers: [] }, // 401
    { target: `/v1/users/${user.id}`, headers: [token] }
  ]
  const size = workload({ short: 40, full: FORGED.length })
  const chosen = Array.from({ length: size }, (_, i) => FORGED[Math.floor(i * FORGED.length / size)]!)
  const wrong: string[] = []
  let sent = 0
  for (const [transport, send] of Object.entries(transports)) {
    const usual: string[] = []
    let remaining = 0
    for (const { target, headers } of requests) {
      const answer = await send({ method: 'GET', target, headers })
      usual.push(partsOf(answer))
      remaining = left(answer)
    }
    t.match(usual.map(text => (JSON.parse(text) as { status: number }).status), [200, 200, 403, 401, 200])
    for (const forged of chosen) {
      for (const [i, { target, headers }] of requests.entries()) {
        const answer = await send({ method: 'GET', target, headers: [...headers, ...forged] })
        sent++
        if (partsOf(answer) !== usual[i]) wrong.push(`${transport} ${target} ${JSON.stringify(forged).slice(0, 200)}: ${partsOf(answer)}`)
        if (left(answer) !== remaining - 1) wrong.push(`${transport} ${target} ${JSON.stringify(forged).slice(0, 200)}: ${remaining} left before, ${left(answer)} after`)
        remaining = left(answer)
      }
    }
  }
  t.same(wrong.slice(0, 5), [])
  report(t, { promise: 25, figure: `${size} sets of forged headers × 3 transports, ${sent} requests: ${wrong.length} with another address, limit, claim or link`, holds: wrong.length === 0 })
})

t.test('a link in a mail is of the configured address, whatever host the request names', async t => {
  const before = engines.mails.length
  let n = 0
  for (const send of Object.values(transports)) {
    for (const host of HOSTS) {
      const answer = await send({ method: 'POST', target: '/v2/users', headers: [['Host', host], ['X-Forwarded-Host', host], ['Forwarded', `host=${host}`], ['Content-Type', 'application/json']], body: JSON.stringify({ email: `linked-${++n}@example.com`, name: 'Ada' }) })
      t.equal(answer.status, 202)
    }
  }
  await pump(app, engines)
  const texts = engines.mails.slice(before).map(({ text, html }) => `${text}${String(html)}`)
  t.equal(texts.length, n)
  const hosts = new Set(texts.flatMap(text => [...text.matchAll(/https?:\/\/([^/\s"<]+)/g)].map(([, host]) => host)))
  t.same([...hosts], [new URL(app.config.PUBLIC_URL).host])
})
