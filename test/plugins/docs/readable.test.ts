import t from 'tap'
import { readable, type Schema } from '../../../src/plugins/docs/readable.ts'

t.test('a schema is shown without the texts that only this service understands, at every depth', async t => {
  const schema = {
    type: 'object',
    'x-expected': 'a person',
    properties: { names: { type: 'array', 'x-detail': 'must be names', items: [{ type: 'string', 'x-expected': 'a name', default: null }, true] } },
    required: ['names']
  }
  t.strictSame(readable(schema), {
    type: 'object',
    properties: { names: { type: 'array', items: [{ type: 'string', default: null }, true] } },
    required: ['names']
  })
  t.equal(schema['x-expected'], 'a person', 'the schema itself stays as it is')
})

t.test('alternatives that are texts become an enum; others stay as they are', async t => {
  const cases: [schema: Schema, shown: Schema][] = [
    [{ anyOf: [{ const: 'a', type: 'string' }, { const: 'b' }], description: 'A letter' }, { type: 'string', enum: ['a', 'b'], description: 'A letter' }],
    [{ anyOf: [{ const: 'a' }, { const: 1 }] }, { anyOf: [{ const: 'a' }, { const: 1 }] }],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, { anyOf: [{ type: 'string' }, { type: 'null' }] }],
    [{ const: 'a' }, { const: 'a' }]
  ]
  for (const [schema, shown] of cases) t.strictSame(readable(schema), shown, JSON.stringify(schema))
})

t.test('an integer has the format of its size', async t => {
  const cases: [limits: Schema, format: string | undefined][] = [
    [{}, 'int64'],
    [{ minimum: 0 }, 'int64'],
    [{ maximum: 10 }, 'int64'],
    [{ minimum: 0, maximum: 10 }, 'int32'],
    [{ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }, 'int32'],
    [{ minimum: -(2 ** 31) - 1, maximum: 0 }, 'int64'],
    [{ minimum: 0, maximum: 2 ** 31 }, 'int64'],
    [{ minimum: 0, maximum: 10, format: 'uint8' }, 'uint8'],
    [{ type: 'number', minimum: 0, maximum: 10 }, undefined]
  ]
  for (const [limits, format] of cases) {
    const schema = { type: 'integer', ...limits }
    t.strictSame(readable(schema), { ...schema, ...(format === undefined ? {} : { format }) }, JSON.stringify(schema))
  }
})

t.test('each part may be replaced, inner ones first', async t => {
  const named = (schema: Schema) => typeof schema['title'] === 'string' ? { $ref: schema['title'] } : schema
  t.strictSame(readable({ type: 'array', items: { title: 'Inner', type: 'string' } }, named), { type: 'array', items: { $ref: 'Inner' } })
  t.strictSame(readable([{ title: 'Outer', items: { title: 'Inner' } }], named), [{ $ref: 'Outer' }])
})
