import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'
import { UI_FILES } from '../../src/plugins/docs/ui.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { documents, type Document } from './api-documents.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

// Before the first test: tap ends a file that has nothing to run when it waits.
const engines = await startEngines(t)

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
