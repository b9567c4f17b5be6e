import Fastify from 'fastify'
import t from 'tap'
import { VALIDATION } from '../../../src/app.ts'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'

const app = Fastify({ ajv: { customOptions: { ...VALIDATION, strictTypes: false } } })
t.teardown(() => app.close())
await app.register(correlation)
await app.register(errors)
app.addContentTypeParser('application/merge-patch+json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
app.addSchema({ $id: 'Colour', type: 'string', pattern: '^#', 'x-detail': 'is not a colour' })
app.addSchema({ $id: 'Box', type: 'object', required: ['label'], properties: { label: { type: 'string', pattern: '^l', 'x-detail': 'is not a label' }, lid: { $ref: 'Colour#' } } })
app.addSchema({ $id: 'https://example.com/shade', type: 'string', maxLength: 2, 'x-expected': 'a shade' })
// Not inlined into what refers to it, because it refers to another.
app.addSchema({
  $id: 'Holder',
  type: 'object',
  properties: {
    lid: { $ref: 'Colour#' },
    any: { anyOf: [{ const: 'a' }, { const: 'b' }] },
    some: { enum: ['a', 'b'] },
    one: { const: 'a' },
    text: { type: 'string', pattern: '^a', 'x-detail': 'is no word with an a' },
    deep: { type: 'object', properties: { one: { const: 'a' } } },
    kind: { type: 'object', discriminator: { propertyName: 'kind' }, oneOf: [{ type: 'object', properties: { kind: { const: 'circle' } }, required: ['kind'] }], required: ['kind'] }
  }
})

const properties = (named: Record<string, object>) => ({ type: 'object', properties: named })
let routes = 0

/** The answers of a route with a schema: each invalid field, as it is named in a sentence. */
function answersOf (schema: object) {
  const url = `/${++routes}`
  app.post(url, { schema }, async () => ({}))
  return async ({ body = {}, query = '', type = 'application/json' }: { body?: unknown, query?: string, type?: string }) => {
    const answer = (await app.inject({ method: 'POST', url: `${url}${query}`, payload: JSON.stringify(body), headers: { 'content-type': type } })).json<{ detail: string, errors?: { pointer: string, detail: string }[] }>()
    return answer.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`) ?? answer
  }
}

// All routes are known before the first request.
const CASES: [schema: object, value: unknown, detail: string][] = [
  [{ type: 'integer' }, 'x', 'must be an integer'],
  [{ type: 'array' }, 'x', 'must be an array'],
  [{ type: 'object' }, 'x', 'must be an object'],
  [{ type: 'null' }, 'x', 'must be null'],
  [{ type: 'string' }, 7, 'must be a string'],
  [{ type: 'boolean' }, 7, 'must be a boolean'],
  [{ type: ['integer', 'string'] }, [], 'must be an integer or a string'],
  [{ type: 'string', minLength: 1 }, '', 'must not be empty'],
  [{ type: 'string', minLength: 2 }, 'x', 'must have at least 2 characters'],
  [{ type: 'string', maxLength: 1 }, 'xy', 'must have at most 1 character'],
  [{ type: 'string', maxLength: 2 }, 'xyz', 'must have at most 2 characters'],
  [{ type: 'array', minItems: 1 }, [], 'must have at least 1 item'],
  [{ type: 'array', minItems: 2 }, [], 'must have at least 2 items'],
  [{ type: 'array', maxItems: 1 }, [1, 2], 'must have at most 1 item'],
  [{ type: 'array', uniqueItems: true }, [1, 1], 'must not have the same item twice'],
  [{ type: 'object', minProperties: 1 }, {}, 'must have at least 1 property'],
  [{ type: 'object', minProperties: 2 }, {}, 'must have at least 2 properties'],
  [{ type: 'integer', minimum: 1 }, 0, 'must be at least 1'],
  [{ type: 'integer', maximum: 9 }, 10, 'must be at most 9'],
  [{ type: 'integer', multipleOf: 5 }, 7, 'is not valid'],
  [{ type: 'string', pattern: '^a' }, 'b', 'has an invalid format'],
  [{ type: 'string', format: 'date-time' }, 'b', 'has an invalid format'],
  [{ type: 'string', pattern: '^a', 'x-detail': 'is no word with an a' }, 'b', 'is no word with an a'],
  [{ type: 'string', format: 'date-time', 'x-detail': 'is no time' }, 'b', 'is no time'],
  [{ type: 'string', maxLength: 2, 'x-detail': 'is no word with an a' }, 'bbb', 'must have at most 2 characters'],
  ...Object.entries({ pattern: '^[0-9]+$', format: 'date-time', minLength: 4, maxLength: 2 }).map(([rule, limit]): [object, unknown, string] => [{ type: 'string', [rule]: limit, 'x-expected': 'some digits' }, 'xyz', 'must be some digits']),
  [{ type: 'string', 'x-expected': 'some digits' }, 7, 'must be a string'],
  [{ const: 'a' }, 'b', 'must be a'],
  [{ enum: ['a', 7] }, 'b', 'must be one of: a, 7'],
  [{ enum: ['a'] }, 'b', 'must be a'],
  [{ anyOf: [{ const: 'a' }, { const: 7 }] }, 'b', 'must be one of: a, 7'],
  [{ anyOf: [{ const: 'a' }, { type: 'integer' }] }, 'b', 'has an invalid value'],
  [{ $ref: 'Colour#' }, 'red', 'is not a colour'],
  [{ $ref: 'https://example.com/shade#' }, 'red', 'must be a shade'],
  [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, 1, 'is not valid']
]
const ofCases = CASES.map(([schema]) => answersOf({ body: properties({ field: schema }) }))

t.test('what is wrong with a field is said in words, whatever the rule it breaks', async t => {
  for (const [i, [schema, value, detail]] of CASES.entries()) t.same(await ofCases[i]!({ body: { field: value } }), [`/field ${detail}`], JSON.stringify(schema))
})

const ofNames = answersOf({ body: { ...properties({ known: {}, 'a/b~c%': { type: 'string', 'x-expected': 'a word', pattern: '^a' }, deep: { ...properties({ list: { type: 'array', items: { ...properties({}), required: ['in'], additionalProperties: false } } }) } }), required: ['known'], additionalProperties: false } })
const ofHolder = answersOf({ body: properties({ holder: { $ref: 'Holder#' } }) })
const ofBox = answersOf({ body: { $ref: 'Box#' } })
const ofQuery = answersOf({ querystring: { ...properties({ limit: { type: 'string', pattern: '^a', 'x-expected': 'a word' } }), required: ['limit'] } })

t.test('a field is named by where it is, in a body or not', async t => {
  t.same(await ofNames({ body: {} }), ['/known is required'])
  t.same(await ofNames({ body: { known: 1, 'un/known': 1 } }), ['/un~1known is not a known property'])
  t.same(await ofNames({ body: { known: 1, 'a/b~c%': 'b' } }), ['/a~1b~0c% must be a word'])
  t.same(await ofNames({ body: { known: 1, deep: { list: [{ in: 1 }, { out: 1 }] } } }), ['/deep/list/0/in is not a known property', '/deep/list/1/in is required', '/deep/list/1/out is not a known property'])
  t.same(await ofNames({ body: 7 }), [' must be an object'])
  t.same(await ofQuery({ query: '?limit=b' }), ['#/limit must be a word'])
  t.same(await ofQuery({}), ['#/limit is required'])
})

t.test('a field of a shared schema has the words of that schema', async t => {
  t.same(await ofBox({ body: { label: 'x', lid: 'red' } }), ['/label is not a label', '/lid is not a colour'])
})

t.test('a rule that is not found, because Ajv does not say in which schema it is, has words that fit any', async t => {
  t.same((await ofHolder({ body: { holder: { lid: 'red', any: 'c', some: 'c', one: 'c', text: 'c', deep: { one: 'c' }, kind: { kind: 'cube' } } } }) as string[]).toSorted(), [
    '/holder/any has an invalid value', '/holder/deep/one has an invalid value', '/holder/kind/kind has an invalid value', '/holder/lid is not a colour', '/holder/one has an invalid value', '/holder/some has an invalid value', '/holder/text has an invalid format'
  ])
})

const option = (kind: string, required: string) => ({ ...properties({ kind: { const: kind }, [required]: { type: 'string' } }), required: ['kind', required] })
app.addSchema({ $id: 'Circle', ...option('circle', 'radius') })
const ofSharedKinds = answersOf({ body: { type: 'object', discriminator: { propertyName: 'kind' }, oneOf: [{ $ref: 'Circle#' }] } })
const ofKinds = answersOf({ body: { type: 'object', discriminator: { propertyName: 'kind' }, oneOf: [option('circle', 'radius'), option('square', 'side')] } })

t.test('of a body of several kinds the one that was sent is checked', async t => {
  t.same(await ofKinds({ body: {} }), ['/kind is required'])
  t.same(await ofKinds({ body: { kind: 'cube' } }), ['/kind must be one of: circle, square'])
  t.same(await ofKinds({ body: { kind: 'circle', side: 'x' } }), ['/radius is required'])
  t.same(await ofSharedKinds({ body: { kind: 'cube' } }), ['/kind has an invalid value'])
})

const text = { type: 'string', minLength: 2, pattern: '^a' }
const ofMany = answersOf({ body: { ...properties({ a: text }), additionalProperties: false } })

t.test('a field is named once, and no more than twenty of them', async t => {
  t.same(await ofMany({ body: { a: 'b' } }), ['/a must have at least 2 characters'])
  const many = (count: number) => ofMany({ body: Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 1])) })
  t.same(await many(20), Array.from({ length: 20 }, (_, i) => `/x${i} is not a known property`))
  t.same(await many(21), await many(20))
})

const patched = properties({ name: { type: 'string' }, 'a/b': { type: 'string' }, deep: properties({ name: { type: 'string' } }), list: { type: 'array' } })
const PATCH = ['application/merge-patch+json', 'application/json']
const ofPatch = answersOf({ body: patched, consumes: PATCH })
const ofQueryOfPatch = answersOf({ body: properties({}), querystring: properties({ name: { type: 'integer' } }), consumes: PATCH })
const ofOthers = [answersOf({ body: patched, consumes: ['application/json'] }), answersOf({ body: patched })]
const ofStrictPatch = answersOf({ body: { ...patched, additionalProperties: false, required: ['name'] }, consumes: PATCH })

t.test('null in a merge patch asks for a removal, which is refused as such', async t => {
  t.same(await ofPatch({ body: { name: null } }), ['/name cannot be removed'])
  t.same(await ofPatch({ body: { name: null, 'a/b': null } }), ['/name cannot be removed', '/a~1b must be a string'])
  t.same(await ofPatch({ body: { name: null, list: 7 } }), ['/name cannot be removed', '/list must be an array'])
  t.same(await ofPatch({ body: { deep: { name: null } } }), ['/deep/name must be a string'], 'the document says it of the first level only')
  t.same(await ofPatch({ body: null }), [' must be an object'])
  t.same(await ofPatch({ body: [null] }), [' must be an object'])
  t.same(await ofStrictPatch({ body: { other: null, name: 'x' } }), ['/other is not a known property'])
  t.same(await ofStrictPatch({ body: {} }), ['/name is required'])
  t.same(await ofQueryOfPatch({ body: { name: null }, query: '?name=x' }), ['#/name must be an integer'])
  for (const ofOther of ofOthers) t.same(await ofOther({ body: { name: null } }), ['/name must be a string'], 'where a body is no patch, null is a value')
})
