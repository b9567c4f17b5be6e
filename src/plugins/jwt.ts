import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
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
    verify: tokenRules({ issuer: JWT_ISSUER, audience: JWT_AUDIENCE }),
    // The cached object is shared, so each request gets a copy.
    formatUser: claims => ({ ...claims }) as AccessClaims
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

  app.decorate('authenticate', async (request) => {
    if ((request.headers.authorization?.length ?? 0) > MAX_AUTHORIZATION) throw new Unauthorized()
    try {
      await request.jwtVerify()
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
