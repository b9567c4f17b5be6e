import type { S3Event, S3EventRecord } from 'aws-lambda'
import type { FastifyBaseLogger } from 'fastify'
import type { Count } from '../../plugins/metrics.ts'
import { CORRELATION_ID_PATTERN, newId } from '../../shared/ids.ts'
import type { UsersService } from '../users/contract.ts'
import { imageTypeOf } from './images.ts'
import { avatarKey, declaredIn, INCOMING, orderOf, pathOf, type Declared } from './keys.ts'
import type { Probe, UploadsRepository } from './repository.ts'

export interface WorkerOptions {
  repository: Pick<UploadsRepository, 'probe' | 'tail' | 'publish' | 'remove'>
  users: Pick<UsersService, 'getFresh' | 'getAvatar' | 'setAvatar'>
  count: Count
  log: FastifyBaseLogger
}

function correlationIdOf ({ correlationId }: Probe): string {
  return correlationId !== undefined && CORRELATION_ID_PATTERN.test(correlationId) ? correlationId : newId()
}

/**
 * Checks uploads that S3 announces, and shows the good ones. Notifications may be repeated, late and out of order: each
 * check looks at the present. The incoming object is deleted last, so that a check that failed halfway is repeated.
 */
export function createWorker ({ repository, users, count, log: parentLog }: WorkerOptions) {
  /** The reason for which an upload is not an avatar; `undefined` when it is one. Reads a few bytes, however large the object is. */
  async function faultOf (key: string, probe: Probe, declared: Declared): Promise<string | undefined> {
    // First, because nothing more is read of a large object.
    if (probe.size !== declared.size) return 'another size than declared'
    if (probe.contentType !== declared.type) return 'another type than declared'
    const type = imageTypeOf({ ...probe, tail: await repository.tail(key, probe) })
    return type === declared.type ? undefined : 'not a picture of the declared type'
  }

  /** Shows a good upload, if its account is active and has decided on no newer one. */
  async function show (key: string, probe: Probe, { userId, avatarId, type }: Declared, correlationId: string): Promise<void> {
    const path = pathOf(userId, avatarId)
    const order = orderOf(avatarId)
    const copy = avatarKey(userId, avatarId)
    const account = await users.getFresh(userId)
    const avatar = await users.getAvatar(userId)
    // Shown by an earlier delivery of this notification. The object may be another by now.
    if (avatar?.path === path) return
    if (account?.status === 'ACTIVE' && (avatar === undefined || order > avatar.order)) {
      await repository.publish(key, copy, probe, type)
      // The account may have changed since it was read, so the write checks it again.
      if (await users.setAvatar(userId, { path, order }, correlationId)) return count('AvatarsChanged')
    }
    // Also when nothing was copied now: an earlier delivery may have failed after its copy.
    await repository.remove(copy)
  }

  async function check (key: string): Promise<void> {
    const probe = await repository.probe(key)
    // Checked before, or erased with its account.
    if (probe === undefined) return parentLog.debug('an upload is gone')
    const correlationId = correlationIdOf(probe)
    const log = parentLog.child({ correlationId })
    const declared = declaredIn(key)
    const fault = declared === undefined ? 'not a key of this service' : await faultOf(key, probe, declared)
    if (fault !== undefined) {
      log.warn({ reason: fault }, 'an upload was refused')
      count('AvatarsRefused')
    } else if (declared !== undefined) await show(key, probe, declared, correlationId)
    await repository.remove(key)
  }

  return {
    /** @throws when S3 or the table fails, so that the notification is repeated */
    async handleBatch ({ Records }: S3Event): Promise<void> {
      const errors: unknown[] = []
      for (const { eventName, s3 } of Records as Pick<S3EventRecord, 'eventName' | 's3'>[]) {
        // Anything else is not an upload, and not for this check to delete.
        if (!eventName.startsWith('ObjectCreated:') || !s3.object.key.startsWith(INCOMING)) continue
        await check(s3.object.key).catch((err: unknown) => {
          parentLog.error({ err }, 'an upload could not be checked')
          errors.push(err)
        })
      }
      if (errors.length > 0) throw new AggregateError(errors, `${errors.length} uploads could not be checked`)
    }
  }
}
