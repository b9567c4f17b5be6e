import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createCache } from '../../../src/plugins/cache/read-through.ts'
import { createMemoryStore, noStore, type Store } from '../../../src/plugins/cache/store.ts'
import { until } from '../../until.ts'
import { isPerson, type Person } from './support.ts'

const isAda = isPerson('ada')
const ada = (version: number): Person => ({ id: 'ada', name: `Ada ${version}`, version })

/** A cache over a store, with what it counts. */
function open (ttlSeconds: number, store: Store = createMemoryStore()) {
  const counts: string[] = []
  const cache = createCache(store, false, ttlSeconds, metric => { counts.push(metric) })
  return { cache, store, counts }
}

/** Stands for the table: each load ends when the test says so. */
function createLoads () {
  const loads: PromiseWithResolvers<Person | undefined>[] = []
  const load = () => {
    const one = Promise.withResolvers<Person | undefined>()
    loads.push(one)
    return one.promise
  }
  return { loads, load }
}

/** Lets everything happen that can happen now. */
const settle = async () => { for (let i = 0; i < 5; i++) await turn() }

t.test('reads that the cache answers and those that go to the table are counted, and nothing is while it is off', async t => {
  const on = open(60)
  await on.cache.read('ada', async () => ada(1), isAda)
  await until(async () => (await on.store.get('ada')).entry !== undefined)
  t.same(await on.cache.read('ada', async () => ada(2), isAda), ada(1))
  t.same(await on.cache.read('ada', async () => ada(2), isAda), ada(1))
  t.same(on.counts, ['CacheMisses', 'CacheHits', 'CacheHits'])
  const off = open(0)
  await off.cache.read('ada', async () => ada(1), isAda)
  t.same(await off.cache.read('ada', async () => ada(2), isAda), ada(2))
  t.same(off.counts, [])
})

t.test('a cache that is off neither reads its store nor writes to it', async t => {
  const { cache, store } = open(0)
  await cache.write('ada', ada(1))
  await cache.remove('bob', 2)
  await cache.read('eve', async () => ({ ...ada(1), id: 'eve' }), isPerson('eve'))
  await settle()
  for (const key of ['ada', 'bob', 'eve']) t.same(await store.get(key), { isKnown: true }, key)
  const full = open(60)
  await full.cache.write('ada', ada(1))
  t.same(await open(0, full.store).cache.read('ada', async () => ada(2), isAda), ada(2))
})

t.test('a cached record is shared by its readers, and none of them can change it', async t => {
  const { cache } = open(60)
  await cache.write('ada', ada(1))
  const [first, second] = [await cache.read('ada', async () => undefined, isAda), await cache.read('ada', async () => undefined, isAda)]
  t.equal(first, second, 'parsed once')
  t.throws(() => { first!.name = 'Mallory' }, TypeError)
})

t.test('a record that was changed is parsed and checked anew, and a record that does not pass the check is never served', async t => {
  const { cache } = open(60)
  await cache.write('ada', ada(1))
  t.same(await cache.read('ada', async () => undefined, isAda), ada(1))
  await cache.write('ada', ada(2))
  t.same(await cache.read('ada', async () => undefined, isAda), ada(2))
  await cache.write('ada', { ...ada(3), id: 'another' } as Person)
  t.same(await cache.read('ada', async () => ada(3), isAda), ada(3))
  await cache.remove('ada', 4)
  t.equal(await cache.read('ada', async () => ada(3), isAda), undefined)
})

t.test('an entry that has expired is read from the table, though the store has it still', async t => {
  const { now } = Date
  const { random } = Math
  t.teardown(() => { Date.now = now; Math.random = random })
  const begin = now()
  Date.now = () => begin
  Math.random = () => 0
  const { cache } = open(60)
  await cache.write('ada', ada(1))
  t.same(await cache.read('ada', async () => ada(2), isAda), ada(1))
  Date.now = () => begin + 59_999
  t.same(await cache.read('ada', async () => ada(2), isAda), ada(1))
  Date.now = () => begin + 60_000
  t.same(await cache.read('ada', async () => ada(2), isAda), ada(2))
})

