import { Type, type Static } from '@sinclair/typebox'
import { CanonicalEmail, Email } from '../../shared/email-address.ts'
import { CorrelationId, EXAMPLE_ID, Id, Timestamp } from '../../shared/ids.ts'
import { CanonicalLocale, Locale } from '../../shared/locale.ts'
import { MAX_PAGE, NextCursor, Paging } from '../../shared/paging.ts'
import { PersonName, ShownName } from '../../shared/person-name.ts'

const Strict = { additionalProperties: false }

/** Larger than any account can reach; it fits 32 bits. */
const MAX_VERSION = 2_147_483_647

const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the address is confirmed with a code'
})
const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])

const mailStatus = (since: ReturnType<typeof Type.String>) => Type.Optional(Type.Object({
  status: Type.Union([Type.Literal('bounced'), Type.Literal('complained')], { description: '`bounced`: the mailbox does not exist, and no mail is sent for seven days. `complained`: the recipient marked a mail as spam; codes to sign in are still sent' }),
  since
}, { ...Strict, title: 'MailStatus', description: 'What became of the last mail to the address; absent while mails arrive as far as is known. A code that the address confirms removes it, and so does another address' }))

/** The user as version 2 returns it. A field that is added here is stored, cached and returned. */
export const User = Type.Object({
  id: Id,
  email: CanonicalEmail,
  name: ShownName,
  locale: CanonicalLocale,
  status: Status,
  role: Role,
  avatarUrl: Type.Optional(Type.String({ format: 'uri', maxLength: 2048, description: 'Where the picture of the user is; absent without one', examples: ['https://users.example.com/avatars/3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11/1795348800000-0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] })),
  mail: mailStatus(Timestamp),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, maximum: MAX_VERSION, description: 'Increases by one with each change; part of the ETag' })
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
  mail: mailStatus(Type.String()),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  avatarUrl: Type.Optional(Type.String({ description: 'made of the avatar when the item is read; not in the table' })),
  avatar: Type.Optional(Type.Object({ path: Type.Optional(Type.String()), order: Type.Integer() }, { ...Strict, description: 'see avatar-url.ts' })),
  expiresAt: Type.Optional(Type.Integer({ description: 'seconds since the epoch; pending accounts only' })),
  sessions: Type.Optional(Type.Object({
    since: Type.Integer({ description: 'sessions that started at an earlier version of the account have ended; the number in a session id is that version' }),
    kept: Type.Optional(Type.String({ description: 'the one older session that has not' }))
  }, Strict)),
  formerAddresses: Type.Optional(Type.Array(FormerAddress, { description: 'oldest first' }))
}, Strict)
export type StoredUser = Static<typeof StoredUser>

/** The fields of a stored user that only the table needs: no answer and no event has them. */
const TABLE_ONLY = ['expiresAt', 'avatar', 'sessions', 'formerAddresses'] as const satisfies readonly (keyof StoredUser)[]

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

/** The fields of a user that may be changed, as a merge patch (RFC 7396); an empty one changes nothing. Every property is a field of `User` and is stored as given; `mail` can only be removed. */
export const UserPatch = Type.Object({
  name: Type.Optional(PersonName),
  locale: Type.Optional(Locale),
  status: Type.Optional(Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], { description: 'Admins only' })),
  role: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('admin')], { description: 'Admins only' })),
  mail: Type.Optional(Type.Null({ description: 'Removes the mark that mails do not arrive: they are sent again at once' }))
}, { ...Strict, title: 'UserPatch', examples: [{ name: 'Ada King' }] })
export type UserPatch = Static<typeof UserPatch>

/** The fields of a patch that only an admin may set. */
export const ADMIN_FIELDS = ['status', 'role'] as const satisfies readonly (keyof UserPatch)[]

/** Every text in a path is an id. Most are the id of no user. */
const AnyId = Type.String({ maxLength: 64, pattern: '^[\\s\\S]*$', description: 'User id', examples: Id.examples as string[] })

export const IdParams = Type.Object({ id: AnyId })
export const ReadHeaders = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1024, pattern: '^[^\\r\\n]*$', description: 'ETags the client holds' })) })

// ── For admins ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The most users of a batch-get or a batch. */
const MAX_USERS = 100

const UserRef = Type.Unsafe<User>({ $ref: 'User#' })

