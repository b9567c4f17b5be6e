import type { Count } from '../../plugins/metrics.ts'
import { newId } from '../../shared/ids.ts'
import { MailDeferred, MailRefused, MailUnconfirmed, MessageBusy } from './errors.ts'
import type { EmailQueue } from './queue.ts'
import type { EmailRepository } from './repository.ts'
import { checkMessage, type EmailMessage } from './schemas.ts'
import type { Mailbox, Sender } from './sender.ts'
import { renderMail } from './templates/index.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** How long a code is good whose message does not say so: challenges live for ten minutes. */
const CODE_LIFE = 10 * MINUTE

/** A code with less life than this is of no use by the time it has been read and typed. */
const MIN_CODE_LIFE = 30 * SECOND

/**
 * Milliseconds by which a lease outlives the delivery that holds it, so that a lease that has run out belongs to a worker
 * that is gone: the clocks of two machines differ by less.
 */
const LEASE_MARGIN = 10 * SECOND

/** Seconds until a mail that could not be sent is tried again: doubled each time, … */
const FIRST_DELAY = 30
/** … up to this while there is a code that is good, so that its last try is close to its end … */
const MAX_CODE_DELAY = 120
/** … and up to this otherwise, which is the most that SQS delays a message. */
const MAX_DELAY = 900

/** Tries of a mail: about a day of them. A mail server that is away for longer is an incident, and its mails are dead letters. */
const MAX_ATTEMPTS = 100

/**
 * Seconds until a mail that may have been sent is tried again: its server gets time to recover, and the lease of the try
 * that knows no end has run out.
 */
const UNCONFIRMED_DELAY = 300

/** Times that a mail is handed over without an answer: it has most likely arrived by then, as often. */
const MAX_UNCONFIRMED = 3

/** A received message and how it got here. Times are milliseconds since 1970. */
export interface Delivery {
  message: EmailMessage
  correlationId: string
  /** tries so far that failed for a reason that passes */
  attempt: number
  /** those of them after which it is not known whether the mail was sent */
  unconfirmed: number
  /** how often this record of the queue has been received, counted from 1 */
  receives: number
  sentAt: number
  firstReceivedAt: number
  /** when the delivery has to end */
  deadline: number
}

/** As much of a logger as the service needs. */
export interface Log {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

export interface EmailSettings {
  from: Mailbox
  /** what the service calls itself in mails */
  brand: string
  /** page that the links in mails lead to */
  verifyUrl: string
}

interface ServiceOptions {
  repository: EmailRepository
  queue: EmailQueue
  sender: Sender
  /** asked for each mail: the secret behind it may be rotated while the process runs */
  codeOf: (challengeId: string) => string
  settings: EmailSettings
  count: Count
  now?: () => number
}

export type Service = ReturnType<typeof createService>

/**
 * The rules of sending mails: at least once, and once for each `messageId` as far as that is possible; never with a code
 * that is no longer good; as long as it takes while the mail server is away.
 */
export function createService ({ repository, queue, sender, codeOf, settings, count, now = Date.now }: ServiceOptions) {
  const { from, brand, verifyUrl } = settings
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)

  /** Until when the code of a message is worth mailing; `Infinity` when it has none. */
  function codeEnd ({ message: { challengeId, expiresAt }, sentAt }: Pick<Delivery, 'message' | 'sentAt'>): number {
    if (challengeId === undefined) return Infinity
    return (expiresAt === undefined ? sentAt + CODE_LIFE : Date.parse(expiresAt)) - MIN_CODE_LIFE
  }

  /** Seconds until a try, counted from 1. What is late because of a dead code comes soon first: its reader is still waiting. */
  function delayOf (attempt: number, codeEnd: number): number {
    const doubled = FIRST_DELAY * 2 ** (attempt - 1)
    if (codeEnd === Infinity) return Math.min(doubled, MAX_DELAY)
    const halfOfLate = Math.round((now() - codeEnd) / 2 / SECOND)
    return Math.min(doubled, Math.max(MAX_CODE_DELAY, Math.min(halfOfLate, MAX_DELAY)))
  }

