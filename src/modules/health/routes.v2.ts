import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import packageJson from '../../../package.json' with { type: 'json' }
import { Liveness, Readiness } from './schemas.ts'

// Every load balancer requests these every few seconds, so they are not rate-limited, not shed and not logged.
export const quiet = { config: { limit: false, shed: false }, logLevel: 'warn' } as const

/** Seconds; a report is reused for one second. */
export const RETRY_AFTER = '5'

/** The current version. The path has no version, so that load balancers and deployments are configured once. */
const routes: FastifyPluginAsyncTypebox = async function healthV2 (app) {
  app.get('/health/live', {
    ...quiet,
    schema: {
      operationId: 'health.live',
      tags: ['service'],
      summary: 'Check that the process is alive',
      description: 'Does not call any dependency.',
      response: { 200: Liveness }
    }
  }, async () => ({ status: 'healthy' as const }))

  app.get('/health/ready', {
    ...quiet,
    schema: {
      operationId: 'health.ready',
      tags: ['service'],
      summary: 'Check that the service can serve requests',
      description: 'Ready while DynamoDB answers within a second and the server is not stopping. `degraded` while SQS, Redis or the mail server does not answer: requests are still served, but mails are late or reads are slower.',
      response: { 200: { ...Readiness, description: 'Ready' }, 503: { ...Readiness, description: 'Not ready' } }
    }
  }, async (_request, reply) => {
    const readiness = await app.health.readiness()
    if (readiness.status === 'unhealthy') reply.code(503).header('retry-after', RETRY_AFTER)
    return { ...readiness, version: packageJson.version }
  })
}
export default routes
