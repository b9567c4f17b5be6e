import { Unauthorized } from '../../shared/errors.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { withAvatarUrl } from './avatar-url.ts'
import type { Actor, Avatar, User, UsersEntry, UsersService } from './contract.ts'
import { UserConflict } from './errors.ts'
import type { StoredUser } from './schemas.ts'

export interface AvatarsOptions {
  publicUrl: string
  get: (id: string) => Promise<StoredUser | undefined>
  getCached: (id: string) => Promise<StoredUser | undefined>
  /** whether the account may sign in now */
  isActing: (user: StoredUser | undefined, actor: Actor) => user is StoredUser
  publicUser: (user: StoredUser) => User
  nextVersion: (user: StoredUser, changes: Partial<StoredUser>) => StoredUser
  save: (previous: StoredUser, next: StoredUser, entry: UsersEntry) => Promise<User | undefined>
  now: () => Date
}

type Avatars = Pick<UsersService, 'orderAvatar' | 'getAvatar' | 'shownAvatar' | 'setAvatar' | 'removeAvatar'>

/** The avatar of an account, for the module that stores the pictures. */
export function createAvatars ({ publicUrl, get, getCached, isActing, publicUser, nextVersion, save, now }: AvatarsOptions): Avatars {
  /** Greater than every order of this account so far, even if the clock of another instance is ahead. */
  const orderAfter = ({ avatar }: StoredUser, at: Date) => Math.max(at.getTime(), (avatar?.order ?? 0) + 1)

  async function change (previous: StoredUser, avatar: Avatar, correlationId: string): Promise<User | undefined> {
    const next = withAvatarUrl<StoredUser>(nextVersion(previous, { avatar }), publicUrl)
    return await save(previous, next, outboxEntry('user.updated', { subject: next.id, correlationId, data: { user: publicUser(next), changed: ['avatarUrl'] }, now: now() }))
  }

  return {
    async orderAvatar (actor, at) {
      const user = await get(actor.userId)
      if (!isActing(user, actor)) throw new Unauthorized()
      return orderAfter(user, at)
    },

    getAvatar: async id => (await get(id))?.avatar,
    shownAvatar: async id => (await getCached(id))?.avatar?.path,

    async setAvatar (id, avatar, correlationId) {
      const isSet = await untilUncontended(async () => {
        const previous = await get(id)
        if (previous?.status !== 'ACTIVE') return false
        if (previous.avatar !== undefined && previous.avatar.order >= avatar.order) return previous.avatar.path === avatar.path
        return await change(previous, avatar, correlationId) === undefined ? undefined : true
      })
      if (isSet === undefined) throw new UserConflict()
      return isSet
    },

    async removeAvatar (actor, at, correlationId) {
      const isRemoved = await untilUncontended(async () => {
        const previous = await get(actor.userId)
        if (!isActing(previous, actor)) throw new Unauthorized()
        return await change(previous, { order: orderAfter(previous, at) }, correlationId) === undefined ? undefined : true
      })
      if (isRemoved === undefined) throw new UserConflict()
    }
  }
}
