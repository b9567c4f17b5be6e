import { Ajv } from 'ajv'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { operationsOf, readDocument, type Document, type Operation } from '../../scripts/client/document.ts'
import { modelledOperations, modelOf, withModels, type Model } from '../../scripts/gateway-models.ts'
import { invalidPlans } from '../contract/invalid.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { overLambda, restEvent, type WireRequest } from '../lambda/transports.ts'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { evaluate, loadTemplate, type Template } from './evaluate.ts'

interface Method { 'x-amazon-apigateway-request-validator'?: string, requestBody?: { content: Record<string, { schema: { $ref: string } }> } }
interface Definition { paths: Record<string, Record<string, Method>>, components: { schemas: Record<string, Model> }, 'x-amazon-apigateway-request-validators': Record<string, object> }

const source = readFileSync(new URL('../../template.yaml', import.meta.url), 'utf8')
const documents: Record<string, Document> = { v1: await readDocument('v1'), v2: await readDocument('v2') }
const definitionOf = (template: Template) => template.Resources['Api']!.Properties['DefinitionBody'] as Definition

// Before the first test: tap ends a file that has nothing to run when it waits.
const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '100000' } })

t.test('the models are those that npm run openapi makes of the documents', async t => {
  t.equal(withModels(source, documents), source, 'npm run openapi writes them')
  const changed = structuredClone(documents)
  const registration = changed['v2']!.components['schemas']!['Registration'] as { required: string[] }
  registration.required = ['email']
  t.not(withModels(source, changed), source, 'another document is found')
  t.throws(() => withModels(source.replace('# The end of the models.', '#'), documents), /template\.yaml has lost the lines around what is generated/)
})

t.test('each POST that the gateway knows has the model of its body, for JSON alone', async t => {
  const definition = definitionOf(evaluate(loadTemplate()))
  t.strictSame(definition['x-amazon-apigateway-request-validators'], { body: { validateRequestBody: true, validateRequestParameters: false } })
  const operations = modelledOperations(source, documents)
  t.equal(operations.length, 7)
  for (const { path, name, document, schema } of operations) {
    const { requestBody, ...method } = definition.paths[path]!['post']!
    t.equal(method['x-amazon-apigateway-request-validator'], 'body', path)
    // Without a model for its type a body is not validated, and the app answers 415.
    t.strictSame(requestBody, { content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } })
    t.strictSame(definition.components.schemas[name], modelOf(document, schema))
  }
  for (const [path, methods] of Object.entries(definition.paths)) {
    for (const [method, { requestBody }] of Object.entries(methods)) if (method !== 'post') t.equal(requestBody, undefined, `${method} ${path}`)
  }
})

t.test('JSON is not binary, or no model could describe it', async t => {
  const types = loadTemplate().Resources['Api']!.Properties['BinaryMediaTypes'] as string[]
  t.ok(types.length > 0)
  for (const type of types) t.notOk(['*~1*', 'application~1*', 'application~1json'].includes(type), type)
})

t.test('a version that has ended answers 410 to every body', async t => {
  const { paths } = definitionOf(evaluate(loadTemplate(), { V1Enabled: 'false' }))
  for (const [path, { post }] of Object.entries(paths)) {
    if (post !== undefined) t.equal(post['x-amazon-apigateway-request-validator'], path.startsWith('/v1/') ? undefined : 'body', path)
  }
})

/** Keywords that differ between validators, or whose failures quote a value in the gateway's log. */
function keywordFaults (models: Record<string, Model>): string[] {
  const look = (name: string, model: Model): string[] => [
    ...Object.keys(model).filter(keyword => !['type', 'required', 'properties'].includes(keyword)).map(keyword => `${name}: ${keyword}`),
    ...Object.entries(model.properties ?? {}).flatMap(([property, below]) => look(`${name}.${property}`, below))
  ]
  return Object.entries(models).flatMap(([name, model]) => look(name, model))
}

t.test('models say what every validator reads alike, and nothing whose failure quotes a value', async t => {
  const { schemas } = definitionOf(loadTemplate()).components
  t.strictSame(keywordFaults(schemas), [])
  for (const name of Object.keys(schemas)) t.match(name, /^[A-Za-z0-9]+$/)
  t.strictSame(keywordFaults({ A: { type: 'object', properties: { email: { type: 'string', format: 'email' } as Model } } }), ['A.email: format'])
})

t.test('a choice is modelled by what its alternatives have in common', async t => {
  const model = (...oneOf: object[]) => modelOf(documents['v2']!, { oneOf: oneOf as Document['components'][string][] })
  const closed = (properties: object, required: string[] = []) => ({ type: 'object', additionalProperties: false, properties, required })
  t.strictSame(model(closed({ a: { type: 'string' } }, ['a', 'b']), closed({ b: { type: 'integer' } }, ['b'])), { type: 'object', required: ['b'], properties: { a: { type: 'string' }, b: { type: 'number' } } })
  t.strictSame(model(closed({ a: { type: 'string' } }), { type: 'object', properties: {} }), { type: 'object', properties: { a: {} } }, 'an open alternative accepts any a')
  t.strictSame(model(closed({ a: { type: 'string' } }), closed({ a: { type: 'integer' } })), { type: 'object', properties: { a: {} } })
  t.strictSame(model({ type: 'string' }, closed({})), {})
})

