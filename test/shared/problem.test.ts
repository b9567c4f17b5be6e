import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { Forbidden, NotFound } from '../../src/shared/errors.ts'
import { EXAMPLE_ID } from '../../src/shared/ids.ts'
import { Problem, problem, renderFault, typeOf } from '../../src/shared/problem.ts'

const FAULT = { status: 404, code: 'USERS_NOT_FOUND', detail: 'There is no user', instance: '/v2/users/1', correlationId: EXAMPLE_ID }
const BODY = { type: 'urn:user-service:problem:users-not-found', title: 'Not Found', status: 404, detail: 'There is no user', instance: '/v2/users/1', code: 'USERS_NOT_FOUND', correlationId: EXAMPLE_ID }

t.test('an error is a problem in version 2, and a failure in version 1', async t => {
  t.strictSame(renderFault(FAULT, 'v2'), { contentType: 'application/problem+json; charset=utf-8', body: BODY })
  const errors = [{ pointer: '/name', detail: 'is required' }]
  t.strictSame(renderFault({ ...FAULT, errors }, 'v2').body, { ...BODY, errors })
  t.strictSame(renderFault({ ...FAULT, errors }, 'v1'), { contentType: 'application/json; charset=utf-8', body: { success: false, error: 'There is no user', correlationId: EXAMPLE_ID } })
  t.match(renderFault({ ...FAULT, status: 599 }, 'v2').body, { title: 'Error', status: 599 }, 'a status without words')
  t.equal(typeOf('A_B_C'), 'urn:user-service:problem:a-b-c')
})

t.test('the schema accepts a problem, and each of its members in its own form only', async t => {
  t.equal(Value.Check(Problem, BODY), true)
  t.equal(Value.Check(Problem, { ...BODY, errors: [{ pointer: '#/limit', detail: 'is required' }, { pointer: '', detail: 'is required' }] }), true)
  for (const change of [{ type: 'about:blank' }, { title: '' }, { title: '404' }, { status: 399 }, { status: 600 }, { status: 404.5 }, { detail: ' ' }, { instance: 'v2' }, { code: 'users' }, { code: '' }, { correlationId: 'a b' },
    { errors: [{ pointer: 'name', detail: 'is required' }] }, { errors: [{ pointer: '/name', detail: ' ' }] }, { errors: [{}] }]) {
    t.equal(Value.Check(Problem, { ...BODY, ...change }), false, JSON.stringify(change))
  }
  t.match(Problem, { $id: 'Problem', title: 'Problem' })
})

t.test('the answer of a route has its codes, and an example of each', async t => {
  const { description, 'x-codes': codes, examples } = problem([NotFound, Forbidden], 'Not for you')
  t.equal(description, 'Not for you')
  t.strictSame(codes, ['NOT_FOUND', 'FORBIDDEN'])
  t.match(examples, [{ code: 'NOT_FOUND', status: 404, title: 'Not Found', instance: '/', correlationId: EXAMPLE_ID }, { code: 'FORBIDDEN', status: 403 }])
  for (const example of [...examples, ...problem(NotFound, 'One').examples]) t.equal(Value.Check(Problem, example), true)
})
