import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { createProbes } from './probes.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import { createService } from './service.ts'

/** Reports whether the process is alive and whether its dependencies answer. Uses plugins only, no other module. */
export default fp(async function health (app) {
  app.apiDocs.tag({ name: 'service', description: 'Health and signing keys of the service' })
  app.decorate('health', createService({
    probe: createProbes({
      dynamodb: app.dynamodb,
      sqs: app.sqs,
      cache: app.cache,
      breakers: app.breakers,
      table: app.config.USERS_TABLE,
      queueUrl: app.config.EMAIL_QUEUE_URL,
      onFailure: (dependency, error) => app.log.warn({ err: error, dependency }, 'health: a dependency does not answer')
    })
  }))
  await app.register(routesV1, { prefix: '/v1' })
  await app.register(routesV2)
}, { name: 'health', dependencies: ['config', 'breakers', 'dynamodb', 'sqs', 'cache', 'docs', 'rate-limit'] })
