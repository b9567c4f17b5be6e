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
    /**
     * The limit of a route: `strict`, a fifth of the general limit, for routes that send mails; `moderate`, a half, for tokens
     * and codes; `false` for none. The routes of a class share one count, separate from the general one.
     */
    limit?: 'strict' | 'moderate' | false
  }
}

/** Fractions of RATE_LIMIT_MAX. */
const SHARES = { general: 1, moderate: 1 / 2, strict: 1 / 5 } as const

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
    max: RATE_LIMIT_MAX,
    timeWindow: windowMs,
    store: createStore(windowMs),
    keyGenerator: ({ ip }) => ip,
    enableDraftSpec: true,
    errorResponseBuilder: () => new TooManyRequests()
  })
  const limiters = Object.fromEntries(Object.entries(SHARES).map(([name, share]) => [name, app.rateLimit({ max: Math.ceil(RATE_LIMIT_MAX * share) })])) as
    Record<keyof typeof SHARES, (request: FastifyRequest, reply: FastifyReply) => Promise<void>>
  // One hook here instead of the package's hook per route. Those would run after the hooks of a route's scope, so callers
  // who fail to authenticate would never be limited.
  app.addHook('onRequest', async (request, reply) => {
    const { limit = 'general' } = request.routeOptions.config
    if (limit !== false) await limiters[limit].call(app, request, reply)
  })

  const counters = createCounters({ windowMs, capacity: KEYS })
  app.decorate('rateLimits', {
    take (bucket, key, max) {
      const { current, ttl } = counters.count(`${bucket} ${key.length > MAX_KEY ? hash('sha256', key, 'base64') : key}`)
      if (current > max) throw Object.assign(new TooManyRequests(), { retryAfter: ttl / 1000 })
    }
  })
}, { name: 'rate-limit', dependencies: ['config'] })
