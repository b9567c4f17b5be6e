import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import packageJson from '../../../package.json' with { type: 'json' }
import type { Report } from './probes.ts'
import { HealthV1, Liveness, Readiness } from './schemas.ts'

export interface HealthRoutesOptions {
  probe: () => Promise<Report>
  isDraining: () => boolean
}

// Asked every few seconds by every load balancer and never by a person: neither limited nor worth a line each.
const quiet = { config: { rateLimit: false }, logLevel: 'warn' } as const

/** Seconds; a report is reused for one. */
const RETRY_AFTER = '5'

export const healthRoutes: FastifyPluginAsyncTypebox<HealthRoutesOptions> = async (app, { probe, isDraining }) => {
  app.get('/health/live', {
    ...quiet,
    schema: {
      operationId: 'health.live',
      tags: ['service'],
      summary: 'Whether the process lives',
      description: 'Touches no dependency.',
      response: { 200: Liveness }
    }
  }, async () => ({ status: 'healthy' as const }))

  app.get('/health/ready', {
    ...quiet,
    schema: {
      operationId: 'health.ready',
      tags: ['service'],
      summary: 'Whether the service can do its work',
      description: 'Ready while DynamoDB and SQS answer within a second and the server is not stopping. Redis only makes reads faster: without it the service stays ready.',
      response: { 200: { ...Readiness, description: 'Ready' }, 503: { ...Readiness, description: 'Not ready' } }
    }
  }, async (_request, reply) => {
    const { checks, timestamp } = await probe()
    const ready = !isDraining() && checks.dynamodb.status === 'healthy' && checks.sqs.status === 'healthy'
    if (!ready) reply.code(503).header('retry-after', RETRY_AFTER)
    return { status: ready ? 'healthy' as const : 'unhealthy' as const, checks, timestamp, version: packageJson.version }
  })

  app.get('/v1/health', {
    ...quiet,
    schema: {
      operationId: 'v1.health.check',
      tags: ['service'],
      summary: 'State of the dependencies',
      response: { 200: { ...HealthV1, description: 'Both answer' }, 503: { ...HealthV1, description: 'One of them does not' } }
    }
  }, async (_request, reply) => {
    const { checks: { dynamodb, sqs }, timestamp } = await probe()
    if (dynamodb.status !== 'healthy' || sqs.status !== 'healthy') reply.code(503).header('retry-after', RETRY_AFTER)
    return { dynamodb: { status: dynamodb.status }, sqs: { status: sqs.status }, timestamp }
  })
}
