import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import packageJson from '../../../package.json' with { type: 'json' }
import { Liveness, Readiness } from './schemas.ts'

// Requested every few seconds by every load balancer: neither limited nor worth a log line each.
export const quiet = { config: { limit: false }, logLevel: 'warn' } as const

/** Seconds; a report is reused for one. */
export const RETRY_AFTER = '5'

/** Today's contract. Without a version in the path: load balancers and deployments are configured once. */
const routes: FastifyPluginAsyncTypebox = async function healthV2 (app) {
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
      summary: 'Whether the service can serve requests',
      description: 'Ready while DynamoDB answers within a second and the server is not stopping. `degraded` while SQS or Redis does not answer: mails are late or reads slower, and requests are served.',
      response: { 200: { ...Readiness, description: 'Ready' }, 503: { ...Readiness, description: 'Not ready' } }
    }
  }, async (_request, reply) => {
    const readiness = await app.health.readiness()
    if (readiness.status === 'unhealthy') reply.code(503).header('retry-after', RETRY_AFTER)
    return { ...readiness, version: packageJson.version }
  })
}
export default routes
