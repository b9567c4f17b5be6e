import type { Count } from '../../plugins/metrics.ts'
import { Unavailable } from '../../shared/errors.ts'
import { newId } from '../../shared/ids.ts'
import { DEFAULT_LOCALE } from '../../shared/locale.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { openAddresses, publicUser } from './account-state.ts'
import type { Registration, User, UsersEntry, UsersService } from './contract.ts'
import { EmailTaken } from './errors.ts'
import { normalized } from './normal-forms.ts'
import type { UsersRepository } from './repository.ts'
import type { Proposal, StoredUser } from './schemas.ts'

/** Seconds after which an account expires whose address was never confirmed. */
const PENDING_LIFETIME = 7 * 24 * 3600

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

export interface RegistrationOptions {
  repository: Pick<UsersRepository, 'get' | 'ownerOf' | 'create' | 'propose'>
  count: Count
  now: () => Date
}

/** How an account begins: in version 1 by the request, in version 2 by the entry that the request wrote. */
export function createRegistration ({ repository, count, now }: RegistrationOptions): Pick<UsersService, 'findByEmail' | 'checkRegistration' | 'register' | 'openAccount'> {
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

  return {
    findByEmail,
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
      const account = await untilUncontended(Unavailable, async () => {
        const owner = await ownerBy(email)
        // Its last owner alone may have it, by undoing the change from it.
        if (owner === 'reserved') return { user: undefined }
        if (owner === undefined) {
          const { outcome, user } = await create(email, { name, locale }, { id: userId, welcome: false }, correlationId)
          if (outcome !== 'refused') return { user }
          // Another request has just claimed it, or this request opened the account before and it has been erased since.
          return await repository.ownerOf(email) === undefined ? { user: undefined } : undefined
        }
        // The account keeps the first registration's name and language until another one is confirmed.
        if (owner.id === userId || owner.status !== 'PENDING_VERIFICATION') return { user: owner }
        // Confirming this registration would change nothing.
        if (owner.name === name && owner.locale === locale) return { user: owner }
        const kept = await repository.propose(owner.id, challengeId, { name, locale }, Math.floor(Date.parse(expiresAt) / 1000))
        return kept !== 'refused' ? { user: owner } : undefined
      })
      return account.user
    }
  }
}
