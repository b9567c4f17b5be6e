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
       * Counts one use of `key` in this process, for limits that a module has beside those of its routes.
       *
       * @throws TooManyRequests, with the seconds to wait, when there were more than `max` in this window
       */
      take (bucket: string, key: string, max: number): void
    }
  }
  interface FastifyContextConfig {
    /**
     * Which limit a route has: `strict`, a fifth of the general one, for what sends mails; `moderate`, a half, for tokens
     * and codes; `false`, none. The routes of a class share one count, which is not part of the general one.
     */
    limit?: 'strict' | 'moderate' | false
  }
}

/** Shares of RATE_LIMIT_MAX. */
const SHARES = { general: 1, moderate: 1 / 2, strict: 1 / 5 } as const

/** Keys of modules remembered at once: about 5 MB. */
const KEYS = 32_768

/** A longer key is counted by its hash, so that no caller decides how much is remembered. */
const MAX_KEY = 64

/** A store for @fastify/rate-limit, one for each class. */
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
 * Requests a client may make in a window, counted in this process: on Lambda in each instance, behind the stage's own
 * throttling. Limits that protect an account are counted in DynamoDB, by the modules. See ADR 46.
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
  // One hook here instead of the package's own, one a route: those run after the hooks of a route's scope, so that a
  // caller who fails to authenticate would never be limited.
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
