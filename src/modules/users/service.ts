import { Value } from '@sinclair/typebox/value'
import { randomUUID } from 'node:crypto'
import { canonicalEmail } from '../../shared/email-address.ts'
import { Unavailable, validationError } from '../../shared/errors.ts'
import { newId, UUID_PATTERN } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import type { Cache } from '../../plugins/cache.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { User, UserRegistered, UsersEntry, UsersService } from './contract.ts'
import { EmailTaken, UserConflict, UserNotFound } from './errors.ts'
import type { UsersRepository } from './repository.ts'
import { StoredUser } from './schemas.ts'

/** Seconds after which an account whose address nobody proved to own is gone. */
const PENDING_LIFETIME = 7 * 24 * 3600

/** Times a change is applied anew to what somebody else has changed in between. */
const SAVE_ATTEMPTS = 5

/** Milliseconds for which a code can be used after it was asked for. */
const CHALLENGE_LIFETIME = 10 * 60_000

const newChallenge = (at: Date) => ({ challengeId: randomUUID(), expiresAt: new Date(at.getTime() + CHALLENGE_LIFETIME).toISOString() })

const UUID = new RegExp(UUID_PATTERN)

const cacheKey = (id: string) => `user:${id}`

function identity (input: { email: string, name: string }): { email: string, name: string } {
  const email = canonicalEmail(input.email)
  if (email === undefined) throw validationError([{ pointer: '/email', detail: 'is not an e-mail address' }])
  return { email, name: personName(input.name) }
}

// The schema has refused control characters and lengths; what it cannot see is what remains after trimming.
function personName (input: string): string {
  const name = input.trim().normalize('NFC')
  if (!name.isWellFormed() || [...name].length < 2) throw validationError([{ pointer: '/name', detail: 'must have 2 characters or more' }])
  return name
}

/** The user as others see it. */
function publicUser (stored: StoredUser): User {
  const { expiresAt, ...user } = stored
  return user
}

function newUser (id: string, { email, name }: { email: string, name: string }, at: string): StoredUser {
  return {
    id,
    email,
    name,
    status: 'PENDING_VERIFICATION',
    role: 'user',
    createdAt: at,
    updatedAt: at,
    version: 1,
    expiresAt: Math.floor(Date.parse(at) / 1000) + PENDING_LIFETIME
  }
}

