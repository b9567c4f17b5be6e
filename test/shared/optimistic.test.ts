import t from 'tap'
import { untilUncontended } from '../../src/shared/optimistic.ts'

class Refused extends Error {}

t.test('a change is tried five times while others are faster, and no longer', async t => {
  const attempts = async (refusals: number) => {
    let count = 0
    const result = await untilUncontended(Refused, async () => ++count > refusals ? 'changed' : undefined)
      .catch((error: Error) => error)
    return { result, count }
  }
  t.same(await attempts(0), { result: 'changed', count: 1 })
  t.same(await attempts(4), { result: 'changed', count: 5 })
  const { result, count } = await attempts(5)
  t.ok(result instanceof Refused)
  t.equal(count, 5)
})
