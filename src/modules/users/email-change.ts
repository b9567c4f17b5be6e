import { Unavailable } from '../../shared/errors.ts'
import { newId } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { hasEnded, isActing, openAddresses, publicUser, withoutMail } from './account-state.ts'
import { OWN, type Accounts } from './accounts.ts'
import type { UsersEntry, UsersService } from './contract.ts'
import type { UsersRepository } from './repository.ts'
import type { FormerAddress, StoredUser } from './schemas.ts'

/** Seconds for which a change of address can be undone. Until then the former address stays claimed. */
const UNDO_LIFETIME = 7 * 24 * 3600

/** Changes of address that can be undone at a time. More are refused, so that no number of changes makes the first one permanent. */
export const MAX_FORMER = 5

export interface EmailChangeOptions {
  accounts: Accounts
  repository: Pick<UsersRepository, 'get' | 'ownerOf'>
  adminEmails: readonly string[]
  now: () => Date
}

/** The rules of changing an account's address, see docs/adr/0066-a-change-of-address-can-be-undone.md. */
export function createEmailChanges ({ accounts: { getFresh, nextVersion, save }, repository, adminEmails, now }: EmailChangeOptions): Pick<UsersService, 'changeEmail' | 'restoreEmail'> {
  /** The next version of an account with another address, and its entry. */
  function moved (previous: StoredUser, email: string, changes: Partial<StoredUser>, sessions: { kept?: string }, undo: FormerAddress | undefined, correlationId: string) {
    const role = adminEmails.includes(email) ? 'admin' : changes.role ?? previous.role
    // What is known of mails is known of the previous address.
    const next = nextVersion(withoutMail(previous), { ...changes, email, role, sessions: { since: previous.version + 1, ...sessions } })
    const entry: UsersEntry = outboxEntry('user.email-changed', {
      subject: previous.id,
      correlationId,
      now: now(),
      data: {
        user: publicUser(next),
        changed: role === previous.role ? ['email'] : ['email', 'role'],
        previousEmail: previous.email,
        ...(undo === undefined ? {} : { undo: { challengeId: undo.challengeId, until: new Date(undo.until * 1000).toISOString() } })
      }
    })
    return { next, entry }
  }

  /** The account that has claimed an address, besides the one that wants it. */
  async function claimant (email: string, userId: string): Promise<StoredUser | undefined> {
    const ownerId = await repository.ownerOf(email)
    return ownerId === undefined || ownerId === userId ? undefined : await repository.get(ownerId)
  }

  return {
    async changeEmail ({ userId, email, sid }, correlationId) {
      const changed = await untilUncontended(Unavailable, async () => {
        const previous = await getFresh(userId)
        if (!isActing(previous) || previous.status !== 'ACTIVE') return { outcome: undefined }
        if (previous.email === email) return { outcome: publicUser(previous) }
        if (hasEnded(previous, sid)) return { outcome: undefined }
        const former = openAddresses(previous, now())
        // Returning to a former address undoes the change from it: the address that is given up cannot be had back.
        const returned = former.findIndex(address => address.email === email)
        if (returned === -1 && former.length >= MAX_FORMER) return { outcome: 'exhausted' as const }
        const owner = await claimant(email, userId)
        if (owner !== undefined && owner.status !== 'PENDING_VERIFICATION') return { outcome: 'taken' as const }

        const makesAdmin = previous.role !== 'admin' && adminEmails.includes(email)
        const undo: FormerAddress | undefined = returned !== -1
          ? undefined
          : { email: previous.email, until: Math.floor(now().getTime() / 1000) + UNDO_LIFETIME, challengeId: newId(), ...(makesAdmin ? { madeAdmin: true } : {}) }
        const formerAddresses = undo === undefined ? former.slice(0, returned) : [...former, undo]
        const { next, entry } = moved(previous, email, { formerAddresses }, { kept: sid }, undo, correlationId)
        const displaced = owner === undefined
          ? undefined
          : { user: owner, entry: outboxEntry('user.deleted', { subject: owner.id, correlationId, now: now(), data: { userId: owner.id, userVersion: owner.version + 1, email } }) }
        const outcome = await save(previous, next, entry, { displaced })
        return outcome === undefined ? undefined : { outcome }
      })
      return changed.outcome
    },

    async restoreEmail (userId, challengeId, correlationId) {
      const restored = await untilUncontended(Unavailable, async () => {
        const previous = await getFresh(userId)
        if (previous === undefined) return { user: undefined }
        const former = openAddresses(previous, now())
        const position = former.findIndex(address => address.challengeId === challengeId)
        if (position === -1) return { user: undefined }
        // What the undone changes have given, they take back.
        const losesAdmin = former.slice(position).some(({ madeAdmin }) => madeAdmin === true)
        const changes = { formerAddresses: former.slice(0, position), ...(losesAdmin ? { role: 'user' as const } : {}) }
        const { next, entry } = moved(previous, former[position]!.email, changes, {}, undefined, correlationId)
        // An address from ADMIN_EMAILS had made it admin. The owner of that address becomes admin by proving it.
        const user = await save(previous, next, entry, { by: { ...OWN, mayLeaveNoAdmin: losesAdmin } })
        return user === undefined ? undefined : { user }
      })
      return restored.user
    }
  }
}
