import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

const isPreflight = ({ headers }: FastifyRequest) => headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** CORS for the origins in the configuration, matched exactly; without any, no CORS header at all. */
export default fp(async function cors (app) {
  const { CORS_ORIGIN } = app.config
  if (CORS_ORIGIN === undefined) return
  const options: FastifyCorsOptions = {
    origin: CORS_ORIGIN,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-api-key', 'x-correlation-id'],
    exposedHeaders: ['allow', 'deprecation', 'etag', 'link', 'location', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'sunset', 'www-authenticate', 'x-correlation-id'],
    maxAge: 600
  }
  const otherwise = { ...options, preflight: false }
  await app.register(fastifyCors, {
    // @fastify/cors takes every OPTIONS for a preflight: those that are none go on, and are a 404 or 405 like any other.
    delegator: (request, callback) => callback(null, isPreflight(request) ? options : otherwise)
  })
}, { name: 'cors', dependencies: ['config', 'errors'] })
