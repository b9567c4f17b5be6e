import { Type, type Static } from '@sinclair/typebox'
import { Timestamp, UUID_PATTERN } from '../../shared/ids.ts'

/** Largest avatar in bytes. */
export const MAX_SIZE = 5 * 1024 * 1024

/** The types of an avatar, with the ending of its object's key. Not SVG, which can run scripts. */
export const IMAGE_TYPES = { 'image/png': 'png', 'image/jpeg': 'jpeg', 'image/webp': 'webp' } as const
export type ImageType = keyof typeof IMAGE_TYPES

export const AvatarRequest = Type.Object({
  contentType: Type.Union([Type.Literal('image/png'), Type.Literal('image/jpeg'), Type.Literal('image/webp')], {
    description: 'The type of the picture, which its bytes must have too', examples: ['image/png']
  }),
  size: Type.Integer({ minimum: 1, maximum: MAX_SIZE, description: 'Exact size of the file in bytes, at most 5 MiB', examples: [48_213] })
}, { additionalProperties: false, title: 'AvatarRequest', examples: [{ contentType: 'image/png', size: 48_213 }] })
export type AvatarRequest = Static<typeof AvatarRequest>

/** A form for S3 (its "POST Object"). */
export const Upload = Type.Object({
  url: Type.String({ format: 'uri', maxLength: 2048, description: 'Where to send the form' }),
  fields: Type.Record(Type.String(), Type.String({ maxLength: 4096, pattern: '\\S' }), {
    maxProperties: 20, description: 'The fields of the form, as they are. The picture follows them as the last field, `file`'
  }),
  expiresAt: Timestamp
}, {
  title: 'Upload',
  examples: [{
    url: 'https://users-uploads.s3.eu-central-1.amazonaws.com/',
    fields: { 'Content-Type': 'image/png', key: 'incoming/…', Policy: 'eyJleHBpcmF0aW9uIjoi…', 'X-Amz-Signature': '…' },
    expiresAt: '2026-11-22T12:10:00.000Z'
  }]
})
export type Upload = Static<typeof Upload>

/** The time of the request, which orders the avatars of an account, and a random part. */
const AVATAR_ID_PATTERN = `^[0-9]{13}-${UUID_PATTERN.slice(1)}`

/** Every text in a path is an id. Most are the id of nothing. */
const ANY = '^[\\s\\S]*$'

export const AvatarParams = Type.Object({
  userId: Type.String({ maxLength: 64, pattern: ANY, description: 'User id', examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] }),
  avatarId: Type.String({ maxLength: 64, pattern: ANY, description: 'The last part of `avatarUrl`', examples: ['1795348800000-0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] })
})

export const AVATAR_ID = new RegExp(AVATAR_ID_PATTERN)
