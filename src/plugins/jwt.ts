import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
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

// RFC 9068 §2.1: a token of another type, such as an id token, is not an access token.
const TYPE = 'at+jwt'

// Our tokens are under 1 KiB. Larger ones are rejected unread.
const MAX_TOKEN = 4096

/** Verified tokens cached per key: at about 2 KiB each, two megabytes. */
const VERIFIED_TOKENS = 1000

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
    verify: {
      algorithms: ['EdDSA'],
      allowedIss: JWT_ISSUER,
      allowedAud: JWT_AUDIENCE,
      checkTyp: TYPE,
      requiredClaims: ['iss', 'aud', 'sub', 'userId', 'email', 'role', 'sid', 'jti', 'iat', 'exp'],
      // An Ed25519 verification costs 110 µs of CPU, a cached one 8 µs. The cache key is the SHA-512 of the whole token,
      // under the key that its kid names now. Entries last until the token expires; failures are not cached.
      cache: VERIFIED_TOKENS
    },
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
        header: { alg: 'EdDSA', typ: TYPE, kid },
        iss: JWT_ISSUER,
        aud: JWT_AUDIENCE,
        sub,
        jti: newId(),
        expiresIn: ACCESS_TOKEN_TTL_SECONDS
      })
    }
  })

  app.decorate('authenticate', async (request) => {
    if ((request.headers.authorization?.length ?? 0) > MAX_TOKEN) throw new Unauthorized()
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
