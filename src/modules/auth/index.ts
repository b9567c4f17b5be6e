import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { registerEvents } from './events.ts'
import { contributeParts } from './export.ts'
import { createRepository } from './repository.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import { AUTH_ENTRIES } from './schemas.ts'
import { createService } from './service.ts'

/** Registering and signing in: codes, sessions, tokens. */
export default fp(async function auth (app) {
  app.apiDocs.tag({ name: 'auth', description: 'Codes, tokens, sessions' })
  const now = () => new Date()
  const { accessTokens, config, dynamodb, email, keys, metrics: { count }, rateLimits, users } = app
  const outbox = app.outbox.open({ table: config.AUTH_TABLE, key: eventId => ({ pk: `outbox#${eventId}`, sk: 'outbox' }), entries: AUTH_ENTRIES })
  app.idempotency.open({ table: config.AUTH_TABLE, key: id => ({ pk: `idempotency#${id}`, sk: 'idempotency' }) })
  const repository = createRepository({ dynamodb, outbox, table: config.AUTH_TABLE, now })
  const service = createService({
    repository,
    users,
    keys,
    accessTokens,
    accessTokenTtl: config.ACCESS_TOKEN_TTL_SECONDS,
    limitDomain: (domain, factor) => rateLimits.take('recipient-domain', domain, factor * config.RATE_LIMIT_MAX),
    count,
    now
  })
  registerEvents({ outbox: app.outbox, repository, service, users, email, keys, count, now })
  contributeParts({ users, repository, keys })
  app.decorate('auth', service)
  await app.register(routesV1)
  await app.register(routesV2)
}, { name: 'auth', dependencies: ['users', 'email', 'config', 'dynamodb', 'outbox', 'keys', 'jwt', 'idempotency', 'rate-limit', 'metrics', 'docs'] })
