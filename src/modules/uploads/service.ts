import { idFrom } from '../../shared/ids.ts'
import type { UsersService } from '../users/contract.ts'
import type { UploadsService } from './contract.ts'
import { AvatarNotFound, UploadsDisabled } from './errors.ts'
import { avatarIdOf, avatarKey, incomingKey, pathOf } from './keys.ts'
import type { UploadsRepository } from './repository.ts'

/** Seconds in which an upload must begin. */
const UPLOAD_TIME = 600

/** Seconds for which a link to a picture is valid. */
const LINK_TIME = 300

/** Seconds for which a redirect to such a link may be reused: the rest is for the download's beginning. */
export const REDIRECT_REUSE = 240

export interface ServiceOptions {
  /** `undefined` when no bucket is configured */
  repository: Pick<UploadsRepository, 'form' | 'link'> | undefined
  users: Pick<UsersService, 'orderAvatar' | 'shownAvatar' | 'removeAvatar'>
  now: () => Date
}

/** The rules of avatars, independent of HTTP and of S3. */
export function createService ({ repository, users, now }: ServiceOptions): UploadsService {
  function enabled () {
    if (repository === undefined) throw new UploadsDisabled()
    return repository
  }

  return {
    async requestAvatar (actor, { contentType: type, size }, { id, startedAt }, correlationId) {
      const objects = enabled()
      const { userId } = actor
      const avatarId = avatarIdOf(await users.orderAvatar(actor, startedAt), idFrom(id, 'avatar'))
      const expiresAt = new Date(now().getTime() + UPLOAD_TIME * 1000).toISOString()
      const { url, fields } = await objects.form({ key: incomingKey({ userId, avatarId, type, size }), type, size, expiresIn: UPLOAD_TIME, correlationId })
      return { url, fields, expiresAt }
    },

    async removeAvatar (actor, correlationId) {
      enabled()
      // The picture itself is deleted by the handler of the change, see events.ts.
      await users.removeAvatar(actor, now(), correlationId)
    },

    async linkTo (userId, avatarId) {
      const objects = enabled()
      if (await users.shownAvatar(userId) !== pathOf(userId, avatarId)) throw new AvatarNotFound()
      return await objects.link(avatarKey(userId, avatarId), LINK_TIME)
    }
  }
}
