import t from 'tap'
import { exampleOf, fieldName, NotFound, pointerTo, summaryOf, validationError } from '../../src/shared/errors.ts'

t.test('a property is a step of a JSON Pointer, whatever is in its name', async t => {
  for (const [name, pointer] of [['name', '/name'], ['', '/'], ['a/b~c/d~e', '/a~1b~0c~1d~0e'], ['~1', '/~01'], ['x'.repeat(60), `/${'x'.repeat(60)}`], ['x'.repeat(61), `/${'x'.repeat(60)}`]] as const) t.equal(pointerTo(name), pointer, name)
})

t.test('a field is named without the signs of its pointer', async t => {
  for (const [pointer, name] of [['/name', 'name'], ['#/limit', 'limit'], ['/address/city/code', 'address.city.code'], ['', 'body'], ['/', 'body'], ['/a#/b', 'a#.b']] as const) t.equal(fieldName(pointer), name, pointer)
})

t.test('a validation error is a 400 that names every field', async t => {
  const errors = [{ pointer: '/email', detail: 'is required' }, { pointer: '/address/city', detail: 'is not a text' }]
  t.equal(summaryOf(errors), 'email is required; address.city is not a text')
  t.match(validationError(errors), { statusCode: 400, code: 'VALIDATION_FAILED', message: 'email is required; address.city is not a text', errors })
})

t.test('an example of an error has its status, its code and its text', async t => {
  t.strictSame(exampleOf(NotFound), { status: 404, code: 'NOT_FOUND', detail: 'There is no resource at this path' })
})
