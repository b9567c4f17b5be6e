import type { Outbox, OutboxEntry } from '../../shared/outbox.ts'

export type UserStatus = 'PENDING_VERIFICATION' | 'ACTIVE' | 'SUSPENDED'
export type UserRole = 'user' | 'admin'

export interface User {
  id: string
  /** canonical, see shared/email-address */
  email: string
  name: string
  status: UserStatus
  role: UserRole
  /** ISO 8601 */
  createdAt: string
  /** ISO 8601 */
  updatedAt: string
  /** grows by one with each write */
  version: number
}

/** Where the proof of an address can be given: the id a client gets, and until when. */
export interface ChallengeTicket {
  challengeId: string
  /** ISO 8601 */
  expiresAt: string
}

/** A v2 registration as it was asked for. Behind the stream it becomes an account or a "you already have one" mail. */
export type RegistrationRequested = OutboxEntry<'registration.requested', ChallengeTicket & { userId: string, email: string, name: string }>
export type UserRegistered = OutboxEntry<'user.registered', ChallengeTicket & { user: User }>
export type UserVerified = OutboxEntry<'user.verified', { user: User }>
export type UserUpdated = OutboxEntry<'user.updated', { user: User, changed: ('name' | 'status' | 'role')[] }>
export type UserDeleted = OutboxEntry<'user.deleted', { userId: string }>
/** What the users table's outbox holds. */
export type UsersEntry = RegistrationRequested | UserRegistered | UserVerified | UserUpdated | UserDeleted

export type RegistrationOutcome =
  | { outcome: 'created', entry: UserRegistered }
  | { outcome: 'exists', user: User }
  /** all of it was done before: this is a late repetition, and there may be no account any more */
  | { outcome: 'done' }

/** What other modules may ask of the users module. */
export interface UsersService {
  /** The article's registration: the account is there when this resolves. Throws USERS_EMAIL_TAKEN. */
  register (input: { email: string, name: string }, correlationId: string): Promise<User>
  /** Today's registration: one write, the same for known and unknown addresses. */
  requestRegistration (input: { email: string, name: string }, correlationId: string): Promise<ChallengeTicket>
  /** A user by id, through the cache; `undefined` when there is none or it has expired. */
  get (id: string): Promise<User | undefined>
  /** A user by id as the table has it at this moment. */
  getFresh (id: string): Promise<User | undefined>
  /** A user by canonical address, as the table has it at this moment. */
  findByEmail (email: string): Promise<User | undefined>
  /** Somebody has proved to own this canonical address: a pending account becomes active. `undefined` when no account has the address. */
  verifyEmail (email: string, correlationId: string): Promise<User | undefined>
  update (id: string, patch: { name?: string, status?: UserStatus, role?: UserRole }, correlationId: string): Promise<User>
  remove (id: string, correlationId: string): Promise<void>
  /** Turns a requested registration into an account, or finds that the address has one. Safe to repeat. */
  fulfilRegistration (entry: RegistrationRequested): Promise<RegistrationOutcome>
  readonly outbox: Outbox<UsersEntry>
}

declare module 'fastify' {
  interface FastifyInstance {
    users: UsersService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    RegistrationsRequested: true
    UsersRegistered: true
    UsersVerified: true
    UsersDeleted: true
  }
}
