import { Type, type Static } from '@sinclair/typebox'
import { Email } from '../../shared/email-address.ts'
import { Id, Timestamp, UUID_PATTERN } from '../../shared/ids.ts'
import type { Registration as RegistrationType, User } from '../users/contract.ts'

const Strict = { additionalProperties: false }

const ChallengeId = Type.String({ pattern: UUID_PATTERN, description: 'To be exchanged together with the code from the mail', examples: ['0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] })
const Code = Type.String({ pattern: '^[0-9]{8}$', 'x-expected': '8 digits', description: 'The 8 digits from the mail', examples: ['04815162'] })

/** Where the proof of an address can be given. */
export const ChallengeTicket = Type.Object({ challengeId: ChallengeId, expiresAt: Timestamp }, { $id: 'ChallengeTicket', title: 'ChallengeTicket' })
export type ChallengeTicket = Static<typeof ChallengeTicket>

/** The users module's own schema, found by its id. */
export const Registration = Type.Unsafe<RegistrationType>({ $ref: 'Registration#' })

export const ChallengeRequest = Type.Object({ email: Email }, { ...Strict, title: 'ChallengeRequest' })

export const Verification = Type.Object({ challengeId: ChallengeId, code: Code }, { ...Strict, title: 'Verification' })

// Longer than any we make: a client may send what it likes, and what is no token is a 401 and not a matter of its length.
const RefreshToken = Type.String({ minLength: 1, maxLength: 1024, description: 'Opaque; each use gives a new one' })

const CodeGrant = Type.Object({ grantType: Type.Literal('code'), challengeId: ChallengeId, code: Code }, { ...Strict, title: 'CodeGrant' })
const RefreshGrant = Type.Object({ grantType: Type.Literal('refresh_token'), refreshToken: RefreshToken }, { ...Strict, title: 'RefreshGrant' })

/** Either grant. With the discriminator a fault is reported for the grant that was meant, and not for both. */
export const TokenRequest = Type.Unsafe<Static<typeof CodeGrant> | Static<typeof RefreshGrant>>({
  type: 'object',
  title: 'TokenRequest',
  discriminator: { propertyName: 'grantType' },
  oneOf: [CodeGrant, RefreshGrant]
})
export type TokenRequest = Static<typeof TokenRequest>

export const Revocation = Type.Object({ refreshToken: RefreshToken }, { ...Strict, title: 'Revocation' })

const TOKENS = {
  accessToken: Type.String({ description: 'Signed JWT (RFC 9068), for `Authorization: Bearer`' }),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ description: 'Seconds the access token lives', examples: [600] }),
  refreshToken: Type.String({ description: 'For the next access token. Keep the newest only: an old one that turns up later ends the session' })
}

/** Answer of the token endpoint, in the names of RFC 6749 §5.1, camel-cased. */
export const Tokens = Type.Object({ ...TOKENS, user: Type.Unsafe<User>({ $ref: 'User#' }) }, { $id: 'Tokens', title: 'Tokens' })
export type Tokens = Static<typeof Tokens>

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

// ── Version 1, frozen: nothing that is added to version 2's user shows in it ─────────────────────────────────────────

export const TokensV1 = Type.Object({
  ...TOKENS,
  user: Type.Object({
    id: Id,
    email: Email,
    name: Type.String(),
    status: Type.String(),
    role: Type.String(),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    version: Type.Integer()
  }, { title: 'SignedInUserV1' })
})

// ── What the auth table holds. Checked by TypeBox itself, which knows no `format`. ───────────────────────────────────

/** A challenge that can be answered. It names the account, and the address by a pseudonym alone. */
export const Challenge = Type.Object({ userId: Type.String(), address: Type.String() })
export type Challenge = Static<typeof Challenge>

/** A token of a session that was used, kept while its successor may be asked for again. */
export const RetiredToken = Type.Object({
  hash: Type.String(),
  salt: Type.String({ description: 'what its successor was made with, base64url' }),
  at: Type.Number({ description: 'when it was used, milliseconds since the epoch' })
})
export type RetiredToken = Static<typeof RetiredToken>

export const Session = Type.Object({
  userId: Type.String(),
  sid: Type.String(),
  currentHash: Type.String({ description: 'SHA-256 of the one refresh token that is good now, hex' }),
  retired: Type.Array(RetiredToken, { description: 'oldest first' }),
  familyKey: Type.String({ description: 'tells tokens of this session from guesses, base64url' }),
  createdAt: Type.String({ description: 'ISO 8601' }),
  lastUsedAt: Type.String({ description: 'ISO 8601' }),
  expiresAt: Type.Number({ description: 'seconds since the epoch' })
})
export type Session = Static<typeof Session>

export const AUTH_ENTRIES = {
  /** A code was asked for. What the address belongs to is looked up behind the stream. */
  'code.requested': Type.Object({
    challengeId: Type.String(),
    expiresAt: Type.String(),
    email: Type.String(),
    userId: Type.String({ description: 'id of the account, should the registration lead to a new one' }),
    network: Type.String({ description: 'pseudonym of the network that asked' }),
    registration: Type.Optional(Type.Object({ name: Type.String(), locale: Type.String() }))
  })
}
