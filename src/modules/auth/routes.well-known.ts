import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { JsonWebKeySet } from './schemas.ts'

/** What other services need to check access tokens by themselves. */
const routes: FastifyPluginAsyncTypebox = async function authWellKnown (app) {
  app.get('/.well-known/jwks.json', {
    schema: {
      operationId: 'auth.jwks',
      tags: ['service'],
      summary: 'Public signing keys',
      description: 'The key that signs now and the one before it, as a JSON Web Key Set (RFC 7517). Look again when a token names a `kid` that is not in it.',
      response: { 200: JsonWebKeySet }
    }
  }, async (_request, reply) => {
    // Five minutes: a verifier that meets an unknown kid looks again anyway.
    reply.header('cache-control', 'public, max-age=300')
    await app.keys.refresh()
    return { keys: app.keys.jwks }
  })
}
export default routes
