import t from 'tap'
import { createCompiled, keyOf } from '../../src/plugins/compiled-schemas.ts'

t.test('a schema is named by its route, its place and its type', async t => {
  const route = { method: 'POST', url: '/things' }
  t.equal(keyOf({ ...route, httpPart: 'body' }), 'POST /things body ')
  t.equal(keyOf({ ...route, httpStatus: '200' }), 'POST /things 200 ')
  t.equal(keyOf({ ...route, httpStatus: '4xx', contentType: 'application/json' }), 'POST /things 4xx application/json')
})

t.test('what the build has compiled is evaluated with the first use, once, and says what is wrong as it does', async t => {
  const evaluated: string[] = []
  const isNumber = Object.assign((data: unknown) => {
    isNumber.errors = typeof data === 'number' ? null : [{ message: 'must be a number' }]
    return typeof data === 'number'
  }, { errors: null as unknown })
  const load = [() => { evaluated.push('first'); return (data: unknown) => `<${String(data)}>` }, () => { evaluated.push('second'); return isNumber }]
  const { buildValidator, buildSerializer } = createCompiled(load, { 'GET /a 200 ': 0, 'GET /a querystring ': 1 }) as unknown as Record<string, () => (definition: object) => ((data: unknown) => unknown) & { errors?: unknown }>
  const serialize = buildSerializer!()({ method: 'GET', url: '/a', httpStatus: '200' })
  const validate = buildValidator!()({ method: 'GET', url: '/a', httpPart: 'querystring' })
  t.same(evaluated, [])
  t.equal(validate('x'), false)
  t.same(validate.errors, [{ message: 'must be a number' }])
  t.equal(validate(7), true)
  t.equal(validate.errors, null)
  t.same(evaluated, ['second'])
  t.equal(serialize('x'), '<x>')
  t.equal(serialize('y'), '<y>')
  t.same(evaluated, ['second', 'first'])
})

t.test('a schema that the build has not compiled keeps the app from starting', async t => {
  const { buildValidator } = createCompiled([], {}) as unknown as Record<string, () => (definition: object) => unknown>
  t.throws(() => buildValidator!()({ method: 'GET', url: '/a', httpPart: 'body' }), { message: 'The schema of GET /a was not compiled by the build' })
})
