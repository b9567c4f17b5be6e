import t from 'tap'
import { finishDocument } from '../../../src/plugins/docs/document.ts'
import type { Document, Operation, Response } from '../../../src/plugins/docs/openapi.ts'
import { failure } from '../../../src/shared/envelope.ts'
import { Forbidden, NotFound, PreconditionFailed } from '../../../src/shared/errors.ts'
import { problem } from '../../../src/shared/problem.ts'

const DEFAULT = 'Default Response'
const TAGS = [{ name: 'orders', description: 'What is ordered' }, { name: 'unused', description: 'Nothing yet' }]
const headers = (...names: string[]) => Object.fromEntries(names.map(name => [name, { $ref: `#/components/headers/${name}` }]))
const COMMON = ['X-Correlation-Id', 'Access-Control-Allow-Origin']
const LIMITS = ['RateLimit-Policy', 'RateLimit', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']
const LIFECYCLE = ['Deprecation', 'Sunset', 'Link']
const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` })

/** The document of these routes, as a client reads it. */
function finished (version: 'v1' | 'v2', paths: Document['paths'], unlimited: string[] = []) {
  const made = finishDocument({ paths, components: { schemas: {}, securitySchemes: {} } }, { version, tags: TAGS, unlimited: new Set(unlimited) })
  return JSON.parse(JSON.stringify(made)) as typeof made
}
const body = (schema: object, more: object = {}) => ({ content: { 'application/json': { schema: schema as Record<string, unknown>, ...more } } })
const answer = (schema: object, description = DEFAULT, more: object = {}): Response => ({ description, ...body(schema, more) })
const examplesIn = (responses: object, name: string) => Object.values((responses as Record<string, { content: Record<string, { example: Record<string, unknown> }> }>)[name]!.content)[0]!.example

t.test('without routes the document is empty', async t => {
  const { paths, tags, components } = finished('v1', {})
  t.strictSame([paths, tags, components.schemas, components['responses'], components['securitySchemes']], [{}, [], {}, {}, {}])
})

t.test('the headers of all answers are among the components, those of version 1 only there', async t => {
  for (const [version, own] of [['v1', LIFECYCLE], ['v2', []]] as const) {
    const { components } = finished(version, { [`/${version}/orders`]: { get: { responses: {} } } })
    t.strictSame(Object.keys(components['headers']!).sort(), [...COMMON, ...LIMITS, 'Retry-After', 'WWW-Authenticate', ...own].sort())
  }
})

t.test('each operation gets the failures that all have, by its method, its limit and its token', async t => {
  const operation = (): Operation => ({ tags: ['orders'], responses: { 204: { description: DEFAULT } } })
  const { paths, tags } = finished('v2', {
    '/orders': { get: operation(), post: operation() },
    '/orders/health': { get: operation() },
    '/orders/mine': { get: { ...operation(), security: [{ bearer: [] }] } }
  }, ['/orders/health'])
  const statuses = (path: string, method = 'get') => Object.keys(paths[path]![method]!.responses)
  t.strictSame(statuses('/orders'), ['204', '400', '429', '500', '503'])
  t.strictSame(statuses('/orders', 'post'), ['204', '400', '413', '415', '429', '500', '503'])
  t.strictSame(statuses('/orders/health'), ['204', '400', '500'])
  t.strictSame(statuses('/orders/mine'), ['204', '400', '401', '429', '500', '503'])
  t.strictSame(paths['/orders']!['get'], {
    tags: ['orders'],
    security: [],
    responses: {
      204: { description: 'No Content', headers: headers(...COMMON, ...LIMITS) },
      400: ref('responses', 'BadRequest'),
      429: ref('responses', 'TooManyRequests'),
      500: ref('responses', 'Internal'),
      503: ref('responses', 'Unavailable')
    }
  })
  t.strictSame(paths['/orders/mine']!['get']!.security, [{ bearer: [] }])
  t.strictSame((paths['/orders/health']!['get']!.responses['204'] as Response).headers, headers(...COMMON))
  t.strictSame(tags, [TAGS[0]], 'only the tags that are used')
})

t.test('an operation of version 1 is deprecated, and its answers say until when', async t => {
  const { paths, components: { responses } } = finished('v1', { '/v1/orders': { get: { responses: { 200: answer({ type: 'boolean' }, 'It is there') } } } })
  t.strictSame(paths['/v1/orders']!['get'], {
    security: [],
    deprecated: true,
    responses: {
      200: { description: 'It is there', content: { 'application/json': { schema: { type: 'boolean' }, example: true } }, headers: headers(...COMMON, ...LIMITS, ...LIFECYCLE) },
      400: ref('responses', 'BadRequest'),
      429: ref('responses', 'TooManyRequests'),
      500: ref('responses', 'Internal'),
      503: ref('responses', 'Unavailable')
    }
  })
  t.strictSame(responses!['TooManyRequests'], {
    description: 'Too many requests from this client',
    headers: headers(...COMMON, 'Retry-After', ...LIMITS, ...LIFECYCLE),
    content: { 'application/json': { schema: ref('schemas', 'Failure'), example: { success: false, error: 'Too many requests; try again after the time in Retry-After', correlationId: '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60' } } }
  })
})

t.test('the examples of shared failures name a path and a field of the document', async t => {
  const post = (schema: object): Operation => ({ requestBody: body(schema), responses: {} })
  const cases: [what: string, bodies: object[], field: string][] = [
    ['the first required one', [{ type: 'object' }, { type: 'object', required: ['name', 'age'] }], 'name'],
    ['no required one', [{ type: 'object' }], 'field'],
    ['no body', [], 'field']
  ]
  for (const [what, bodies, field] of cases) {
    const { components } = finished('v2', Object.fromEntries([['/first', { get: { responses: {} } }], ...bodies.map((schema, i) => [`/orders/${i}`, { post: post(schema) }])]))
    t.match(examplesIn(components['responses']!, 'BadRequest'), { status: 400, code: 'VALIDATION_FAILED', instance: '/first', detail: `${field} is required`, errors: [{ pointer: `/${field}`, detail: 'is required' }] }, what)
    t.match(components['responses']!['BadRequest'], { content: { 'application/problem+json': { schema: ref('schemas', 'Problem') } } })
  }
})

t.test('a failure that a route declares has its own examples, and its codes are listed', async t => {
  const { 'x-codes': codes, examples, ...schema } = problem([NotFound, PreconditionFailed], 'x')
  const declared = (more: object, withCodes: object = {}) => answer({ ...schema, ...withCodes }, 'Not possible', more)
  const { paths, components } = finished('v2', {
    '/orders': {
      get: {
        responses: {
          403: { description: DEFAULT },
          404: declared({ examples: { one: { value: examples[0] }, two: { value: examples[1] } } }, { 'x-codes': codes }),
          409: { ...declared({ example: { code: 'OTHER' } }), headers: { etag: { type: 'string', title: 'ETag' } } },
          410: declared({}),
          429: { ...declared({}), description: 'Too many orders' },
          418: { $ref: '#/components/responses/Teapot' }
        }
      }
    }
  })
  const { responses } = paths['/orders']!['get']!
  const limited = headers(...COMMON, ...LIMITS)
  const Problem = ref('schemas', 'Problem')
  t.strictSame(responses[403], ref('responses', 'Forbidden'))
  t.strictSame(responses[404], {
    description: 'Not possible',
    headers: limited,
    content: {
      'application/problem+json': {
        schema: Problem,
        examples: { NotFound: { value: { ...examples[0], instance: '/orders' } }, PreconditionFailed: { value: { ...examples[1], instance: '/orders' } } }
      }
    }
  })
  t.strictSame(responses[409], { description: 'Not possible', headers: { ETag: ref('schemas', 'ETag'), ...limited }, content: { 'application/problem+json': { schema: Problem, example: { code: 'OTHER', instance: '/orders' } } } })
  t.strictSame(responses[410], { description: 'Not possible', headers: limited, content: { 'application/problem+json': { schema: Problem } } })
  t.strictSame(responses[429], { description: 'Too many orders', headers: { ...limited, ...headers('Retry-After') }, content: { 'application/problem+json': { schema: Problem } } })
  t.strictSame(responses[418], { $ref: '#/components/responses/Teapot' })
  const { code } = components.schemas['Problem']!['properties'] as { code: { type: string, enum: string[], examples: string[] } }
  t.equal(code.type, 'string')
  t.strictSame(code.examples, ['VALIDATION_FAILED'])
  t.strictSame(code.enum, [...code.enum].sort())
  for (const one of ['NOT_FOUND', 'PRECONDITION_FAILED', 'FORBIDDEN', 'DEPENDENCY_UNAVAILABLE', 'URL_MALFORMED', 'BODY_MALFORMED']) t.ok(code.enum.includes(one), one)
  t.strictSame(code.enum.filter(one => !/^[A-Z0-9_]+$/.test(one)), [])
  t.notOk(code.enum.includes('IDEMPOTENCY_KEY_REUSED'), 'what no operation answers is not listed')
})

t.test('in version 1 a declared failure has the form of version 1', async t => {
  const { 'x-codes': codes, examples, ...schema } = failure([Forbidden], 'x')
  const { paths } = finished('v1', { '/v1/orders': { get: { responses: { 404: answer({ ...schema, 'x-codes': codes }, 'Not possible', { example: examples[0] }), 200: answer({ title: 'Problem', type: 'integer' }) } } } })
  const { 200: ok, 404: missing } = paths['/v1/orders']!['get']!.responses as Record<string, Response>
  t.strictSame(missing!.content, { 'application/json': { schema: ref('schemas', 'Failure'), example: examples[0] } })
  t.strictSame(ok!.content, { 'application/json': { schema: ref('schemas', 'Problem'), example: 0 } })
})

t.test('bodies have examples, but optional parameters have none, because Swagger UI would send them', async t => {
  const { paths, components } = finished('v2', {
    '/orders': {
      post: {
        parameters: [
          { required: true, schema: { type: 'string', title: 'Id' }, example: 'id' },
          { schema: { type: 'string', 'x-expected': 'a tag' }, example: 'etag' },
          { required: false, schema: { type: 'string' }, example: 'cursor' }
        ],
        requestBody: body({ title: 'Order', type: 'object', properties: { pieces: { type: 'integer', minimum: 1, maximum: 9 } } }),
        responses: {
          200: answer({ type: 'string' }, 'Done', { example: 'own' }),
          202: answer({ type: 'string' }, 'Soon', { examples: { one: { value: 'of many' } } })
        }
      }
    }
  })
  const { parameters, requestBody, responses } = paths['/orders']!['post']!
  t.strictSame(parameters, [{ required: true, schema: ref('schemas', 'Id'), example: 'id' }, { schema: { type: 'string' } }, { required: false, schema: { type: 'string' } }])
  t.strictSame(requestBody, { content: { 'application/json': { schema: ref('schemas', 'Order'), example: { pieces: 1 } } } })
  t.strictSame((responses[200] as Response).content, { 'application/json': { schema: { type: 'string' }, example: 'own' } })
  t.strictSame((responses[202] as Response).content, { 'application/json': { schema: { type: 'string' }, examples: { one: { value: 'of many' } } } })
  t.strictSame(Object.keys(components.schemas).sort(), ['Id', 'Order', 'Problem'])
})
