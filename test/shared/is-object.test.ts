import t from 'tap'
import { isObject } from '../../src/shared/is-object.ts'

t.test('what has properties is an object, and nothing else is', async t => {
  for (const value of [{}, [], new Date(), Object.create(null)]) t.equal(isObject(value), true)
  for (const value of [null, undefined, 'a text', '', 7, true, () => {}, Symbol.iterator]) t.equal(isObject(value), false, String(value))
})
