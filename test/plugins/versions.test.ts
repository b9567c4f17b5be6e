import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { versionOfPath } from '../../src/plugins/versions.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { watchAttempts } from '../faults.ts'
import { overLambda, restEvent } from '../lambda/transports.ts'
import { rawRequest, sayTo, type RawAnswer } from './raw-http.ts'

const engines = await startEngines(t)
const ORIGIN = 'https://app.example.com'

async function listen (t: Test, env: Record<string, string>) {
  const app = await buildTestApp(t, engines, { env })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { app, say: (...request: Parameters<typeof rawRequest>) => sayTo(port, rawRequest(...request)) }
}

const isV1 = (t: Test, { headers, body }: Pick<RawAnswer, 'headers' | 'body'>, what: string) => {
  t.match(headers, { deprecation: /^@\d{10}$/, sunset: / GMT$/, link: '</openapi/v2.json>; rel="successor-version"' }, what)
  if (body !== '') t.match(JSON.parse(body), { success: Boolean }, what)
}
const isNotV1 = (t: Test, { headers, body }: Pick<RawAnswer, 'headers' | 'body'>, what: string) => {
  for (const name of ['deprecation', 'sunset', 'link']) t.notOk(name in headers, what)
  t.notHas(JSON.parse(body), { success: false }, what)
}

const registration = (email: string) => ({ body: JSON.stringify({ email, name: 'Ada' }) })

t.test('the version of a path is that of its first segment, as the router decodes it', async t => {
  for (const path of ['/v1', '/v1/', '/v1/users', '/v1?x', '/%76%31/users', '/v%31', '/v1//users', '/v1/%zz']) t.equal(versionOfPath(path), 'v1', path)
  for (const path of ['/v2/users', '/%76%32']) t.equal(versionOfPath(path), 'v2', path)
  for (const path of ['/', '', '/V1/users', '//v1/users', '/v10/users', '/%2Fv1/users', '/v1%2Fusers', '/%zz/v1', '/health', '/%2576%2531/users', '*']) t.equal(versionOfPath(path), undefined, path)
})

t.test('however a v1 path is written, its answers are those of v1', async t => {
  const { say } = await listen(t, { CORS_ORIGIN: ORIGIN })
  for (const [i, target] of ['/v1/users', '/%76%31/users', '/v%31/%75sers', 'http://x/v1/users', 'HTTP://other.example:81/%76%31/users?x=1', '/v1/users#x', '/v1/users?x#y'].entries()) {
    const created = await say('POST', target, registration(`target${i}@example.com`))
    t.equal(created.status, 201, target)
    isV1(t, created, target)
    const conflict = await say('POST', target, registration(`target${i}@example.com`))
    t.same([conflict.status, JSON.parse(conflict.body).error], [409, 'User already exists'], target)
    isV1(t, conflict, target)
    const wrongMethod = await say('PUT', target)
    t.same([wrongMethod.status, wrongMethod.headers['allow']], [405, 'POST'], target)
    isV1(t, wrongMethod, target)
    const preflight = await say('OPTIONS', target, { headers: `Origin: ${ORIGIN}\r\nAccess-Control-Request-Method: POST\r\n` })
    t.equal(preflight.status, 204)
    isV1(t, preflight, target)
  }
  for (const target of ['/v1', '/v1/', '/v1//users', '/v1/nowhere', '/v1/Users']) {
    const missing = await say('GET', target)
    t.equal(missing.status, 404, target)
    isV1(t, missing, target)
  }
  const malformed = await say('GET', '/v1/users/%zz')
  t.equal(malformed.status, 400)
  isV1(t, malformed, 'a malformed path')
  for (const target of ['/V1/users', '//v1/users', '/%2Fv1/users', '/v1%2Fusers', '/%2576%2531/users']) {
    const other = await say('POST', target, registration('other@example.com'))
    t.equal(other.status, 404, target)
    isNotV1(t, other, target)
  }
})

t.test('once v1 has ended, every way to write a v1 path is 410 in its shape, and a page can read it', async t => {
  const { app, say } = await listen(t, { V1_ENABLED: 'false', CORS_ORIGIN: ORIGIN })
  const origin = `Origin: ${ORIGIN}\r\n`
  for (const target of ['/v1/users', '/%76%31/users', 'http://x/v1/users', 'http://x/%76%31/users', '/v1', '/v1/', '/v1//users', '/v1/users/', '/v1/nowhere', '/v1/users/%zz', '/v1/health', '/%761/users/x']) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await say(method, target, { headers: origin, ...(method === 'POST' ? registration('gone@example.com') : {}) })
      t.equal(answer.status, 410, `${method} ${target}`)
      t.same(Object.keys(JSON.parse(answer.body)), ['success', 'error', 'correlationId'])
      t.match(answer.headers, { 'access-control-allow-origin': ORIGIN })
      isV1(t, answer, `${method} ${target}`)
    }
    const preflight = await say('OPTIONS', target, { headers: `${origin}Access-Control-Request-Method: POST\r\n` })
    t.equal(preflight.status, 204, 'the page may ask, so that it can read the 410')
    isV1(t, preflight, target)
  }
  const stays = await say('POST', '/v2/users', registration('stays@example.com'))
  t.equal(stays.status, 202)
  isNotV1(t, stays, 'version 2')
  t.equal((await say('POST', '/V1/users', registration('stays@example.com'))).status, 404)

  const handler = createDispatch(app)
  const send = overLambda(event => handler(event, {} as never), restEvent)
  for (const target of ['/v1/users', '/%76%31/users', '/v1/%zz']) {
    const { status, headers, body } = await send({ method: 'POST', target, headers: [['Content-Type', 'application/json']], body: registration('gone@example.com').body })
    t.equal(status, 410, target)
    isV1(t, { headers, body: body.toString() }, target)
  }
})

