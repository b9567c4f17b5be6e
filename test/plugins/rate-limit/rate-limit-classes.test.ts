import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { completeEnv } from '../../../local/env.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'
import rateLimit, { COSTS, type CostClass } from '../../../src/plugins/rate-limit/index.ts'
import { holdTime } from './support.ts'

/** The plugin alone, with a route of each class, and one without and one with no limit. */
async function serve (t: Test, max: number, windowSeconds = 60, beforeReady = (_app: FastifyInstance): void => {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ JWT_SECRET: 'a'.repeat(64), RATE_LIMIT_MAX: String(max), RATE_LIMIT_WINDOW_SECONDS: String(windowSeconds) })) })
  await app.register(correlation)
  await app.register(errors)
  await app.register(rateLimit)
  for (const limit of Object.keys(COSTS) as CostClass[]) app.get(`/${limit}`, { config: { limit } }, async () => ({}))
  app.get('/plain', async () => ({}))
  app.get('/free', { config: { limit: false } }, async () => ({}))
  app.get('/private', { onRequest: async (_, reply) => await reply.code(401).send({}) }, async () => ({}))
  beforeReady(app)
  await app.ready()
  const get = async (url: string, remoteAddress = '192.0.2.1') => await app.inject({ url, remoteAddress })
  /** How many of some requests are let through. */
  const allowed = async (url: string, remoteAddress?: string) => {
    let count = 0
    while (count < 50 && (await get(url, remoteAddress)).statusCode !== 429) count++
    return count
  }
  return { app, get, allowed }
}

t.test('each class has its own count, in which a request costs what it costs, rounded for the client', async t => {
  holdTime(t)
  const { get, allowed } = await serve(t, 21)
  for (const [name, most] of [['general', 21], ['credential', 11], ['mail', 5], ['bulk', 3]] as const) {
    const { headers } = await get(`/${name}`)
    t.match(headers, { 'ratelimit-policy': `"${name}";q=${most};w=60`, 'ratelimit-limit': String(most), 'ratelimit-remaining': String(most - 1), ratelimit: `"${name}";r=${most - 1};t=60`, 'ratelimit-reset': '60' })
    t.notOk('retry-after' in headers || 'x-ratelimit-limit' in headers)
    t.equal(await allowed(`/${name}`), most - 1, name)
    const refused = await get(`/${name}`)
    t.match(refused.json(), { status: 429, code: 'RATE_LIMITED' })
    t.match(refused.headers, { 'ratelimit-policy': `"${name}";q=${most};w=60`, 'ratelimit-remaining': '0', ratelimit: `"${name}";r=0;t=60`, 'retry-after': '60' })
    t.equal(await allowed(`/${name}`, '192.0.2.2'), most, 'another client')
  }
})

t.test('a route without a class, and a path that is not there, share the general count; a route without a limit has none', async t => {
  const { get, allowed } = await serve(t, 4)
  t.equal((await get('/private')).statusCode, 401)
  t.equal((await get('/nowhere')).statusCode, 404)
  t.equal(await allowed('/plain'), 2)
  t.equal((await get('/private')).statusCode, 429, 'before the hooks of the route')
  for (let i = 0; i < 10; i++) t.equal((await get('/free')).statusCode, 200)
  t.same(Object.keys((await get('/free')).headers).filter(name => name.includes('ratelimit')), [])
})

t.test('a client is counted anew after its window', async t => {
  const { pass } = holdTime(t)
  const { get, allowed } = await serve(t, 2)
  t.equal(await allowed('/plain'), 2)
  pass(59_001)
  t.match(await get('/plain'), { statusCode: 429, headers: { 'retry-after': '1' } })
  pass(999)
  t.equal(await allowed('/plain'), 2)
})

t.test('a route of an unknown class keeps the app from starting', async t => {
  for (const limit of ['cheap', 'toString']) await t.rejects(serve(t, 1, 60, app => { app.get('/x', { config: { limit: limit as never } }, async () => ({})) }), new RegExp(`/x has the unknown class ${limit}`))
})

t.test('a module counts its own keys, apart for each bucket, and learns the seconds that are left', async t => {
  const { pass } = holdTime(t)
  const { app } = await serve(t, 1, 30)
  const take = (bucket: string, key: string, max: number) => {
    try {
      app.rateLimits.take(bucket, key, max)
      return undefined
    } catch (error) {
      return error as Error & { statusCode: number, code: string, retryAfter: number }
    }
  }
  t.equal(take('tries', 'a', 2), undefined)
  t.equal(take('tries', 'a', 2), undefined)
  pass(500)
  t.match(take('tries', 'a', 2), { statusCode: 429, code: 'RATE_LIMITED', retryAfter: 29.5 })
  const long = 'x'.repeat(64)
  for (const [bucket, key] of [['mails', 'a'], ['tries', 'b'], ['tries', long], ['tries', `${long}y`], ['tries', `${long}z`], ['tries', '']] as const) {
    t.equal(take(bucket, key, 1), undefined, `${bucket} ${key}`)
    t.match(take(bucket, key, 1), { statusCode: 429 })
  }
})
