import Fastify from 'fastify'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { completeEnv } from '../../../local/env.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import { serveUi, UI_FILES } from '../../../src/plugins/docs/ui.ts'

/** An app that serves Swagger UI alone, with the routes it has. */
async function serve (t: Test, env: Record<string, string> = {}) {
  const directory = t.testdir(Object.fromEntries(Object.keys(UI_FILES).map(name => [name, `of ${name}`])))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv(env)) })
  const hidden = new Map<string, unknown>()
  app.addHook('onRoute', ({ url, schema }) => { hidden.set(url, schema?.hide) })
  serveUi(app, directory)
  return { app, hidden }
}

t.test('each file of Swagger UI has its type, and may be kept for its time; none is in the documents', async t => {
  const { app, hidden } = await serve(t)
  const files: [path: string, type: string, cacheControl: string][] = [
    ['/docs', 'text/html', 'no-cache'],
    ['/docs/start.js', 'text/javascript', 'no-cache'],
    ['/docs/swagger-ui.css', 'text/css', 'public, max-age=3600'],
    ['/docs/swagger-ui-bundle.js', 'text/javascript', 'public, max-age=3600'],
    ['/docs/swagger-ui-standalone-preset.js', 'text/javascript', 'public, max-age=3600']
  ]
  for (const [path, type, cacheControl] of files) {
    const { statusCode, headers, body } = await app.inject(path)
    t.strictSame([statusCode, headers['content-type'], headers['cache-control']], [200, `${type}; charset=utf-8`, cacheControl], path)
    const name = path.replace('/docs/', '')
    if (name in UI_FILES) t.equal(body, `of ${name}`)
  }
  t.strictSame([...hidden], [...files.map(([path]) => path).toSpliced(1, 0, '/docs/')].map(path => [path, true]))
  const { statusCode, headers: { location } } = await app.inject('/docs/')
  t.strictSame([statusCode, location], [302, '../docs'])
})

t.test('the page may load what is its own, and nothing else', async t => {
  const { app } = await serve(t)
  const { headers, body } = await app.inject('/docs')
  t.equal(headers['content-security-policy'], "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
  t.strictSame([...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url), ['data:,', 'docs/swagger-ui.css', 'docs/swagger-ui-bundle.js', 'docs/swagger-ui-standalone-preset.js', 'docs/start.js'])
})

t.test('a version that is switched off is not offered', async t => {
  const v2 = { name: 'Version 2', url: 'openapi/v2.json' }
  for (const [V1_ENABLED, urls] of [['true', [v2, { name: 'Version 1 (deprecated)', url: 'openapi/v1.json' }]], ['false', [v2]]] as const) {
    const { app } = await serve(t, { V1_ENABLED })
    let options: { urls: object[] } | undefined
    const SwaggerUIBundle = Object.assign((given: typeof options) => { options = given }, { presets: {}, plugins: {} })
    runInNewContext((await app.inject('/docs/start.js')).body, { URL, location: new URL('http://localhost/docs'), SwaggerUIBundle, SwaggerUIStandalonePreset: {} })
    t.same(options!.urls, urls, `V1_ENABLED=${V1_ENABLED}`)
  }
})
