import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { createAuthRepository } from './repository.ts'
import routesV1 from './routes.v1.ts'
import routesV2 from './routes.v2.ts'
import routesWellKnown from './routes.well-known.ts'
import { createAuthService } from './service.ts'

/** Signing in: challenges, codes, sessions, tokens. */
export default fp(async function auth (app) {
  app.apiDocs.tag({ name: 'auth', description: 'Codes, tokens, sessions' })
  const now = () => new Date()
  app.decorate('auth', createAuthService({
    repository: createAuthRepository(app.dynamodb, app.openOutbox, app.config.AUTH_TABLE, now),
    users: app.users,
    keys: app.keys,
    signAccessToken: app.signAccessToken,
    accessTokenTtl: app.config.ACCESS_TOKEN_TTL_SECONDS,
    count: app.count,
    now
  }))
  await app.register(routesWellKnown)
  await app.register(routesV1, { prefix: '/v1' })
  await app.register(routesV2, { prefix: '/v2' })
}, { name: 'auth', dependencies: ['users', 'config', 'dynamodb', 'outbox', 'keys', 'jwt', 'rate-limit', 'metrics', 'docs'] })
