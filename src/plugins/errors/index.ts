import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { MethodNotAllowed, NotFound } from '../../shared/errors.ts'
import { createAllowedMethods } from './allowed-methods.ts'
import { documentFailures } from './documented-failures.ts'
import { answerForNode } from './framework-errors.ts'
import { sendError } from './send-error.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Throws the error for a path or method without a route: 404, or 405 with `Allow`. */
    refuse (request: FastifyRequest, reply: FastifyReply): never
  }
}

/** The one error handler. It decides 404 and 405 before the body is read. */
export default fp(async function errors (app) {
  answerForNode(app)
  documentFailures(app)
  const allowedMethods = createAllowedMethods(app)
  app.decorate('refuse', (request, reply) => {
    const allowed = allowedMethods(request.url)
    if (allowed.length === 0) throw new NotFound()
    reply.header('allow', allowed.join(', '))
    throw new MethodNotAllowed()
  })
  // Runs after every onRequest hook, so that these answers have their headers too (CORS, rate limit, v1 lifecycle).
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.is404) app.refuse(request, reply)
    done(null, payload)
  })
  app.setNotFoundHandler((request, reply) => app.refuse(request, reply))
  app.setErrorHandler<FastifyError>((error, request, reply) => sendError(error, request, reply))
}, { name: 'errors', dependencies: ['correlation'] })
