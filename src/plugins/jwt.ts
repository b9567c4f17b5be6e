import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { MAX_AUTHORIZATION, TOKEN_TYPE, tokenRules } from '../shared/access-token.ts'
import { Forbidden, Unauthorized } from '../shared/errors.ts'
import { newId } from '../shared/ids.ts'

/** The claims of an access token, besides `iss`, `aud`, `jti`, `iat` and `exp`. */
export interface AccessClaims {
  sub: string
  /** same as `sub`; the article's authorizer passes it on under this name */
  userId: string
  email: string
  role: 'user' | 'admin'
  /** the session the token belongs to */
  sid: string
}

export interface AccessTokens {
  /** Rejects with a 503 when the key may have been retired and the lookup fails. */
  sign (claims: Omit<AccessClaims, 'userId'>): Promise<string>
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: Omit<AccessClaims, 'sub'>
    user: AccessClaims
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    /** `onRequest` hook of every scope that needs a signed-in user; sets `request.user`. */
    authenticate: onRequestAsyncHookHandler
    /** `onRequest` hook for admin-only scopes; runs after `authenticate`. */
    requireAdmin: onRequestAsyncHookHandler
    accessTokens: AccessTokens
  }
}

/** Verified tokens that are remembered: at about 2 KiB each, two megabytes. */
const VERIFIED = 1000

interface Verified {
  kid: string
  claims: AccessClaims
  /** milliseconds since the epoch */
  expiry: number
}

/** Access tokens in the format of RFC 9068, signed with Ed25519, with every option fixed (RFC 8725). */
export default fp(async function jwt (app) {
  const { JWT_ISSUER, JWT_AUDIENCE, ACCESS_TOKEN_TTL_SECONDS } = app.config

  await app.register(fastifyJwt, {
    secret: {
      // accessTokens passes its own key when it signs.
      private: async () => { throw new Error('Access tokens are signed by accessTokens.sign') },
      public: async (_request: FastifyRequest, token: fastifyJwt.TokenOrHeader) => {
        const kid: unknown = token['header'].kid
        const publicKey = typeof kid === 'string' ? await app.signingKeys.publicKey(kid) : undefined
        if (publicKey === undefined) throw new Unauthorized()
        return publicKey
      }
    },
    decode: { complete: true },
    // Verified tokens are remembered below, by their text.
    verify: { ...tokenRules({ issuer: JWT_ISSUER, audience: JWT_AUDIENCE }), cache: false }
  })

  app.decorate('accessTokens', {
    async sign (claims) {
      const { sub, ...rest } = claims
      const { privateKey, kid } = await app.signingKeys.current()
      return app.jwt.sign({ ...rest, userId: sub }, {
        algorithm: 'EdDSA',
        key: privateKey,
        header: { alg: 'EdDSA', typ: TOKEN_TYPE, kid },
        iss: JWT_ISSUER,
        aud: JWT_AUDIENCE,
        sub,
        jti: newId(),
        expiresIn: ACCESS_TOKEN_TTL_SECONDS
      })
    }
  })

  // By the whole header. fast-jwt's own cache decodes the token and computes its SHA-512 for each lookup: a fifth of a request.
  const verified = new LRUCache<string, Verified>({ max: VERIFIED })

  /** Remembers a token that has just been verified, under its key. Tokens that are rejected are not remembered. */
  function remember (authorization: string, claims: AccessClaims): void {
    const { header: { kid }, payload: { exp } } = app.jwt.decode(authorization.split(' ')[1]!) as unknown as { header: { kid: string }, payload: { exp: number } }
    verified.set(authorization, { kid, claims, expiry: exp * 1000 })
  }

  /** The claims of a token that was verified before, has not expired since and whose key has not been retired since. */
  async function recall (authorization: string): Promise<AccessClaims | undefined> {
    const known = verified.get(authorization)
    if (known === undefined) return undefined
    // The key for each request, as for an unknown token: this is what notices a rotation.
    if (Date.now() < known.expiry && await app.signingKeys.publicKey(known.kid) !== undefined) return known.claims
    verified.delete(authorization)
  }

  app.decorate('authenticate', async (request) => {
    const { authorization = '' } = request.headers
    if (authorization.length > MAX_AUTHORIZATION) throw new Unauthorized()
    try {
      let claims = await recall(authorization)
      if (claims === undefined) {
        claims = await request.jwtVerify<AccessClaims>()
        remember(authorization, claims)
      }
      // Each request gets a copy, because the remembered claims are shared.
      request.user = { ...claims }
    } catch (error) {
      // Every bad token gets the same answer, so that attackers learn nothing. A secret that cannot be fetched is a 503 instead.
      if ((error as { statusCode?: number }).statusCode === 503) throw error
      throw new Unauthorized()
    }
  })

  app.decorate('requireAdmin', async (request) => {
    if (request.user.role !== 'admin') throw new Forbidden()
  })
}, { name: 'jwt', dependencies: ['config', 'keys'] })
