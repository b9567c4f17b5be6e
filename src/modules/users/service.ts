import { Value } from '@sinclair/typebox/value'
import { canonicalEmail } from '../../shared/email-address.ts'
import { Forbidden, PreconditionFailed, Unauthorized, Unavailable, validationError, type FieldError } from '../../shared/errors.ts'
import { newId, UUID } from '../../shared/ids.ts'
import { canonicalLocale, DEFAULT_LOCALE } from '../../shared/locale.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { normalName } from '../../shared/person-name.ts'
import type { Cache } from '../../plugins/cache.ts'
import type { Count } from '../../plugins/metrics.ts'
import { accountNow, isActing, openAddresses, publicUser, withoutMail } from './account-state.ts'
import { createAvatars } from './avatars.ts'
import type { Actor, Expectation, Registration, User, UserExport, UserPatch, UsersDirectory, UsersEnrolment, UsersEntry, UsersService } from './contract.ts'
import { createEmailChanges } from './email-change.ts'
import { EmailTaken, UserConflict, UserNotFound } from './errors.ts'
import { createMail } from './mail.ts'
import type { By, Circumstances, UsersRepository, WriteOutcome } from './repository.ts'
import { ADMIN_FIELDS, StoredUser, UserPatch as UserPatchSchema, type Proposal } from './schemas.ts'

/** Seconds after which an account expires whose address was never confirmed. */
const PENDING_LIFETIME = 7 * 24 * 3600

/** `mail` is removed and not stored. */
const PATCH_FIELDS = (Object.keys(UserPatchSchema.properties) as (keyof UserPatch)[]).filter(field => field !== 'mail')

/** A change of the caller's own account. */
const OWN: By = { adminId: undefined }

const cacheKey = (id: string) => `user:${id}`

/** Normalizes each field that users type, or gives `undefined` when it is invalid. The schema has checked the rest. */
const NORMAL_FORMS = {
  email: { of: canonicalEmail, detail: 'is not an e-mail address' },
  name: { of: normalName, detail: 'must have at least 2 visible characters, and no invisible ones' },
  locale: { of: canonicalLocale, detail: 'is not a language tag' }
}

/** The fields of a registration or a patch as they are stored. Throws VALIDATION_FAILED with every invalid field. */
export function normalized<T extends Partial<Registration>> (input: T): T {
  const result: Partial<Registration> = { ...input }
  const errors: FieldError[] = []
  for (const [field, { of, detail }] of Object.entries(NORMAL_FORMS) as [keyof Registration, { of: (text: string) => string | undefined, detail: string }][]) {
    const typed = input[field]
    if (typed === undefined) continue
    const normal = of(typed)
    if (normal === undefined) errors.push({ pointer: `/${field}`, detail })
    else result[field] = normal
  }
  if (errors.length > 0) throw validationError(errors)
  return result as T
}

/** A pending account that is created at a time. */
export function newAccount ({ id, email, name, locale }: Required<Registration> & { id: string }, at: Date): StoredUser {
  return {
    id,
    email,
    name,
    locale,
    status: 'PENDING_VERIFICATION',
    role: 'user',
    createdAt: at.toISOString(),
    updatedAt: at.toISOString(),
    version: 1,
    expiresAt: Math.floor(at.getTime() / 1000) + PENDING_LIFETIME
  }
}

export interface ServiceOptions {
  repository: UsersRepository
  cache: Cache
  count: Count
  adminEmails: readonly string[]
  publicUrl: string
  now: () => Date
  follow: UsersService['follow']
  contribute: UsersService['contribute']
  /** Collects every module's part of an export. */
  collect: (account: StoredUser) => Promise<UserExport>
}

/** What this service does itself; the rest is in directory.ts and enrolment.ts. */
export type AccountsService = Omit<UsersService, keyof (UsersDirectory & UsersEnrolment)>

