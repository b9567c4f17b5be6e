import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { correlationIdOf, created, createdSchema, HEALTH, healthSchema, JWT_SECRET, newUserSchema, readUser, refused, register, userSchema, type NewUser } from './work.ts'

/** The three routes, as Fastify's documentation writes them: with schemas for bodies and answers. */
export function addRoutes (app: FastifyInstance): void {
  app.get('/health', { schema: { response: { 200: healthSchema } } }, async () => HEALTH)
  app.get('/users/me', { schema: { response: { 200: userSchema } }, onRequest: async request => { await request.jwtVerify() } }, async request => await readUser((request.user as { sub: string }).sub))
  app.post<{ Body: NewUser }>('/users', { schema: { body: newUserSchema, response: { 201: createdSchema } } }, async (request, reply) => {
    const correlationId = correlationIdOf(request.headers['x-correlation-id'] as string | undefined)
    const user = await register(request.body, correlationId)
    return reply.code(201).header('x-correlation-id', correlationId).send(created(user))
  })
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    return reply.code(status).send(refused(status >= 500 ? 'Internal server error' : error.message))
  })
}

/** Fastify with nothing but @fastify/jwt. */
export function buildPlain (options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify(options) as unknown as FastifyInstance
  app.register(fastifyJwt, { secret: JWT_SECRET })
  app.register(async scope => { addRoutes(scope) })
  return app
}