  async function send ({ message, correlationId, deadline }: Delivery, isExpired: boolean): Promise<void> {
    const { type, messageId, email, name, challengeId } = message
    const challenge = challengeId === undefined ? undefined : { challengeId, code: codeOf(challengeId) }
    const { toName, ...mail } = renderMail({ type, name, brand, contact: from.address, verifyUrl, challenge, isExpired })
    await sender.send({
      // Made of the message's own id: a mail that had to be sent twice is recognised as one by who receives it.
      messageId: `${messageId}@${domain}`,
      from,
      to: { name: toName, address: email },
      ...mail,
      headers: {
        'X-Correlation-Id': correlationId,
        // RFC 3834: no out-of-office answers; the second is Exchange's word for it.
        'Auto-Submitted': 'auto-generated',
        'X-Auto-Response-Suppress': 'All',
        // Gmail folds mails of one subject into a thread and so hides the newest code, unless this differs.
        'X-Entity-Ref-ID': messageId
      }
    }, deadline)
  }

  /** Queues a mail that was not sent, or may not have been, for a later try. Rejects when it has had all of them. */
  async function postpone (delivery: Delivery, error: Error, log: Log): Promise<void> {
    const { message, correlationId, sentAt } = delivery
    const attempt = delivery.attempt + 1
    const isUnconfirmed = error instanceof MailUnconfirmed
    const unconfirmed = delivery.unconfirmed + Number(isUnconfirmed)
    if (attempt >= MAX_ATTEMPTS || unconfirmed >= MAX_UNCONFIRMED) throw error
    const delaySeconds = Math.max(delayOf(attempt, codeEnd(delivery)), isUnconfirmed ? UNCONFIRMED_DELAY : 0)
    // What is queued again is as new to SQS: it must carry from when its code is counted.
    const expiresAt = message.challengeId === undefined ? undefined : message.expiresAt ?? new Date(sentAt + CODE_LIFE).toISOString()
    await queue.send({ ...message, ...(expiresAt === undefined ? {} : { expiresAt }) }, { correlationId, attempt, unconfirmed, delaySeconds })
    count('MailsFailed')
    log.warn({ err: error, attempt, retryInSeconds: delaySeconds }, 'mail not sent')
  }

  return {
    async enqueue (message: EmailMessage, correlationId: string): Promise<void> {
      checkMessage(message)
      await queue.send(message, { correlationId })
      count('MailsQueued')
    },

    /**
     * Sends a message unless it has been sent, or has no use any more. Resolves when there is nothing left to do for this
     * record of the queue; rejects when it shall be received again, or end in the dead-letter queue.
     *
     * There is no exactly-once mail: a worker killed after the server accepted the mail and before the record says so
     * leaves a lease that runs out, and the next delivery sends the mail again, with the same Message-ID and code.
     */
    async deliver (delivery: Delivery, log: Log): Promise<void> {
      const { message: { messageId, type }, attempt, unconfirmed, receives, firstReceivedAt, deadline } = delivery
      // Handed over as often as it may be; what receives it again is the way to the dead-letter queue.
      if (unconfirmed === MAX_UNCONFIRMED - 1 && receives > 1) throw new MailUnconfirmed('several times')
      const end = codeEnd(delivery)
      const isExpired = now() >= end
      if (isExpired && attempt === 0 && firstReceivedAt >= end) {
        count('MailsExpired')
        log.info({ type }, 'the code of the message is no longer good: not sent')
        return
      }
      const leaseId = newId()
      const lease = await repository.lease(messageId, leaseId, deadline + LEASE_MARGIN)
      if (lease.state === 'sent') return log.info({}, 'already sent')
      if (lease.state === 'busy') throw Object.assign(new MessageBusy(), { until: lease.until })
      const release = () => repository.release(messageId, leaseId).catch(err => { log.warn({ err }, 'a lease could not be released; it runs out by itself') })
      try {
        await send(delivery, isExpired)
      } catch (error) {
        // While a server may still be working on the mail, its lease keeps another delivery from sending it too.
        if (!(error instanceof MailUnconfirmed)) await release()
        if (error instanceof MailRefused) {
          count('MailsRefused')
          log.warn({ err: error, type }, 'mail rejected for good')
          return
        }
        if (error instanceof MailDeferred || error instanceof MailUnconfirmed) return postpone(delivery, error, log)
        throw error
      }
      count('MailsSent')
      log.info({ type, isExpired, attempt }, 'mail sent')
      // To fail now would only make a second mail certain: the message is done, and removed from the queue.
      await repository.markSent(messageId).catch(err => { log.warn({ err }, 'a sent mail could not be recorded') })
    }
  }
}
