import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { report, workload } from '../../promise.ts'
import { until } from '../../until.ts'
import { createTable, isPerson, openCache, openRedis, type Person } from './support.ts'

t.test('a writer never reads an older version than its own, over two instances and beside a racing reader', async t => {
  const { url } = await openRedis(t)
  const instances = [await openCache(t, { REDIS_URL: url }), await openCache(t, { REDIS_URL: url })]
  const table = createTable(0)
  const rounds = workload({ short: 1000, full: 10_000 })
  const stop = new AbortController()
  let raced = 0
  const racing = instances.map(async people => {
    while (!stop.signal.aborted) {
      await people.read('own', table.get('own'), isPerson('own'))
      raced++
      await sleep(0)
    }
  })
  let stale = 0
  for (let version = 1; version <= rounds; version++) {
    const person: Person = { id: 'own', name: `name ${version}`, version }
    table.set(person)
    await instances[version % 2]!.write('own', person)
    for (const people of instances) {
      const seen = await people.read('own', table.get('own'), isPerson('own'))
      if (seen === undefined || seen.version < version) stale++
    }
  }
  stop.abort()
  await Promise.all(racing)
  report(t, { promise: 15, part: 'own writes', figure: `${rounds.toLocaleString('en')} rounds over two instances beside ${raced.toLocaleString('en')} racing reads: ${stale} stale reads of an own write`, holds: stale === 0 })
})

t.test('a write of which the cache learns nothing is seen by all after the TTL at most', async t => {
  const { url } = await openRedis(t)
  const instances = [await openCache(t, { REDIS_URL: url, CACHE_TTL_SECONDS: '1' }), await openCache(t, { REDIS_URL: url, CACHE_TTL_SECONDS: '1' })]
  const rounds = workload({ short: 1, full: 20 })
  let longest = 0
  for (let round = 0; round < rounds; round++) {
    const table = createTable(0)
    const key = `others-${round}`
    const read = async () => await Promise.all(instances.map(people => people.read(key, table.get(key), isPerson(key))))
    table.set({ id: key, name: 'Ada', version: 1 })
    await until(async () => { const before = table.reads; await read(); return table.reads === before })
    table.set({ id: key, name: 'Grace', version: 2 }) // by a process that was killed before it wrote to the cache
    const start = performance.now()
    await until(async () => (await read()).every(person => person?.name === 'Grace'))
    longest = Math.max(longest, performance.now() - start)
  }
  report(t, { promise: 15, part: 'other writes', figure: `${rounds} writes that the cache missed: seen after ${Math.round(longest)} ms at most, with a TTL of 1,000 ms`, holds: longest <= 1000 + 100 })
})
