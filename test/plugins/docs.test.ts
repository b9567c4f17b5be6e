import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'
import { makeDocuments } from '../../scripts/openapi.ts'
import { UI_FILES } from '../../src/plugins/docs/ui.ts'
import { FORMATS } from '../../src/shared/formats.ts'
import { codeIn, signIn } from '../accounts.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

interface Media { schema: object, example?: unknown, examples?: unknown }
interface Header { schema: { type: string } }
interface Response { description: string, headers?: Record<string, Header>, content?: Record<string, Media> }
interface Operation { operationId: string, summary: string, description: string, tags: string[], security: object[], deprecated?: boolean, responses: Record<string, Response>, requestBody?: { content: Record<string, Media> } }
interface Document { servers: { url: string }[], info: Record<string, unknown>, paths: Record<string, Record<string, Operation>>, components: Record<string, Record<string, object>> }

const committed = async (version: string) => JSON.parse(await readFile(join(DOCUMENTS_DIR, `${version}.json`), 'utf8')) as Document
const documents = { v1: await committed('v1'), v2: await committed('v2') }
const operations = Object.values(documents).flatMap(document =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ document, path, method, operation }))))

/** What a `$ref` into a document points at; anything else as it is. */
function deref<T> (document: Document, value: T): T {
  const ref = (value as { $ref?: string }).$ref
  return ref === undefined ? value : ref.slice(2).split('/').reduce((node, key) => (node as Record<string, unknown>)[key], document as unknown) as T
}

/** The names of a response's headers, in lower case. */
const namesOf = ({ headers = {} }: { headers?: object }) => Object.keys(headers).map(name => name.toLowerCase())

// Before the first test: tap ends a file that has nothing to run when it waits.
const engines = await startEngines(t)

t.test('the committed documents are what the routes make, byte for byte', async t => {
  const made = await makeDocuments()
  for (const [file, text] of Object.entries(made)) {
    t.equal(await readFile(join(ROOT, 'docs', file), 'utf8'), text, `${file} (out of step? npm run openapi)`)
  }
  t.same(globSync('docs/schemas/*', { cwd: ROOT }).sort(), Object.keys(made).filter(file => file.startsWith('schemas/')).map(file => `docs/${file}`).sort())
})

t.test('the documents hold every operation that works, and none that does not yet', async t => {
  const listed = (version: 'v1' | 'v2') => Object.entries(documents[version].paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`)).sort()
  t.same(listed('v1'), [
    'DELETE /v1/users/{userId}', 'GET /v1/health', 'GET /v1/users/{userId}', 'PATCH /v1/users/{userId}',
    'POST /v1/auth/challenges', 'POST /v1/auth/tokens', 'POST /v1/users'
  ])
  // Version 1 is frozen; version 2 grows, and has what its route files have.
  const written = globSync('src/modules/*/*routes.v2.ts', { cwd: ROOT }).flatMap(file => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\bapp\.(get|post|put|patch|delete)\('([^']+)', (?!.*hide: true)/g)])
    .map(([, method, path]) => `${method!.toUpperCase()} ${path!.replace(/:(\w+)/g, '{$1}')}`)
  t.ok(written.length > 10, `${written.length} routes`)
  t.same(listed('v2'), written.sort())
})

t.test('every operation says what it is, what it needs and what it may answer', async t => {
  for (const { document, path, method, operation } of operations) {
    const name = `${method} ${path}`
    const statuses = Object.keys(operation.responses).map(Number)
    const answers = (status: number) => statuses.includes(status)
    t.ok(operation.operationId && operation.summary && operation.description && operation.tags.length === 1, `${name} has an id, a summary, a description and a tag`)
    t.ok(statuses.some(status => status < 400), `${name} can succeed`)
    t.equal(operation.deprecated === true, path.startsWith('/v1/'), `${name} is deprecated when it is version 1`)
    t.equal(operation.security.length > 0, answers(401) && !/\/auth\/(?:tokens|verify)$/.test(path), `${name} is documented as secured when it is`)
    t.equal(answers(429), !path.includes('/health'), `${name} documents its limit`)
    for (const status of [400, 500]) t.ok(answers(status), `${name} documents ${status}`)
    if (method !== 'get') for (const status of [413, 415, 429, 503]) t.ok(answers(status), `${name} documents ${status}`)
    for (const media of Object.values(operation.requestBody?.content ?? {})) t.ok(media.example ?? media.examples, `${name} has an example of its body`)
    for (const [status, reference] of Object.entries(operation.responses)) {
      const response = deref(document, reference)
      const headers = namesOf(response)
      t.ok(headers.includes('x-correlation-id'), `${name} ${status} carries the correlation id`)
      if (path.startsWith('/v1/')) for (const header of ['deprecation', 'sunset', 'link']) t.ok(headers.includes(header), `${name} ${status} carries ${header}`)
      if (status === '401') t.ok(headers.includes('www-authenticate'))
      if (status === '429' || (status === '503' && !path.includes('/health'))) t.ok(headers.includes('retry-after'))
      t.not(response.description, 'Default Response')
      for (const media of Object.values(response.content ?? {})) t.ok(media.example ?? media.examples, `${name} has an example of its ${status}`)
      if (Number(status) < 400 || path.includes('/health')) continue
      t.same(Object.entries(response.content ?? {}).map(([type, { schema }]) => [type, schema]), path.startsWith('/v1/')
        ? [['application/json', { $ref: '#/components/schemas/Failure' }]]
        : [['application/problem+json', { $ref: '#/components/schemas/Problem' }]], `${name} ${status} has the version's shape of a failure`)
    }
  }
})

