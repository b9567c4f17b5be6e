import type { EntryOf } from '../../plugins/outbox/index.ts'
import type { Proposal, Registration, User, UserPatch, USERS_ENTRIES } from './schemas.ts'

export type { Registration, User, UserPatch } from './schemas.ts'

/** What the outbox of the users table holds. */
export type UsersEntry = EntryOf<typeof USERS_ENTRIES>
export type UsersEntryType = UsersEntry['type']

/**
 * What another module does when something has happened to an account. `present` is the account as it is now:
 * `undefined` when it is gone. Runs before the event is published, maybe more than once.
 */
export type Follower<T extends UsersEntryType> = (entry: Extract<UsersEntry, { type: T }>, present: User | undefined) => Promise<void>

/** A registration behind which a code is mailed: whose code is proved gives the account its name and language. */
export interface RequestedRegistration extends Proposal {
  /** id of the account, should it be a new one */
  userId: string
  email: string
  challengeId: string
  /** ISO 8601 */
  expiresAt: string
}

/** Who asks for a change: what they may do is read from the table. */
export interface Actor { userId: string }

/** What other modules may ask of the users module. */
export interface UsersService {
  /** A registration as it would be stored. Throws VALIDATION_FAILED. */
  checkRegistration (registration: Registration): Required<Registration>
  /** The article's registration: the account is there when this resolves. Throws USERS_EMAIL_TAKEN. */
  register (registration: Registration, correlationId: string): Promise<User>
  /** The account that a requested registration leads to: a new one, or the one that has the address. `undefined` when it was made for this request and is gone. Safe to repeat. */
  openAccount (registration: RequestedRegistration, correlationId: string): Promise<User | undefined>
  /** A user by id as the table has it at this moment. */
  getFresh (id: string): Promise<User | undefined>
  /** A user by canonical address, as the table has it at this moment. */
  findByEmail (email: string): Promise<User | undefined>
  /**
   * The code of a challenge was right. `isOf` says whether the challenge was for a user's address: when it is, a pending
   * account becomes active, under the name and in the language of that challenge's registration.
   *
   * @returns the user, or `undefined` when there is none whose address is proved by it
   */
  verify (proof: { userId: string, challengeId: string, isOf: (email: string) => boolean }, correlationId: string): Promise<User | undefined>
  /** The account `id`, through the cache, if the caller may see it. Throws USERS_NOT_FOUND, AUTH_TOKEN_INVALID. */
  read (actor: Actor, id: string): Promise<User>
  /** Changes an account. Throws USERS_NOT_FOUND, AUTH_TOKEN_INVALID, FORBIDDEN, USERS_CONFLICT. */
  update (actor: Actor, id: string, patch: UserPatch, correlationId: string): Promise<User>
  /** Erases an account. Throws as `update` does. */
  remove (actor: Actor, id: string, correlationId: string): Promise<void>
  /** Registers what a module does when something has happened to an account: erases its own data of a deleted one, say. */
  follow<T extends UsersEntryType> (type: T, follower: Follower<T>): void
}

declare module 'fastify' {
  interface FastifyInstance {
    users: UsersService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    UsersRegistered: true
    UsersVerified: true
    UsersDeleted: true
  }
}
