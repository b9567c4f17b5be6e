import { Redis } from 'ioredis'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { startRedis } from '../../../local/redis.ts'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { until } from '../../until.ts'
import { poisonsOf } from '../../plugins/cache/poisons.ts'
import { report, workload } from '../../promise.ts'

// What the profile's reader sees of a cache that an attacker, or another version of the service, has written to.

t.test('a profile is right, and no error, whatever stands in the cache for it', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop('SIGKILL'))
  const raw = new Redis(redis.url)
  t.teardown(() => raw.disconnect())
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { env: { REDIS_URL: redis.url, RATE_LIMIT_MAX: '1000000' } })
  await until(async () => await app.cache.ping() !== undefined)
  const { accessToken, user: { id } } = await signIn(app, engines, 'poisoned@example.com')
  const read = async () => await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })
  const expected = (await read()).body
  /** The entry of the profile: the first one is the service's own. */
  const key = await until(async () => {
    for (const key of await raw.keys('*')) if ((await raw.type(key)) === 'string' && (await raw.get(key))!.includes(`"id":"${id}"`)) return key
    return undefined
  })
  const recordIn = (entry: string | null): unknown => {
    const [, version, json] = /^(\d+)@\d+:(.+)$/.exec(entry ?? '') ?? []
    try {
      return { ...JSON.parse(json!) as object, version: Number(version) }
    } catch {
      return undefined
    }
  }
  const record = recordIn(await raw.get(key)) as { id: string, name: string, version: number }

  const poisons = poisonsOf(other => ({ ...record, id: other }))
  const count = workload({ short: poisons.length, full: 1_000 })
  let errors = 0
  let wrong = 0
  let kept = 0
  for (let i = 0; i < count; i++) {
    await raw.set(key, poisons[i % poisons.length]!(id))
    const { statusCode, body } = await read()
    if (statusCode >= 500) errors++
    if (body !== expected) wrong++
    // The answer does not wait until the record is stored.
    if (!await until(async () => isDeepStrictEqual(recordIn(await raw.get(key)), record), { timeoutMs: 5_000 }).catch(() => false)) kept++
  }
  report(t, { promise: 16, part: 'over HTTP', figure: `${count.toLocaleString('en')} poisoned entries of ${poisons.length} kinds: ${errors} × 5xx, ${wrong} wrong bodies, ${kept} kept`, holds: errors === 0 && wrong === 0 && kept === 0 })
})
