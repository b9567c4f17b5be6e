import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { createClientCounters, createCounters } from '../../../src/plugins/rate-limit/counters.ts'
import { COSTS } from '../../../src/plugins/rate-limit/index.ts'
import { report, workload } from '../../promise.ts'
import { until } from '../../until.ts'

const MINUTE = 60_000
const group = (n: number) => n.toString(16)

t.test('a key is counted until the window ends, and then from the start', async t => {
  const counters = createCounters({ windowMs: 50, capacity: 10 })
  t.match(counters.count('a'), { current: 1 })
  const { current, ttl } = counters.count('a')
  t.equal(current, 2)
  t.ok(ttl > 0 && ttl <= 50)
  await until(() => counters.count('a').current === 1)
  t.equal(counters.count('a').current, 2)
})

t.test('a full memory forgets the key that came first', async t => {
  const counters = createCounters({ windowMs: MINUTE, capacity: 2 })
  for (const key of ['a', 'b', 'c']) counters.count(key)
  t.match(counters.count('c'), { current: 2 })
  t.match(counters.count('b'), { current: 2 })
  t.match(counters.count('a'), { current: 1 })
})

t.test('the networks of a /48 beyond the 64th share one count, and the others keep theirs', async t => {
  const clients = createClientCounters(MINUTE)
  const address = (i: number) => `2001:db8:1:${group(i)}::1`
  for (let i = 0; i < 64; i++) t.match(clients.count(address(i)), { current: 1 })
  const shared = []
  for (let i = 64; i < 1064; i++) shared.push(clients.count(address(i)).current)
  t.same(shared, Array.from({ length: 1000 }, (_, i) => i + 1))
  t.match(clients.count(address(0)), { current: 2 }, 'who was there before')
  t.match(clients.count('2001:db8:2:0::1'), { current: 1 }, 'another /48')
})

t.test('no holder of a block pushes the others out of the memory', async t => {
  for (const [block, address] of [
    ['/48', (i: number) => `2001:db8:1:${group(i & 0xffff)}::1`],
    ['/32', (i: number) => `2001:db8:${group(i & 0xffff)}:${group(i >> 16)}::1`],
    ['/24', (i: number) => `2001:d${group(0xb0 + (i & 0xf))}:${group((i >> 4) & 0xffff)}:1::1`]
  ] as const) {
    const clients = createClientCounters(MINUTE)
    clients.count('192.0.2.1')
    clients.count('2a00:1:2:3::1')
    for (let i = 0; i < 100_000; i++) clients.count(address(i))
    t.match(clients.count('192.0.2.1'), { current: 2 }, block)
    t.match(clients.count('2a00:1:2:3::1'), { current: 2 }, block)
  }
})

t.test('a million addresses in every class of routes cost less than 50 MB', async t => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const heap = () => { gc(); return process.memoryUsage().heapUsed / 2 ** 20 }
  const v4 = (i: number) => `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`
  const v6 = (i: number) => `2${group(i & 0xfff).padStart(3, '0')}:${group(i >> 12)}:1:1::1`
  const before = heap()
  // Each class of routes has its own counts. They hold the newest addresses and are full after some ten thousand.
  const addresses = workload({ short: 200_000, full: 1_000_000 })
  const classes = Array.from({ length: workload({ short: 1, full: Object.keys(COSTS).length }) }, () => createClientCounters(60 * MINUTE))
  for (const clients of classes) {
    for (let i = 0; i < addresses / 2; i++) {
      clients.count(v4(i))
      clients.count(v6(i))
    }
  }
  const grown = heap() - before
  for (const clients of classes) t.match(clients.count(v4(addresses / 2 - 1)), { current: 2 }, 'the newest are remembered')
  t.ok(grown > 1, 'something was counted')
  report(t, { promise: 20, figure: `${addresses.toLocaleString('en')} client addresses, ${classes.length} of ${Object.keys(COSTS).length} classes of routes: memory + ${grown.toFixed(1)} MB`, holds: grown < 50 })
})
