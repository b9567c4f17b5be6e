import type { Static, TSchema } from '@sinclair/typebox'
import type { Operation } from '../../plugins/idempotency/index.ts'
import type { EntryOf } from '../../plugins/outbox/index.ts'
import type { Avatar } from './avatar-url.ts'
import type { AuditPage, AuditQuery, BatchOfUsers, BatchResult, ListQuery, Proposal, Registration, User, UserExport, UserPage, UserPatch, USERS_ENTRIES } from './schemas.ts'

export type { Avatar } from './avatar-url.ts'
export type { AuditPage, BatchResult, Registration, User, UserExport, UserPage, UserPatch } from './schemas.ts'

/** What the outbox of the users table holds. */
export type UsersEntry = EntryOf<typeof USERS_ENTRIES>
export type UsersEntryType = UsersEntry['type']

/** What followers ask about the account as it is now, besides its profile. */
export interface AccountNow {
  /** Whether a session of the account has ended. */
  hasEnded (sid: string): boolean
  /** Whether the code for a challenge still undoes a change of address. */
  canUndo (challengeId: string): boolean
}

/**
 * What another module does after a change of an account. `present` is the account as it is now, `undefined` when it is
 * gone. Runs before the event is published, and may run more than once.
 */
export type Follower<T extends UsersEntryType> = (entry: Extract<UsersEntry, { type: T }>, present: User | undefined, now: AccountNow) => Promise<void>

/** A registration that is confirmed by a mailed code. The registration whose code is used sets the account's name and language. */
export interface RequestedRegistration extends Proposal {
  /** id of the account if a new one is created */
  userId: string
  email: string
  challengeId: string
  /** ISO 8601 */
  expiresAt: string
}

/**
 * A part of a user's export. `schema` describes it in the API documents; what it does not name is left out of the answer.
 * It holds no secret: no hash, key, code or token.
 */
export interface ExportPart<S extends TSchema> {
  schema: S
  /** Reads what is stored about the user now. Not from the cache. */
  collect: (user: User) => Promise<Static<S>>
}

/**
 * The caller of an operation: claims of the access token. The caller's permissions are read from the table. Where the
 * account is read, a token is rejected when the account has ended its session or has another address than it names.
 */
export interface Actor { userId: string, sid?: string, email?: string }

/** A change of address that a session asked for and whose code was right. */
export interface EmailChange {
  userId: string
  /** canonical */
  email: string
  /** the session that asked for it */
  sid: string
}

/**
 * What admins may read. The caller's role is read from the table. Throws AUTH_TOKEN_INVALID when the caller is suspended or
 * gone, FORBIDDEN when they are not an admin.
 */
export interface UsersDirectory {
  /** A page of accounts, newest first. A page may have fewer items than the limit; `nextCursor` is `null` only at the end. Throws VALIDATION_FAILED. */
  list (actor: Actor, query: ListQuery): Promise<UserPage>
  /** The accounts with these ids, at most 100. */
  batchGet (actor: Actor, ids: string[]): Promise<BatchOfUsers>
  /** What admins did with an account, also with one that is gone. Throws USERS_NOT_FOUND, VALIDATION_FAILED. */
  audit (actor: Actor, id: string, query: AuditQuery): Promise<AuditPage>
}

/** How admins register others. Throws as `UsersDirectory` does. */
export interface UsersEnrolment {
  /** Registers each row on its own, at most 100. `locale` is the language of rows without one. */
  registerBatch (actor: Actor, rows: Record<string, unknown>[], locale: string, operation: Operation, correlationId: string): Promise<BatchResult[]>
  /** Registers a user by a mail that says who invites. An account that is still pending is invited again. Throws VALIDATION_FAILED, USERS_EMAIL_TAKEN. */
  invite (actor: Actor, registration: Required<Registration>, operation: Operation, correlationId: string): Promise<{ id: string }>
}

/** Whether a change may replace this version of an account. */
export type Expectation = (present: User) => boolean

