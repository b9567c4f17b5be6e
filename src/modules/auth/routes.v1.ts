import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Envelope, Failure, failure, success } from '../../shared/envelope.ts'
import { networkOf } from '../../shared/network.ts'
import { CodeInvalid, CodesExhausted, RefreshTokenInvalid } from './errors.ts'
import { ChallengeRequest, ChallengeTicket, TokenRequest, TokensV1 } from './schemas.ts'

const tags = ['auth']
const exhausted = failure(CodesExhausted, 'The address has been sent as many codes as it may get')
const invalid = failure([CodeInvalid, RefreshTokenInvalid], 'The code or the refresh token is not good, for whatever reason')

const { $id, title, ...ticket } = ChallengeTicket

/** As version 2, in the article's envelope. */
const routes: FastifyPluginAsyncTypebox = async function authV1 (app) {
  app.post('/v1/auth/challenges', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'v1.auth.createChallenge',
      tags,
      summary: 'Ask for a sign-in code',
      description: 'Mails a code to the address if it has an account. The answer is the same whether it has one or not.',
      body: ChallengeRequest,
      response: { 202: Envelope(ticket, 'ChallengeTicketV1'), 400: Failure, 429: exhausted }
    }
  }, async (request, reply) => {
    reply.code(202)
    return success(await app.auth.requestCode({ email: request.body.email, network: networkOf(request.ip) }, request.id))
  })

  app.post('/v1/auth/tokens', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'v1.auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: '`code` exchanges the code from a mail; `refresh_token` exchanges a refresh token for new tokens.',
      body: TokenRequest,
      response: { 200: Envelope(TokensV1, 'TokensV1'), 400: Failure, 401: invalid }
    }
  }, async ({ body, id }) => success(await app.auth.createTokens(body, id)))
}
export default routes
