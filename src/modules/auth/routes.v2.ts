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
const exhausted = problem(CodesExhausted, 'Too many codes have been sent to this address')

const CODE_LIMITS = 'One network can request at most 5 codes an hour and 10 a day for an address; all networks together 15 and 30.'

/** The current version, and the endpoints without a version. */
const routes: FastifyPluginAsyncTypebox = async function authV2 (app) {
  app.post('/v2/users', {
    config: { limit: 'mail', idempotent: true },
    schema: {
      operationId: 'users.create',
      tags: ['users'],
      summary: 'Register',
      description: `Mails a code to the address: a welcome mail if the address is not confirmed yet, "you already have an account" if it is. Both get the same answer. The account gets the name and language of the registration whose code is used. ${CODE_LIMITS}`,
      body: Registration,
      response: { 202: ChallengeTicket, 400: Problem, 429: exhausted }
    }
  }, async (request, reply) => {
    const { email, name, locale = preferredLocale(request.headers['accept-language']) } = request.body
    reply.code(202)
    return await app.auth.requestCode({ email, registration: { name, locale }, network: networkOf(request.ip), operation: request.operation }, request.id)
  })

  app.post('/v2/auth/challenges', {
    config: { limit: 'mail', idempotent: true },
    schema: {
      operationId: 'auth.createChallenge',
      tags,
      summary: 'Request a sign-in code',
      description: `Mails a code to the address if it has an account. Addresses without an account get the same answer. ${CODE_LIMITS}`,
      body: ChallengeRequest,
      response: { 202: ChallengeTicket, 400: Problem, 429: exhausted }
    }
  }, async (request, reply) => {
    reply.code(202)
    return await app.auth.requestCode({ email: request.body.email, network: networkOf(request.ip), operation: request.operation }, request.id)
  })

  app.post('/v2/auth/verify', {
    config: { limit: 'credential' },
    schema: {
      operationId: 'auth.verify',
      tags,
      summary: 'Confirm an address',
      description: 'Confirms the address of a challenge without signing in. The code can still be exchanged for tokens once. Each challenge allows five wrong codes.',
      body: Verification,
      response: { 204: Type.Null({ description: 'Confirmed' }), 400: Problem, 401: problem(CodeInvalid, 'The code is not valid; every reason gets the same answer') }
    }
  }, async ({ body, id }, reply) => {
    await app.auth.verify(body.challengeId, body.code, id)
    return await reply.code(204).send(null)
  })

  app.post('/v2/auth/tokens', {
    config: { limit: 'credential' },
    schema: {
      operationId: 'auth.createTokens',
      tags,
      summary: 'Sign in, or stay signed in',
      description: 'The grant `code` exchanges the code from a mail for tokens. A code works once, for ten minutes, with five tries. The first success confirms the address. ' +
        'The grant `refresh_token` exchanges a refresh token for new tokens. For 10 seconds the old token gets the same answer again; used later, it ends the session.',
      body: TokenRequest,
      response: { 200: Tokens, 400: Problem, 401: problem([CodeInvalid, RefreshTokenInvalid], 'The code or refresh token is not valid; every reason gets the same answer') }
    }
  }, async ({ body, id }) => await app.auth.createTokens(body, id))

  app.post('/v2/auth/revoke', {
    config: { limit: 'credential' },
    schema: {
      operationId: 'auth.revoke',
      tags,
      summary: 'Sign out',
      description: 'Ends the session of a refresh token. Unknown tokens get the same answer (RFC 7009).',
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
      description: 'The current signing key and the previous one, as a JSON Web Key Set (RFC 7517). Fetch it again when a token has a `kid` that is not in the set.',
      response: { 200: JsonWebKeySet }
    }
  }, async (_request, reply) => {
    // Five minutes: a verifier fetches it again anyway when it finds an unknown kid.
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
