import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Failure } from '../../shared/envelope.ts'
import { ChallengeRequest, ChallengeTicketV1, TokenRequest, TokensV1 } from './schemas.ts'

const tags = ['auth']

/** As version 2, in the article's envelope. */
const routes: FastifyPluginAsyncTypebox = async function authV1 (app) {
  app.post('/auth/challenges', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'v1.auth.createChallenge',
      tags,
      summary: 'Ask for a sign-in code',
      description: 'Mails a code to the address if it has an account. The answer is the same whether it has one or not.',
      body: ChallengeRequest,
      response: { 202: ChallengeTicketV1, 400: Failure }
    }
  }, async (request, reply) => {
    reply.code(202)
    return { success: true as const, data: await app.auth.requestChallenge(request.body.email, request.id) }
  })

  app.post('/auth/tokens', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'v1.auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: '`code` exchanges the code from a mail; `refresh_token` exchanges a refresh token for new tokens.',
      body: TokenRequest,
      response: { 200: TokensV1, 400: Failure, 401: { ...Failure, description: 'The code or the refresh token is not good, for whatever reason' } }
    }
  }, async ({ body, id }) => ({
    success: true as const,
    data: body.grantType === 'code' ? await app.auth.exchangeCode(body.challengeId, body.code, id) : await app.auth.refresh(body.refreshToken)
  }))
}
export default routes
