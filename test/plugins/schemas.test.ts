import { Type } from '@sinclair/typebox'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'
import { checkMessage } from '../../src/modules/email/schemas.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com/prod' } })
const fromFiles = await buildTestApp(t, engines, { docs: { source: 'files', directory: DOCUMENTS_DIR }, env: { PUBLIC_URL: 'https://users.example.com/prod' } })

interface Index { schemas: { type: string, version: number, url: string }[], asyncapi: string }
interface Message { name: string, payload: { $ref: string }, headers?: object, examples: { payload: object, headers?: object }[] }
interface AsyncApi { components: { messages: Record<string, Message>, schemas: Record<string, object> }, channels: Record<string, { messages: object }> }

const pathOf = (url: string) => new URL(url).pathname.replace('/prod', '')
const { schemas, asyncapi } = (await app.inject('/schemas/')).json<Index>()

function createAjv () {
  const ajv = new Ajv2020({ strict: false })
  addFormats.default(ajv)
  return ajv
}

t.test('each event has a schema under the address that is its id', async t => {
  t.ok(schemas.length >= 5)
  t.same((await app.inject('/schemas')).json(), { schemas, asyncapi })
  for (const { type, url } of schemas) {
    t.equal(url, `https://users.example.com/prod/schemas/${type}.v1.json`)
    const answer = await app.inject({ url: pathOf(url), headers: { 'accept-encoding': 'br' } })
    t.equal(answer.statusCode, 200, url)
    t.match(answer.headers, { 'content-type': 'application/schema+json; charset=utf-8', 'cache-control': 'public, max-age=300', etag: /^"/, 'content-encoding': 'br' })
    const known = await app.inject({ url: pathOf(url), headers: { 'if-none-match': '*' } })
    t.same([known.statusCode, known.body], [304, ''])
    const schema = (await app.inject(pathOf(url))).json<{ $schema: string, $id: string, examples: object[] }>()
    t.match(schema, { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: url, title: type, description: /^[A-Z].{10,}/ })
    const check = createAjv().compile(schema)
    t.ok(schema.examples.length > 0 && schema.examples.every(example => check(example)), `${type}: its example fits`)
    t.notOk(check({ ...schema.examples[0], type: 'user.unknown' }))
    t.same({ ...schema, $id: `/schemas/${type}.v1.json` }, JSON.parse(await readFile(join(DOCUMENTS_DIR, `../schemas/${type}.v1.json`), 'utf8')), 'the committed schema')
  }
  for (const file of ['user.unknown.v1.json', '__proto__', '..%2fopenapi%2fv1.json', 'user.registered.v2.json']) t.equal((await app.inject(`/schemas/${file}`)).statusCode, 404, file)
})

t.test('where the documents come from files, as on Lambda, the same schemas are served', async t => {
  for (const path of ['/schemas/', '/asyncapi.json', ...schemas.map(({ url }) => pathOf(url))]) {
    const [made, served] = await Promise.all([app.inject(path), fromFiles.inject(path)])
    t.equal(served.body, made.body, path)
    t.equal(served.statusCode, 200)
  }
})

t.test('the AsyncAPI document has the same schemas, and examples that fit', async t => {
  const { components, channels } = (await app.inject(pathOf(asyncapi))).json<AsyncApi>()
  for (const { type, url } of schemas) {
    const { $schema, $id, ...body } = (await app.inject(pathOf(url))).json<Record<string, unknown>>()
    t.same(components.schemas[type], body, type)
  }
  for (const { name, payload, headers, examples } of Object.values(components.messages)) {
    const check = createAjv().compile(components.schemas[payload.$ref.split('/').at(-1)!]!)
    for (const example of examples) {
      t.ok(check(example.payload), `the example of ${name}`)
      if (headers !== undefined) t.ok(createAjv().compile(headers)(example.headers), `the headers of ${name}`)
    }
  }
  t.doesNotThrow(() => { checkMessage(components.messages['emailQueue']!.examples[0]!.payload) }, 'the example of a mail is a mail that the worker accepts')
  t.same(Object.values(channels).flatMap(({ messages }) => Object.keys(messages)).sort(), Object.keys(components.messages).sort(), 'each message has its channel')
})

t.test('an event or a queue that is declared twice fails at start', async t => {
  const event = { type: 'user.registered', description: 'x', data: Type.Object({}) }
  await t.rejects(buildTestApp(t, engines, { beforeReady: app => { app.apiDocs.event(event) } }), /declared twice/)
  await t.rejects(buildTestApp(t, engines, { beforeReady: app => { app.apiDocs.queue({ name: 'emailQueue', description: 'x', message: Type.Object({}), attributes: Type.Object({}) }) } }), /declared twice/)
})
