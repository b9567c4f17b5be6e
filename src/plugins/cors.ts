import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

const isPreflight = ({ headers }: FastifyRequest) => headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** CORS for the exact origins in the configuration. Without origins, no CORS header is sent. */
export default fp(async function cors (app) {
  const { CORS_ORIGIN } = app.config
  if (CORS_ORIGIN === undefined) return
  const options: FastifyCorsOptions = {
    origin: CORS_ORIGIN,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-api-key', 'x-correlation-id'],
    // One text, because the package would join a list for each answer.
    exposedHeaders: ['accept-patch', 'allow', 'deprecation', 'etag', 'idempotent-replayed', 'link', 'location', 'ratelimit', 'ratelimit-limit', 'ratelimit-policy', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'sunset', 'www-authenticate', 'x-correlation-id'].join(', '),
    maxAge: 600
  }
  const otherwise = { ...options, preflight: false }
  await app.register(fastifyCors, {
    // @fastify/cors treats every OPTIONS request as a preflight. Those that are not go on, and get a 404 or 405.
    delegator: (request, callback) => callback(null, isPreflight(request) ? options : otherwise)
  })
}, { name: 'cors', dependencies: ['config', 'errors'] })
