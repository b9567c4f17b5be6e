import { Type, type Static } from '@sinclair/typebox'
import { ChallengeTicket, Email, User } from '../../shared/schemas.ts'

const Strict = { additionalProperties: false }

export const ChallengeRequest = Type.Object({ email: Email }, { ...Strict, title: 'ChallengeRequest' })

// Longer than any we make: a client may send what it likes, and what is no token is a 401 and not a matter of its length.
const RefreshToken = Type.String({ minLength: 1, maxLength: 1024, description: 'Opaque; each use gives a new one' })

const CodeGrant = Type.Object({
  grantType: Type.Literal('code'),
  challengeId: ChallengeTicket.properties.challengeId,
  code: Type.String({ pattern: '^[0-9]{8}$', 'x-expected': '8 digits', description: 'The 8 digits from the mail', examples: ['04815162'] })
}, { ...Strict, title: 'CodeGrant' })

const RefreshGrant = Type.Object({
  grantType: Type.Literal('refresh_token'),
  refreshToken: RefreshToken
}, { ...Strict, title: 'RefreshGrant' })

/** Either grant. With the discriminator a fault is told of the grant that was meant, and not of both. */
export const TokenRequest = Type.Unsafe<Static<typeof CodeGrant> | Static<typeof RefreshGrant>>({
  type: 'object',
  title: 'TokenRequest',
  discriminator: { propertyName: 'grantType' },
  oneOf: [CodeGrant, RefreshGrant]
})

export const Revocation = Type.Object({ refreshToken: RefreshToken }, { ...Strict, title: 'Revocation' })

export const Tokens = Type.Object({
  accessToken: Type.String({ description: 'Signed JWT (RFC 9068), for `Authorization: Bearer`' }),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ description: 'Seconds the access token lives', examples: [600] }),
  refreshToken: Type.String({ description: 'For the next access token. Keep the newest only: an old one that turns up later ends the session' }),
  user: User
}, { $id: 'Tokens', title: 'Tokens' })

/** Version 1: the article's envelope. */
export const ChallengeTicketV1 = Type.Object({ success: Type.Literal(true), data: Type.Object(ChallengeTicket.properties) }, { title: 'ChallengeTicketV1' })
export const TokensV1 = Type.Object({ success: Type.Literal(true), data: Type.Object(Tokens.properties) }, { title: 'TokensV1' })

export const JsonWebKeySet = Type.Object({
  keys: Type.Array(Type.Object({
    kty: Type.Literal('OKP'),
    crv: Type.Literal('Ed25519'),
    x: Type.String(),
    kid: Type.String(),
    alg: Type.Literal('EdDSA'),
    use: Type.Literal('sig')
  }))
}, { title: 'JsonWebKeySet' })
