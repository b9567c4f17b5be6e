import type { Count } from '../../plugins/metrics.ts'
import { isUnavailable } from '../../shared/aws-errors.ts'
import { newId } from '../../shared/ids.ts'
import { MailDeferred, MailRefused, MailUnconfirmed, MailUnreachable, MessageBusy } from './errors.ts'
import type { EmailQueue } from './queue.ts'
import type { EmailRepository } from './repository.ts'
import type { Renderer } from './renderer.ts'
import { checkMessage, tagsOf, type EmailMessage } from './schemas.ts'
import type { Mailbox, Sender } from './sender.ts'
import type { Addresses } from './addresses.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** The life of a code whose message has no `expiresAt`: challenges last ten minutes. */
const CODE_LIFE = 10 * MINUTE

/** A code with less time left than this would expire before it is read and typed. */
const MIN_CODE_LIFE = 30 * SECOND

/**
 * Milliseconds by which a lease outlives its delivery. The clocks of two machines differ by less, so the worker of an
 * expired lease is certainly gone.
 */
const LEASE_MARGIN = 10 * SECOND

/** Seconds until a mail that could not be sent is retried; doubled each time. */
const FIRST_DELAY = 30
/** The maximum of that delay while the code is valid, so that the last try is close to its expiry. */
const MAX_CODE_DELAY = 120
/** The maximum of that delay otherwise: the longest delay that SQS allows. */
const MAX_DELAY = 900

/** Tries per mail: about one day of them. A mail server that is down for longer is an incident, and its mails become dead letters. */
const MAX_ATTEMPTS = 100

/**
 * Seconds until a mail that may have been sent is retried: the server gets time to recover, and the lease of the
 * unconfirmed try has expired by then.
 */
const UNCONFIRMED_DELAY = 300

/** How often a mail is handed over without an answer. By then it has most likely arrived, perhaps several times. */
const MAX_UNCONFIRMED = 3

/** A received message and its delivery. Times are milliseconds since 1970. */
export interface Delivery {
  message: EmailMessage
  correlationId: string
  /** tries so far that failed with a temporary error */
  attempt: number
  /** those of them after which it is unknown whether the mail was sent */
  unconfirmed: number
  /** how often this queue record has been received, counted from 1 */
  receives: number
  sentAt: number
  firstReceivedAt: number
  /** when the delivery must end */
  deadline: number
}

/** The part of a logger that the service needs. */
export interface Log {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

interface ServiceOptions {
  repository: EmailRepository
  queue: EmailQueue
  sender: Sender
  addresses: Pick<Addresses, 'statusAgainst'>
  render: Renderer['render']
  /** called for each mail, because the secret may be rotated while the process runs */
  codeOf: (challengeId: string) => string
  from: Mailbox
  count: Count
  now?: () => number
}

export type Service = ReturnType<typeof createService>

/** Whether a mail can be sent later, because the mail server or the table has a failure and not the mail. */
const isTemporary = (error: unknown): boolean =>
  [MailDeferred, MailUnconfirmed, MailUnreachable].some(Failure => error instanceof Failure) || isUnavailable(error)

/**
 * The rules of sending mails. Each `messageId` is sent at least once, and only once as far as possible. No mail contains
 * an expired code. While the mail server or the table is down, mails are retried.
 */
export function createService ({ repository, queue, sender, addresses, render, codeOf, from, count, now = Date.now }: ServiceOptions) {
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)

  /** The last time at which the code of a message is still worth mailing; `Infinity` when the mail is of use without one. */
  function codeEnd ({ message: { type, expiresAt }, sentAt }: Pick<Delivery, 'message' | 'sentAt'>): number {
    if (type === 'EMAIL_CHANGED_NOTICE') return Infinity
    return (expiresAt === undefined ? sentAt + CODE_LIFE : Date.parse(expiresAt)) - MIN_CODE_LIFE
  }

  /** Seconds until the next try; tries are counted from 1. The mail about an expired code is retried quickly at first, because its reader is still waiting. */
  function delayOf (attempt: number, codeEnd: number): number {
    const doubled = FIRST_DELAY * 2 ** (attempt - 1)
    if (codeEnd === Infinity) return Math.min(doubled, MAX_DELAY)
    const halfOfLate = Math.round((now() - codeEnd) / 2 / SECOND)
    return Math.min(doubled, Math.max(MAX_CODE_DELAY, Math.min(halfOfLate, MAX_DELAY)))
  }

