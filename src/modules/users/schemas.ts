import { Type, type Static } from '@sinclair/typebox'
import { UUID_PATTERN } from '../../shared/ids.ts'

const Strict = { additionalProperties: false }

// No control character, line or paragraph separator, or bidirectional override: a name goes into mails and logs.
const NAME_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*$'

export const Email = Type.String({ minLength: 3, maxLength: 254, description: 'E-mail address; kept in lower case', examples: ['ada@example.com'] })
export const Name = Type.String({ minLength: 2, maxLength: 100, pattern: NAME_PATTERN, description: 'What to call the person', examples: ['Ada Lovelace'] })
export const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the first code from a mail is exchanged'
})
const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])
const Id = Type.String({ pattern: UUID_PATTERN, examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] })
const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T12:00:00.000Z'] })

/** Version 2's user. */
export const User = Type.Object({
  id: Id,
  email: Email,
  name: Name,
  status: Status,
  role: Role,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, description: 'Grows by one with each change; the ETag follows it' })
}, { $id: 'User', title: 'User' })

/** What the users table, and so the cache, holds of a user. TypeBox's own check refuses every `format` nobody registered: its dates are plain texts. */
export const StoredUser = Type.Object({
  ...User.properties,
  createdAt: Type.String(),
  updatedAt: Type.String(),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

export const Registration = Type.Object({ email: Email, name: Name }, { ...Strict, title: 'Registration' })

export const ChallengeTicket = Type.Object({
  challengeId: Type.String({ pattern: UUID_PATTERN, description: 'To be exchanged together with the code from the mail', examples: ['0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] }),
  expiresAt: Timestamp
}, { $id: 'ChallengeTicket', title: 'ChallengeTicket' })

export const UserPatch = Type.Object({
  name: Type.Optional(Name),
  status: Type.Optional(Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], { description: 'Admins only' })),
  role: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('admin')], { description: 'Admins only' }))
}, { ...Strict, minProperties: 1, title: 'UserPatch', examples: [{ name: 'Ada King' }] })

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'User id' }) })
export const UserIdParams = Type.Object({ userId: Type.String({ maxLength: 64, description: 'User id' }) })

export const ReadHeaders = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1024, description: 'ETags the client holds' })) })

/** Version 1: the article's envelope. */
const Envelope = <T extends Parameters<typeof Type.Object>[0]>(properties: T, title: string) =>
  Type.Object({ success: Type.Literal(true), data: Type.Object(properties) }, { title })

const userV1 = { userId: Id, email: Email, name: Name, status: Status, createdAt: Timestamp, updatedAt: Timestamp }
export const CreatedV1 = Envelope({ userId: Id, email: Email, name: Name }, 'UserCreatedV1')
export const UserV1 = Envelope(userV1, 'UserV1')
export const NamePatchV1 = Type.Object({ name: Name }, { ...Strict, title: 'NamePatch' })
