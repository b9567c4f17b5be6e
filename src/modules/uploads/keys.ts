import { UUID } from '../../shared/ids.ts'
import { AVATAR_ID, IMAGE_TYPES, MAX_SIZE, type ImageType } from './schemas.ts'

// Names of objects. They contain everything that was declared with a request, and the signed policy fixes them, so that
// requests need no record. No character of them is encoded in URLs or in S3's notifications.

/** Uploads that are not checked yet. The bucket's notifications and its lifecycle rule are about this prefix. */
export const INCOMING = 'incoming/'

/** Checked pictures. */
const AVATARS = 'avatars/'

export interface Declared {
  userId: string
  avatarId: string
  type: ImageType
  size: number
}

/** The id of an avatar: `order` (milliseconds since the epoch) comes first. */
export const avatarIdOf = (order: number, id: string): string => `${String(order).padStart(13, '0')}-${id}`

/** The order of an avatar among those of its account. */
export const orderOf = (avatarId: string): number => Number(avatarId.slice(0, 13))

export const incomingKey = ({ userId, avatarId, type, size }: Declared): string => `${INCOMING}${userId}/${avatarId}.${size}.${IMAGE_TYPES[type]}`
export const avatarKey = (userId: string, avatarId: string): string => `${AVATARS}${userId}/${avatarId}`

/** The prefixes under which an account has objects. */
export const prefixesOf = (userId: string) => ({ incoming: `${INCOMING}${userId}/`, avatars: `${AVATARS}${userId}/` })

/** The avatar of a checked picture's key. */
export const avatarIdIn = (key: string): string => key.slice(key.lastIndexOf('/') + 1)

/** What was declared with an upload; `undefined` when the key is not one that this service made. */
export function declaredIn (key: string): Declared | undefined {
  const [userId = '', name = '', ...rest] = key.startsWith(INCOMING) ? key.slice(INCOMING.length).split('/') : []
  const [avatarId = '', size = '', ending, ...more] = name.split('.')
  const type = (Object.keys(IMAGE_TYPES) as ImageType[]).find(type => IMAGE_TYPES[type] === ending)
  if (rest.length + more.length > 0 || !UUID.test(userId) || !AVATAR_ID.test(avatarId) || !/^[1-9]\d{0,6}$/.test(size) || type === undefined) return undefined
  return Number(size) > MAX_SIZE ? undefined : { userId, avatarId, type, size: Number(size) }
}

/** The path of an avatar on this service. */
export const pathOf = (userId: string, avatarId: string): string => `/avatars/${userId}/${avatarId}`
