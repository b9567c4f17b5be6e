import { createRequire } from 'node:module'
import { pino } from 'pino'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import { compileSchemas } from '../../scripts/build/compile-schemas.ts'
import { buildApp } from '../../src/app.ts'
import { createCompiled } from '../../src/plugins/compiled-schemas.ts'
import { loadConfig } from '../../src/plugins/config.ts'
import { FORMATS } from '../../src/shared/formats.ts'

const require = createRequire(import.meta.url)
const codes = await compileSchemas()

/** Evaluates the code of a schema as the bundle does. */
function evaluate (code: string): unknown {
  const module = { exports: {} }
  new Function('module', 'exports', 'require', code)(module, module.exports, (name: string) => name === 'formats' ? FORMATS : require(name)) // eslint-disable-line no-new-func -- the build's own code
  return module.exports
}

/** The app with compiled schemas, as in the artifact. */
async function boot (env: Record<string, string>, without?: string) {
  const kept = Object.entries(codes).filter(([key]) => key !== without)
  const app = await buildApp({
    config: loadConfig(completeEnv({ LOG_LEVEL: 'silent', DOCS_ENABLED: 'false', ...env })),
    docs: { source: 'files', directory: 'docs/openapi' },
    logger: pino({ level: 'silent' }),
    server: { schemaController: { compilersFactory: createCompiled(kept.map(([, code]) => () => evaluate(code)), Object.fromEntries(kept.map(([key], index) => [key, index]))) } }
  })
  t.teardown(() => app.close())
  await app.ready()
  return app
}

t.test('every configuration has the schemas that the build compiled', async t => {
  for (const env of [{}, { V1_ENABLED: 'false' }, { CORS_ORIGIN: 'https://app.example.com', RATE_LIMIT_MAX: '1' }, { UPLOADS_BUCKET: '' }] as Record<string, string>[]) {
    const app = await boot(env)
    t.match((await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 1, name: 'A' } })).json(), { status: 400, errors: [{ pointer: '/email' }, { pointer: '/name' }] }, JSON.stringify(env))
  }
})

t.test('a schema that the build did not compile stops the start, and is named', async t => {
  t.ok('POST /v2/users body' in { ...Object.fromEntries(Object.keys(codes).map(key => [key.trim(), 1])) }, 'it is compiled')
  const key = Object.keys(codes).find(key => key.trim() === 'POST /v2/users body')!
  await t.rejects(boot({}, key), { message: 'The schema of POST /v2/users was not compiled by the build' })
})

t.test('no serializer carries a validator', t => {
  t.same(Object.entries(codes).filter(([, code]) => code.includes('fast-json-stringify/lib/validator')).map(([key]) => key), [])
  t.end()
})