t.test('entries live up to a tenth shorter than the TTL, so that they do not all expire at once', async t => {
  const { random } = Math
  const { now } = Date
  t.teardown(() => { Math.random = random; Date.now = now })
  Date.now = () => 1_700_000_000_000
  const ttls: number[] = []
  const { cache } = open(60, {
    ...noStore,
    async put (_key, _version, entry, ttl) {
      t.match(entry, `@${Date.now() + ttl}:`)
      ttls.push(ttl)
    }
  })
  for (const drawn of [0, 0.5, 0.999999]) {
    Math.random = () => drawn
    await cache.write('ada', ada(1))
  }
  t.same(ttls, [60_000, 57_000, 54_000])
})

t.test('while the store says nothing, readers who came after a load began wait for the next one, which they share', async t => {
  for (const store of [noStore, { ...noStore, get: async () => ({ isKnown: false }) }]) {
    const { cache } = open(store === noStore ? 0 : 60, store)
    const { loads, load } = createLoads()
    const first = cache.read('ada', load, isAda)
    await until(() => loads.length === 1)
    const later = [cache.read('ada', load, isAda), cache.read('ada', load, isAda), cache.read('ada', load, isAda)]
    await settle()
    t.equal(loads.length, 1)
    loads[0]!.resolve(ada(1))
    t.same(await first, ada(1))
    await until(() => loads.length === 2)
    const last = cache.read('ada', load, isAda)
    loads[1]!.resolve(ada(2))
    t.same(await Promise.all(later), [ada(2), ada(2), ada(2)])
    await until(() => loads.length === 3)
    loads[2]!.resolve(ada(3))
    t.same(await last, ada(3))
    t.equal(loads.length, 3)
  }
})

t.test('the next load follows a failed one too', async t => {
  const { cache } = open(0, noStore)
  const { loads, load } = createLoads()
  const first = cache.read('ada', load, isAda)
  await until(() => loads.length === 1)
  const later = cache.read('ada', load, isAda)
  await settle()
  loads[0]!.reject(new Error('the table is gone'))
  await t.rejects(first, { message: 'the table is gone' })
  await until(() => loads.length === 2)
  loads[1]!.resolve(ada(1))
  t.same(await later, ada(1))
})

t.test('a reader joins a load that began after it came, and any load while the store answers', async t => {
  const answers: PromiseWithResolvers<{ isKnown: boolean }>[] = []
  const { cache } = open(60, {
    ...noStore,
    get () {
      const answer = Promise.withResolvers<{ isKnown: boolean }>()
      answers.push(answer)
      return answer.promise
    }
  })
  const { loads, load } = createLoads()
  const [early, quick] = [cache.read('ada', load, isAda), cache.read('ada', load, isAda)]
  answers[1]!.resolve({ isKnown: false })
  await until(() => loads.length === 1)
  answers[0]!.resolve({ isKnown: false })
  const late = cache.read('ada', load, isAda)
  answers[2]!.resolve({ isKnown: true })
  await settle()
  t.equal(loads.length, 1)
  loads[0]!.resolve(ada(1))
  t.same(await Promise.all([early, quick, late]), [ada(1), ada(1), ada(1)])
  await settle()
  t.equal(loads.length, 1)
})

t.test('readers after a write do not join a load that began before it, and its end does not keep them from sharing their own', async t => {
  const { cache } = open(0, noStore)
  const { loads, load } = createLoads()
  const before = cache.read('ada', load, isAda)
  await until(() => loads.length === 1)
  await cache.write('ada', ada(2))
  const after = cache.read('ada', load, isAda)
  await until(() => loads.length === 2)
  loads[0]!.resolve(ada(1))
  t.same(await before, ada(1))
  const last = cache.read('ada', load, isAda)
  await settle()
  t.equal(loads.length, 2, 'it waits for the load that runs')
  loads[1]!.resolve(ada(2))
  t.same(await after, ada(2))
  await until(() => loads.length === 3)
  loads[2]!.resolve(ada(2))
  await last
})

t.test('a load that a write has overtaken stores nothing, even when the store has lost the write', async t => {
  const { cache, store } = open(60)
  const { loads, load } = createLoads()
  const slow = cache.read('ada', load, isAda)
  await until(() => loads.length === 1)
  await cache.write('ada', ada(2))
  await store.drop('ada')
  loads[0]!.resolve(ada(1))
  t.same(await slow, ada(1))
  await settle()
  t.same(await store.get('ada'), { isKnown: true })
})

t.test('what the store cannot make sense of is dropped from it', async t => {
  const { cache, store } = open(60)
  await store.put('ada', 9, 'no entry', 60_000)
  t.equal(await cache.read('ada', async () => undefined, isAda), undefined)
  t.same(await store.get('ada'), { isKnown: true })
})
