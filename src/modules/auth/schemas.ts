import { Type, type Static } from '@sinclair/typebox'
import { CanonicalEmail, Email } from '../../shared/email-address.ts'
import { Id, Timestamp, UUID_PATTERN } from '../../shared/ids.ts'
import { ShownName } from '../../shared/person-name.ts'
import { MAX_DEVICE } from './device.ts'
import type { Registration as RegistrationType, User } from '../users/contract.ts'

const Strict = { additionalProperties: false }

const ChallengeId = Type.String({ maxLength: 36, pattern: UUID_PATTERN, 'x-expected': 'a UUID in lower case', description: 'Send it back together with the code from the mail', examples: ['0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] })
// With room for the blanks that users copy along with it.
const Code = Type.String({ maxLength: 32, pattern: '^\\s*[0-9]{8}\\s*$', 'x-expected': '8 digits', description: 'The 8 digits from the mail. Blanks around them are ignored', examples: ['04815162'] })

/** A challenge: the code for it arrives by mail. */
export const ChallengeTicket = Type.Object({ challengeId: ChallengeId, expiresAt: Timestamp }, { $id: 'ChallengeTicket', title: 'ChallengeTicket' })
export type ChallengeTicket = Static<typeof ChallengeTicket>

/** The users module's schema, referenced by its id. */
export const Registration = Type.Unsafe<RegistrationType>({ $ref: 'Registration#' })

export const ChallengeRequest = Type.Object({ email: Email }, { ...Strict, title: 'ChallengeRequest' })

export const EmailChangeRequest = Type.Object({ email: Email }, { ...Strict, title: 'EmailChangeRequest' })

export const Verification = Type.Object({ challengeId: ChallengeId, code: Code }, { ...Strict, title: 'Verification' })

const EXAMPLE_REFRESH_TOKEN = 'l0bm2VSbRkuKJ1kLdXwGTfZLcYbJ7xJ8mXo0cNqT3uE'

// The maximum is longer than any real token, so that a string that is not a token gets a 401 and not a 400 about its length.
const RefreshToken = Type.String({ minLength: 1, maxLength: 1024, format: 'password', description: 'Opaque; each use returns a new one', examples: [EXAMPLE_REFRESH_TOKEN] })

const CodeGrant = Type.Object({ grantType: Type.Literal('code'), challengeId: ChallengeId, code: Code }, { ...Strict, title: 'CodeGrant' })
const RefreshGrant = Type.Object({ grantType: Type.Literal('refresh_token'), refreshToken: RefreshToken }, { ...Strict, title: 'RefreshGrant' })

/** Either grant. The discriminator makes errors refer to the grant that was sent, and not to both. */
export const TokenRequest = Type.Unsafe<Static<typeof CodeGrant> | Static<typeof RefreshGrant>>({
  type: 'object',
  title: 'TokenRequest',
  discriminator: { propertyName: 'grantType' },
  oneOf: [CodeGrant, RefreshGrant]
})
export type TokenRequest = Static<typeof TokenRequest>

export const Revocation = Type.Object({ refreshToken: RefreshToken }, { ...Strict, title: 'Revocation' })

const TOKENS = {
  accessToken: Type.String({ maxLength: 4096, pattern: '^[\\w-]+\\.[\\w-]+\\.[\\w-]+$', description: 'Signed JWT (RFC 9068), for `Authorization: Bearer`', examples: ['eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIzZjBlOGEzYyJ9.c2lnbmF0dXJl'] }),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ minimum: 1, maximum: 86_400, description: 'Seconds until the access token expires', examples: [600] }),
  refreshToken: Type.String({ maxLength: 1024, pattern: '^[\\w-]+$', description: 'For the next access token. Keep only the newest: an old one that is used later ends the session', examples: [EXAMPLE_REFRESH_TOKEN] })
}

/** The answer of the token endpoint, with the names of RFC 6749 §5.1 in camel case. */
export const Tokens = Type.Object({ ...TOKENS, user: Type.Unsafe<User>({ $ref: 'User#' }) }, { $id: 'Tokens', title: 'Tokens' })
export type Tokens = Static<typeof Tokens>

const BASE64URL = '^[A-Za-z0-9_-]+$'
const Device = Type.String({ minLength: 1, maxLength: MAX_DEVICE, pattern: '\\S', description: 'How the client names itself: the `User-Agent` of its last request for tokens. Absent when it sent none', examples: ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'] })

/** A session as its user may see it: none of its secrets. */
export const ExportedSession = Type.Object({
  id: Id,
  createdAt: Timestamp,
  lastUsedAt: Timestamp,
  expiresAt: Timestamp,
  device: Type.Optional(Device)
}, { title: 'ExportedSession' })

export const ExportedCode = Type.Object({
  requestedAt: Timestamp,
  open: Type.Optional(Type.Object({
    expiresAt: Timestamp,
    tries: Type.Integer({ minimum: 0, maximum: 5, description: 'Tries used' })
  }, { description: 'The state of the code while it can be used' }))
}, { title: 'ExportedCode' })
/** Sessions in an answer, newest first. */
export const MAX_LISTED = 100

export const SessionView = Type.Object({
  id: Id,
  createdAt: Timestamp,
  lastUsedAt: Type.String({ maxLength: 24, format: 'date-time', description: 'When the session last got tokens', examples: ['2026-11-22T12:10:00.000Z'] }),
  expiresAt: Type.String({ maxLength: 24, format: 'date-time', description: 'When the session ends if it is not used', examples: ['2026-12-22T12:10:00.000Z'] }),
  device: Type.Optional(Device),
  current: Type.Boolean({ description: 'Whether this request belongs to the session' })
}, { title: 'Session' })
export type SessionView = Static<typeof SessionView>

export const Sessions = Type.Object({ items: Type.Array(SessionView, { maxItems: MAX_LISTED, description: 'Newest first' }) }, { title: 'Sessions' })

export const SessionParams = Type.Object({ id: Type.String({ maxLength: 64, pattern: '^[\\s\\S]*$', description: 'Session id', examples: Id.examples as string[] }) })

export const JsonWebKeySet = Type.Object({
  keys: Type.Array(Type.Object({
    kty: Type.Literal('OKP'),
    crv: Type.Literal('Ed25519'),
    x: Type.String({ maxLength: 43, pattern: BASE64URL, description: 'The public key, base64url', examples: ['11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'] }),
    kid: Type.String({ maxLength: 43, pattern: BASE64URL, description: 'Thumbprint of the key (RFC 7638)', examples: ['kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'] }),
    alg: Type.Literal('EdDSA'),
    use: Type.Literal('sig')
  }), { maxItems: 4 })
}, { title: 'JsonWebKeySet' })

// ── Version 1, frozen: fields that are added to version 2's user do not appear in it ─────────────────────────────────

const Uri = (description: string, example: string) => Type.String({ maxLength: 2048, format: 'uri', pattern: '^https?://[^\\s]+$', description, examples: [example] })

/** RFC 8414, §2, without the members that would not be true of this service: ADR 177. */
export const ServerMetadata = Type.Object({
  issuer: Type.String({ maxLength: 255, pattern: '^[\\x21-\\x7e]+$', description: '`iss` of the access tokens: a name, unless the service was configured with a URL', examples: ['user-service'] }),
  jwks_uri: Uri('The public signing keys', 'https://users.example.com/.well-known/jwks.json'),
  grant_types_supported: Type.Array(Type.String({ maxLength: 64, pattern: '^\\S+$' }), { maxItems: 0, examples: [[]], description: 'None of OAuth\'s: `POST /v2/auth/tokens` speaks JSON, with grants of its own' }),
  response_types_supported: Type.Array(Type.String({ maxLength: 64, pattern: '^\\S+$' }), { maxItems: 0, examples: [[]], description: 'None: there is no authorization endpoint' }),
  service_documentation: Type.Optional(Uri('How to sign in; absent when the service does not serve its documentation', 'https://users.example.com/docs'))
}, { title: 'ServerMetadata' })
export type ServerMetadata = Static<typeof ServerMetadata>

export const TokensV1 = Type.Object({
  ...TOKENS,
  user: Type.Object({
    id: Id,
    email: CanonicalEmail,
    name: ShownName,
    status: Type.String({ maxLength: 32, pattern: '^[A-Z_]+$', examples: ['ACTIVE'] }),
    role: Type.String({ maxLength: 32, pattern: '^[a-z]+$', examples: ['user'] }),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    version: Type.Integer({ minimum: 1, maximum: 2_147_483_647 })
  }, { title: 'SignedInUserV1' })
})

// ── Items of the auth table. Checked by TypeBox itself, which knows no `format`. ─────────────────────────────────────

/**
 * An open challenge. It holds the account's id, and the address only as a pseudonym, except where a right code gives the
 * account that address.
 */
export const Challenge = Type.Object({
  userId: Type.String(),
  address: Type.String({ description: 'pseudonym of the address that the code is mailed to' }),
  emailChange: Type.Optional(Type.Object({ email: Type.String(), sid: Type.String({ description: 'the session that asked for it' }) }, { description: 'the code gives the account this address' })),
  undoes: Type.Optional(Type.Literal('email-change', { description: 'the code gives the account its former address back, and starts no session' }))
})
export type Challenge = Static<typeof Challenge>

/** A used refresh token of a session, kept while its successor may be requested again. */
export const RetiredToken = Type.Object({
  hash: Type.String(),
  salt: Type.String({ description: 'the salt from which its successor was derived, base64url' }),
  at: Type.Number({ description: 'when it was used, milliseconds since the epoch' })
})
export type RetiredToken = Static<typeof RetiredToken>

export const Session = Type.Object({
  userId: Type.String(),
  sid: Type.String(),
  currentHash: Type.String({ description: 'SHA-256 of the refresh token that is valid now, hex' }),
  retired: Type.Array(RetiredToken, { description: 'oldest first' }),
  familyKey: Type.String({ description: 'distinguishes tokens of this session from guesses, base64url' }),
  createdAt: Type.String({ description: 'ISO 8601' }),
  lastUsedAt: Type.String({ description: 'ISO 8601' }),
  expiresAt: Type.Number({ description: 'seconds since the epoch' }),
  device: Type.Optional(Type.String())
})
/** The part of a session that a list shows. */
export const SessionSummary = Type.Pick(Session, ['sid', 'createdAt', 'lastUsedAt', 'expiresAt', 'device'])
export type SessionSummary = Static<typeof SessionSummary>
export type Session = Static<typeof Session>

export const AUTH_ENTRIES = {
  /** A code was requested. Whether the address has an account is looked up later, by the handler behind the stream. */
  'code.requested': Type.Object({
    challengeId: Type.String(),
    expiresAt: Type.String(),
    email: Type.String(),
    userId: Type.String({ description: 'id of the account if the registration creates one' }),
    network: Type.String({ description: "pseudonym of the client's network; for the version before this one, which runs beside it during a deployment" }),
    registration: Type.Optional(Type.Object({ name: Type.String(), locale: Type.String() })),
    invitedBy: Type.Optional(Type.String({ description: 'id of the admin whose invitation it is; put by the version before this one only' }))
  }),
  /** A code to change the address of an account was requested. Whether it may get the address is decided when the code is used. */
  'email-change.requested': Type.Object({
    challengeId: Type.String(),
    expiresAt: Type.String(),
    email: Type.String({ description: 'the new address' }),
    userId: Type.String(),
    sid: Type.String({ description: 'the session that asked for it' }),
    network: Type.String({ description: 'as above' })
  })
}
