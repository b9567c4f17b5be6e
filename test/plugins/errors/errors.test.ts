import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What every failure has in common, whichever version was asked; then what the version's own shape says. */
function isFailure (t: Test, answer: LightMyRequestResponse, status: number, code: string) {
  // As it was sent: a malformed one is rewritten on its way to the router.
  const { originalUrl: url } = answer.raw.req as unknown as { originalUrl: string }
  t.equal(answer.statusCode, status, `${url} -> ${status}`)
  t.match(answer.headers['x-correlation-id'], UUID)
  t.equal(answer.headers['x-content-type-options'], 'nosniff')
  t.equal(answer.headers['cache-control'], 'no-store')
  // Nothing of how it is made: no stack, no file, no table, no request id of AWS, no name of a library.
  t.notMatch(answer.body, /node_modules|\.ts\b|\bat .+:\d+|Table|arn:|dynamodb|aws|fastify|FST_|SyntaxError|Unexpected token/i)
  const body = answer.json()
  if (/^\/v1(\/|\?|$)/.test(url)) {
    t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    t.match(answer.headers, { deprecation: /^@\d{10}$/, sunset: / GMT$/, link: '</openapi/v2.json>; rel="successor-version"' })
    t.same(body, { success: false, error: body.error, correlationId: answer.headers['x-correlation-id'] })
    t.match(body.error, /^[^\n]{5,}$/)
  } else {
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.equal(answer.headers['deprecation'], undefined)
    t.match(body, {
      type: `urn:user-service:problem:${code.toLowerCase().replaceAll('_', '-')}`,
      title: String,
      status,
      detail: /^[^\n]{5,}$/,
      code,
      correlationId: answer.headers['x-correlation-id']
    })
    t.equal(body.instance, url.split('?')[0]!.slice(0, 256))
  }
  return body
}

const json = { 'content-type': 'application/json' }
const post = (url: string, payload: string | object, headers: Record<string, string> = json) => app.inject({ method: 'POST', url, payload, headers })

