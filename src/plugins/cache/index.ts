import fp from 'fastify-plugin'
import type {} from '../breakers.ts'
import type {} from '../metrics.ts'
import { createCache, type Cache } from './read-through.ts'
import { createRedisStore } from './redis-store.ts'
import { createMemoryStore, noStore } from './store.ts'

export type { Cache } from './read-through.ts'

declare module '../metrics.ts' {
  interface MetricNames {
    /** each time an instance stops asking a cache that does not answer: about once a second while it is used */
    CacheUnavailable: true
    /** each time the cache answers an instance again after CacheUnavailable */
    CacheRestored: true
    /** reads that the cache answered */
    CacheHits: 'frequent'
    /** reads that went to the table, while the cache is on */
    CacheMisses: 'frequent'
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    cache: Cache
  }
}

/**
 * The read cache. It uses Redis if `REDIS_URL` is set, else a bounded store in this process. That is correct only when a
 * single process serves the tables, so it must be turned on in the configuration. Failures of the cache never reach callers.
 */
export default fp(async function cache (app) {
  const { REDIS_URL, CACHE_TTL_SECONDS } = app.config
  const { count, countOften } = app.metrics
  const breaker = () => app.breakers.add('redis', {
    // A server that rejects a command does answer.
    isFailure: error => (error as Error).name !== 'ReplyError',
    onOpen: () => count('CacheUnavailable'),
    onClose: () => count('CacheRestored')
  })
  const store = REDIS_URL === undefined ? (CACHE_TTL_SECONDS > 0 ? createMemoryStore() : noStore) : await createRedisStore(REDIS_URL, CACHE_TTL_SECONDS * 1000, app.log, breaker())
  app.decorate('cache', createCache(store, REDIS_URL !== undefined, CACHE_TTL_SECONDS, countOften))
  app.addHook('onClose', async () => { store.close() })
}, { name: 'cache', dependencies: ['config', 'metrics', 'breakers'] })
