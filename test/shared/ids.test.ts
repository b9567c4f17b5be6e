import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { CORRELATION_ID_PATTERN, CorrelationId, EXAMPLE_ID, Id, idFrom, newId, newNumberedId, numberIn, UUID } from '../../src/shared/ids.ts'

t.test('a derived id is a UUID of version 8, the same for the same parts and another one for others', async (t) => {
  const id = newId()
  t.match(idFrom(id, 0), UUID)
  t.match(idFrom(id, 0), /^.{14}8.{4}[89ab]/)
  t.equal(idFrom(id, 0), idFrom(id, '0'))
  t.equal(new Set(Array.from({ length: 1000 }, (_, i) => idFrom(id, i))).size, 1000)
  t.not(idFrom(id, 0), idFrom(newId(), 0))
  t.same([...new Set(Array.from({ length: 100 }, (_, i) => idFrom('the same each time', i).charAt(19)))].sort(), ['8', '9', 'a', 'b'], 'every bit that is not of the version or the variant differs')
})

t.test('an id that carries a number gives it back, and a random one carries none', async t => {
  for (const number of [0, 1, 0x1234, 0xffff_ffff]) {
    const id = newNumberedId(number)
    t.match(id, UUID)
    t.equal(id[14], '8')
    t.equal(numberIn(id), number)
  }
  t.equal(numberIn(newNumberedId(2 ** 40)), 0xffff_ffff, 'a larger one is cut')
  t.equal(numberIn(`ffffffff${newId().slice(8)}`), 0, 'of version 4')
  t.equal(numberIn(`x${newNumberedId(5)}`), 0, 'not a UUID')
  t.not(newNumberedId(5), newNumberedId(5))
})

t.test('the forms of ids are exact', async t => {
  for (const [text, isGood] of [['a', true], ['A.b_c-1', true], ['x'.repeat(64), true], ['x'.repeat(65), false], ['', false], ['a b', false], ['a\n', false], ['é', false]] as const) {
    t.equal(CORRELATION_ID_PATTERN.test(text), isGood, JSON.stringify(text))
    t.equal(Value.Check(CorrelationId, text), isGood, JSON.stringify(text))
  }
  const id = newId()
  for (const [text, isGood] of [[id, true], [id.toUpperCase(), false], [`${id}0`, false], [`0${id}`, false], ['', false]] as const) t.equal(Value.Check(Id, text), isGood, text)
  t.match(EXAMPLE_ID, UUID)
})