export const ListQuery = Type.Object({
  ...Paging,
  status: Type.Optional(Type.Unsafe<Static<typeof Status>>({ type: 'string', enum: Status.anyOf.map(status => status.const), description: 'Only accounts with this status' })),
  email: Type.Optional(Type.Unsafe<string>({ ...Email, description: 'The account with this address, in any spelling' }))
}, Strict)
export type ListQuery = Static<typeof ListQuery>

export const UserPage = Type.Object({
  items: Type.Array(UserRef, { maxItems: MAX_PAGE, description: 'Newest first' }),
  nextCursor: NextCursor
}, { title: 'UserPage' })
export type UserPage = Static<typeof UserPage>

export const BatchGet = Type.Object({ ids: Type.Array(Id, { minItems: 1, maxItems: MAX_USERS, uniqueItems: true, description: 'Ids of users, each once' }) }, { ...Strict, title: 'BatchGet', examples: [{ ids: [EXAMPLE_ID] }] })
export const BatchOfUsers = Type.Object({
  items: Type.Array(UserRef, { maxItems: MAX_USERS, description: 'In the order of the ids' }),
  missing: Type.Array(Id, { maxItems: MAX_USERS, description: 'Ids of no user' })
}, { title: 'BatchOfUsers' })
export type BatchOfUsers = Static<typeof BatchOfUsers>

/** A row is checked when its turn comes, so that a bad one does not stop the others. */
const Row = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  maxProperties: 20,
  properties: { email: { description: Email.description }, name: { description: PersonName.description }, locale: { description: Locale.description } },
  description: 'A `Registration`. An invalid one gets status 400 in its result'
})
export const BatchRegistration = Type.Object({ users: Type.Array(Row, { minItems: 1, maxItems: MAX_USERS }) }, {
  ...Strict, title: 'BatchRegistration', examples: [{ users: [{ email: 'ada@example.com', name: 'Ada Lovelace' }, { email: 'grace@example.com', name: 'Grace Hopper', locale: 'de' }] }]
})

const BatchResult = Type.Object({
  index: Type.Integer({ minimum: 0, maximum: MAX_USERS - 1, description: 'Position of the row in the request' }),
  status: Type.Unsafe<201 | 400 | 409>({ type: 'integer', enum: [201, 400, 409], minimum: 201, maximum: 409, description: 'What the row would have got as a request of its own' }),
  id: Type.Optional(Id),
  code: Type.Optional(Type.String({ maxLength: 64, pattern: '^[A-Z0-9_]+$', description: 'Why the row was not registered, for programs', examples: ['USERS_EMAIL_TAKEN'] })),
  detail: Type.Optional(Type.String({ maxLength: 4096, pattern: '\\S', description: 'The same in words' }))
}, { title: 'BatchResult' })
export type BatchResult = Static<typeof BatchResult>
export const BatchResults = Type.Object({ results: Type.Array(BatchResult, { maxItems: MAX_USERS, description: 'One for each row, in the same order' }) }, {
  title: 'BatchResults', examples: [{ results: [{ index: 0, status: 201, id: EXAMPLE_ID }, { index: 1, status: 409, code: 'USERS_EMAIL_TAKEN', detail: 'User already exists' }] }]
})

export const Invited = Type.Object({ id: Id }, { title: 'Invited' })

/** What an admin did with another account. Names no one but by id. */
export const AuditLine = Type.Object({
  id: Id,
  at: Timestamp,
  actorId: Type.Unsafe<string>({ ...Id, description: 'The admin' }),
  action: Type.Union([Type.Literal('register'), Type.Literal('invite'), Type.Literal('update'), Type.Literal('delete')]),
  changed: Type.Optional(Type.Array(Type.String({ maxLength: 64, pattern: '^[a-zA-Z]+$', examples: ['status'] }), { maxItems: 20, description: 'The fields that were changed' })),
  status: Type.Optional(Type.String({ maxLength: 64, pattern: '^[A-Z_]+$', examples: ['SUSPENDED'], description: 'The new status, if it was changed' })),
  role: Type.Optional(Type.String({ maxLength: 64, pattern: '^[a-z]+$', examples: ['admin'], description: 'The new role, if it was changed' })),
  correlationId: Type.Unsafe<string>({ ...CorrelationId, description: 'Of the request, as in the log' })
}, { ...Strict, title: 'AuditLine' })
export type AuditLine = Static<typeof AuditLine>

