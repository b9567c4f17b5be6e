import fastifyRateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import { TooManyRequests } from '../shared/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Route `config` for what sends mails or compares codes: these routes share a fifth of the general limit. */
    rateLimits: { take (bucket: string, key: string, max: number): void }
  }
  interface FastifyContextConfig {
    limit?: 'strict' | 'moderate'
  }
}

/** Client addresses remembered at once, for each class. At 200 bytes each, a flood of addresses costs a few megabytes, then forgets the oldest. */
const CLIENTS = 20_000

/**
 * Requests a client address may make in a window, counted in this process: on Lambda in each instance, behind the
 * stage's own throttling. An IPv6 client is its /64: it can change the rest at will. Limits that protect an account are
 * counted in DynamoDB, by the modules. A route is left out with `config: { rateLimit: false }`.
 */
export default fp(async function rateLimit (app) {
  const { RATE_LIMIT_MAX, RATE_LIMIT_WINDOW_SECONDS } = app.config
  await app.register(fastifyRateLimit, {
    global: false,
    max: RATE_LIMIT_MAX,
    timeWindow: RATE_LIMIT_WINDOW_SECONDS * 1000,
    cache: CLIENTS,
    ipv6Subnet: 64,
    enableDraftSpec: true,
    errorResponseBuilder: () => new TooManyRequests()
  })
  const general = app.rateLimit()
  const strict = app.rateLimit({ max: Math.ceil(RATE_LIMIT_MAX / 5) })
  // One hook here instead of the package's own, one a route: those run after the hooks of a route's scope, so that who
  // fails to authenticate would never be limited.
  app.addHook('onRequest', async (request, reply) => {
    const { rateLimit, limit } = request.routeOptions.config
    if (rateLimit !== false) await (limit === 'strict' ? strict : general).call(app, request, reply)
  })
  app.decorate('rateLimits', { take () {} })
}, { name: 'rate-limit', dependencies: ['config'] })
