import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { Forbidden, Unauthorized } from '../shared/errors.ts'
import { newId } from '../shared/ids.ts'

/** What an access token says of its bearer, beside `iss`, `aud`, `jti`, `iat` and `exp`. */
export interface AccessClaims {
  sub: string
  /** same as `sub`; the article's authorizer hands it on under this name */
  userId: string
  email: string
  role: 'user' | 'admin'
  /** the session the token belongs to */
  sid: string
}

export interface AccessTokens {
  /** Rejects with a 503 when the key may have been retired and that cannot be looked up. */
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
    /** `onRequest` hook after `authenticate` in scopes for admins only. */
    requireAdmin: onRequestAsyncHookHandler
    accessTokens: AccessTokens
  }
}

// RFC 9068 §2.1: a token of another type, an id token say, is not an access token.
const TYPE = 'at+jwt'

// A token of ours is under 1 KiB. What is larger is not looked at.
const MAX_TOKEN = 4096

/** Verified tokens remembered for each key: at 2 KiB or so each, two megabytes. */
const VERIFIED_TOKENS = 1000

/** Access tokens: RFC 9068 in shape, Ed25519, every choice pinned (RFC 8725). */
export default fp(async function jwt (app) {
  const { JWT_ISSUER, JWT_AUDIENCE, ACCESS_TOKEN_TTL_SECONDS } = app.config

  await app.register(fastifyJwt, {
    secret: {
      // Signing names its key itself, see accessTokens.
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
      // An Ed25519 verification is 110 µs of CPU, a token that was verified before 8. Found by the SHA-512 of the whole
      // token, under the key that its kid stands for now, until it expires; failures are not kept.
      cache: VERIFIED_TOKENS
    },
    // What is cached is one object: each request gets its own.
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
      // One answer for every bad token: what is wrong with it is nobody's business. A secret that cannot be fetched is not its fault.
      if ((error as { statusCode?: number }).statusCode === 503) throw error
      throw new Unauthorized()
    }
  })

  app.decorate('requireAdmin', async (request) => {
    if (request.user.role !== 'admin') throw new Forbidden()
  })
}, { name: 'jwt', dependencies: ['config', 'keys'] })
