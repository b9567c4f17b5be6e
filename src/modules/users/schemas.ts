import { Type, type Static } from '@sinclair/typebox'
import { Email } from '../../shared/email-address.ts'
import { Id, Timestamp } from '../../shared/ids.ts'
import { Locale } from '../../shared/locale.ts'
import { PersonName } from '../../shared/person-name.ts'

const Strict = { additionalProperties: false }

const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the first code from a mail has proved the address'
})
const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])

/** Today's user, as version 2 answers it. A field that is added here is stored, cached and answered. */
export const User = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  locale: Locale,
  status: Status,
  role: Role,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, description: 'Grows by one with each change; the ETag names it' })
}, { $id: 'User', title: 'User' })
export type User = Static<typeof User>

/** What the users table, and so the cache, holds of a user. */
export const StoredUser = Type.Object({
  ...User.properties,
  // TypeBox itself checks what the table gives back: it knows no `format`, and counts UTF-16 units where JSON Schema
  // counts characters.
  name: Type.String(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

/** What is said of oneself when registering; kept only once the address is proved. */
export const Proposal = Type.Object({ name: Type.String(), locale: Type.String() }, Strict)
export type Proposal = Static<typeof Proposal>

/** Version 2's registration. */
export const Registration = Type.Object({
  email: Email,
  name: PersonName,
  locale: Type.Optional(Locale)
}, { ...Strict, $id: 'Registration', title: 'Registration' })
export type Registration = Static<typeof Registration>

/** What may be changed of a user. Every property is a field of `User`, and is stored as it is given. */
export const UserPatch = Type.Object({
  name: Type.Optional(PersonName),
  locale: Type.Optional(Locale),
  status: Type.Optional(Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], { description: 'Admins only' })),
  role: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('admin')], { description: 'Admins only' }))
}, { ...Strict, minProperties: 1, title: 'UserPatch', examples: [{ name: 'Ada King' }] })
export type UserPatch = Static<typeof UserPatch>

/** The fields of a patch that only an admin may set. */
export const ADMIN_FIELDS = ['status', 'role'] as const satisfies readonly (keyof UserPatch)[]

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'User id' }) })
export const ReadHeaders = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1024, description: 'ETags the client holds' })) })

// ── What the outbox of the users table holds ─────────────────────────────────────────────────────────────────────────

/** A user as an event shows it: checked as what the table gives back is. */
const Snapshot = Type.Omit(StoredUser, ['expiresAt'], Strict)

export const USERS_ENTRIES = {
  /** `welcome`: the address has not been mailed yet, as after a registration that asked for no code */
  'user.registered': Type.Object({ user: Snapshot, welcome: Type.Boolean() }),
  'user.verified': Type.Object({ user: Snapshot }),
  'user.updated': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }),
  'user.suspended': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }),
  /** `email`: for modules that have to erase what they keep under it; no event tells it */
  'user.deleted': Type.Object({ userId: Type.String(), userVersion: Type.Integer(), email: Type.String() })
}

// ── Version 1, frozen: nothing that is added to version 2's user shows in it ─────────────────────────────────────────

export const UserIdParamsV1 = Type.Object({ userId: Type.String({ maxLength: 64, description: 'User id' }) })
export const RegistrationV1 = Type.Object({ email: Email, name: PersonName }, { ...Strict, title: 'RegistrationV1' })
export const NamePatchV1 = Type.Object({ name: PersonName }, { ...Strict, title: 'NamePatch' })
export const CreatedV1 = Type.Object({ userId: Id, email: Email, name: PersonName })
export const UserV1 = Type.Object({ userId: Id, email: Email, name: PersonName, status: Status, createdAt: Timestamp, updatedAt: Timestamp })