for (const v of ['/v1', '/v2']) {
  t.test(`${v}: an unknown path is 404, whatever the method`, async t => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) isFailure(t, await app.inject({ method, url: `${v}/nowhere` }), 404, 'NOT_FOUND')
    isFailure(t, await app.inject(`${v}?a=b`), 404, 'NOT_FOUND')
    isFailure(t, await post(`${v}/nowhere`, '{', json), 404, 'NOT_FOUND')
  })

  t.test(`${v}: a known path with a method it does not take is 405, and Allow names those it takes`, async t => {
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE'] as const) {
      const answer = await app.inject({ method: method as 'PUT', url: `${v}/users` })
      isFailure(t, answer, 405, 'METHOD_NOT_ALLOWED')
      t.equal(answer.headers['allow'], v === '/v1' ? 'POST' : 'GET, HEAD, POST')
    }
    const answer = await app.inject({ method: 'PUT', url: `${v}/users/0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42?x=1` })
    isFailure(t, answer, 405, 'METHOD_NOT_ALLOWED')
    t.equal(answer.headers['allow'], 'DELETE, GET, HEAD, PATCH')
  })

  t.test(`${v}: 64 KiB of body are read, one byte more is 413`, async t => {
    const start = '{"email":"ada@example.com","name":"'
    const sized = (bytes: number) => `${start}${'x'.repeat(bytes - start.length - 2)}"}`
    isFailure(t, await post(`${v}/users`, sized(65_536)), 400, 'VALIDATION_FAILED')
    isFailure(t, await post(`${v}/users`, sized(65_537)), 413, 'BODY_TOO_LARGE')
  })

  t.test(`${v}: a body that is not JSON by its type is 415`, async t => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'application/jsonx', 'text/json', 'nonsense', '']) {
      isFailure(t, await post(`${v}/users`, '{"email":"ada@example.com","name":"Ada"}', { 'content-type': type }), 415, 'UNSUPPORTED_MEDIA_TYPE')
    }
  })

  t.test(`${v}: JSON that cannot be read is 400 and is not quoted`, async t => {
    for (const body of ['{', '{"email":', 'hushhush', '{"email":"a@b.example",}', "{'email':1}", '\u0000', 'NaN', '{"name":"\u0001"}', '[1,]']) {
      const answer = await post(`${v}/users`, body)
      isFailure(t, answer, 400, 'BODY_MALFORMED')
      t.notMatch(answer.body, /hushhush/)
    }
    isFailure(t, await post(`${v}/users`, ''), 400, 'BODY_MALFORMED')
  })

  t.test(`${v}: a body of the wrong shape is 400`, async t => {
    for (const body of ['null', '[]', '"text"', '7', 'true', '{}', '[[[[]]]]']) isFailure(t, await post(`${v}/users`, body), 400, 'VALIDATION_FAILED')
  })

  t.test(`${v}: __proto__ and constructor are refused and change nothing`, async t => {
    for (const body of ['{"__proto__":{"role":"admin"},"email":"a@example.com","name":"Ada"}', '{"email":"a@example.com","name":"Ada","constructor":{"prototype":{"role":"admin"}}}']) {
      t.equal((await post(`${v}/users`, body)).statusCode, 400)
    }
    t.equal(({} as { role?: string }).role, undefined)
  })

  t.test(`${v}: a body as deep as it can be is refused at once`, async t => {
    for (const body of [`${'['.repeat(32_000)}${']'.repeat(32_000)}`, `{"email":"a@example.com","name":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`]) {
      const start = performance.now()
      isFailure(t, await post(`${v}/users`, body), 400, 'VALIDATION_FAILED')
      const took = performance.now() - start
      t.ok(took < 1000, `${took.toFixed(0)} ms`) // a few; what grows with the square of the depth takes many seconds
    }
  })

  t.test(`${v}: a path that is no URL is 400`, async t => {
    for (const path of ['/users/%zz', '/%', '/users/%E0%A4%A']) isFailure(t, await app.inject(`${v}${path}`), 400, 'URL_MALFORMED')
  })

  t.test(`${v}: no token is 401 and asks for one; a bad token is called so, with a description`, async t => {
    const url = `${v}/users/0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42`
    const none = await app.inject(url)
    isFailure(t, none, 401, 'AUTH_TOKEN_INVALID')
    t.equal(none.headers['www-authenticate'], 'Bearer realm="user-service"')
    const bad = await app.inject({ url, headers: { authorization: 'Bearer hushhush' } })
    isFailure(t, bad, 401, 'AUTH_TOKEN_INVALID')
    t.match(bad.headers['www-authenticate'], /^Bearer realm="user-service", error="invalid_token", error_description="[^"]+"$/)
    for (const [authorization, names] of [['aa.bb.cc', 'the word Bearer'], ['Basic YTpi', 'the word Bearer'], ['Bearer', 'the word Bearer'], ['Bearer hushhush', 'a refresh token is not accepted here'], ['Bearer aa.bb.cc', 'malformed, expired or not from this service']] as const) {
      const answer = await app.inject({ url, headers: { authorization } })
      isFailure(t, answer, 401, 'AUTH_TOKEN_INVALID')
      t.match(answer.headers['www-authenticate'], names, authorization)
    }
  })
}

