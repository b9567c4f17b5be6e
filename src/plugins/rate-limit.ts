import fastifyRateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import { TooManyRequests } from '../shared/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Route `config` for what sends mails or compares codes: a fifth of the general limit. */
    strictRateLimit: { rateLimit: { max: number } }
  }
}

/** Client addresses remembered at once. At 150 bytes or so each, a flood of addresses costs a few megabytes, then forgets the oldest. */
const CLIENTS = 20_000

/**
 * Requests a client address may make in a window, counted in this process: on Lambda in each instance, behind the
 * stage's own throttling. Limits that protect an account are counted in DynamoDB, by the modules.
 */
export default fp(async function rateLimit (app) {
  const { RATE_LIMIT_MAX, RATE_LIMIT_WINDOW_SECONDS } = app.config
  await app.register(fastifyRateLimit, {
    max: RATE_LIMIT_MAX,
    timeWindow: RATE_LIMIT_WINDOW_SECONDS * 1000,
    cache: CLIENTS,
    enableDraftSpec: true,
    errorResponseBuilder: () => new TooManyRequests()
  })
  app.decorate('strictRateLimit', { rateLimit: { max: Math.ceil(RATE_LIMIT_MAX / 5) } })
}, { name: 'rate-limit', dependencies: ['config'] })