  async function send ({ message, correlationId, deadline }: Delivery, isExpired: boolean): Promise<void> {
    const { type, messageId, email, name, challengeId, expiresAt, invitedBy, locale } = message
    // A notice is one for ever, and its link works until the change can no longer be undone.
    const isOver = type === 'EMAIL_CHANGED_NOTICE' && expiresAt !== undefined && now() >= Date.parse(expiresAt)
    const challenge = challengeId === undefined || isOver ? undefined : { challengeId, code: codeOf(challengeId) }
    const { toName, ...mail } = await render({ type, name, locale, invitedBy, challenge, expiresAt, isExpired })
    await sender.send({
      // Derived from the message's id, so that recipients' systems recognise a mail that was sent twice as one.
      messageId: `${messageId}@${domain}`,
      from,
      to: { name: toName, address: email },
      tags: tagsOf(message),
      ...mail,
      headers: {
        'X-Correlation-Id': correlationId,
        // RFC 3834: no out-of-office replies. The second header is Exchange's own.
        'Auto-Submitted': 'auto-generated',
        'X-Auto-Response-Suppress': 'All',
        // Gmail groups mails with the same subject into a thread, which hides the newest code, unless this header differs.
        'X-Entity-Ref-ID': messageId
      }
    }, deadline)
  }

  /** Queues a mail that was not sent, or perhaps not, for a later try. Rejects after the last try. */
  async function postpone (delivery: Delivery, error: Error, log: Log): Promise<void> {
    const { message, correlationId, sentAt } = delivery
    const attempt = delivery.attempt + 1
    const isUnconfirmed = error instanceof MailUnconfirmed
    const unconfirmed = delivery.unconfirmed + Number(isUnconfirmed)
    if (attempt >= MAX_ATTEMPTS || unconfirmed >= MAX_UNCONFIRMED) throw error
    const delaySeconds = Math.max(delayOf(attempt, codeEnd(delivery)), isUnconfirmed ? UNCONFIRMED_DELAY : 0)
    // SQS gives a requeued message a new timestamp, so the message carries the expiry of its code.
    const expiresAt = message.challengeId === undefined ? undefined : message.expiresAt ?? new Date(sentAt + CODE_LIFE).toISOString()
    await queue.send({ ...message, ...(expiresAt === undefined ? {} : { expiresAt }) }, { correlationId, attempt, unconfirmed, delaySeconds })
    count('MailsFailed')
    log.warn({ err: error, attempt, retryInSeconds: delaySeconds }, 'mail not sent')
  }

  /** Sends a mail unless it has been sent, or must not be. Rejects with what kept it from being sent. */
  async function sendOnce (delivery: Delivery, isExpired: boolean, log: Log): Promise<void> {
    const { message, attempt, deadline } = delivery
    const { messageId, type } = message
    const status = await addresses.statusAgainst(message)
    if (status !== undefined) {
      count('MailsWithheld')
      log.info({ type, status }, 'not sent: an earlier mail to the address bounced, or its recipient complained')
      return
    }
    const leaseId = newId()
    const lease = await repository.lease(messageId, leaseId, deadline + LEASE_MARGIN)
    if (lease.state === 'sent') {
      count('MailsDuplicated')
      return log.info({}, 'already sent')
    }
    if (lease.state === 'busy') throw new MessageBusy(lease.until)
    const release = () => repository.release(messageId, leaseId).catch(err => { log.warn({ err }, 'a lease could not be released; it expires by itself') })
    try {
      await send(delivery, isExpired)
    } catch (error) {
      // The server may still be working on the mail, so the lease is kept: no other delivery may send it now.
      if (!(error instanceof MailUnconfirmed)) await release()
      if (error instanceof MailRefused) {
        count('MailsRefused')
        log.warn({ err: error, type }, 'mail rejected permanently')
        return
      }
      throw error
    }
    count('MailsSent')
    log.info({ type, isExpired, attempt }, 'mail sent')
    // Failing now would only cause a second mail. The message is done and is removed from the queue.
    await repository.markSent(messageId).catch(err => { log.warn({ err }, 'a sent mail could not be recorded') })
  }

  return {
    async enqueue (message: EmailMessage, correlationId: string): Promise<void> {
      checkMessage(message)
      await queue.send(message, { correlationId })
      count('MailsQueued')
    },

    /**
     * Sends a message unless it has been sent or is of no use any more. Resolves when this queue record is done. Rejects
     * when the record must be received again, or move to the dead-letter queue.
     *
     * Mail cannot be sent exactly once. When a worker is killed after the server has accepted the mail but before that is
     * recorded, its lease expires and the next delivery sends the mail again, with the same Message-ID and code.
     */
    async deliver (delivery: Delivery, log: Log): Promise<void> {
      const { message: { type }, attempt, unconfirmed, receives, firstReceivedAt } = delivery
      // It was handed over as often as allowed. It is received again only on its way to the dead-letter queue.
      if (unconfirmed === MAX_UNCONFIRMED - 1 && receives > 1) throw new MailUnconfirmed('several times')
      const end = codeEnd(delivery)
      const isExpired = now() >= end
      if (isExpired && attempt === 0 && firstReceivedAt >= end) {
        count('MailsExpired')
        log.info({ type }, 'not sent: the code of the message has expired')
        return
      }
      try {
        await sendOnce(delivery, isExpired, log)
      } catch (error) {
        if (!isTemporary(error)) throw error
        await postpone(delivery, error as Error, log)
      }
    }
  }
}
