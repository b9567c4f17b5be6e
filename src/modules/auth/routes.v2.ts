import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { preferredLocale } from '../../shared/locale.ts'
import { networkOf } from '../../shared/network.ts'
import { Problem, problem } from '../../shared/problem.ts'
import { createStaticAnswer } from '../../shared/static-answer.ts'
import { CodeInvalid, CodesExhausted, RefreshTokenInvalid } from './errors.ts'
import { ChallengeRequest, ChallengeTicket, JsonWebKeySet, Registration, Revocation, TokenRequest, Tokens, Verification } from './schemas.ts'
import { readVerifyPage } from './verify-page.ts'

const tags = ['auth']
const exhausted = problem(CodesExhausted, 'The address has been sent as many codes as it may get')

const CODE_LIMITS = 'From one network, an address gets at most 5 codes an hour and 10 a day; from all together 15 and 30.'

/** Today's contract, and what has no version. */
const routes: FastifyPluginAsyncTypebox = async function authV2 (app) {
  app.post('/v2/users', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'users.create',
      tags: ['users'],
      summary: 'Register',
      description: `Mails a code to the address: a welcome to one that was never proved, "you already have an account" to one that was. The answer is the same for both. Name and language are those of the registration whose code is exchanged. ${CODE_LIMITS}`,
      body: Registration,
      response: { 202: ChallengeTicket, 400: Problem, 429: exhausted }
    }
  }, async (request, reply) => {
    const { email, name, locale = preferredLocale(request.headers['accept-language']) } = request.body
    reply.code(202)
    return await app.auth.requestCode({ email, registration: { name, locale }, network: networkOf(request.ip) }, request.id)
  })

  app.post('/v2/auth/challenges', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'auth.createChallenge',
      tags,
      summary: 'Ask for a sign-in code',
      description: `Mails a code to the address if it has an account. The answer is the same whether it has one or not. ${CODE_LIMITS}`,
      body: ChallengeRequest,
      response: { 202: ChallengeTicket, 400: Problem, 429: exhausted }
    }
  }, async (request, reply) => {
    reply.code(202)
    return await app.auth.requestCode({ email: request.body.email, network: networkOf(request.ip) }, request.id)
  })

  app.post('/v2/auth/verify', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'auth.verify',
      tags,
      summary: 'Confirm an address',
      description: 'Proves that the address of a challenge can be read, and signs nobody in: the code can still be exchanged for tokens, once. A wrong code takes one of the five tries of its challenge.',
      body: Verification,
      response: { 204: Type.Null({ description: 'Confirmed' }), 400: Problem, 401: problem(CodeInvalid, 'The code is not good, for whatever reason') }
    }
  }, async ({ body, id }, reply) => {
    await app.auth.verify(body.challengeId, body.code, id)
    return await reply.code(204).send(null)
  })

  app.post('/v2/auth/tokens', {
    config: { limit: 'moderate' },
    schema: {
      operationId: 'auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: '`code` exchanges the code from a mail: five tries, ten minutes, once. The first success verifies the address. ' +
        '`refresh_token` exchanges a refresh token for new tokens; the old one keeps giving the same answer for 10 seconds, and ends the session when it is used later.',
      body: TokenRequest,
      response: { 200: Tokens, 400: Problem, 401: problem([CodeInvalid, RefreshTokenInvalid], 'The code or the refresh token is not good, for whatever reason') }
    }
  }, async ({ body, id }) => await app.auth.createTokens(body, id))

  app.post('/v2/auth/revoke', {
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
    return { keys: app.keys.jwks }
  })

  const page = await readVerifyPage()
  app.get('/verify', { schema: { hide: true } }, createStaticAnswer({
    load: () => page.html,
    type: 'text/html; charset=utf-8',
    cacheControl: 'no-store',
    headers: { 'content-security-policy': page.policy }
  }))
}
export default routes
