import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda'
import type { DomainEvent } from '../../plugins/event-bus.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { OutboxEntry } from '../../shared/outbox.ts'
import type { AuthEntry, AuthService } from '../auth/contract.ts'
import type { EmailService, EmailType } from '../email/contract.ts'
import type { ChallengeTicket, User, UserRegistered, UsersEntry, UsersService } from '../users/contract.ts'
import type { RelayService } from './contract.ts'
import { announcedEntry } from './stream.ts'

/** Entries acted on at a time. Each waits for four or five calls of AWS. */
const CONCURRENCY = 16

/** Milliseconds after which an entry counts as not delivered: the stream takes less than a second when all is well. */
const OVERDUE_MS = 60_000

type Entry = UsersEntry | AuthEntry
/** What is done for each type of entry. Everything in it may be repeated: a stream delivers at least once. */
type Acts = { [T in Entry['type']]: (entry: Extract<Entry, { type: T }>) => Promise<void> }

/** As much of a logger as the relay needs. */
interface Log {
  child (bindings: object): Log
  debug (message: string): void
  error (details: object, message: string): void
}

interface RelayOptions {
  users: UsersService
  auth: AuthService
  email: Pick<EmailService, 'enqueue'>
  publishEvent: (event: DomainEvent) => Promise<void>
  count: Count
  log: Log
}

/** The relay: does what the entries of the outboxes ask for, and removes them when it is done. */
export function createRelay ({ users, auth, email, publishEvent, count, log: parentLog }: RelayOptions): RelayService {
  const acts: Acts = {
    async 'registration.requested' (entry) {
      const result = await users.fulfilRegistration(entry)
      if (result.outcome === 'done') return
      if (result.outcome === 'created') return welcome(result.entry)
      const { challengeId, expiresAt, email: address } = entry.data
      await auth.openChallenge({ challengeId, expiresAt, email: address })
      await mailCode('ACCOUNT_EXISTS', entry, result.user)
      await users.outbox.acknowledge(entry.eventId)
    },

    'user.registered': welcome,

    async 'user.verified' (entry) {
      await publish(entry, profileOf(entry.data.user))
      await users.outbox.acknowledge(entry.eventId)
    },

    async 'user.updated' (entry) {
      const { user, changed } = entry.data
      if (user.status === 'SUSPENDED') await auth.revokeAll(user.id)
      await publish(entry, { ...profileOf(user), changed })
      await users.outbox.acknowledge(entry.eventId)
    },

    async 'user.deleted' (entry) {
      const { userId } = entry.data
      await auth.revokeAll(userId)
      await publish(entry, { userId })
      await users.outbox.acknowledge(entry.eventId)
    },

    async 'challenge.requested' (entry) {
      // Opened for every address: the token end point must not tell by its work which ones have an account.
      await auth.openChallenge(entry.data)
      const user = await users.findByEmail(entry.data.email)
      if (user !== undefined) await mailCode('SIGN_IN_CODE', entry, user)
      await auth.outbox.acknowledge(entry.eventId)
    }
  }

  async function welcome (entry: UserRegistered): Promise<void> {
    const { challengeId, expiresAt, user } = entry.data
    await auth.openChallenge({ challengeId, expiresAt, email: user.email })
    await mailCode('WELCOME_EMAIL', entry, user)
    await publish(entry, profileOf(user))
    await users.outbox.acknowledge(entry.eventId)
  }

  /** Queues a mail with a code, as long as the address has not had its share of them. */
  async function mailCode (type: EmailType, { eventId, correlationId, data: { challengeId } }: OutboxEntry<string, ChallengeTicket>, user: User): Promise<void> {
    if (user.status === 'SUSPENDED') return
    if (!await auth.allowMail(user.email, eventId)) return count('MailsSuppressed')
    await email.enqueue({ type, messageId: eventId, userId: user.id, email: user.email, name: user.name, challengeId }, correlationId)
  }

  function publish ({ eventId, type, occurredAt, correlationId }: OutboxEntry, data: object): Promise<void> {
    return publishEvent({ eventId, type, version: 1, occurredAt, correlationId, data })
  }

  async function relay (entry: OutboxEntry): Promise<void> {
    const { eventId, type, correlationId } = entry
    const log = parentLog.child({ correlationId, eventId, eventType: type })
    try {
      if (!Object.hasOwn(acts, type)) throw new Error('The outbox entry is of no known type')
      await (acts[type as Entry['type']] as (entry: OutboxEntry) => Promise<void>)(entry)
      log.debug('relayed')
    } catch (err) {
      log.error({ err }, 'an outbox entry could not be relayed')
      throw err
    }
  }

  return {
    async handleBatch (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
      const failed = new Set<string>()
      const lanes = new Map<string, { sequenceNumber: string, entry: OutboxEntry }[]>()
      for (const record of event.Records) {
        const sequenceNumber = record.dynamodb?.SequenceNumber ?? ''
        try {
          const entry = announcedEntry(record)
          if (entry === undefined) continue
          const lane = laneOf(entry)
          lanes.set(lane, [...lanes.get(lane) ?? [], { sequenceNumber, entry }])
        } catch (err) {
          parentLog.error({ err, sequenceNumber }, 'a stream record could not be read')
          failed.add(sequenceNumber)
        }
      }
      // What concerns one user happens in its order; users do not wait for each other, nor for one that fails.
      await inParallel(lanes.values(), async (lane) => {
        for (const { sequenceNumber, entry } of lane) {
          await relay(entry).catch(() => failed.add(sequenceNumber))
        }
      })
      // In the order of the stream: Lambda starts again at the first of them, and what was relayed after it is relayed
      // once more.
      const inOrder = event.Records.map(record => record.dynamodb?.SequenceNumber ?? '').filter(sequenceNumber => failed.has(sequenceNumber))
      return { batchItemFailures: inOrder.map(itemIdentifier => ({ itemIdentifier })) }
    },

    async sweep () {
      let resent = 0
      const errors: unknown[] = []
      for (const outbox of [users.outbox, auth.outbox]) {
        const pending: AsyncIterable<Entry> = outbox.pending(OVERDUE_MS)
        await inParallel(pending, async (entry) => {
          await relay(entry).then(() => { resent++ }, error => errors.push(error))
        }).catch(error => errors.push(error)) // one table that cannot be read does not keep the other waiting
      }
      if (resent > 0) count('OutboxResent', resent)
      if (errors.length > 0) throw new AggregateError(errors, `${errors.length} outbox entries could not be relayed`)
      return { resent }
    }
  }
}

function profileOf ({ id, ...profile }: User) {
  return { userId: id, ...profile }
}

/** What an entry is about: entries of one lane keep their order. */
function laneOf ({ data }: OutboxEntry): string {
  const about = data as { userId?: string, user?: { id: string }, email?: string }
  return about.userId ?? about.user?.id ?? about.email ?? ''
}

async function inParallel<T> (items: Iterable<T> | AsyncIterable<T>, act: (item: T) => Promise<void>): Promise<void> {
  // One generator for all: it queues their calls of next(), which an iterator need not.
  const source = (async function * () { yield * items })()
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for await (const item of source) await act(item)
  }))
}
