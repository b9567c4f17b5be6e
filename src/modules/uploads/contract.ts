import type { Operation } from '../../plugins/idempotency/index.ts'
import type { Actor } from '../users/contract.ts'
import type { AvatarRequest, Upload } from './schemas.ts'

export type { AvatarRequest, Upload } from './schemas.ts'

/** The interface of the uploads module. */
export interface UploadsService {
  /** The form with which a browser uploads an avatar to S3. Throws UPLOADS_DISABLED, AUTH_TOKEN_INVALID. */
  requestAvatar (actor: Actor, request: AvatarRequest, operation: Operation, correlationId: string): Promise<Upload>
  /** Removes the caller's avatar, and makes uploads that were requested before it void. Safe to repeat. Throws UPLOADS_DISABLED, AUTH_TOKEN_INVALID. */
  removeAvatar (actor: Actor, correlationId: string): Promise<void>
  /** A link to the picture that is valid for some minutes. Throws UPLOADS_DISABLED, AVATARS_NOT_FOUND. */
  linkTo (userId: string, avatarId: string): Promise<string>
}

declare module 'fastify' {
  interface FastifyInstance {
    uploads: UploadsService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    /** avatars that were set */
    AvatarsChanged: true
    /** uploads that were not what their request said, and were deleted */
    AvatarsRefused: true
  }
}
