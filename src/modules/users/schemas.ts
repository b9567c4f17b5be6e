import { Type, type Static } from '@sinclair/typebox'
import { Email, Id, Name, Status, Timestamp, User } from '../../shared/schemas.ts'

const Strict = { additionalProperties: false }

/**
 * What the users table, and so the cache, holds of a user. Checked by TypeBox itself, which refuses every `format` that
 * nobody registered and counts UTF-16 units where JSON Schema counts characters: its texts are plain.
 */
export const StoredUser = Type.Object({
  ...User.properties,
  name: Type.String(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

export const Registration = Type.Object({ email: Email, name: Name }, { ...Strict, title: 'Registration' })

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
