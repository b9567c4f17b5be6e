import type { Operation } from '../../plugins/idempotency/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import { pointerTo, Unavailable, validationError, type FieldError } from '../../shared/errors.ts'
import { idFrom } from '../../shared/ids.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { publicUser } from './account-state.ts'
import type { UsersEnrolment } from './contract.ts'
import { checkAdmin } from './directory.ts'
import type { Enrolment, EnrolmentRepository } from './enrolment-repository.ts'
import { EmailTaken } from './errors.ts'
import { normalized } from './normal-forms.ts'
import { newAccount } from './registration.ts'
import type { UsersRepository } from './repository.ts'
import { Registration, type AuditLine, type BatchResult, type StoredUser } from './schemas.ts'

const FIELDS = Object.keys(Registration.properties) as (keyof Registration)[]

/** The registration in a row of a batch, as it is stored. Throws VALIDATION_FAILED. */
function registrationIn (row: Record<string, unknown>, locale: string): Required<Registration> {
  const errors: FieldError[] = Object.keys(row).filter(name => !FIELDS.includes(name as never)).map(name => ({ pointer: pointerTo(name), detail: 'is not a known property' }))
  for (const field of FIELDS) {
    if (!Object.hasOwn(row, field)) {
      if (Registration.required!.includes(field as never)) errors.push({ pointer: `/${field}`, detail: 'is required' })
    } else if (typeof row[field] !== 'string') errors.push({ pointer: `/${field}`, detail: 'must be a string' })
  }
  if (errors.length > 0) throw validationError(errors)
  return normalized({ locale, ...row } as Required<Registration>)
}

interface Refusal { statusCode?: number, code: string, message: string }

/** The result of a row that was not registered. */
function refusal (index: number, { statusCode, code, message }: Refusal): BatchResult {
  return { index, status: statusCode as 400 | 409, code, detail: message }
}

export interface EnrolmentOptions {
  repository: Pick<UsersRepository, 'get' | 'ownerOf'>
  enrolments: EnrolmentRepository
  count: Count
}

/** The rules of how admins register others. Everything is derived from the operation, so that a repetition finds what its first attempt wrote. */
export function createEnrolment ({ repository, enrolments, count }: EnrolmentOptions): UsersEnrolment {
  function lineOf (action: AuditLine['action'], adminId: string, { id: operationId, startedAt: at }: Operation, part: string, correlationId: string): AuditLine {
    return { id: idFrom(operationId, `line ${part}`), at: at.toISOString(), actorId: adminId, action, correlationId }
  }

  /** A pending account that gets a welcome mail with a code, as after a registration in v1. */
  function enrolmentOf (registration: Required<Registration>, line: AuditLine, { id: operationId, startedAt: at }: Operation, part: string): Enrolment {
    const user = newAccount({ id: idFrom(operationId, `user ${part}`), ...registration }, at)
    const data = { user: publicUser(user), welcome: true, ...(line.action === 'invite' ? { invitedBy: line.actorId } : {}) }
    return { user, line, entry: outboxEntry('user.registered', { eventId: idFrom(operationId, `event ${part}`), subject: user.id, correlationId: line.correlationId, data, now: at }) }
  }

  return {
    async registerBatch (actor, rows, locale, operation, correlationId) {
      const { userId: adminId } = actor
      checkAdmin(await repository.get(adminId), actor)
      const results: BatchResult[] = []
      const asked = new Map<string, { index: number, enrolment: Enrolment }>()
      for (const [index, row] of rows.entries()) {
        try {
          const registration = registrationIn(row, locale)
          // A transaction cannot write an item twice, and the first row has the address.
          if (asked.has(registration.email)) throw new EmailTaken()
          asked.set(registration.email, { index, enrolment: enrolmentOf(registration, lineOf('register', adminId, operation, String(index), correlationId), operation, String(index)) })
        } catch (error) {
          const { statusCode } = error as { statusCode?: number }
          if (statusCode !== 400 && statusCode !== 409) throw error
          results[index] = refusal(index, error as Refusal)
        }
      }
      const valid = [...asked.values()]
      const outcomes = await enrolments.enrol(valid.map(({ enrolment }) => enrolment), adminId)
      for (const [i, { index, enrolment }] of valid.entries()) {
        if (outcomes[i] === 'written') count('UsersRegistered')
        results[index] = outcomes[i] === 'taken' ? refusal(index, new EmailTaken()) : { index, status: 201, id: enrolment.user.id }
      }
      return results
    },

    async invite (actor, typed, operation, correlationId) {
      const { userId: adminId } = actor
      const registration = normalized(typed)
      const line = lineOf('invite', adminId, operation, '0', correlationId)
      const enrolment = enrolmentOf(registration, line, operation, '0')
      checkAdmin(await repository.get(adminId), actor)

      /** Invites the owner of the address again, if they have not confirmed it. */
      async function again (owner: StoredUser) {
        if (owner.id === enrolment.user.id) return { id: owner.id }
        if (owner.status !== 'PENDING_VERIFICATION') throw new EmailTaken()
        const entry = outboxEntry('user.invited', { eventId: enrolment.entry.eventId, subject: owner.id, correlationId, data: { invitedBy: adminId }, now: operation.startedAt })
        return await enrolments.inviteAgain({ user: owner, entry, line }, adminId) === 'refused' ? undefined : { id: owner.id }
      }

      return await untilUncontended(Unavailable, async () => {
        const ownerId = await repository.ownerOf(registration.email)
        const owner = ownerId === undefined ? undefined : await repository.get(ownerId)
        if (owner !== undefined) return await again(owner)
        const [outcome] = await enrolments.enrol([enrolment], adminId)
        if (outcome === 'written') count('UsersRegistered')
        return outcome === 'taken' ? undefined : { id: enrolment.user.id }
      })
    }
  }
}
