import type { UsersService } from '../users/contract.ts'
import { avatarIdIn, orderOf, pathOf, prefixesOf } from './keys.ts'
import type { UploadsRepository } from './repository.ts'

export interface EventsOptions {
  repository: Pick<UploadsRepository, 'removeAll'>
  users: Pick<UsersService, 'follow' | 'getAvatar'>
}

/** Registers the deletion of pictures that are no longer shown. Every step may be repeated. */
export function registerEvents ({ repository, users }: EventsOptions): void {
  users.follow('user.updated', async ({ subject: userId, data }) => {
    if (!data.changed.includes('avatarUrl')) return
    const { avatars } = prefixesOf(userId)
    const avatar = await users.getAvatar(userId)
    // Newer pictures stay: their check has copied them and is about to show them.
    await repository.removeAll(avatars, key => {
      const avatarId = avatarIdIn(key)
      return avatar === undefined || (orderOf(avatarId) <= avatar.order && pathOf(userId, avatarId) !== avatar.path)
    })
  })

  users.follow('user.deleted', async ({ subject }) => {
    const { incoming, avatars } = prefixesOf(subject)
    await repository.removeAll(incoming)
    await repository.removeAll(avatars)
  })
}
