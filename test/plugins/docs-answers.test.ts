import addFormats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { FORMATS } from '../../src/shared/formats.ts'
import { codeIn, signIn } from '../accounts.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { deref, documents, namesOf, operations } from './api-documents.ts'

// Before the first test: tap ends a file that has nothing to run when it waits.
const engines = await startEngines(t)

/** Refuses properties that a schema does not name, so that an answer cannot say more than its document. */
function closed (node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]))
  return copy['type'] === 'object' && copy['properties'] !== undefined ? { additionalProperties: false, ...copy } : copy
}

function createChecker () {
  const ajv = new Ajv2020({ allErrors: true, strict: false })
  addFormats.default(ajv)
  for (const [name, format] of Object.entries(FORMATS)) ajv.addFormat(name, format)
  for (const [version, { components }] of Object.entries(documents)) ajv.addSchema({ $id: version, components: { schemas: closed(components['schemas']) } })

  /** What is wrong with an answer, by the document; nothing when it keeps it. */
  return function faults (version: 'v1' | 'v2', method: string, path: string, response: LightMyRequestResponse): string[] {
    const document = documents[version]
    const found = document.paths[path]?.[method]?.responses[response.statusCode]
    if (found === undefined) return [`${method} ${path}: ${response.statusCode} is not documented`]
    const { headers = {}, content } = deref(document, found)
    const wrong: string[] = []
    const limits = ['ratelimit-policy', 'ratelimit', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] // an answer that came before the count has none
    const optional = [...limits, 'idempotent-replayed', 'access-control-allow-origin']
    const names = namesOf({ headers })
    for (const [written, reference] of Object.entries(headers)) {
      const name = written.toLowerCase()
      const value = response.headers[name]
      const { schema } = deref(document, reference)
      if (value === undefined && !optional.includes(name)) wrong.push(`${name} is missing`)
      if (value !== undefined && schema.type === 'integer' && !/^\d+$/.test(String(value))) wrong.push(`${name} is no integer`)
    }
    for (const name of ['etag', 'location', 'retry-after', 'www-authenticate', 'deprecation', ...limits, 'idempotent-replayed']) {
      if (response.headers[name] !== undefined && !names.includes(name)) wrong.push(`${name} is not documented`)
    }
    const type = response.headers['content-type']?.toString().split(';')[0]
    if (content === undefined) return response.body === '' ? wrong : [...wrong, 'a body is not documented']
    const media = content[type ?? '']
    if (media === undefined) return [...wrong, `${type} is not documented`]
    const validate = ajv.compile(JSON.parse(JSON.stringify(closed(media.schema)).replaceAll('"#/', `"${version}#/`)) as object)
    return validate(response.json()) ? wrong : [...wrong, ...validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)]
  }
}
const faults = createChecker()

t.test('an answer that breaks the document is noticed', async t => {
  const app = await buildTestApp(t, engines)
  const response = await app.inject({ method: 'POST', url: '/v2/users', payload: {} })
  const altered = (changes: object) => Object.assign(Object.create(response) as LightMyRequestResponse, { headers: response.headers, body: response.body, json: () => response.json<unknown>() }, changes)
  const problem = response.json<Record<string, unknown>>()
  t.same(faults('v2', 'post', '/v2/users', response), [])
  t.same(faults('v2', 'post', '/v2/users', altered({ statusCode: 418 })), ['post /v2/users: 418 is not documented'])
  t.same(faults('v2', 'post', '/v2/users', altered({ json: () => ({ ...problem, stack: '…' }) })), [' must NOT have additional properties'])
  t.same(faults('v2', 'post', '/v2/users', altered({ json: () => ({ ...problem, status: 'bad' }) })), ['/status must be integer'])
  t.same(faults('v2', 'post', '/v2/users', altered({ headers: { 'content-type': 'text/html', 'x-correlation-id': 'x' } })), ['text/html is not documented'])
  t.same(faults('v2', 'post', '/v2/users', altered({ headers: { ...response.headers, 'x-correlation-id': undefined } })), ['x-correlation-id is missing'])
})

t.test('exactly the operations that say so ask for a token', async t => {
  const app = await buildTestApp(t, engines)
  for (const { path, method, operation } of operations) {
    const { statusCode } = await app.inject({ method: method as 'get', url: path.replace(/\{\w+\}/, '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11') })
    t.equal(statusCode === 401, operation.security.length > 0, `${method} ${path} without a token answers ${statusCode}`)
  }
})