t.test('every code that a module can answer with is in the schema of a problem', async t => {
  const { enum: codes } = (documents.v2.components['schemas']!['Problem'] as { properties: { code: { enum: string[] } } }).properties.code
  t.ok(codes.includes('USERS_NOT_FOUND') && codes.includes('VALIDATION_FAILED') && codes.includes('URL_MALFORMED'))
  const v2 = JSON.stringify(documents.v2)
  const v1 = JSON.stringify(documents.v1)
  let catalogued = 0
  for (const file of globSync('src/modules/*/errors.ts', { cwd: ROOT })) {
    // A module that answers requests declares its errors with its routes; others only log theirs.
    if (!existsSync(join(ROOT, file, '../routes.v2.ts'))) continue
    for (const [, code, text] of readFileSync(join(ROOT, file), 'utf8').matchAll(/createError(?:<[^>]*>)?\(\s*'([A-Z0-9_]+)', '([^']+)'/g)) {
      catalogued++
      t.ok(codes.includes(code!) ? v2.includes(JSON.stringify(text)) : v1.includes(JSON.stringify(text)), `${code} is declared by a route, with its text as an example`)
    }
  }
  t.ok(catalogued > 4, `${catalogued} errors`)
})

t.test('the documents say nothing of the machine they were made on', async t => {
  for (const document of Object.values(documents)) {
    t.same(document.servers, [{ url: '/', 'x-internal': false }])
    t.notMatch(JSON.stringify(document), /localhost|127\.0\.0\.1/)
    t.match(document.info, { license: { name: 'MIT' }, contact: { name: /./ }, description: /./ })
  }
})

// --- the running service

t.test('the running service serves the documents, with the address it is reached at', async t => {
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com/prod' } })
  for (const version of ['v1', 'v2'] as const) {
    const response = await app.inject(`/openapi/${version}.json`)
    t.equal(response.statusCode, 200)
    t.match(response.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'public, max-age=300' })
    t.same(response.json(), { ...documents[version], servers: [{ url: 'https://users.example.com/prod', 'x-internal': false }] })
  }
  t.equal((await app.inject('/openapi/v3.json')).statusCode, 404)
})

