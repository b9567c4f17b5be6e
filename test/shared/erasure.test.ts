import t from 'tap'
import { ERASED_FOR, nameless } from '../../src/shared/erasure.ts'

const DAY = 24 * 3600

t.test('an erasure is remembered for longer than a backup is kept, and not for ever', async t => {
  t.equal(ERASED_FOR, 45 * DAY)
})

t.test('the name of an erased account is always the same, fits into a key, and is not its id', async t => {
  const id = '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'
  t.match(nameless(id), /^[\w-]{43}$/)
  t.equal(nameless(id), nameless(id))
  t.not(nameless(id), nameless(id.replace('3', '4')))
})
