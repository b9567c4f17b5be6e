import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { createDirectoryRepository } from './directory-repository.ts'
import { createDirectory } from './directory.ts'
import { createEnrolmentRepository } from './enrolment-repository.ts'
import { createEnrolment } from './enrolment.ts'
import { createEvents, USERS_EVENTS } from './events.ts'
import { createExport } from './export.ts'
import { createRepository, expiryOf } from './repository.ts'
import adminRoutesV2 from './admin.routes.v2.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import { Registration, User, USERS_ENTRIES } from './schemas.ts'
import { createService } from './service.ts'

/** Accounts: registration, profile, deletion. */
export default fp(async function users (app) {
  app.apiDocs.tag({ name: 'users', description: 'Accounts and profiles' })
  for (const event of USERS_EVENTS) app.apiDocs.event(event)
  const now = () => new Date()
  const { cache, config, dynamodb, eventBus, keys, metrics: { count } } = app
  const { USERS_TABLE: table, PUBLIC_URL: publicUrl } = config
  const outbox = app.outbox.open({ table, key: eventId => ({ userId: `outbox#${eventId}` }), entries: USERS_ENTRIES, expired: expiryOf })
  const repository = createRepository({ dynamodb, outbox, table, publicUrl, now })
  const directory = createDirectoryRepository({ dynamodb, table, publicUrl, now })
  const enrolments = createEnrolmentRepository({ dynamodb, outbox, table, now })
  const { follow } = createEvents({ outbox: app.outbox, repository, directory, eventBus, now })
  const { schema: exportSchema, contribute, collect } = createExport({ directory, now })
  app.decorate('users', {
    ...createService({ repository, cache, count, adminEmails: config.ADMIN_EMAILS, publicUrl, now, follow, contribute, collect }),
    ...createDirectory({ repository, directory, keys }),
    ...createEnrolment({ repository, enrolments, count })
  })
  for (const schema of [User, Registration]) app.addSchema(schema)
  await app.register(routesV1)
  await app.register(routesV2, { exportSchema })
  await app.register(adminRoutesV2)
}, { name: 'users', dependencies: ['config', 'dynamodb', 'outbox', 'event-bus', 'cache', 'keys', 'jwt', 'rate-limit', 'metrics', 'docs'] })
