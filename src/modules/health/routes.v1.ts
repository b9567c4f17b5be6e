import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { quiet, RETRY_AFTER } from './routes.v2.ts'
import { HealthV1 } from './schemas.ts'

/** The article's contract, frozen. The answer has no envelope, unlike the other v1 answers. */
const routes: FastifyPluginAsyncTypebox = async function healthV1 (app) {
  app.get('/health', {
    ...quiet,
    schema: {
      operationId: 'v1.health.check',
      tags: ['service'],
      summary: 'State of the dependencies',
      description: 'Asks DynamoDB and SQS, at most once a second.',
      response: { 200: { ...HealthV1, description: 'Both dependencies answer' }, 503: { ...HealthV1, description: 'A dependency does not answer' } }
    }
  }, async (_request, reply) => {
    const health = await app.health.check()
    if (health.dynamodb.status !== 'healthy' || health.sqs.status !== 'healthy') reply.code(503).header('retry-after', RETRY_AFTER)
    return health
  })
}
export default routes