/** Whether the gateway refuses a body: as API Gateway does, an empty body is that of an empty object. */
function gatewayOf (template: Template) {
  const { paths, components } = definitionOf(template)
  const ajv = new Ajv({ strict: false })
  return (path: string, body: string): boolean => {
    const name = paths[path]!['post']!.requestBody!.content['application/json']!.schema.$ref.split('/').at(-1)!
    try {
      return !ajv.validate(components.schemas[name]!, JSON.parse(body === '' ? '{}' : body))
    } catch {
      return true
    }
  }
}

/** A sequence of numbers from 0 to 1, the same for the same seed. */
function random (seed: number) {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed / 2_147_483_648
  }
}

function bodiesOf (operation: Operation): string[] {
  const media = operation.body!
  const valid = media.example === undefined ? Object.values(media.examples ?? {}).map(({ value }) => value as object) : [media.example as object]
  const next = random(operation.path.length)
  const pick = <T>(values: T[]) => values[Math.floor(next() * values.length)]!
  const strange = (value: unknown) => pick<unknown>([value, value, value, value, value, value, undefined, null, 1, true, '', 'x', [], {}, [value], { value }, ` ${String(value)}\t`, `\n${String(value)}`])
  const mixed = Array.from({ length: 12 }, () => Object.fromEntries(Object.entries(Object.assign({}, ...valid) as object).map(([name, value]) => [name, strange(value)])))
  return [
    ...[...valid, ...mixed].map(body => JSON.stringify(body)),
    ...valid.map(body => ` \n${JSON.stringify(body, undefined, 2)} `),
    ...valid.flatMap(body => invalidPlans(operation, { body } as Parameters<typeof invalidPlans>[1]).map(([, plan]) => typeof plan.body === 'string' ? plan.body : JSON.stringify(plan.body)))
  ]
}

const post = (target: string, body: string): WireRequest => ({ method: 'POST', target, headers: [['Content-Type', 'application/json']], body })

const dispatch = createDispatch(app)
const send = overLambda(event => dispatch(event, {} as never), restEvent)

t.test('whatever the app accepts, the gateway lets pass', async t => {
  const stricter = loadTemplate()
  definitionOf(stricter).components.schemas['RegistrationV2']!.required!.push('locale')
  const [refuses, strictlyRefuses] = [gatewayOf(loadTemplate()), gatewayOf(stricter)]
  const seen = { bodies: 0, accepted: 0, refusedByGateway: 0, refusedByBoth: 0 }
  const wrong: string[] = []
  let planted = 0
  for (const { path, document } of modelledOperations(source, documents)) {
    const operation = operationsOf(document).find(operation => operation.path === path && operation.method === 'POST')!
    for (const body of bodiesOf(operation)) {
      const { status } = await send(post(path, body))
      const isAccepted = status !== 400
      seen.bodies++
      if (isAccepted) seen.accepted++
      if (refuses(path, body)) seen.refusedByGateway++
      if (refuses(path, body) && isAccepted) wrong.push(`${path} ${status} ${body}`)
      if (refuses(path, body) && status === 400) seen.refusedByBoth++
      if (strictlyRefuses(path, body) && isAccepted) planted++
    }
  }
  t.strictSame(wrong, [])
  t.ok(planted > 0, 'a model that is stricter than the app is found')
  t.ok(seen.accepted > 20 && seen.refusedByGateway > 100, JSON.stringify(seen))
  t.comment(JSON.stringify(seen))
})

t.test('what a user can get wrong is answered by the app, which names the field', async t => {
  const refuses = gatewayOf(loadTemplate())
  for (const [path, body, pointer] of [
    ['/v2/users', { email: 'no address', name: 'Ada' }, '/email'], ['/v2/users', { email: 'ada@example.com', name: '' }, '/name'],
    ['/v2/users', { email: 'ada@example.com', name: 'Ada', locale: 'x' }, '/locale'], ['/v2/auth/verify', { challengeId: 'x', code: '1234' }, '/code']
  ] as const) {
    t.notOk(refuses(path, JSON.stringify(body)), JSON.stringify(body))
    const answer = JSON.parse((await send(post(path, JSON.stringify(body)))).body.toString()) as { code: string, errors: { pointer: string }[] }
    t.equal(answer.code, 'VALIDATION_FAILED')
    t.ok(answer.errors.some(error => error.pointer.endsWith(pointer)), pointer)
  }
})

t.test("the gateway's refusal of a body has the app's status and code", async t => {
  const { BAD_REQUEST_BODY: answer } = (loadTemplate().Resources['Api']!.Properties['DefinitionBody']['x-amazon-apigateway-gateway-responses']) as Record<string, { statusCode: number, responseTemplates: Record<string, string> }>
  const gateway = JSON.parse(answer!.responseTemplates['application/json']!) as { code: string, type: string, title: string }
  const { status, body } = await send(post('/v2/users', '{}'))
  const { code, type, title } = JSON.parse(body.toString()) as typeof gateway
  t.strictSame({ status: answer!.statusCode, code: gateway.code, type: gateway.type, title: gateway.title }, { status, code, type, title })
  // It is text of the client's and has quotes, which would end the JSON string.
  t.notMatch(JSON.stringify(answer), 'validationErrorString')
})
