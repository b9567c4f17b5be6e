import cors from '@fastify/cors'
import env from '@fastify/env'
import helmet from '@fastify/helmet'
import fastifyJwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import sensible from '@fastify/sensible'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import { addRoutes } from './fastify.ts'

/** Every plugin that a service of this kind uses, registered as its README says. */
export async function buildNaive (options: { logger: boolean, ui: boolean }): Promise<FastifyInstance> {
  const app = Fastify({ logger: options.logger }) as unknown as FastifyInstance
  await app.register(env, { schema: { type: 'object', required: ['BENCH_TABLE', 'BENCH_QUEUE_URL', 'JWT_SECRET'], properties: { BENCH_TABLE: { type: 'string' }, BENCH_QUEUE_URL: { type: 'string' }, JWT_SECRET: { type: 'string' } } } })
  await app.register(sensible)
  await app.register(cors, { origin: ['https://app.example.com'], credentials: true })
  await app.register(helmet)
  await app.register(rateLimit, { max: 1_000_000_000, timeWindow: '1 minute' })
  await app.register(fastifyJwt, { secret: process.env['JWT_SECRET']! })
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'users', version: '1.0.0' } } })
  // Its files lie beside its module, so a bundle does not have them.
  if (options.ui) await app.register(swaggerUi, { routePrefix: '/docs' })
  await app.register(async scope => { addRoutes(scope) })
  return app
}
