import { Type, type Static } from '@sinclair/typebox'
import { Email } from '../../shared/email-address.ts'
import { Id, Timestamp } from '../../shared/ids.ts'
import { Locale } from '../../shared/locale.ts'
import { PersonName } from '../../shared/person-name.ts'

const Strict = { additionalProperties: false }

const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the address is confirmed with a code'
})
const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])

/** The user as version 2 returns it. A field that is added here is stored, cached and returned. */
export const User = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  locale: Locale,
  status: Status,
  role: Role,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, description: 'Increases by one with each change; part of the ETag' })
}, { $id: 'User', title: 'User' })
export type User = Static<typeof User>

/** An address that an account had before. It stays claimed until the change can no longer be undone. */
export const FormerAddress = Type.Object({
  email: Type.String(),
  until: Type.Integer({ description: 'seconds since the epoch' }),
  challengeId: Type.String({ description: 'the code for this challenge undoes the change' }),
  madeAdmin: Type.Optional(Type.Literal(true, { description: 'the change made the account an admin' }))
}, Strict)
export type FormerAddress = Static<typeof FormerAddress>

/** A user as the users table and the cache hold it. */
export const StoredUser = Type.Object({
  ...User.properties,
  // TypeBox itself checks items read from the table. It knows no `format`, and counts UTF-16 units where JSON Schema counts
  // characters.
  name: Type.String(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' })),
  sessions: Type.Optional(Type.Object({
    since: Type.Integer({ description: 'sessions that started at an earlier version of the account have ended; the number in a session id is that version' }),
    kept: Type.Optional(Type.String({ description: 'the one older session that has not' }))
  }, Strict)),
  formerAddresses: Type.Optional(Type.Array(FormerAddress, { description: 'oldest first' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

/** The fields of a stored user that only the table needs: no answer and no event has them. */
export const TABLE_ONLY = ['expiresAt', 'sessions', 'formerAddresses'] as const satisfies readonly (keyof StoredUser)[]

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

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'User id' }) })
export const ReadHeaders = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1024, description: 'ETags the client holds' })) })

// ── What the outbox of the users table holds ─────────────────────────────────────────────────────────────────────────

/** A user as an event shows it. Checked by TypeBox like items read from the table. */
const Snapshot = Type.Omit(StoredUser, TABLE_ONLY, Strict)

export const USERS_ENTRIES = {
  /** `welcome`: no code has been mailed to the address yet, as after a v1 registration */
  'user.registered': Type.Object({ user: Snapshot, welcome: Type.Boolean() }),
  'user.verified': Type.Object({ user: Snapshot }),
  'user.updated': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }),
  'user.suspended': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }),
  /** `previousEmail` and `undo` are in no published event. `undo`: how the owner of the previous address undoes the change, and until when (ISO 8601) */
  'user.email-changed': Type.Object({
    user: Snapshot,
    changed: Type.Array(Type.String()),
    previousEmail: Type.String(),
    undo: Type.Optional(Type.Object({ challengeId: Type.String(), until: Type.String() }))
  }),
  /** All sessions have ended. For modules that keep sessions; it is not published */
  'user.signed-out': Type.Object({ userVersion: Type.Integer() }),
  /** `email`: for modules that must erase data that they keep under it; it is in no published event */
  'user.deleted': Type.Object({ userId: Type.String(), userVersion: Type.Integer(), email: Type.String() })
}

// ── Version 1, frozen: fields that are added to version 2's user do not appear in it ─────────────────────────────────

export const UserIdParamsV1 = Type.Object({ userId: Type.String({ maxLength: 64, description: 'User id' }) })
export const RegistrationV1 = Type.Object({ email: Email, name: PersonName }, { ...Strict, title: 'RegistrationV1' })
export const NamePatchV1 = Type.Object({ name: PersonName }, { ...Strict, title: 'NamePatch' })
export const CreatedV1 = Type.Object({ userId: Id, email: Email, name: PersonName })
export const UserV1 = Type.Object({ userId: Id, email: Email, name: PersonName, status: Status, createdAt: Timestamp, updatedAt: Timestamp })