/** An audit line as the table holds it: TypeBox, which checks it, knows no `format`. */
export const StoredAuditLine = Type.Object({ ...AuditLine.properties, at: Type.String() }, Strict)

export const AuditQuery = Type.Object(Paging, Strict)
export type AuditQuery = Static<typeof AuditQuery>
export const AuditPage = Type.Object({
  items: Type.Array(AuditLine, { maxItems: MAX_PAGE, description: 'Newest first' }),
  nextCursor: NextCursor
}, { title: 'AuditPage' })
export type AuditPage = Static<typeof AuditPage>
/** A line of the audit as its subject may see it: not who acted. */
export const ExportedAction = Type.Omit(AuditLine, ['id', 'actorId', 'correlationId'], { title: 'ExportedAction', examples: [{ at: '2026-11-22T12:00:00.000Z', action: 'update', changed: ['role'], role: 'admin' }] })

/** A former address of an account, for its user. */
export const ExportedAddress = Type.Object({
  email: CanonicalEmail,
  until: Type.String({ ...Timestamp, description: 'Until when the change can be undone' })
}, { title: 'ExportedAddress' })

/** What every export has; modules add their parts, see `createExport`. */
export const UserExport = Type.Object({
  exportedAt: Timestamp,
  account: User
}, { title: 'UserExport' })
export type UserExport = Static<typeof UserExport>

// ── What the outbox of the users table holds ─────────────────────────────────────────────────────────────────────────

/** A user as an event shows it. Checked by TypeBox like items read from the table. */
const Snapshot = Type.Omit(StoredUser, TABLE_ONLY, Strict)

const InvitedBy = Type.Optional(Type.String({ description: 'id of the admin whose invitation it is' }))

export const USERS_ENTRIES = {
  /** `welcome`: no code has been mailed to the address yet, as after a v1 registration */
  'user.registered': Type.Object({ user: Snapshot, welcome: Type.Boolean(), invitedBy: InvitedBy }, { description: 'An account was opened. Its address is not confirmed yet' }),
  /** a pending account is invited once more; for other modules, and not published */
  'user.invited': Type.Object({ invitedBy: InvitedBy }),
  /** `readmits`: an earlier mail to the address had bounced or was complained about; in no published event */
  'user.verified': Type.Object({ user: Snapshot, readmits: Type.Optional(Type.Literal(true)) }, { description: 'The address of an account was confirmed' }),
  'user.updated': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }, { description: 'Fields of an account were changed' }),
  'user.suspended': Type.Object({ user: Snapshot, changed: Type.Array(Type.String()) }, { description: 'An admin suspended an account. Its sessions have ended' }),
  /** `previousEmail` and `undo` are in no published event. `undo`: how the owner of the previous address undoes the change, and until when (ISO 8601) */
  'user.email-changed': Type.Object({
    user: Snapshot,
    changed: Type.Array(Type.String()),
    previousEmail: Type.String(),
    undo: Type.Optional(Type.Object({ challengeId: Type.String(), until: Type.String() }))
  }, { description: 'The address of an account was changed, or the change was undone' }),
  /** All sessions have ended. For modules that keep sessions; it is not published */
  'user.signed-out': Type.Object({ userVersion: Type.Integer() }),
  /** `email`, and `formerEmails` that the account could have had back: for modules that must erase data that they keep under them; in no published event */
  'user.deleted': Type.Object({ userId: Type.String(), userVersion: Type.Integer(), email: Type.String(), formerEmails: Type.Optional(Type.Array(Type.String())) }, { description: 'An account and its personal data were erased' })
}

// ── Version 1, frozen: fields that are added to version 2's user do not appear in it ─────────────────────────────────

export const UserIdParamsV1 = Type.Object({ userId: AnyId })
export const RegistrationV1 = Type.Object({ email: Email, name: PersonName }, { ...Strict, title: 'RegistrationV1' })
export const NamePatchV1 = Type.Object({ name: PersonName }, { ...Strict, title: 'NamePatch' })
export const CreatedV1 = Type.Object({ userId: Id, email: CanonicalEmail, name: ShownName })
export const UserV1 = Type.Object({ userId: Id, email: CanonicalEmail, name: ShownName, status: Status, createdAt: Timestamp, updatedAt: Timestamp })