/** The rules of accounts, independent of HTTP and of the table. */
export function createService ({ repository, cache, count, adminEmails, publicUrl, now, follow, contribute, collect }: ServiceOptions): AccountsService {
  async function getFresh (id: string) {
    return UUID.test(id) ? await repository.get(id) : undefined
  }

  /** Reads a user through the cache: for display only, never to decide anything. */
  async function getCached (id: string) {
    if (!UUID.test(id)) return undefined
    const isThisUser = (value: unknown): value is StoredUser => Value.Check(StoredUser, value) && value.id === id
    const user = await cache.read(cacheKey(id), () => repository.get(id), isThisUser)
    return user?.expiresAt !== undefined && user.expiresAt <= now().getTime() / 1000 ? undefined : user
  }

  const shownUsers = new WeakMap<StoredUser, User>()
  /** What is shown of a cached record. Made once for each, because all readers share a record, which is frozen; so is this. */
  function shownUser (cached: StoredUser): User {
    let user = shownUsers.get(cached)
    if (user === undefined) {
      user = Object.freeze(publicUser(cached))
      if (Object.isFrozen(cached)) shownUsers.set(cached, user)
    }
    return user
  }

  /** Rejects a caller who may not touch another account, as if that account did not exist. */
  async function admitAdmin (actor: Actor): Promise<By> {
    const self = await getFresh(actor.userId)
    if (!isActing(self, actor)) throw new Unauthorized()
    if (self.role !== 'admin') throw new UserNotFound()
    return { adminId: self.id }
  }

  /** Reads the account to change and its caller from the table, so that the caller's status and role are current. */
  async function target (actor: Actor, id: string): Promise<{ previous: StoredUser, by: By }> {
    if (id !== actor.userId) {
      const by = await admitAdmin(actor)
      const previous = await getFresh(id)
      if (previous === undefined) throw new UserNotFound()
      return { previous, by }
    }
    const previous = await getFresh(id)
    if (!isActing(previous, actor)) throw new Unauthorized()
    return { previous, by: OWN }
  }

  /** The write that follows is refused unless this very version is still there, so that no other one is replaced. */
  function expect (previous: StoredUser, isExpected: Expectation = () => true): void {
    if (!isExpected(publicUser(previous))) throw new PreconditionFailed()
  }

  const isDone = (outcome: WriteOutcome) => outcome !== 'refused'

  /** Writes the next version of a user; `undefined` when the user has changed since it was read. */
  async function save (previous: StoredUser, next: StoredUser, entry: UsersEntry, by: By = OWN, circumstances: Circumstances = {}): Promise<User | undefined> {
    if (!isDone(await repository.save(previous, next, entry, by, circumstances))) return undefined
    const { displaced } = circumstances
    if (displaced !== undefined) await cache.remove(cacheKey(displaced.user.id), displaced.user.version + 1)
    await cache.write(cacheKey(next.id), next)
    return publicUser(next)
  }

  /** Builds the next version of a user. Only a pending account expires. Addresses that it cannot have back any more are forgotten. */
  function nextVersion (user: StoredUser, changes: Partial<StoredUser>): StoredUser {
    const { expiresAt, formerAddresses: _, ...rest } = user
    const { formerAddresses = openAddresses(user, now()), ...changed } = changes
    const next = { ...rest, ...changed, ...(formerAddresses.length === 0 ? {} : { formerAddresses }), updatedAt: now().toISOString(), version: user.version + 1 }
    return next.status === 'PENDING_VERIFICATION' && expiresAt !== undefined ? { ...next, expiresAt } : next
  }

  /** Opens a pending account; `refused` when the address is claimed. */
  async function create (email: string, proposal: Proposal, { id, welcome }: { id?: string, welcome: boolean }, correlationId: string) {
    const at = now()
    const user = newAccount({ id: id ?? newId(), email, ...proposal }, at)
    const entry: UsersEntry = outboxEntry('user.registered', { subject: user.id, correlationId, data: { user: publicUser(user), welcome }, now: at })
    const outcome = await repository.create(user, entry, { hasNewId: id === undefined })
    if (outcome === 'written') count('UsersRegistered')
    return { outcome, user: publicUser(user) }
  }

  /** Whose an address is; `reserved` when an account has given it up and can still have it back. */
  async function ownerBy (email: string): Promise<User | 'reserved' | undefined> {
    const ownerId = await repository.ownerOf(email)
    const user = ownerId === undefined ? undefined : await repository.get(ownerId)
    if (user === undefined) return undefined
    if (user.email === email) return publicUser(user)
    // Otherwise the account has released the address since the claim was read.
    return openAddresses(user, now()).some(former => former.email === email) ? 'reserved' : undefined
  }

  async function findByEmail (email: string): Promise<User | undefined> {
    const owner = await ownerBy(email)
    return owner === 'reserved' ? undefined : owner
  }

  const emailChanges = createEmailChanges({
    repository,
    adminEmails,
    now,
    getFresh,
    nextVersion,
    save: (previous, next, entry, { displaced, mayLeaveNoAdmin = false } = {}) => save(previous, next, entry, { ...OWN, mayLeaveNoAdmin }, { displaced })
  })

  return {
    ...createAvatars({ publicUrl, get: getFresh, getCached, isActing, publicUser, nextVersion, save, now }),
    ...createMail({ get: getFresh, nextVersion, save, now }),
    findByEmail,
    follow,
    contribute,
    ...emailChanges,
    checkRegistration: registration => ({ locale: DEFAULT_LOCALE, ...normalized(registration) }),

    async register (registration, correlationId) {
      const { email, name, locale = DEFAULT_LOCALE } = normalized(registration)
      const { outcome, user } = await create(email, { name, locale }, { welcome: true }, correlationId)
      if (outcome === 'refused') throw new EmailTaken()
      // `repeated` is an earlier attempt of this call whose answer was lost; it has not been counted yet.
      if (outcome === 'repeated') count('UsersRegistered')
      return user
    },

    async openAccount ({ userId, email, name, locale, challengeId, expiresAt }, correlationId) {
      const account = await untilUncontended(async () => {
        const owner = await ownerBy(email)
        // Its last owner alone may have it, by undoing the change from it.
        if (owner === 'reserved') return { user: undefined }
        if (owner === undefined) {
          const { outcome, user } = await create(email, { name, locale }, { id: userId, welcome: false }, correlationId)
          if (isDone(outcome)) return { user }
          // Another request has just claimed it, or this request opened the account before and it has been erased since.
          return await repository.ownerOf(email) === undefined ? { user: undefined } : undefined
        }
        // The account keeps the first registration's name and language until another one is confirmed.
        if (owner.id === userId || owner.status !== 'PENDING_VERIFICATION') return { user: owner }
        // Confirming this registration would change nothing.
        if (owner.name === name && owner.locale === locale) return { user: owner }
        const kept = await repository.propose(owner.id, challengeId, { name, locale }, Math.floor(Date.parse(expiresAt) / 1000))
        return isDone(kept) ? { user: owner } : undefined
      })
      if (account === undefined) throw new Unavailable()
      return account.user
    },

    async getFresh (id) {
      const user = await getFresh(id)
      return user === undefined ? undefined : publicUser(user)
    },

    async ofSession (userId, sid) {
      const user = await getFresh(userId)
      return isActing(user, { sid }) ? publicUser(user) : undefined
    },

    async endSessions (actor, correlationId) {
      const ended = await untilUncontended(async () => {
        const { previous } = await target(actor, actor.userId)
        const next = nextVersion(previous, { sessions: { since: previous.version + 1 } })
        const entry: UsersEntry = outboxEntry('user.signed-out', { subject: next.id, correlationId, data: { userVersion: next.version }, now: now() })
        return await save(previous, next, entry) === undefined ? undefined : next
      })
      if (ended === undefined) throw new Unavailable()
      return accountNow(ended, now()).hasEnded
    },

    async verify ({ userId, challengeId, isOf }, correlationId) {
      const verified = await untilUncontended(async () => {
        const previous = await getFresh(userId)
        if (previous === undefined || !isOf(previous.email)) return { user: undefined }
        const isFirst = previous.status === 'PENDING_VERIFICATION'
        const role = adminEmails.includes(previous.email) ? 'admin' : previous.role
        // The code came in a mail, so mails to the address arrive.
        const wasMarked = previous.mail !== undefined
        if (!isFirst && role === previous.role && !wasMarked) return { user: publicUser(previous) }
        const { proposal, hasAny: hasProposals } = isFirst ? await repository.proposalOf(userId, challengeId) : { hasAny: false, proposal: undefined }
        const next = nextVersion(withoutMail(previous), isFirst ? { role, status: 'ACTIVE', ...proposal } : { role })
        const announcement = { subject: userId, correlationId, now: now() }
        const entry: UsersEntry = isFirst
          ? outboxEntry('user.verified', { ...announcement, data: { user: publicUser(next), ...(wasMarked ? { readmits: true as const } : {}) } })
          : outboxEntry('user.updated', { ...announcement, data: { user: publicUser(next), changed: [...(role === previous.role ? [] : ['role']), ...(wasMarked ? ['mail'] : [])] } })
        // Proposals that are stored from here on expire in ten minutes, unread.
        const user = await save(previous, next, entry, OWN, { hasProposals })
        if (user === undefined) return undefined
        if (isFirst) count('UsersVerified')
        return { user }
      })
      if (verified === undefined) throw new UserConflict()
      return verified.user
    },

    async read (actor, id) {
      if (id !== actor.userId) await admitAdmin(actor)
      const user = await getCached(id)
      if (user !== undefined && (id !== actor.userId || isActing(user, actor))) return shownUser(user)
      throw id === actor.userId ? new Unauthorized() : new UserNotFound()
    },

    async exportOf (actor) {
      const { previous } = await target(actor, actor.userId)
      return await collect(previous)
    },

    async update (actor, id, patch, correlationId, isExpected) {
      const changes = normalized(patch)
      const updated = await untilUncontended(async () => {
        const { previous, by } = await target(actor, id)
        const isAdmin = by.adminId !== undefined || previous.role === 'admin'
        if (!isAdmin && ADMIN_FIELDS.some(field => changes[field] !== undefined)) throw new Forbidden()
        expect(previous, isExpected)
        const fields = PATCH_FIELDS.filter(field => changes[field] !== undefined && changes[field] !== previous[field])
        const isReadmitted = changes.mail === null && previous.mail !== undefined
        const changed = [...fields, ...(isReadmitted ? ['mail'] : [])]
        if (changed.length === 0) return publicUser(previous)
        const isSuspended = changed.includes('status') && changes.status === 'SUSPENDED'
        // For good: a session from before stays ended when the account is active again.
        const ended = isSuspended ? { sessions: { since: previous.version + 1 } } : {}
        const next = nextVersion(isReadmitted ? withoutMail(previous) : previous, { ...Object.fromEntries(fields.map(field => [field, changes[field]])), ...ended })
        const type = isSuspended ? 'user.suspended' : 'user.updated'
        return await save(previous, next, outboxEntry(type, { subject: id, correlationId, data: { user: publicUser(next), changed }, now: now() }), by)
      })
      if (updated === undefined) throw new UserConflict()
      return updated
    },

    async remove (actor, id, correlationId, isExpected) {
      const removed = await untilUncontended(async () => {
        const { previous, by } = await target(actor, id)
        expect(previous, isExpected)
        const userVersion = previous.version + 1
        const entry: UsersEntry = outboxEntry('user.deleted', { subject: id, correlationId, data: { userId: id, userVersion, email: previous.email }, now: now() })
        return isDone(await repository.remove(previous, entry, by)) ? { userVersion } : undefined
      })
      if (removed === undefined) throw new UserConflict()
      await cache.remove(cacheKey(id), removed.userVersion)
      count('UsersDeleted')
    }
  }
}
