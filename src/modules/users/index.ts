import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { createUsersRepository } from './repository.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import { createUsersService } from './service.ts'

/** Accounts: registration, profile, deletion. */
export default fp(async function users (app) {
  app.apiDocs.tag({ name: 'users', description: 'Accounts and profiles' })
  const now = () => new Date()
  app.decorate('users', createUsersService({
    repository: createUsersRepository(app.dynamodb, app.openOutbox, app.config.USERS_TABLE, now),
    cache: app.cache,
    count: app.count,
    adminEmails: app.config.ADMIN_EMAILS,
    now
  }))
  await app.register(routesV1, { prefix: '/v1' })
  await app.register(routesV2, { prefix: '/v2' })
}, { name: 'users', dependencies: ['config', 'dynamodb', 'outbox', 'cache', 'jwt', 'rate-limit', 'metrics', 'docs'] })
