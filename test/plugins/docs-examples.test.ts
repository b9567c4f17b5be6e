import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'
import { FORMATS } from '../../src/shared/formats.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

// What Swagger UI shows, and sends when it is executed as shown.

interface Media { schema: object, example?: unknown, examples?: Record<string, { value: unknown }> }
interface Parameter { name: string, in: string, required?: boolean, example?: unknown, schema: { examples?: unknown[], default?: unknown, format?: string } }
interface Operation { parameters?: Parameter[], security: object[], requestBody?: { content: Record<string, Media> }, responses: Record<string, { $ref?: string, content?: Record<string, Media> }> }
interface Document { paths: Record<string, Record<string, Operation>>, components: Record<string, Record<string, object>> }

const documents = Object.fromEntries(['v1', 'v2'].map(version => [version, JSON.parse(readFileSync(join(DOCUMENTS_DIR, `${version}.json`), 'utf8')) as Document]))
const operations = Object.entries(documents).flatMap(([version, { paths }]) => Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ version, path, method, operation }))))

const ajv = new Ajv2020({ allErrors: true, strict: false })
addFormats.default(ajv)
for (const [name, format] of Object.entries(FORMATS)) ajv.addFormat(name, format)
for (const [version, { components }] of Object.entries(documents)) ajv.addSchema({ $id: version, components })

const examplesOf = ({ example, examples = {} }: Media): unknown[] => [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)]

/** What is wrong with the examples of a body, by its own schema. */
function faults (version: string, media: Media): string[] {
  const validate = ajv.compile(JSON.parse(JSON.stringify(media.schema).replaceAll('"#/', `"${version}#/`)) as object)
  return examplesOf(media).flatMap(example => validate(example) ? [] : validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`))
}

const engines = await startEngines(t)

t.test('every example is valid against its own schema, and one that is not is found', async t => {
  let seen = 0
  for (const { version, path, method, operation } of operations) {
    const bodies = Object.entries(operation.requestBody?.content ?? {}).map(([type, media]) => [`body ${type}`, media] as const)
    const answers = Object.entries(operation.responses).flatMap(([status, response]) => {
      const { content = {} } = response.$ref === undefined ? response : (documents[version]!.components['responses']![response.$ref.split('/').at(-1)!] as Operation['responses'][string])
      return Object.entries(content).map(([type, media]) => [`${status} ${type}`, media] as const)
    })
    for (const [name, media] of [...bodies, ...answers]) {
      seen += examplesOf(media).length
      t.strictSame(faults(version, media), [], `${method} ${path}: ${name}`)
    }
  }
  t.ok(seen > 200, `${seen} examples`)
  const { content } = documents['v2']!.paths['/v2/auth/tokens']!['post']!.requestBody!
  const planted = { ...content['application/json']!, example: { challengeId: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', code: '04815162' }, examples: {} }
  t.not(faults('v2', planted).length, 0, 'an example without grantType')
})

t.test('every operation can be executed as Swagger UI shows it: no example is refused for its form', async t => {
  const app = await buildTestApp(t, engines, { env: { ADMIN_EMAILS: 'admin@example.com' } })
  const { accessToken } = await signIn(app, engines, 'admin@example.com')
  let sent = 0
  // What ends the admin's own session or account is last.
  for (const { path, method, operation } of operations.toSorted((a, b) => Number(a.method === 'delete') - Number(b.method === 'delete') || 0)) {
    const bodies = Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, media]) => examplesOf(media).map(payload => ({ type, payload })))
    const values = (operation.parameters ?? []).map(parameter => [parameter, parameter.example ?? parameter.schema.examples?.[0] ?? parameter.schema.default] as const)
    const url = values.filter(([{ in: place }]) => place === 'path').reduce((url, [{ name }, value]) => url.replace(`{${name}}`, encodeURIComponent(String(value))), path)
    t.notMatch(url, /undefined/, `${method} ${path} has examples of what is in its path`)
    for (const body of bodies.length === 0 ? [undefined] : bodies) {
      const { statusCode, body: answer } = await app.inject({
        method: method as 'get',
        url,
        headers: { ...(operation.security.length > 0 ? { authorization: `Bearer ${accessToken}` } : {}), ...(body === undefined ? {} : { 'content-type': body.type }) },
        ...(body === undefined ? {} : { payload: JSON.stringify(body.payload) })
      })
      sent++
      t.ok(String(statusCode) in operation.responses, `${method} ${path}: ${statusCode} is documented`)
      t.notOk([400, 413, 415, 422].includes(statusCode) || statusCode >= 500, `${method} ${url}: ${statusCode} ${statusCode < 300 ? '' : answer}`)
    }
  }
  t.ok(sent > 30, `${sent} requests`)
})
