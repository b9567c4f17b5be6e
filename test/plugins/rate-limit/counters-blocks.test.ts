import t from 'tap'
import { createClientCounters, createCounters } from '../../../src/plugins/rate-limit/counters.ts'
import { holdTime } from './support.ts'

const MINUTE = 60_000
const group = (n: number) => n.toString(16)

t.test('all keys share a window, which begins with the first count after the last one, and whose end forgets all', async t => {
  const { pass } = holdTime(t)
  const forgotten: (string | undefined)[] = []
  const counters = createCounters({ windowMs: MINUTE, capacity: 3, onForget: key => { forgotten.push(key) } })
  t.same(counters.count('a'), { current: 1, ttl: MINUTE })
  pass(MINUTE - 1)
  t.same(counters.count('b'), { current: 1, ttl: 1 })
  t.same(counters.count('a'), { current: 2, ttl: 1 })
  t.same([counters.has('a'), counters.has('b'), counters.has('c')], [true, true, false])
  pass(1)
  t.same([counters.has('a'), counters.has('b')], [false, false])
  t.same(forgotten.splice(0), [undefined, undefined], 'each time all')
  pass(500)
  t.same(counters.count('a'), { current: 1, ttl: MINUTE - 500 }, 'a look begins a window too')
  t.same(forgotten, [])
})

t.test('a full memory forgets the oldest key, one for each new one, also in the windows after the first', async t => {
  const { pass } = holdTime(t)
  const forgotten: (string | undefined)[] = []
  const counters = createCounters({ windowMs: MINUTE, capacity: 2, onForget: key => { forgotten.push(key) } })
  for (let window = 0; window < 3; window++) {
    for (const key of ['a', 'b', 'a', 'b']) counters.count(key)
    t.same(forgotten.splice(0), [undefined], 'what is known takes no other place')
    t.same(counters.count('c'), { current: 1, ttl: MINUTE })
    t.same(counters.count('d'), { current: 1, ttl: MINUTE })
    t.same(forgotten.splice(0), ['a', 'b'])
    t.same([counters.count('c').current, counters.count('d').current], [2, 2])
    t.equal(counters.count('a').current, 1)
    t.same(forgotten.splice(0), ['c'])
    pass(MINUTE)
  }
})

t.test('each block of networks has its number of separate counts, beyond which the block is one client', async t => {
  for (const [block, most, address, outside] of [
    ['/48', 64, (i: number) => `2001:db8:1:${group(i)}::1`, '2001:db8:2:1::1'],
    ['/32', 4096, (i: number) => `2001:db8:${group(i >> 5)}:${group(i & 31)}::1`, '2001:db9:1:1::1'],
    ['/24', 8192, (i: number) => `2001:d${group(0xb0 + (i & 3))}:${group(i >> 6)}:${group((i >> 2) & 15)}::1`, '2001:c00:1:1::1']
  ] as const) {
    const clients = createClientCounters(MINUTE)
    for (let i = 0; i < most; i++) if (clients.count(address(i)).current !== 1) t.fail(`${block}: network ${i} has no count of its own`)
    t.same([1, 2, 3].map(i => clients.count(address(most + i)).current), [1, 2, 3], `${block}: further ones share one`)
    t.equal(clients.count(address(0)).current, 2, 'those before keep theirs')
    t.same([clients.count(outside).current, clients.count(outside.replace('1::1', '2::1')).current], [1, 1], 'so do those outside')
    t.equal(clients.count('192.0.2.1').current, 1)
  }
})

t.test('a network that asks often takes one place of its block, and one that was forgotten none', async t => {
  const clients = createClientCounters(MINUTE)
  for (let i = 1; i <= 200; i++) t.equal(clients.count('2001:db8:1:1::1').current, i)
  t.same([clients.count('2001:db8:1:2::1').current, clients.count('2001:db8:1:3::1').current], [1, 1])
  const few = createClientCounters(MINUTE, 10)
  for (let i = 0; i < 200; i++) if (few.count(`2001:db8:1:${group(i)}::1`).current !== 1) t.fail(`network ${i}`)
})

t.test('a new window gives each network its own count again', async t => {
  const { pass } = holdTime(t)
  const clients = createClientCounters(MINUTE)
  const counts = (from: number) => Array.from({ length: 66 }, (_, i) => clients.count(`2001:db8:1:${group(from + i)}::1`).current)
  const expected = [...Array<number>(65).fill(1), 2]
  for (let window = 0; window < 3; window++) {
    t.same(counts(0), expected)
    pass(MINUTE)
  }
})

t.test('a block has as many separate counts as before, once its networks and its own count were forgotten for newer clients', async t => {
  // As many as a block has, and one more.
  const clients = createClientCounters(MINUTE, 65)
  const count = (client: string) => clients.count(client).current
  const network = (i: number) => `2001:db8:1:${group(i)}::1`
  count('192.0.2.1')
  for (let i = 0; i < 64; i++) t.equal(count(network(i)), 1)
  t.same([64, 65, 66].map(i => count(network(i))), [1, 2, 3], 'the count of the block takes the place of the oldest client')
  for (let i = 0; i < 64; i++) t.equal(count(`198.51.100.${i}`), 1)
  for (let i = 100; i < 164; i++) t.equal(count(network(i)), 1)
  t.same([164, 165, 166].map(i => count(network(i))), [1, 2, 3])
  t.same([count(network(100)), count(network(163))], [2, 2])
})
