import type { Keys } from '../../plugins/keys/index.ts'
import { canonicalEmail } from '../../shared/email-address.ts'
import { Forbidden, Unauthorized, validationError } from '../../shared/errors.ts'
import { UUID } from '../../shared/ids.ts'
import { createCursors, DEFAULT_PAGE } from '../../shared/paging.ts'
import { isActing, publicUser } from './account-state.ts'
import type { Actor, UsersDirectory } from './contract.ts'
import type { DirectoryRepository } from './directory-repository.ts'
import { UserNotFound } from './errors.ts'
import { isActiveAdmin } from './items.ts'
import type { UsersRepository } from './repository.ts'
import type { StoredUser } from './schemas.ts'

/** Rejects a caller who is not an admin now, whatever the token says. */
export function checkAdmin (caller: StoredUser | undefined, actor: Actor): void {
  if (!isActing(caller, actor)) throw new Unauthorized()
  if (!isActiveAdmin(caller)) throw new Forbidden()
}

export interface DirectoryOptions {
  repository: Pick<UsersRepository, 'get'>
  directory: DirectoryRepository
  keys: Pick<Keys, 'seal' | 'open'>
}

/** The rules of what admins may read. The caller's role is read at the same time as what they ask for, and checked before anything is returned. */
export function createDirectory ({ repository, directory, keys }: DirectoryOptions): UsersDirectory {
  const { placeIn, pageOf } = createCursors(keys)

  async function findByEmail (actor: Actor, typed: string, status: string | undefined) {
    const email = canonicalEmail(typed)
    if (email === undefined) throw validationError([{ pointer: '#/email', detail: 'is not an e-mail address' }])
    const { caller, ownerId } = await directory.lookUp(actor.userId, email)
    checkAdmin(caller, actor)
    const user = ownerId === undefined ? undefined : await repository.get(ownerId)
    // The claim may have passed to another account between the two reads.
    const isShown = user !== undefined && user.email === email && (status === undefined || user.status === status)
    return { items: isShown ? [publicUser(user)] : [], nextCursor: null }
  }

  return {
    async list (actor, { limit = DEFAULT_PAGE, cursor, status, email }) {
      const list = ['users', status ?? [], email === undefined ? [] : 'email'].flat().join('/')
      const before = await placeIn(cursor, list)
      if (email !== undefined) return await findByEmail(actor, email, status)
      const begun = directory.begin(actor.userId)
      const firstMonth = begun.then(({ firstMonth }) => firstMonth)
      // The list may fail before it awaits the month. A rejection that no one awaits ends the process.
      firstMonth.catch(() => {})
      const [{ caller }, page] = await Promise.all([begun, directory.list({ limit, status, before }, firstMonth)])
      checkAdmin(caller, actor)
      return pageOf(page, list, publicUser)
    },

    async batchGet (actor, ids) {
      const [caller, users] = await Promise.all([repository.get(actor.userId), directory.byIds(ids)])
      checkAdmin(caller, actor)
      return {
        items: ids.flatMap(id => { const user = users.get(id); return user === undefined ? [] : [publicUser(user)] }),
        missing: ids.filter(id => !users.has(id))
      }
    },

    async audit (actor, id, { limit = DEFAULT_PAGE, cursor }) {
      if (!UUID.test(id)) throw new UserNotFound()
      const list = `audit/${id}`
      const before = await placeIn(cursor, list)
      const [caller, page] = await Promise.all([repository.get(actor.userId), directory.audit(id, { limit, before })])
      checkAdmin(caller, actor)
      return pageOf(page, list, line => line)
    }
  }
}
