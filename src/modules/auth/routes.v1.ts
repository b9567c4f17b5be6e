import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Envelope, Failure, failure, success } from '../../shared/envelope.ts'
import { networkOf } from '../../shared/network.ts'
import { CodeInvalid, CodesExhausted, EmailChangesExhausted, EmailTaken, RefreshTokenInvalid } from './errors.ts'
import { ChallengeRequest, ChallengeTicket, TokenRequest, TokensV1 } from './schemas.ts'
import { createTokens } from './token-request.ts'

const tags = ['auth']
const exhausted = failure(CodesExhausted, 'Too many codes have been sent to this address')
const invalid = failure([CodeInvalid, RefreshTokenInvalid], 'The code or refresh token is not valid; every reason gets the same answer')

const taken = failure([EmailTaken, EmailChangesExhausted], 'The code was right, and the account cannot get the address')

const { $id, title, ...ticket } = ChallengeTicket

/** The same as version 2, in the article's envelope. */
const routes: FastifyPluginAsyncTypebox = async function authV1 (app) {
  app.post('/v1/auth/challenges', {
    config: { limit: 'mail' },
    schema: {
      operationId: 'v1.auth.createChallenge',
      tags,
      summary: 'Request a sign-in code',
      description: 'Mails a code to the address if it has an account. Addresses without an account get the same answer.',
      body: ChallengeRequest,
      response: { 202: Envelope(ticket, 'ChallengeTicketV1'), 400: Failure, 429: exhausted }
    }
  }, async (request, reply) => {
    reply.code(202)
    return success(await app.auth.requestCode({ email: request.body.email, network: networkOf(request.ip) }, request.id))
  })

  app.post('/v1/auth/tokens', {
    config: { limit: 'credential' },
    schema: {
      operationId: 'v1.auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: 'The grant `code` exchanges the code from a mail for tokens. The grant `refresh_token` exchanges a refresh token for new tokens.',
      body: TokenRequest,
      response: { 200: Envelope(TokensV1, 'TokensV1'), 400: Failure, 401: invalid, 409: taken }
    }
  }, async request => success(await createTokens(request)))
}
export default routes