t.test('every invalid field is named with a JSON Pointer', async t => {
  const fields = async (body: object) => isFailure(t, await post('/v2/users', body), 400, 'VALIDATION_FAILED').errors.map((e: { pointer: string }) => e.pointer)
  t.same(await fields({}), ['/email', '/name'])
  t.same(await fields({ email: 7, name: 'A' }), ['/email', '/name'])
  t.same(await fields({ email: 'ada@example.com', name: 'Ada', role: 'admin', 'a/b~c': 1 }), ['/role', '/a~1b~0c'])
  t.same(isFailure(t, await post('/v2/auth/tokens', {}), 400, 'VALIDATION_FAILED').errors, [{ pointer: '/grantType', detail: 'is required' }])
  t.same(isFailure(t, await post('/v2/auth/tokens', { grantType: 'password' }), 400, 'VALIDATION_FAILED').errors, [{ pointer: '/grantType', detail: 'must be one of: code, refresh_token' }])
  const { accessToken } = await signIn(app, engines, 'fields@example.com')
  const patch = await app.inject({ method: 'PATCH', url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` }, payload: { status: 'GONE', name: 'x' } })
  t.same(isFailure(t, patch, 400, 'VALIDATION_FAILED').errors.map((e: object) => Object.values(e).join(' ')).sort(), ['/name must have at least 2 characters', '/status must be one of: ACTIVE, SUSPENDED'])
  for (const length of [65, 101, 8000]) {
    const path = await app.inject({ url: `/v2/users/${'x'.repeat(length)}`, headers: { authorization: `Bearer ${accessToken}` } })
    t.same(isFailure(t, path, 400, 'VALIDATION_FAILED').errors.map((e: { pointer: string }) => e.pointer), ['#/id'])
  }
})

t.test('details are in plain words, and one sentence names all invalid fields', async t => {
  const challengeId = '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'
  for (const [url, body, detail] of [
    ['/v2/users', {}, 'email is required; name is required'],
    ['/v2/users', { email: 7, name: [] }, 'email must be a string; name must be a string'],
    ['/v2/users', { email: 'x'.repeat(255), name: 'A' }, 'email must have at most 254 characters; name must have at least 2 characters'],
    ['/v2/users', { email: 'ada@example.com', name: 'Ada', role: 'admin' }, 'role is not a known property'],
    ['/v2/users', [], 'body must be an object'],
    ['/v2/users', { email: 'nowhere', name: 'Ada' }, 'email is not an e-mail address'],
    ['/v2/users', { email: 'ada@-example.com', name: 'A\u200bda' }, 'email is not an e-mail address; name must have at least 2 visible characters, and no invisible ones'],
    ['/v2/users', { email: 'ada@xn--.com', name: '\u0007Ada' }, 'email is not an e-mail address; name must have at least 2 visible characters, and no invisible ones'],
    ['/v2/auth/tokens', { grantType: 'code', challengeId, code: '1234' }, 'code must be 8 digits'],
    ['/v2/auth/tokens', { grantType: 'code', challengeId: 'x', code: 'abcdefgh' }, 'challengeId must be a UUID in lower case; code must be 8 digits'],
    ['/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: '' }, 'refreshToken must not be empty'],
    ['/v2/auth/tokens', { grantType: 'password' }, 'grantType must be one of: code, refresh_token']
  ] as const) {
    t.equal(isFailure(t, await post(url, body), 400, 'VALIDATION_FAILED').detail, detail)
    t.equal(isFailure(t, await post(url.replace('/v2', '/v1'), body), 400, 'VALIDATION_FAILED').error, detail)
  }
})

t.test('a thousand unknown properties are answered with the first few', async t => {
  const body = isFailure(t, await post('/v2/users', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`unknown${i}`.repeat(3), 1]))), 400, 'VALIDATION_FAILED')
  t.equal(body.errors.length, 20)
  t.match(body.detail, /^email is required; name is required; .*is not a known property; and 982 more$/)
  const long = await post('/v2/users', { ['x'.repeat(60_000)]: 1 })
  t.ok(long.body.length < 2000, `${long.body.length} bytes`)
})

t.test('a client over its limit is 429 with Retry-After and RateLimit headers', async t => {
  const limited = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '10', RATE_LIMIT_WINDOW_SECONDS: '30' } })
  for (const [v, version] of [['/v1', 1], ['/v2', 2]] as const) {
    const ask = () => limited.inject({ method: 'POST', url: `${v}/auth/challenges`, payload: { email: 'x' }, remoteAddress: `192.0.2.${version}` })
    // A fifth of ten: mails cost money and codes are compared.
    for (let i = 1; i <= 2; i++) {
      const { statusCode, headers } = await ask()
      t.equal(statusCode, 400)
      t.match(headers, { 'ratelimit-policy': '"mail";q=2;w=30', ratelimit: new RegExp(`^"mail";r=${2 - i};t=\\d+$`) })
    }
    const refused = await ask()
    isFailure(t, refused, 429, 'RATE_LIMITED')
    t.match(refused.headers, { 'ratelimit-policy': '"mail";q=2;w=30', ratelimit: `"mail";r=0;t=${refused.headers['retry-after']}` })
    t.match(refused.headers, { 'ratelimit-limit': '2', 'ratelimit-remaining': '0', 'ratelimit-reset': refused.headers['retry-after'] }, 'the same for clients of earlier drafts')
    t.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 30, `Retry-After: ${refused.headers['retry-after']}`)
  }
})

t.test('with V1_ENABLED=false every v1 path is 410 and v2 goes on', async t => {
  const after = await buildTestApp(t, engines, { env: { V1_ENABLED: 'false' } })
  const requests: InjectOptions[] = [
    { method: 'POST', url: '/v1/users', payload: { email: 'ada@example.com', name: 'Ada' } },
    { method: 'POST', url: '/v1/users', payload: '{', headers: json },
    { method: 'PUT', url: '/v1/users' },
    { url: '/v1/users/x' },
    { url: '/v1/health' },
    { url: '/v1/nowhere' },
    { url: '/v1' },
    { method: 'POST', url: '/v1/auth/tokens', payload: {} }
  ]
  for (const request of requests) isFailure(t, await after.inject(request), 410, 'V1_GONE')
  t.equal((await after.inject({ method: 'POST', url: '/v2/users', payload: { email: 'ada@example.com', name: 'Ada' } })).statusCode, 202)
})

t.test('v1 announces its end on successful answers too; v2 and similar paths do not', async t => {
  const answer = await post('/v1/users', { email: 'lifecycle@example.com', name: 'Ada' })
  t.equal(answer.statusCode, 201)
  // RFC 9745: @ and seconds; RFC 8594: an HTTP date.
  t.match(answer.headers, { deprecation: /^@\d{10}$/, sunset: 'Fri, 31 Dec 2027 00:00:00 GMT', link: '</openapi/v2.json>; rel="successor-version"' })
  for (const url of ['/v2/users', '/v10/users', '/health/live', '/openapi/v1.json']) t.equal((await app.inject(url)).headers['deprecation'], undefined, url)
})

t.test('what is no HTTP at all is answered in the same shape, and the line is closed', async t => {
  const server = await buildTestApp(t, engines)
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  const say = async (bytes: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes)
    return await text(socket)
  }
  for (const [bytes, status, code] of [
    ['hello\r\n\r\n', 400, 'BAD_REQUEST'],
    ['GET /v2/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400, 'BAD_REQUEST'],
    ['GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'BAD_REQUEST'],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE']
  ] as const) {
    const [head = '', body = ''] = (await say(bytes)).split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1.1 ${status} `), bytes.slice(0, 40))
    t.match(head, /\r\ncontent-type: application\/problem\+json; charset=utf-8\r\n/i)
    t.match(head, /\r\nx-correlation-id: [0-9a-f-]{36}\r\n/i)
    t.match(JSON.parse(body), { status, code, correlationId: UUID })
  }
})

