import t from 'tap'
import { idFrom, newId, UUID } from '../../src/shared/ids.ts'

t.test('a derived id is a UUID of version 8, the same for the same parts and another one for others', async (t) => {
  const id = newId()
  t.match(idFrom(id, 0), UUID)
  t.match(idFrom(id, 0), /^.{14}8.{4}[89ab]/)
  t.equal(idFrom(id, 0), idFrom(id, '0'))
  t.equal(new Set(Array.from({ length: 1000 }, (_, i) => idFrom(id, i))).size, 1000)
  t.not(idFrom(id, 0), idFrom(newId(), 0))
})