t.test('the answers of version 2 keep its document, good ones and bad ones', async t => {
  const app = await buildTestApp(t, engines)
  const { accessToken, refreshToken, user } = await signIn(app, engines, 'docs2@example.com')
  const authorization = `Bearer ${accessToken}`
  await check(t, app, 'v2', [
    ['get', '/health/live', {}, 200],
    ['get', '/health/ready', {}, 200],
    ['get', '/.well-known/jwks.json', {}, 200],
    ['get', '/.well-known/oauth-authorization-server', {}, 200],
    ['post', '/v2/users', { payload: { email: 'new@example.com', name: 'New' } }, 202],
    ['post', '/v2/users', { payload: { email: 'no-address', name: '' } }, 400],
    ['post', '/v2/users', { payload: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['post', '/v2/users', { payload: '<a/>', headers: { 'content-type': 'application/xml' } }, 415],
    ['post', '/v2/users', { payload: { email: 'a@example.com', name: 'x'.repeat(70_000) } }, 413],
    ['post', '/v2/auth/challenges', { payload: { email: 'docs2@example.com' } }, 202],
    ['post', '/v2/users', { payload: { email: 'key@example.com', name: 'New' }, headers: { 'idempotency-key': '"a-key"' } }, 202],
    ['post', '/v2/users', { payload: { email: 'key@example.com', name: 'New' }, headers: { 'idempotency-key': '"a-key"' } }, 202],
    ['post', '/v2/users', { payload: { email: 'other@example.com', name: 'New' }, headers: { 'idempotency-key': 'a-key' } }, 422],
    ['post', '/v2/users', { payload: { email: 'key@example.com', name: 'New' }, headers: { 'idempotency-key': '"' } }, 400],
    ['post', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken } }, 200],
    ['post', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken: 'none' } }, 401],
    ['post', '/v2/auth/tokens', { payload: { grantType: 'password' } }, 400],
    ['get', '/v2/users/me', { headers: { authorization } }, 200],
    ['get', '/v2/users/me', { headers: { authorization, 'if-none-match': '*' } }, 304],
    ['get', '/v2/users/me', {}, 401],
    ['get', '/v2/users/me', { headers: { authorization: 'Bearer x.y.z' } }, 401],
    ['get', '/v2/users/{id}', { headers: { authorization } }, 200],
    ['get', '/v2/users/{id}', { headers: { authorization }, id: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11' }, 404],
    ['patch', '/v2/users/me', { headers: { authorization }, payload: { name: 'Another Name' } }, 200],
    ['patch', '/v2/users/me', { headers: { authorization, 'if-match': '"other"' }, payload: { name: 'Another Name' } }, 412],
    ['patch', '/v2/users/me', { headers: { authorization, 'if-match': 'other' }, payload: { name: 'Another Name' } }, 400],
    ['patch', '/v2/users/me', { headers: { authorization }, payload: { role: 'admin' } }, 403],
    ['patch', '/v2/users/{id}', { headers: { authorization }, payload: { version: 7 } }, 400],
    ['post', '/v2/auth/revoke', { payload: { refreshToken } }, 204],
    ['delete', '/v2/users/me', { headers: { authorization, 'if-match': '"other"' } }, 412],
    ['delete', '/v2/users/me', { headers: { authorization, 'if-match': '*' } }, 204]
  ], user.id)
})

t.test('the answers of version 1 keep its document, good ones and bad ones', async t => {
  const app = await buildTestApp(t, engines)
  const { user } = await signIn(app, engines, 'docs1@example.com')
  const challenge = await app.inject({ method: 'POST', url: '/v1/auth/challenges', payload: { email: 'docs1@example.com' } })
  await pump(app, engines)
  const exchange = { grantType: 'code', challengeId: challenge.json<{ data: { challengeId: string } }>().data.challengeId, code: codeIn(engines, 'docs1@example.com') }
  const tokens = await app.inject({ method: 'POST', url: '/v1/auth/tokens', payload: exchange })
  t.same(faults('v1', 'post', '/v1/auth/challenges', challenge), [])
  t.same(faults('v1', 'post', '/v1/auth/tokens', tokens), [])
  const authorization = `Bearer ${tokens.json<{ data: { accessToken: string } }>().data.accessToken}`
  await check(t, app, 'v1', [
    ['get', '/v1/health', {}, 200],
    ['post', '/v1/users', { payload: { email: 'new1@example.com', name: 'New' } }, 201],
    ['post', '/v1/users', { payload: { email: 'new1@example.com', name: 'New' } }, 409],
    ['post', '/v1/users', { payload: { email: 'no-address' } }, 400],
    ['post', '/v1/users', { payload: 'text', headers: { 'content-type': 'text/plain' } }, 415],
    ['post', '/v1/auth/tokens', { payload: exchange }, 401],
    ['get', '/v1/users/{userId}', { headers: { authorization } }, 200],
    ['get', '/v1/users/{userId}', {}, 401],
    ['get', '/v1/users/{userId}', { headers: { authorization }, id: 'no-id' }, 404],
    ['patch', '/v1/users/{userId}', { headers: { authorization }, payload: { name: 'Another Name' } }, 200],
    ['delete', '/v1/users/{userId}', { headers: { authorization } }, 204]
  ], user.id)
})

t.test('a client that asks too often, and a dependency that is down, are answered as documented', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '1' } })
  const down = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:1' } })
  for (const version of ['v1', 'v2'] as const) {
    const ask = { payload: { email: 'limit@example.com', name: 'Limit' } }
    await app.inject({ method: 'POST', url: `/${version}/users`, ...ask })
    await check(t, app, version, [['post', `/${version}/users`, ask, 429]])
    await check(t, down, version, [['post', `/${version}/users`, ask, 503]])
  }
  await check(t, down, 'v1', [['get', '/v1/health', {}, 503]])
  await check(t, down, 'v2', [['get', '/health/ready', {}, 503]])
})

interface Ask { payload?: object | string, headers?: Record<string, string>, id?: string }

async function check (t: Test, app: TestApp, version: 'v1' | 'v2', asks: [method: string, path: string, ask: Ask, expected: number][], ownId = '') {
  for (const [method, path, { id = ownId, ...ask }, expected] of asks) {
    const response = await app.inject({ method: method as 'get', url: path.replace(/\{\w+\}/, id), ...ask })
    t.equal(response.statusCode, expected, `${method} ${path} answers ${expected}`)
    t.same(faults(version, method, path, response), [], `${method} ${path} ${expected} keeps the document`)
  }
}
