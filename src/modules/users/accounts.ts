import { Value } from '@sinclair/typebox/value'
import type { Cache } from '../../plugins/cache/index.ts'
import { UUID } from '../../shared/ids.ts'
import { openAddresses, publicUser } from './account-state.ts'
import type { User, UsersEntry } from './contract.ts'
import type { By, Circumstances, UsersRepository } from './repository.ts'
import { StoredUser } from './schemas.ts'

/** A change of the caller's own account. */
export const OWN: By = { adminId: undefined }

const cacheKey = (id: string) => `user:${id}`

export interface AccountsOptions {
  repository: Pick<UsersRepository, 'get' | 'save' | 'remove'>
  cache: Cache
  now: () => Date
}

/** Reads accounts, from the table or through the cache, and writes both. */
export function createAccounts ({ repository, cache, now }: AccountsOptions) {
  /** Reads a user from the table, by an id that may be invalid. */
  async function getFresh (id: string): Promise<StoredUser | undefined> {
    return UUID.test(id) ? await repository.get(id) : undefined
  }

  /** Reads a user through the cache: for display only, never to decide anything. */
  async function getCached (id: string): Promise<StoredUser | undefined> {
    if (!UUID.test(id)) return undefined
    const isThisUser = (value: unknown): value is StoredUser => Value.Check(StoredUser, value) && value.id === id
    const user = await cache.read(cacheKey(id), () => repository.get(id), isThisUser)
    return user?.expiresAt !== undefined && user.expiresAt <= now().getTime() / 1000 ? undefined : user
  }

  /** Builds the next version of a user. Only a pending account expires. Addresses that it cannot have back any more are forgotten. */
  function nextVersion (user: StoredUser, changes: Partial<StoredUser>): StoredUser {
    const { expiresAt, formerAddresses: _, ...rest } = user
    const { formerAddresses = openAddresses(user, now()), ...changed } = changes
    const next = { ...rest, ...changed, ...(formerAddresses.length === 0 ? {} : { formerAddresses }), updatedAt: now().toISOString(), version: user.version + 1 }
    return next.status === 'PENDING_VERIFICATION' && expiresAt !== undefined ? { ...next, expiresAt } : next
  }

  /** Writes the next version of a user; `undefined` when the user has changed since it was read. */
  async function save (previous: StoredUser, next: StoredUser, entry: UsersEntry, { by = OWN, ...circumstances }: Circumstances & { by?: By } = {}): Promise<User | undefined> {
    if (await repository.save(previous, next, entry, by, circumstances) === 'refused') return undefined
    const { displaced } = circumstances
    if (displaced !== undefined) await cache.remove(cacheKey(displaced.user.id), displaced.user.version + 1)
    await cache.write(cacheKey(next.id), next)
    return publicUser(next)
  }

  /** Erases a user; false when the user has changed since it was read. */
  async function remove (previous: StoredUser, entry: UsersEntry, by: By): Promise<boolean> {
    if (await repository.remove(previous, entry, by) === 'refused') return false
    await cache.remove(cacheKey(previous.id), previous.version + 1)
    return true
  }

  return { getFresh, getCached, nextVersion, save, remove }
}
export type Accounts = ReturnType<typeof createAccounts>
