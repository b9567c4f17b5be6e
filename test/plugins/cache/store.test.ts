import t from 'tap'
import cachePlugin from '../../../src/plugins/cache/index.ts'
import { createMemoryStore, noStore } from '../../../src/plugins/cache/store.ts'
import { startTcpProxy } from '../../tcp-proxy.ts'
import { until } from '../../until.ts'
import { checkDependencies } from '../dependencies.ts'
import { isPerson, openApp, openRedis, rawClient, type Person } from './support.ts'

checkDependencies('cache', cachePlugin, ['config', 'metrics', 'breakers'])

t.test('a store in the process keeps the newest entry of a key for as long as it lives', async t => {
  const store = createMemoryStore()
  t.same(await store.get('a'), { isKnown: true })
  for (const [key, put] of Object.entries({ put: store.put, filled: store.fill })) {
    for (const [version, held] of [[2, 'two'], [1, 'two'], [3, 'three']] as const) {
      await put(key, version, ['', 'one', 'two', 'three'][version]!, 60_000)
      t.same(await store.get(key), { isKnown: true, entry: held })
    }
    await put(key, 3, 'another third', 60_000)
    t.same(await store.get(key), { isKnown: true, entry: 'three' })
  }
  await store.drop('put')
  t.same(await store.get('put'), { isKnown: true })
  await store.put('short', 1, 'x', 30)
  await until(async () => (await store.get('short')).entry === undefined, { timeoutMs: 5000 })
  t.equal(await store.ping(), undefined)
})

t.test('a store that is off has nothing', async t => {
  await noStore.put('a', 1, 'x', 60_000)
  await noStore.fill('a', 1, 'x', 60_000)
  t.same(await noStore.get('a'), { isKnown: true })
  t.equal(await noStore.ping(), undefined)
})

const good: Person = { id: 'x', name: 'Ada', version: 1 }

t.test('a command that Redis rejects is an answer, and the cache stays in use', async t => {
  const { url } = await openRedis(t)
  const raw = rawClient(t, url)
  const lines: string[] = []
  const app = await openApp(t, { REDIS_URL: url }, lines)
  const keys = Array.from({ length: 12 }, (_, i) => `wrong-${i}`)
  for (const key of keys) await raw.hset(key, 'a', 'b')
  // At once, so that the reads are rejected in a row: what replaces the entries is not rejected.
  t.same(await Promise.all(keys.map(async key => await app.cache.read(key, async () => good, isPerson('x')))), Array(12).fill(good))
  t.equal(app.breakers.stateOf('redis'), 'closed')
  t.notOk(lines.some(line => line.includes('CacheUnavailable')))
})

t.test('that Redis is gone and back is counted, once each, and no connection outlives the app', async t => {
  const redis = await openRedis(t)
  const raw = rawClient(t, redis.url)
  const connections = async () => String(await raw.client('LIST')).split('\n').length
  const before = await connections()
  const proxy = await startTcpProxy(t, redis.port)
  const lines: string[] = []
  const app = await openApp(t, { REDIS_URL: `redis://127.0.0.1:${proxy.port}` }, lines)
  t.equal(app.cache.shared, true)
  const counted = (metric: string) => lines.filter(line => line.includes(`"${metric}":1`)).length
  const [unavailable, restored] = [counted('CacheUnavailable'), counted('CacheRestored')]
  proxy.set('reset')
  await until(async () => { await app.cache.read('x', async () => good, isPerson('x')); return app.breakers.stateOf('redis') === 'open' })
  t.equal(counted('CacheUnavailable') - unavailable, 1)
  t.equal(counted('CacheRestored') - restored, 0)
  proxy.set('clear')
  await until(async () => await app.cache.ping() !== undefined)
  t.equal(app.breakers.stateOf('redis'), 'closed')
  t.equal(counted('CacheRestored') - restored, 1)
  await app.close()
  await until(async () => await connections() === before)
})

t.test('without Redis the cache is the process\'s own, or off', async t => {
  for (const ttl of ['60', '0']) {
    const { cache } = await openApp(t, { CACHE_TTL_SECONDS: ttl })
    t.equal(cache.shared, false)
    await cache.write('x', good)
    t.same(await cache.read('x', async () => undefined, isPerson('x')), ttl === '0' ? undefined : good)
  }
})
