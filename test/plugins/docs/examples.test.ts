import t from 'tap'
import { exampleOf, examplesOf } from '../../../src/plugins/docs/examples.ts'
import type { Schema } from '../../../src/plugins/docs/readable.ts'

const NAMED: Record<string, Schema> = {
  Code: { type: 'string', examples: ['04815162'] },
  Person: { title: 'Person', type: 'object', properties: { code: { $ref: '#/components/schemas/Code' }, age: { type: 'integer', minimum: 18 } } },
  Either: { title: 'Either', oneOf: [{ $ref: '#/components/schemas/Person' }, { title: 'Nobody', type: 'null' }, { const: 7 }] }
}
const PERSON = { code: '04815162', age: 18 }

t.test('the example of a schema is made of what its parts allow', async t => {
  const cases: [schema: Schema, example: unknown][] = [
    [{ type: 'string', examples: ['first', 'second'] }, 'first'],
    [{ type: 'integer', examples: [0] }, 0],
    [{ const: 'fixed' }, 'fixed'],
    [{ type: 'string', enum: ['one', 'two'] }, 'one'],
    [{ oneOf: [{ const: 'a' }, { const: 'b' }] }, 'a'],
    [{ anyOf: [{ type: 'boolean' }, { const: 'b' }] }, true],
    [{ type: 'object' }, {}],
    [{ type: 'object', properties: { list: { type: 'array', items: { type: 'number' } }, inner: { type: 'object', properties: { is: { type: 'boolean' } } } } }, { list: [0], inner: { is: true } }],
    [{ type: 'array' }, []],
    [{ type: 'array', items: { $ref: '#/components/schemas/Person' } }, [PERSON]],
    [{ type: 'integer' }, 0],
    [{ type: 'integer', minimum: 3 }, 3],
    [{ type: 'number' }, 0],
    [{ type: 'number', minimum: 0.5 }, 0.5],
    [{ type: 'boolean' }, true],
    [{ type: 'null' }, null],
    [{ type: 'string' }, 'text'],
    [{ $ref: '#/components/schemas/Code' }, '04815162'],
    [{ oneOf: [{ $ref: '#/components/schemas/Code' }] }, '04815162'],
    [{ $ref: '#/components/schemas/Person' }, PERSON]
  ]
  for (const [schema, example] of cases) t.strictSame(exampleOf(schema, NAMED), example, JSON.stringify(schema))
})

t.test('a body has one example, or one for each of its alternatives, under its name', async t => {
  t.strictSame(examplesOf({ type: 'integer' }, NAMED), { example: 0 })
  t.strictSame(examplesOf({ $ref: '#/components/schemas/Person' }, NAMED), { example: PERSON })
  const alternatives = { examples: { Person: { value: PERSON }, Nobody: { value: null }, Alternative3: { value: 7 } } }
  t.strictSame(examplesOf(NAMED['Either']!, NAMED), alternatives)
  t.strictSame(examplesOf({ $ref: '#/components/schemas/Either' }, NAMED), alternatives)
})
