import fastifyCors from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

const isPreflight = ({ headers }: FastifyRequest) => headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** CORS for the origins in the configuration, matched exactly; without any, no CORS header at all. */
export default fp(async function cors (app) {
  const { CORS_ORIGIN } = app.config
  if (CORS_ORIGIN === undefined) return
  // @fastify/cors takes every OPTIONS for a preflight and answers those that are none in a shape of its own.
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'OPTIONS' && !isPreflight(request)) app.refuse(request, reply)
  })
  await app.register(fastifyCors, {
    origin: CORS_ORIGIN,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-api-key', 'x-correlation-id'],
    exposedHeaders: ['deprecation', 'etag', 'link', 'location', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'sunset', 'x-correlation-id'],
    maxAge: 600
  })
}, { name: 'cors', dependencies: ['config', 'errors'] })