t.test('Swagger UI knows both versions, today’s first, and may load from nowhere else', async t => {
  const app = await buildTestApp(t, engines)
  const page = await app.inject('/docs')
  t.equal(page.statusCode, 200)
  const policy = String(page.headers['content-security-policy'])
  t.match(policy, "default-src 'none'; script-src 'self';")
  t.notMatch(policy, /unsafe-eval|\*|https?:/)
  const assets = [...page.body.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, asset]) => asset!)
  t.equal(assets.length, 4)
  for (const asset of assets) t.equal((await app.inject(`/${asset}`)).statusCode, 200, asset)
  t.equal((await app.inject('/docs/')).headers.location, '../docs')
  for (const path of ['/docs', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/openapi/v1.json', '/openapi/v2.json']) {
    const { headers } = await app.inject({ url: path, headers: { 'accept-encoding': 'gzip, br' } })
    t.match(headers, { vary: 'accept-encoding', etag: /^"/ }, path)
    if (!path.endsWith('/docs')) t.equal(headers['content-encoding'], 'br', path)
    const known = await app.inject({ url: path, headers: { 'accept-encoding': 'gzip, br', 'if-none-match': String(headers.etag) } })
    t.same([known.statusCode, known.body], [304, ''], path)
    if (path === '/docs') t.equal(known.headers['content-security-policy'], policy)
  }
  const { body } = await app.inject('/docs/start.js')
  t.match(body, /openapi\/v2\.json[\s\S]*openapi\/v1\.json/)
  t.match(body, /"?persistAuthorization"?:\s*true/)
  t.match(body, /displayOperationId: true/, 'the names that the README uses')
})

t.test('Swagger UI calls the host that its page was opened at, whatever PUBLIC_URL is, and offers no other', async t => {
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com/prod' } })
  const { body } = await app.inject('/docs/start.js')
  const text = (await app.inject('/openapi/v2.json')).body
  for (const [opened, server] of [['http://127.0.0.1:3000/docs', 'http://127.0.0.1:3000'], ['https://forwarded.example.net/stage/docs?x#/users', 'https://forwarded.example.net/stage']] as const) {
    let options: { responseInterceptor (response: object): { text: string } } | undefined
    const SwaggerUIBundle = Object.assign((given: typeof options) => { options = given }, { presets: {}, plugins: {} })
    runInNewContext(body, { URL, location: new URL(opened), SwaggerUIBundle, SwaggerUIStandalonePreset: {} })
    const intercepted = (url: string, text: string) => options!.responseInterceptor({ ok: true, url, text }).text
    t.strictSame(JSON.parse(intercepted(`${server}/openapi/v2.json`, text)), { ...JSON.parse(text), servers: [{ url: server }] }, opened)
    t.equal(intercepted(`${server}/v2/users/me`, text), text, 'answers to calls are shown as they came')
  }
})

t.test('Swagger UI can be switched off; the documents stay', async t => {
  const app = await buildTestApp(t, engines, { env: { DOCS_ENABLED: 'false' } })
  t.equal((await app.inject('/docs')).statusCode, 404)
  t.equal((await app.inject('/openapi/v2.json')).statusCode, 200)
})

t.test('from files, the same documents are served and nothing of Swagger is loaded', async t => {
  const app = await buildTestApp(t, engines, { docs: { source: 'files', directory: DOCUMENTS_DIR } })
  for (const version of ['v1', 'v2'] as const) {
    const { servers, ...document } = (await app.inject(`/openapi/${version}.json`)).json<Document>()
    t.same({ ...document, servers: [{ url: '/', 'x-internal': false }] }, documents[version])
    t.equal(servers[0]!.url, engines.env['PUBLIC_URL'])
  }
  t.equal((await app.inject('/docs')).statusCode, 404)

  const withUi = t.testdir({ ui: Object.fromEntries(Object.keys(UI_FILES).map(name => [name, `of ${name}`])) })
  const served = await buildTestApp(t, engines, { docs: { source: 'files', directory: withUi } })
  t.equal((await served.inject('/docs')).statusCode, 200)
  t.equal((await served.inject('/docs/swagger-ui-bundle.js')).body, 'of swagger-ui-bundle.js')
  const switchedOff = await buildTestApp(t, engines, { docs: { source: 'files', directory: withUi }, env: { DOCS_ENABLED: 'false' } })
  t.equal((await switchedOff.inject('/docs')).statusCode, 404)

  // In a process of its own: this one has loaded Swagger for the tests above.
  const script = `
    import { createRequire } from 'node:module'
    import { buildApp } from './src/app.ts'
    import { loadConfig } from './src/plugins/config.ts'
    const [source, env] = process.argv.slice(1).map(text => JSON.parse(text))
    const app = await buildApp({ config: loadConfig({ ...env, LOG_LEVEL: 'silent' }), docs: source })
    await app.ready()
    console.log(Object.keys(createRequire(import.meta.url).cache).filter(file => /node_modules\\/@fastify\\/swagger/.test(file)).length)
    await app.close()`
  const loaded = async (source: object) => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, JSON.stringify(source), JSON.stringify(engines.env)], { cwd: ROOT })
    return Number(stdout)
  }
  t.equal(await loaded({ source: 'files', directory: DOCUMENTS_DIR }), 0)
  t.ok(await loaded({ source: 'routes' }) > 5, 'the same look finds Swagger where it is loaded')
})

// --- do the answers keep what the documents say?

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
