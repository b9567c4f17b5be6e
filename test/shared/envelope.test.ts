import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { Envelope, Failure, failure, success } from '../../src/shared/envelope.ts'
import { Forbidden, NotFound } from '../../src/shared/errors.ts'
import { EXAMPLE_ID } from '../../src/shared/ids.ts'

t.test('a success of version 1 is its data in an envelope', async t => {
  const schema = Envelope(Type.Object({ n: Type.Integer() }), 'Number')
  t.strictSame(success({ n: 1 }), { success: true, data: { n: 1 } })
  t.equal(Value.Check(schema, success({ n: 1 })), true)
  for (const body of [{ success: false, data: { n: 1 } }, { success: true }, { data: { n: 1 } }, success({ n: 'x' })]) t.equal(Value.Check(schema, body), false, JSON.stringify(body))
  t.equal(schema.title, 'Number')
})

t.test('a failure of version 1 says what is wrong, with the id of its request', async t => {
  const body = { success: false, error: 'User already exists', correlationId: EXAMPLE_ID }
  t.equal(Value.Check(Failure, body), true)
  t.equal(Value.Check(Failure, { success: false, error: 'x' }), true)
  for (const change of [{ success: true }, { success: undefined }, { error: ' ' }, { error: undefined }, { correlationId: 'a b' }]) t.equal(Value.Check(Failure, { ...body, ...change }), false, JSON.stringify(change))
  t.match(Failure, { $id: 'Failure', title: 'Failure' })
})

t.test('the answer of a route has its codes, and an example of each', async t => {
  const { description, 'x-codes': codes, examples } = failure([NotFound, Forbidden], 'Not for you')
  t.equal(description, 'Not for you')
  t.strictSame(codes, ['NOT_FOUND', 'FORBIDDEN'])
  t.strictSame(examples.map(({ error }) => error), [new NotFound().message, new Forbidden().message])
  for (const example of [...examples, ...failure(NotFound, 'One').examples]) t.match(example, { success: false, correlationId: EXAMPLE_ID })
})
