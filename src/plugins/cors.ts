import fastifyCors from '@fastify/cors'
import fp from 'fastify-plugin'

/** CORS for the origins in the configuration, matched exactly; without any, no CORS header at all. */
export default fp(async function cors (app) {
  const { CORS_ORIGIN } = app.config
  if (CORS_ORIGIN === undefined) return
  await app.register(fastifyCors, {
    origin: CORS_ORIGIN,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-api-key', 'x-correlation-id'],
    exposedHeaders: ['deprecation', 'etag', 'link', 'location', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'sunset', 'x-correlation-id'],
    maxAge: 600
  })
}, { name: 'cors', dependencies: ['config'] })
