import fastifyRateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { hash } from 'node:crypto'
import { TooManyRequests } from '../../shared/errors.ts'
import { createClientCounters, createCounters } from './counters.ts'

declare module 'fastify' {
  interface FastifyInstance {
    rateLimits: {
      /**
       * Counts one use of `key` in this process, for limits of a module besides those of its routes.
       *
       * @throws TooManyRequests, with the seconds to wait, after more than `max` uses in this window
       */
      take (bucket: string, key: string, max: number): void
    }
  }
  interface FastifyContextConfig {
    /** What a request of this route costs; see COSTS. Without it `general`; `false` for no limit. The routes of a class share one count. */
    limit?: CostClass | false
  }
}

/**
 * What one request costs, by class, in units of which a client has RATE_LIMIT_MAX in a window: RATE_LIMIT_MAX 100 allows
 * 20 requests that cost 5. Each class has its own count. The names are the policies' names in the RateLimit headers.
 */
export const COSTS = {
  /** reads and changes of single resources: a few reads and writes of the database */
  general: 1,
  /** codes and tokens: guesses are compared, and signatures made */
  credential: 2,
  /** sends a mail, the most expensive thing that a request can cause */
  mail: 5,
  /** up to a hundred resources in one request */
  bulk: 10
} as const

export type CostClass = keyof typeof COSTS

/** Maximum keys of modules in memory: about 5 MB. */
const KEYS = 32_768

/** Longer keys are hashed, so that callers cannot use up the memory. */
const MAX_KEY = 64

/** A store for @fastify/rate-limit; each class has its own. */
function createStore (windowMs: number) {
  return class {
    readonly #clients = createClientCounters(windowMs)
    incr (address: string, callback: (error: null, count: { current: number, ttl: number }) => void) {
      callback(null, this.#clients.count(address))
    }

    child () { return new (createStore(windowMs))() }
  }
}

/**
 * Limits the requests per client and window. Counted in this process; on Lambda in each instance, behind the stage's own
 * throttling. The modules count limits that protect an account in DynamoDB. See ADR 46.
 */
export default fp(async function rateLimit (app) {
  const { RATE_LIMIT_MAX, RATE_LIMIT_WINDOW_SECONDS } = app.config
  const windowMs = RATE_LIMIT_WINDOW_SECONDS * 1000
  await app.register(fastifyRateLimit, {
    global: false,
    timeWindow: windowMs,
    store: createStore(windowMs),
    // A connection that its client has reset has no address any more.
    keyGenerator: ({ ip }) => (ip as string | undefined) ?? ''
  })

  /**
   * Counts requests of a class, and describes the limit in the headers of draft-ietf-httpapi-ratelimit-headers-11. The three
   * headers of its drafts up to 06 stay beside them, because most clients read only those.
   */
  function createLimiter (name: CostClass) {
    const max = Math.ceil(RATE_LIMIT_MAX / COSTS[name])
    const count = app.createRateLimit({ max })
    const policy = `"${name}";q=${max};w=${RATE_LIMIT_WINDOW_SECONDS}`
    return async function limit (request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const counted = await count(request)
      // There is no allow list, so every request is counted.
      if (counted.isAllowed) return
      const { remaining, ttlInSeconds } = counted
      reply.headers({
        'ratelimit-policy': policy,
        ratelimit: `"${name}";r=${remaining};t=${ttlInSeconds}`,
        'ratelimit-limit': max,
        'ratelimit-remaining': remaining,
        'ratelimit-reset': ttlInSeconds
      })
      if (counted.isExceeded) throw Object.assign(new TooManyRequests(), { retryAfter: ttlInSeconds })
    }
  }
  const limiters = Object.fromEntries(Object.keys(COSTS).map(name => [name, createLimiter(name as CostClass)])) as Record<CostClass, ReturnType<typeof createLimiter>>

  app.addHook('onRoute', ({ url, config }) => {
    const limit = config?.limit
    if (limit !== undefined && limit !== false && !Object.hasOwn(limiters, limit)) throw new Error(`rate-limit: ${url} has the unknown class ${String(limit)}`)
  })
  // One hook here instead of the package's hook per route. Those would run after the hooks of a route's scope, so callers
  // who fail to authenticate would never be limited.
  app.addHook('onRequest', async (request, reply) => {
    const { limit = 'general' } = request.routeOptions.config
    if (limit !== false) await limiters[limit](request, reply)
  })

  const counters = createCounters({ windowMs, capacity: KEYS })
  app.decorate('rateLimits', {
    take (bucket, key, max) {
      const { current, ttl } = counters.count(`${bucket} ${key.length > MAX_KEY ? hash('sha256', key, 'base64') : key}`)
      if (current > max) throw Object.assign(new TooManyRequests(), { retryAfter: ttl / 1000 })
    }
  })
}, { name: 'rate-limit', dependencies: ['config'] })
