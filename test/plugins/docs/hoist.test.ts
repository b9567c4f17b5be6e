import t from 'tap'
import { createHoister, referenced } from '../../../src/plugins/docs/hoist.ts'
import type { Schema } from '../../../src/plugins/docs/readable.ts'

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

t.test('a schema with a title moves to the components, without what belongs to its place', async t => {
  const { hoisted, hoist } = createHoister({ Known: { $id: 'Known', title: 'Known', type: 'string' } })
  t.strictSame(hoisted, { Known: { title: 'Known', type: 'string' } }, 'those that the document has already are first')
  const person = { $id: 'Person', title: 'Person', type: 'object', description: 'Who asks', properties: { name: { title: 'Name', type: 'string' }, title: { type: 'string' } } }
  t.strictSame(hoist({ type: 'array', description: 'All of them', items: person }), { type: 'array', description: 'All of them', items: ref('Person') })
  t.strictSame(hoist({ ...person, description: 'Who answers' }), ref('Person'), 'the same schema again is the same component')
  t.strictSame(hoist({ title: 'Without a type', enum: [1] }), { title: 'Without a type', enum: [1] })
  t.strictSame(hoisted, {
    Known: { title: 'Known', type: 'string' },
    Name: { title: 'Name', type: 'string' },
    Person: { title: 'Person', type: 'object', properties: { name: ref('Name'), title: { type: 'string' } } }
  })
})

t.test('two schemas of one title are refused', async t => {
  const { hoist } = createHoister({})
  hoist({ title: 'Person', type: 'object' })
  t.throws(() => hoist({ title: 'Person', type: 'string' }), { message: 'two schemas have the title Person' })
})

t.test('a discriminator says which value stands for which component', async t => {
  const { hoist } = createHoister({})
  const option = (title: string, kind: string): Schema => ({ title, type: 'object', properties: { kind: { type: 'string', const: kind } } })
  t.strictSame(hoist({ discriminator: { propertyName: 'kind' }, oneOf: [option('ByCode', 'code'), option('ByToken', 'refresh_token')] }), {
    discriminator: { propertyName: 'kind', mapping: { code: ref('ByCode').$ref, refresh_token: ref('ByToken').$ref } },
    oneOf: [ref('ByCode'), ref('ByToken')]
  })
})

t.test('only the schemas that a document uses are in it, also those that others use, and those that use themselves', async t => {
  const schemas = {
    Unused: { type: 'object', properties: { person: ref('Person') } },
    Person: { type: 'object', properties: { name: ref('Name'), friends: { type: 'array', items: ref('Person') } } },
    Name: { type: 'string' },
    Other: { type: 'string' }
  }
  const { Person, Name, Other } = schemas
  t.strictSame(referenced({ paths: { '/': { schema: ref('Person') } } }, schemas), { Person, Name })
  t.strictSame(referenced({ a: ref('Other'), b: ref('Name') }, schemas), { Name, Other })
  t.strictSame(referenced({}, schemas), {})
})