/** The rules of accounts. Knows neither HTTP nor the table. */
export function createUsersService (parts: {
  repository: UsersRepository
  cache: Cache
  count: Count
  adminEmails: readonly string[]
  now: () => Date
}): UsersService {
  const { repository, cache, count, adminEmails, now } = parts

  const isLive = (user: StoredUser) => user.expiresAt === undefined || user.expiresAt > now().getTime() / 1000

  async function getFresh (id: string) {
    return UUID.test(id) ? await repository.get(id) : undefined
  }

  /** Reads, changes and writes a user until nobody else has changed it in between. */
  async function change (id: string, next: (user: StoredUser) => { user: StoredUser, entry: UsersEntry } | undefined): Promise<User> {
    for (let attempt = 1; attempt <= SAVE_ATTEMPTS; attempt++) {
      const previous = await getFresh(id)
      if (previous === undefined) throw new UserNotFound()
      const changed = next(previous)
      if (changed === undefined) return publicUser(previous)
      if (await repository.save(previous, changed.user, changed.entry) === 'done') {
        await cache.write(cacheKey(id), changed.user)
        return publicUser(changed.user)
      }
    }
    throw new UserConflict()
  }

  /** The next version of a user. Only a pending account expires. */
  function nextVersion (user: StoredUser, changes: Partial<Pick<User, 'name' | 'status' | 'role'>>): StoredUser {
    const { expiresAt, ...rest } = user
    const next = { ...rest, ...changes, updatedAt: now().toISOString(), version: user.version + 1 }
    return next.status === 'PENDING_VERIFICATION' && expiresAt !== undefined ? { ...next, expiresAt } : next
  }

  return {
    async register (input, correlationId) {
      const user = newUser(newId(), identity(input), now().toISOString())
      const entry: UserRegistered = outboxEntry('user.registered', correlationId, { user: publicUser(user), ...newChallenge(now()) }, now())
      count('RegistrationsRequested')
      if (await repository.create(user, entry) === 'refused') throw new EmailTaken()
      count('UsersRegistered')
      return publicUser(user)
    },

    async requestRegistration (input, correlationId) {
      const challenge = newChallenge(now())
      await repository.outbox.put(outboxEntry('registration.requested', correlationId, { ...identity(input), userId: newId(), ...challenge }, now()))
      count('RegistrationsRequested')
      return challenge
    },

    async fulfilRegistration (entry) {
      const { userId, email, name, challengeId, expiresAt } = entry.data
      // Everything follows from the entry: a repetition writes the same.
      const user = newUser(userId, { email, name }, entry.occurredAt)
      const registered: UserRegistered = { ...entry, type: 'user.registered', data: { user: publicUser(user), challengeId, expiresAt } }
      if (await repository.fulfil(user, registered) === 'done') {
        count('UsersRegistered')
        return { outcome: 'created', entry: registered }
      }
      const held = await repository.outbox.get(entry.eventId)
      if (held === undefined) return { outcome: 'done' }
      if (held.type === 'user.registered') return { outcome: 'created', entry: held }
      const ownerId = await repository.ownerOf(email)
      const owner = ownerId === undefined ? undefined : await repository.get(ownerId)
      // Deleted or expired between two reads: the next attempt finds the address free.
      if (owner === undefined) throw new Unavailable()
      return { outcome: 'exists', user: publicUser(owner) }
    },

    async get (id) {
      if (!UUID.test(id)) return undefined
      const isThisUser = (value: unknown): value is StoredUser => Value.Check(StoredUser, value) && value.id === id
      const user = await cache.read(cacheKey(id), () => repository.get(id), isThisUser)
      return user !== undefined && isLive(user) ? publicUser(user) : undefined
    },

    async getFresh (id) {
      const user = await getFresh(id)
      return user === undefined ? undefined : publicUser(user)
    },

    async findByEmail (email) {
      const ownerId = await repository.ownerOf(email)
      const user = ownerId === undefined ? undefined : await repository.get(ownerId)
      return user === undefined ? undefined : publicUser(user)
    },

    async verifyEmail (email, correlationId) {
      const ownerId = await repository.ownerOf(email)
      if (ownerId === undefined) return undefined
      let verified = false
      try {
        const user = await change(ownerId, (previous) => {
          verified = previous.status === 'PENDING_VERIFICATION'
          const role = adminEmails.includes(previous.email) ? 'admin' : previous.role
          if (!verified && role === previous.role) return undefined
          const user = nextVersion(previous, { role, ...(verified ? { status: 'ACTIVE' } : {}) })
          const entry: UsersEntry = verified
            ? outboxEntry('user.verified', correlationId, { user: publicUser(user) }, now())
            : outboxEntry('user.updated', correlationId, { user: publicUser(user), changed: ['role' as const] }, now())
          return { user, entry }
        })
        if (verified) count('UsersVerified')
        return user
      } catch (error) {
        if (error instanceof UserNotFound) return undefined
        throw error
      }
    },

    async update (id, patch, correlationId) {
      const changes = { ...patch, ...(patch.name === undefined ? {} : { name: personName(patch.name) }) }
      return await change(id, (previous) => {
        const changed = (['name', 'status', 'role'] as const).filter(field => changes[field] !== undefined && changes[field] !== previous[field])
        if (changed.length === 0) return undefined
        const user = nextVersion(previous, changes)
        return { user, entry: outboxEntry('user.updated', correlationId, { user: publicUser(user), changed }, now()) }
      })
    },

    async remove (id, correlationId) {
      for (let attempt = 1; attempt <= SAVE_ATTEMPTS; attempt++) {
        const user = await getFresh(id)
        if (user === undefined) throw new UserNotFound()
        if (await repository.remove(user, outboxEntry('user.deleted', correlationId, { userId: id }, now())) === 'done') {
          await cache.remove(cacheKey(id), user.version + 1)
          count('UsersDeleted')
          return
        }
      }
      throw new UserConflict()
    },

    outbox: {
      acknowledge: eventId => repository.outbox.remove(eventId),
      pending: minAgeMs => repository.outbox.pending(new Date(now().getTime() - minAgeMs))
    }
  }
}
