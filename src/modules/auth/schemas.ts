import { Type, type Static } from '@sinclair/typebox'
import { UUID_PATTERN } from '../../shared/ids.ts'

const Strict = { additionalProperties: false }

const Email = Type.String({ minLength: 3, maxLength: 254, description: 'E-mail address; kept in lower case', examples: ['ada@example.com'] })
const ChallengeId = Type.String({ pattern: UUID_PATTERN, description: 'To be exchanged together with the code from the mail', examples: ['0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] })
const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T12:00:00.000Z'] })

export const ChallengeRequest = Type.Object({ email: Email }, { ...Strict, title: 'ChallengeRequest' })

export const ChallengeTicket = Type.Object({ challengeId: ChallengeId, expiresAt: Timestamp }, { $id: 'ChallengeTicket', title: 'ChallengeTicket' })

// Longer than any we make: a client may send what it likes, and what is no token is a 401 and not a matter of its length.
const RefreshToken = Type.String({ minLength: 1, maxLength: 1024, description: 'Opaque; each use gives a new one' })

const CodeGrant = Type.Object({
  grantType: Type.Literal('code'),
  challengeId: ChallengeId,
  code: Type.String({ pattern: '^[0-9]{8}$', description: 'The 8 digits from the mail', examples: ['04815162'] })
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

// As the users module has it: a module's schemas are its own. The API documents refuse two that differ under one title.
const User = Type.Object({
  id: Type.String({ pattern: UUID_PATTERN, examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] }),
  email: Email,
  name: Type.String({
    minLength: 2,
    maxLength: 100,
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*$',
    description: 'What to call the person',
    examples: ['Ada Lovelace']
  }),
  status: Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
    description: 'Pending until the first code from a mail is exchanged'
  }),
  role: Type.Union([Type.Literal('user'), Type.Literal('admin')]),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, description: 'Grows by one with each change; the ETag follows it' })
}, { $id: 'User', title: 'User' })

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
