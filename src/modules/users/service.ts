import type { Cache } from '../../plugins/cache/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import { Forbidden, PreconditionFailed, Unauthorized, Unavailable } from '../../shared/errors.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { accountNow, isActing, openAddresses, publicUser, withoutMail } from './account-state.ts'
import { createAccounts, OWN } from './accounts.ts'
import { createAvatars } from './avatars.ts'
import type { Actor, Expectation, User, UserExport, UserPatch, UsersDirectory, UsersEnrolment, UsersEntry, UsersService } from './contract.ts'
import { createEmailChanges } from './email-change.ts'
import { UserConflict, UserNotFound } from './errors.ts'
import { createMail } from './mail.ts'
import { normalized } from './normal-forms.ts'
import { createRegistration } from './registration.ts'
import type { By, UsersRepository } from './repository.ts'
import { ADMIN_FIELDS, UserPatch as UserPatchSchema, type StoredUser } from './schemas.ts'

/** `mail` is removed and not stored. */
const PATCH_FIELDS = (Object.keys(UserPatchSchema.properties) as (keyof UserPatch)[]).filter(field => field !== 'mail')

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
  const accounts = createAccounts({ repository, cache, now })
  const { getFresh, getCached, nextVersion, save } = accounts

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

  return {
    ...createRegistration({ repository, count, now }),
    ...createAvatars({ accounts, publicUrl, now }),
    ...createMail({ accounts, now }),
    ...createEmailChanges({ accounts, repository, adminEmails, now }),
    follow,
    contribute,

    async getFresh (id) {
      const user = await getFresh(id)
      return user === undefined ? undefined : publicUser(user)
    },

    async ofSession (userId, sid) {
      const user = await getFresh(userId)
      return isActing(user, { sid }) ? publicUser(user) : undefined
    },

    async endSessions (actor, correlationId) {
      const ended = await untilUncontended(Unavailable, async () => {
        const { previous } = await target(actor, actor.userId)
        const next = nextVersion(previous, { sessions: { since: previous.version + 1 } })
        const entry: UsersEntry = outboxEntry('user.signed-out', { subject: next.id, correlationId, data: { userVersion: next.version }, now: now() })
        return await save(previous, next, entry) === undefined ? undefined : next
      })
      return accountNow(ended, now()).hasEnded
    },

    async verify ({ userId, challengeId, isOf }, correlationId) {
      const verified = await untilUncontended(UserConflict, async () => {
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
        const user = await save(previous, next, entry, { hasProposals })
        if (user === undefined) return undefined
        if (isFirst) count('UsersVerified')
        return { user }
      })
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
      return await untilUncontended(UserConflict, async () => {
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
        return await save(previous, next, outboxEntry(type, { subject: id, correlationId, data: { user: publicUser(next), changed }, now: now() }), { by })
      })
    },

    async remove (actor, id, correlationId, isExpected) {
      await untilUncontended(UserConflict, async () => {
        const { previous, by } = await target(actor, id)
        expect(previous, isExpected)
        const userVersion = previous.version + 1
        const formerEmails = openAddresses(previous, now()).map(({ email }) => email)
        const data = { userId: id, userVersion, email: previous.email, ...(formerEmails.length === 0 ? {} : { formerEmails }) }
        const entry: UsersEntry = outboxEntry('user.deleted', { subject: id, correlationId, data, now: now() })
        return await accounts.remove(previous, entry, by) ? true : undefined
      })
      count('UsersDeleted')
    }
  }
}