t.test('with the database gone: 503 with Retry-After, within two and a half seconds, and no detail is shown', async t => {
  const { accessToken, user } = await signIn(app, engines, 'outage@example.com')
  await engines.faults.dynamodb.stop('SIGKILL')
  t.teardown(() => engines.faults.dynamodb.start())
  const cold = await buildTestApp(t, engines) // nothing in its cache
  const headers = { authorization: `Bearer ${accessToken}` }
  const requests: InjectOptions[] = [
    { method: 'POST', url: '/v1/users', payload: { email: 'late@example.com', name: 'Late' } },
    { method: 'POST', url: '/v2/users', payload: { email: 'late@example.com', name: 'Late' } },
    { method: 'POST', url: '/v2/auth/challenges', payload: { email: 'late@example.com' } },
    { method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId: user.id, code: '12345678' } },
    { url: `/v1/users/${user.id}`, headers },
    { url: '/v2/users/me', headers },
    { method: 'PATCH', url: '/v2/users/me', headers, payload: { name: 'Late' } },
    { method: 'DELETE', url: '/v2/users/me', headers }
  ]
  for (const request of requests) {
    const start = performance.now()
    const answer = await cold.inject(request)
    isFailure(t, answer, 503, 'DEPENDENCY_UNAVAILABLE')
    t.match(answer.headers['retry-after'], /^\d+$/)
    t.ok(performance.now() - start < 2500)
  }
  // The log says what the answer does not.
  t.ok(cold.logLines.some(line => line['level'] === 'error' && /ECONNREFUSED/.test(JSON.stringify(line))))
})
