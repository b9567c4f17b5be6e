import { Type, type Static } from '@sinclair/typebox'
import { CanonicalEmail, Email } from '../../shared/email-address.ts'
import { Id, Timestamp } from '../../shared/ids.ts'
import { CanonicalLocale, Locale } from '../../shared/locale.ts'
import { PersonName, ShownName } from '../../shared/person-name.ts'

const Strict = { additionalProperties: false }

/** Larger than any account can reach; it fits 32 bits. */
const MAX_VERSION = 2_147_483_647

const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the address is confirmed with a code'
})
const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])

/** The user as version 2 returns it. A field that is added here is stored, cached and returned. */
export const User = Type.Object({
  id: Id,
  email: CanonicalEmail,
  name: ShownName,
  locale: CanonicalLocale,
  status: Status,
  role: Role,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, maximum: MAX_VERSION, description: 'Increases by one with each change; part of the ETag' })
}, { $id: 'User', title: 'User' })
export type User = Static<typeof User>

/** A user as the users table and the cache hold it. */
export const StoredUser = Type.Object({
  ...User.properties,
  // TypeBox itself checks items read from the table. It knows no `format`, and counts UTF-16 units where JSON Schema counts
  // characters.
  name: Type.String(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

/** The part of a registration that is kept only once the address is confirmed. */
export const Proposal = Type.Object({ name: Type.String(), locale: Type.String() }, Strict)
export type Proposal = Static<typeof Proposal>

/** Version 2's registration. */
export const Registration = Type.Object({
  email: Email,
  name: PersonName,
  locale: Type.Optional(Locale)
}, { ...Strict, $id: 'Registration', title: 'Registration' })
export type Registration = Static<typeof Registration>

/** The fields of a user that may be changed. Every property is a field of `User` and is stored as given. */
export const UserPatch = Type.Object({
  name: Type.Optional(PersonName),
  locale: Type.Optional(Locale),
  status: Type.Optional(Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], { description: 'Admins only' })),
  role: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('admin')], { description: 'Admins only' }))
}, { ...Strict, minProperties: 1, title: 'UserPatch', examples: [{ name: 'Ada King' }] })
export type UserPatch = Static<typeof UserPatch>

/** The fields of a patch that only an admin may set. */
export const ADMIN_FIELDS = ['status', 'role'] as const satisfies readonly (keyof UserPatch)[]

/** Every text in a path is an id. Most are the id of no user. */
const AnyId = Type.String({ maxLength: 64, pattern: '^[^\\u0000-\\u001f]*$', description: 'User id', examples: Id.examples as string[] })

export const IdParams = Type.Object({ id: AnyId })
export const ReadHeaders = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1024, pattern: '^[^\\r\\n]*$', description: 'ETags the client holds' })) })

// ── What the outbox of the users table holds ─────────────────────────────────────────────────────────────────────────

/** A user as an event shows it. Checked by TypeBox like items read from the table. */
const Snapshot = Type.Omit(StoredUser, ['expiresAt'], Strict)

export const USERS_ENTRIES = {
  /** `welcome`: no code has been mailed to the address yet, as after a v1 registration */
  'user.registered': Type.Object({ user: Snapshot, welcome: Type.Boolean() }, { description: 'An account was opened. Its address is not confirmed yet' }),
  'user.verified': Type.Object({ user: Snapshot }, { description: 'The address of an account was confirmed' }),
  'user.updated': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }, { description: 'Fields of an account were changed' }),
  'user.suspended': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }, { description: 'An admin suspended an account. Its sessions have ended' }),
  /** `email`: for modules that must erase data that they keep under it; it is in no published event */
  'user.deleted': Type.Object({ userId: Type.String(), userVersion: Type.Integer(), email: Type.String() }, { description: 'An account and its personal data were erased' })
}

// ── Version 1, frozen: fields that are added to version 2's user do not appear in it ─────────────────────────────────

export const UserIdParamsV1 = Type.Object({ userId: AnyId })
export const RegistrationV1 = Type.Object({ email: Email, name: PersonName }, { ...Strict, title: 'RegistrationV1' })
export const NamePatchV1 = Type.Object({ name: PersonName }, { ...Strict, title: 'NamePatch' })
export const CreatedV1 = Type.Object({ userId: Id, email: CanonicalEmail, name: ShownName })
export const UserV1 = Type.Object({ userId: Id, email: CanonicalEmail, name: ShownName, status: Status, createdAt: Timestamp, updatedAt: Timestamp })