t.test('once v1 has ended, a v1 path is 410 whatever is sent to it, and nothing is read or written for it', async t => {
  const { app, say } = await listen(t, { V1_ENABLED: 'false' })
  const calls = watchAttempts(app)
  const json = 'Content-Type: application/json\r\n'
  const bad: Record<string, { headers?: string, body?: string }> = {
    'no JSON': { headers: json, body: '{' },
    'another type': { headers: 'Content-Type: text/xml\r\n', body: '<a/>' },
    'a coding': { headers: `${json}Content-Encoding: gzip\r\n`, body: 'x' },
    'an unknown property': { headers: json, body: '{"email":"a@example.com","name":"Ada","x":1}' },
    'too large': { headers: json, body: JSON.stringify({ pad: 'x'.repeat(70_000) }) },
    'no body': { headers: json },
    'a bad token': { headers: 'Authorization: Bearer x\r\n' }
  }
  for (const [what, { headers = '', body }] of Object.entries(bad)) {
    for (const target of ['/v1/users', '/v1/auth/tokens', '/v1/nowhere']) {
      const answer = await say('POST', target, { headers, ...(body === undefined ? {} : { body }) })
      t.equal(answer.status, 410, `${what} ${target}`)
      t.match(JSON.parse(answer.body), { success: false, error: 'Version 1 of this API has been switched off; use version 2', correlationId: String })
      isV1(t, answer, `${what} ${target}`)
    }
  }
  for (const method of ['HEAD', 'TRACE', 'PROPFIND']) {
    const answer = await say(method, '/v1/users')
    t.equal(answer.status, 410, method)
    t.match(answer.headers, { deprecation: /^@/, sunset: / GMT$/, link: /successor-version/ }, method)
  }
  calls.stop()
  t.equal(calls.attempts, 0)
})

t.test('once v1 has ended, its document can still be read, and Swagger UI no longer offers it', async t => {
  const offered = async (V1_ENABLED: string) => {
    const app = await buildTestApp(t, engines, { env: { V1_ENABLED, DOCS_ENABLED: 'true' } })
    for (const version of ['v1', 'v2']) t.equal((await app.inject(`/openapi/${version}.json`)).statusCode, 200, version)
    return [...(await app.inject('/docs/start.js')).body.matchAll(/openapi\/(v\d)\.json/g)].map(([, version]) => version)
  }
  t.same(await offered('true'), ['v2', 'v1'])
  t.same(await offered('false'), ['v2'])
})

t.test('the link to the successor has the path that the service is reached at', async t => {
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://api.example.com/users-api' } })
  t.equal((await app.inject('/v1/health')).headers['link'], '</users-api/openapi/v2.json>; rel="successor-version"')
})

t.test('Allow is that of the path as the router sees it', async t => {
  const { say } = await listen(t, {})
  const id = '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'
  for (const [target, allow] of [
    ['/v2/%75sers', 'GET, HEAD, POST'],
    [`/v2/users/${id}?x=/y`, 'DELETE, GET, HEAD, PATCH'],
    ['/v2/users/a%2Fb', 'DELETE, GET, HEAD, PATCH'],
    [`/v2/users/${'x'.repeat(300)}`, 'DELETE, GET, HEAD, PATCH'],
    ['http://x/health/live', 'GET, HEAD'],
    ['/health/l%69ve', 'GET, HEAD'],
    ['/v2/users/', 'DELETE, GET, HEAD, PATCH'] // the router lets a parameter be empty
  ] as const) {
    for (const method of ['PUT', 'TRACE', 'PROPFIND', 'OPTIONS']) {
      const answer = await say(method, target)
      t.same([answer.status, answer.headers['allow']], [405, allow], `${method} ${target}`)
    }
  }
  for (const target of ['/v2//users', '/v2/users/a/b', '/health/live/', '/', '*']) {
    const answer = await say('OPTIONS', target)
    t.same([answer.status, answer.headers['allow']], [404, undefined], target)
  }
})

t.test('a problem names the path that was sent, and not the host', async t => {
  const { say } = await listen(t, {})
  for (const [target, instance] of [['http://user:secret@evil.example/v2/nowhere?x', '/v2/nowhere'], ['/v2/users/%zz?x', '/v2/users/%zz'], ['/v2/%6eowhere', '/v2/%6eowhere'], ['http://x', '/'], ['http://x?y', '/']] as const) {
    t.equal(JSON.parse((await say('GET', target)).body).instance, instance, target)
  }
})
