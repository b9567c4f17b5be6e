import { Unauthorized } from '../../shared/errors.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { isActing, publicUser } from './account-state.ts'
import type { Accounts } from './accounts.ts'
import { withAvatarUrl } from './avatar-url.ts'
import type { Avatar, User, UsersService } from './contract.ts'
import { UserConflict } from './errors.ts'
import type { StoredUser } from './schemas.ts'

export interface AvatarsOptions {
  accounts: Accounts
  publicUrl: string
  now: () => Date
}

type Avatars = Pick<UsersService, 'orderAvatar' | 'getAvatar' | 'shownAvatar' | 'setAvatar' | 'removeAvatar'>

/** The avatar of an account, for the module that stores the pictures. */
export function createAvatars ({ accounts: { getFresh, getCached, nextVersion, save }, publicUrl, now }: AvatarsOptions): Avatars {
  /** Greater than every order of this account so far, even if the clock of another instance is ahead. */
  const orderAfter = ({ avatar }: StoredUser, at: Date) => Math.max(at.getTime(), (avatar?.order ?? 0) + 1)

  async function change (previous: StoredUser, avatar: Avatar, correlationId: string): Promise<User | undefined> {
    const next = withAvatarUrl<StoredUser>(nextVersion(previous, { avatar }), publicUrl)
    return await save(previous, next, outboxEntry('user.updated', { subject: next.id, correlationId, data: { user: publicUser(next), changed: ['avatarUrl'] }, now: now() }))
  }

  return {
    async orderAvatar (actor, at) {
      const user = await getFresh(actor.userId)
      if (!isActing(user, actor)) throw new Unauthorized()
      return orderAfter(user, at)
    },

    getAvatar: async id => (await getFresh(id))?.avatar,
    shownAvatar: async id => (await getCached(id))?.avatar?.path,

    async setAvatar (id, avatar, correlationId) {
      return await untilUncontended(UserConflict, async () => {
        const previous = await getFresh(id)
        if (previous?.status !== 'ACTIVE') return false
        if (previous.avatar !== undefined && previous.avatar.order >= avatar.order) return previous.avatar.path === avatar.path
        return await change(previous, avatar, correlationId) === undefined ? undefined : true
      })
    },

    async removeAvatar (actor, at, correlationId) {
      await untilUncontended(UserConflict, async () => {
        const previous = await getFresh(actor.userId)
        if (!isActing(previous, actor)) throw new Unauthorized()
        return await change(previous, { order: orderAfter(previous, at) }, correlationId)
      })
    }
  }
}
