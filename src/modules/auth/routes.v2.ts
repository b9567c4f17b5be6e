import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { preferredLocale } from '../../shared/locale.ts'
import { networkOf } from '../../shared/network.ts'
import { Problem, problem } from '../../shared/problem.ts'
import { CodeInvalid, CodesExhausted, EmailChangesExhausted, EmailTaken, RefreshTokenInvalid, SessionNotFound } from './errors.ts'
import { ChallengeRequest, ChallengeTicket, EmailChangeRequest, JsonWebKeySet, Registration, Revocation, ServerMetadata, SessionParams, Sessions, TokenRequest, Tokens, Verification } from './schemas.ts'
import { serverMetadata } from './server-metadata.ts'
import { createTokens } from './token-request.ts'
import { createVerifyPage } from './verify-page.ts'

const tags = ['auth']
const exhausted = problem(CodesExhausted, 'Too many codes have been sent to this address')
const invalid = problem(CodeInvalid, 'The code is not valid; every reason gets the same answer')
const taken = problem([EmailTaken, EmailChangesExhausted], 'The code is right, and the account cannot get the address')
const security = [{ bearer: [] }]

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
      description: 'Confirms the address of a challenge without signing in. The code can still be exchanged for tokens once. Each challenge allows five wrong codes. ' +
        'The code of a change of address gives the account its new address. The code of a notice about such a change gives the account its former address back and ends all sessions; it cannot be exchanged for tokens.',
      body: Verification,
      response: { 204: Type.Null({ description: 'Confirmed' }), 400: Problem, 401: invalid, 409: taken }
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
        'The code of a change of address also gives the account its new address. ' +
        'The grant `refresh_token` exchanges a refresh token for new tokens. For 10 seconds the old token gets the same answer again; used later, it ends the session.',
      body: TokenRequest,
      response: { 200: Tokens, 400: Problem, 401: problem([CodeInvalid, RefreshTokenInvalid], 'The code or refresh token is not valid; every reason gets the same answer'), 409: taken }
    }
  }, createTokens)

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
    await app.auth.revoke(request.body.refreshToken, who => Object.assign(request.audit, who))
    return await reply.code(204).send(null)
  })

  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    app.get('/v2/users/me/sessions', {
      schema: {
        operationId: 'sessions.list',
        tags,
        summary: 'List your sessions',
        description: 'The sessions that have not ended, newest first, at most 100. Each is one sign-in on one client.',
        security,
        response: { 200: Sessions, 401: Problem }
      }
    }, async ({ user }) => ({ items: await app.auth.listSessions(user) }))

    app.delete('/v2/users/me/sessions', {
      schema: {
        operationId: 'sessions.endAll',
        tags,
        summary: 'Log out everywhere',
        description: 'Ends all your sessions, this one included: no refresh token works any more. Access tokens that were issued before get 401 wherever the account is read. A request for a change of address that is not confirmed yet ends with its session.',
        security,
        response: { 204: Type.Null({ description: 'Logged out everywhere' }), 401: Problem }
      }
    }, async ({ user, id }, reply) => {
      await app.auth.endSessions(user, id)
      return await reply.code(204).send(null)
    })

    app.delete('/v2/users/me/sessions/:id', {
      schema: {
        operationId: 'sessions.end',
        tags,
        summary: 'End one of your sessions',
        description: 'Ends the session at once: its refresh token does not work any more. Its last access token can still read and change the account until it expires, ten minutes after it was issued; log out everywhere to end that too.',
        security,
        params: SessionParams,
        response: { 204: Type.Null({ description: 'Ended' }), 401: Problem, 404: problem(SessionNotFound, 'No such session, or another user\'s session') }
      }
    }, async ({ user, params }, reply) => {
      await app.auth.endSession(user, params.id)
      return await reply.code(204).send(null)
    })

    app.post('/v2/users/me/email', {
      config: { limit: 'mail', idempotent: true },
      schema: {
        operationId: 'users.changeEmail',
        tags: ['users'],
        summary: 'Change your address',
        description: 'Mails a code to the new address. Free and used addresses get the same answer. Confirm the code with `POST /v2/auth/verify`, or sign in with it: the account then has the new address, ' +
          'and all its sessions end except the one that asked, which must refresh its access token. The former address gets a notice with a link that undoes the change for seven days; until then no other account can have that address. ' +
          `The request ends with the session that made it. ${CODE_LIMITS}`,
        security,
        body: EmailChangeRequest,
        response: { 202: ChallengeTicket, 400: Problem, 401: Problem, 429: exhausted }
      }
    }, async (request, reply) => {
      reply.code(202)
      return await app.auth.requestEmailChange(request.user, { email: request.body.email, network: networkOf(request.ip), operation: request.operation }, request.id)
    })
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
    // A verifier fetches it again anyway when it finds an unknown kid. A minute, so that a key that has leaked is soon gone.
    reply.header('cache-control', 'public, max-age=60')
    return { keys: app.keys.jwks }
  })

  const metadata = serverMetadata(app.config)
  app.get('/.well-known/oauth-authorization-server', {
    schema: {
      operationId: 'auth.metadata',
      tags: ['service'],
      summary: 'Issuer and keys of the tokens',
      description: 'What a verifier of access tokens needs, as OAuth 2.0 Authorization Server Metadata (RFC 8414). No endpoint for tokens is in it: OAuth clients send forms, and this service reads JSON.',
      response: { 200: ServerMetadata }
    }
  }, async (_request, reply) => {
    // It changes only with a deployment.
    reply.header('cache-control', 'public, max-age=3600')
    return metadata
  })

  const { BRAND_NAME, BRAND_COLOR, BRAND_LOGO_URL } = app.config
  app.get('/verify', { schema: { hide: true } }, createVerifyPage({ name: BRAND_NAME, colour: BRAND_COLOR, logoUrl: BRAND_LOGO_URL }))
}
export default routes
