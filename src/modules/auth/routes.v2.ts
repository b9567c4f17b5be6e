import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Problem } from '../../shared/problem.ts'
import { ChallengeTicket } from '../../shared/schemas.ts'
import { ChallengeRequest, Revocation, TokenRequest, Tokens } from './schemas.ts'

const tags = ['auth']

/** Today's contract. */
const routes: FastifyPluginAsyncTypebox = async function authV2 (app) {
  app.post('/auth/challenges', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'auth.createChallenge',
      tags,
      summary: 'Ask for a sign-in code',
      description: 'Mails a code to the address if it has an account. The answer is the same whether it has one or not. At most 5 mails an hour and 10 a day go to one address.',
      body: ChallengeRequest,
      response: { 202: ChallengeTicket, 400: Problem }
    }
  }, async (request, reply) => {
    reply.code(202)
    return await app.auth.requestChallenge(request.body.email, request.id)
  })

  app.post('/auth/tokens', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: '`code` exchanges the code from a mail: five tries, ten minutes, once. The first success verifies the address. ' +
        '`refresh_token` exchanges a refresh token for new tokens; the old one keeps giving the same answer for 10 seconds, and ends the session when it is used later.',
      body: TokenRequest,
      response: { 200: Tokens, 400: Problem, 401: { ...Problem, description: 'The code or the refresh token is not good, for whatever reason' } }
    }
  }, async ({ body, id }) => body.grantType === 'code'
    ? await app.auth.exchangeCode(body.challengeId, body.code, id)
    : await app.auth.refresh(body.refreshToken))

  app.post('/auth/revoke', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'auth.revoke',
      tags,
      summary: 'Sign out',
      description: 'Ends the session of a refresh token. Answers the same for a token that is none (RFC 7009).',
      body: Revocation,
      response: { 204: Type.Null({ description: 'Signed out' }), 400: Problem }
    }
  }, async (request, reply) => {
    await app.auth.revoke(request.body.refreshToken)
    return await reply.code(204).send(null)
  })
}
export default routes