/** The interface of the users module for other modules. */
export interface UsersService extends UsersDirectory, UsersEnrolment {
  /** The registration in the form in which it is stored. Throws VALIDATION_FAILED. */
  checkRegistration (registration: Registration): Required<Registration>
  /** The article's registration: the account exists once this resolves. Throws USERS_EMAIL_TAKEN. */
  register (registration: Registration, correlationId: string): Promise<User>
  /** Creates the account of a registration, or finds the one that has the address already. `undefined` when the account was created by this request and has been deleted since. Safe to repeat. */
  openAccount (registration: RequestedRegistration, correlationId: string): Promise<User | undefined>
  /** A user by id, read from the table and not from the cache. */
  getFresh (id: string): Promise<User | undefined>
  /** A user by canonical address, read from the table and not from the cache. */
  findByEmail (email: string): Promise<User | undefined>
  /**
   * Call it when the code of a challenge was right. `isOf` says whether the challenge was for the given address. If it was
   * for this user's, a pending account becomes active, with the name and language of that challenge's registration.
   *
   * @returns the user, or `undefined` when the code proves no user's address
   */
  verify (proof: { userId: string, challengeId: string, isOf: (email: string) => boolean }, correlationId: string): Promise<User | undefined>
  /**
   * The account of a session, read from the table. `undefined` when the session must end: the account is gone, suspended, or
   * has ended the session. A session's id is made by `newNumberedId(user.version)`, with the version of the account at its start.
   */
  ofSession (userId: string, sid: string): Promise<User | undefined>
  /** Ends all sessions of the caller. Throws AUTH_TOKEN_INVALID. @returns whether a session has ended by that */
  endSessions (actor: Actor, correlationId: string): Promise<AccountNow['hasEnded']>
  /**
   * Gives an account another address and ends all sessions but the one that asked. Call it when the code was right. Safe to
   * repeat. A pending account that has the address is erased: it has never proved it.
   *
   * @returns the user; `taken` when another account has the address, or had it until a few days ago; `exhausted` when the
   * account has changed its address too often; `undefined` when account or session may not do it
   */
  changeEmail (change: EmailChange, correlationId: string): Promise<User | 'taken' | 'exhausted' | undefined>
  /**
   * Undoes a change of address, and every later one, and ends all sessions. Call it when the code was right.
   *
   * @returns the user, or `undefined` when there is nothing to undo
   */
  restoreEmail (userId: string, challengeId: string, correlationId: string): Promise<User | undefined>
  /** Reads the account `id` through the cache, if the caller may see it. Throws USERS_NOT_FOUND, AUTH_TOKEN_INVALID. */
  read (actor: Actor, id: string): Promise<User>
  /** Changes an account. Throws USERS_NOT_FOUND, AUTH_TOKEN_INVALID, FORBIDDEN, USERS_CONFLICT, USERS_LAST_ADMIN, and PRECONDITION_FAILED if the version that it would replace is not expected. */
  update (actor: Actor, id: string, patch: UserPatch, correlationId: string, isExpected?: Expectation): Promise<User>
  /** Erases an account. Throws as `update` does. */
  remove (actor: Actor, id: string, correlationId: string, isExpected?: Expectation): Promise<void>
  /** The place of the caller's next avatar among theirs: greater than every one before, at least `at`. Throws AUTH_TOKEN_INVALID. */
  orderAvatar (actor: Actor, at: Date): Promise<number>
  /** The avatar of an account, read from the table and not from the cache; `undefined` when it never had one, or there is no account. */
  getAvatar (id: string): Promise<Avatar | undefined>
  /** The path of the avatar that an account shows, read through the cache. */
  shownAvatar (id: string): Promise<string | undefined>
  /** Shows an avatar, unless the account is not active or has a newer one, or a newer removal. Resolves to whether it is shown. Safe to repeat. */
  setAvatar (id: string, avatar: Required<Avatar>, correlationId: string): Promise<boolean>
  /** Shows none, and none that was requested before `at`. Throws AUTH_TOKEN_INVALID, USERS_CONFLICT. */
  removeAvatar (actor: Actor, at: Date, correlationId: string): Promise<void>
  /** Notes on an account that a mail to its address bounced or was complained about, unless it has another address by now or a newer note. Safe to repeat. Resolves to whether it is noted. */
  noteMail (id: string, about: { email: string, status: 'bounced' | 'complained', at: Date }, correlationId: string): Promise<boolean>
  /** Everything stored about the caller. Throws AUTH_TOKEN_INVALID. */
  exportOf (actor: Actor): Promise<UserExport>
  /** Adds a module's part to the export. Call it while the app is built. */
  contribute<S extends TSchema> (name: string, part: ExportPart<S>): void
  /** Registers what a module does after a change of an account, for example erase its own data of a deleted one. */
  follow<T extends UsersEntryType> (type: T, follower: Follower<T>): void
}

declare module 'fastify' {
  interface FastifyInstance {
    users: UsersService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    /** accounts that were created */
    UsersRegistered: true
    /** accounts whose address was confirmed for the first time */
    UsersVerified: true
    /** accounts that were deleted */
    UsersDeleted: true
  }
}
