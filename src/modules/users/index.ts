import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { createEvents, USERS_EVENTS } from './events.ts'
import { createRepository } from './repository.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import { Registration, User, USERS_ENTRIES } from './schemas.ts'
import { createService } from './service.ts'

/** Accounts: registration, profile, deletion. */
export default fp(async function users (app) {
  app.apiDocs.tag({ name: 'users', description: 'Accounts and profiles' })
  for (const event of USERS_EVENTS) app.apiDocs.event(event)
  const now = () => new Date()
  const { cache, config, dynamodb, eventBus, metrics } = app
  const outbox = app.outbox.open({ table: config.USERS_TABLE, key: eventId => ({ userId: `outbox#${eventId}` }), entries: USERS_ENTRIES })
  const repository = createRepository({ dynamodb, outbox, table: config.USERS_TABLE, now })
  const { follow } = createEvents({ outbox: app.outbox, repository, eventBus })
  app.decorate('users', createService({ repository, cache, count: metrics.count, adminEmails: config.ADMIN_EMAILS, now, follow }))
  for (const schema of [User, Registration]) app.addSchema(schema)
  await app.register(routesV1)
  await app.register(routesV2)
}, { name: 'users', dependencies: ['config', 'dynamodb', 'outbox', 'event-bus', 'cache', 'jwt', 'rate-limit', 'metrics', 'docs'] })
