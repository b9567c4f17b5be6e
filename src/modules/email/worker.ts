import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../../plugins/config.ts'
import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import { CORRELATION_ID_PATTERN, newId } from '../../shared/ids.ts'
import type { EmailMessage } from './contract.ts'
import { MessageBusy, MessageInvalid } from './errors.ts'
import type { EmailQueue } from './queue.ts'
import type { EmailRepository } from './repository.ts'
import { parseMessage } from './schemas.ts'
import type { Mailbox, Sender } from './sender.ts'
import { greetingName, renderMail } from './templates.ts'

/**
 * Seconds until a failed message is tried again, by how often it has been received. All three tries fit into the ten
 * minutes for which a code is good; with the queue's own 300 s the third would mail a dead one.
 */
const BACK_OFF = [30, 120]

/** Seconds until an invalid message comes back. Waiting mends nothing about it: it is soon where a person finds it. */
const INVALID_BACK_OFF = 1

interface WorkerOptions {
  config: Pick<Config, 'EMAIL_FROM' | 'PUBLIC_URL'>
  keys: Pick<Keys, 'codeOf'>
  repository: EmailRepository
  queue: EmailQueue
  sender: Sender
  count: Count
  log: FastifyBaseLogger
}

/** Name and address of `EMAIL_FROM`, whose form the configuration has checked. */
function mailboxOf (from: string): Mailbox {
  const [, name = '', address = from] = /^(.*)<([^<>]+)>$/.exec(from) ?? []
  return { name: name.trim().replace(/^"(.*)"$/, '$1'), address: address.trim() }
}

function correlationIdOf (record: SQSRecord): string {
  const given = record.messageAttributes['correlationId']?.stringValue
  return given !== undefined && CORRELATION_ID_PATTERN.test(given) ? given : newId()
}

/** The worker: turns queue messages into mails. At least once, and once for each `messageId` as far as that can be had. */
export function createWorker ({ config, keys, repository, queue, sender, count, log: parentLog }: WorkerOptions) {
  const from = mailboxOf(config.EMAIL_FROM)
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)
  const brand = from.name === '' ? new URL(config.PUBLIC_URL).host : from.name

  async function send (message: EmailMessage, correlationId: string): Promise<void> {
    const { type, messageId, email, name, challengeId } = message
    const link = challengeId === undefined ? undefined : { challengeId, code: keys.codeOf(challengeId) }
    await sender.send({
      // Made of the message's own id: a mail that had to be sent twice is recognised as one by whoever gets it.
      messageId: `${messageId}@${domain}`,
      from,
      to: { name: greetingName(name), address: email },
      ...renderMail({ type, name, brand, contact: from.address, publicUrl: config.PUBLIC_URL, challenge: link }),
      headers: {
        'X-Correlation-Id': correlationId,
        // RFC 3834: no out-of-office answers; the second is Exchange's word for it.
        'Auto-Submitted': 'auto-generated',
        'X-Auto-Response-Suppress': 'All',
        // Gmail folds mails of one subject into a thread and so hides the newest code, unless this differs.
        'X-Entity-Ref-ID': messageId
      }
    })
  }

  /**
   * Sends a message unless it has been sent. There is no exactly-once mail: a worker killed after the server took the
   * mail and before the record says so leaves a lease that runs out, and the next delivery sends the mail again, with
   * the same Message-ID and the same code.
   */
  async function deliver (message: EmailMessage, correlationId: string, log: FastifyBaseLogger): Promise<void> {
    const leaseId = newId()
    const state = await repository.lease(message.messageId, leaseId)
    if (state === 'sent') return log.info('already sent')
    if (state === 'busy') throw new MessageBusy()
    try {
      await send(message, correlationId)
    } catch (error) {
      await repository.release(message.messageId, leaseId).catch(err => log.warn({ err }, 'a lease could not be given back; it runs out by itself'))
      throw error
    }
    count('MailsSent')
    log.info({ type: message.type }, 'mail sent')
    // To fail now would only make a second mail certain: the message is done, and removed from the queue.
    await repository.markSent(message.messageId).catch(err => log.warn({ err }, 'a sent mail could not be recorded'))
  }

  async function handle (record: SQSRecord): Promise<void> {
    const correlationId = correlationIdOf(record)
    let log = parentLog.child({ correlationId, sqsMessageId: record.messageId })
    try {
      const message = parseMessage(record.body)
      log = log.child({ messageId: message.messageId })
      await deliver(message, correlationId, log)
    } catch (err) {
      const receives = Number(record.attributes.ApproximateReceiveCount)
      const seconds = err instanceof MessageInvalid ? INVALID_BACK_OFF : BACK_OFF[receives - 1] ?? BACK_OFF.at(-1)!
      if (!(err instanceof MessageBusy)) count('MailsFailed')
      log.warn({ err, receives, retryInSeconds: seconds }, 'message failed')
      await queue.showIn(record.receiptHandle, seconds).catch(err => log.warn({ err }, 'the back-off could not be set; the message comes back when its visibility ends'))
      throw err
    }
  }

  return {
    async handleBatch (event: SQSEvent): Promise<SQSBatchResponse> {
      // Loaded with the first batch: the process that answers requests never needs it.
      const { BatchProcessor, EventType, processPartialResponse } = await import('@aws-lambda-powertools/batch')
      // A processor holds the state of one batch, and two may be under way. A batch that failed as a whole is reported
      // like any other: thrown, it would be retried without the back-off of its messages being told apart.
      return processPartialResponse(event, handle, new BatchProcessor(EventType.SQS), { throwOnFullBatchFailure: false })
    }
  }
}
