import fp from 'fastify-plugin'
import { createProbes } from './probes.ts'
import { healthRoutes } from './routes.v2.ts'

/** Whether the process lives, and whether what it needs answers. Sees plugins only, no other module. */
export default fp(async function health (app) {
  let draining = false
  app.decorate('health', { drain () { draining = true } })

  const probe = createProbes({
    dynamodb: app.dynamodb,
    sqs: app.sqs,
    cache: app.cache,
    table: app.config.USERS_TABLE,
    queueUrl: app.config.EMAIL_QUEUE_URL,
    onFailure: (dependency, error) => app.log.warn({ err: error, dependency }, 'health: a dependency does not answer')
  })
  await app.register(healthRoutes, { probe, isDraining: () => draining })
}, { name: 'health', dependencies: ['config', 'dynamodb', 'sqs', 'cache'] })
