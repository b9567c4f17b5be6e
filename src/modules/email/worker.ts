import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import type { FastifyBaseLogger } from 'fastify'
import type { Invocation } from '../../plugins/consumers.ts'
import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { Spans } from '../../plugins/spans.ts'
import { CORRELATION_ID_PATTERN, newId } from '../../shared/ids.ts'
import { traceparentIn } from '../../shared/traceparent.ts'
import { MessageBusy, MessageInvalid } from './errors.ts'
import type { EmailQueue } from './queue.ts'
import { parseMessage } from './schemas.ts'
import type { Service } from './service.ts'

/**
 * Seconds until a record that could not be handled is received again, by the number of its receives. Only for our own
 * failures: when a mail cannot be sent, the service queues it again and this record is done.
 */
const BACK_OFF = [30, 120]

/** Seconds until an invalid message comes back. Retrying cannot fix it; move it to the dead-letter queue quickly. */
const INVALID_BACK_OFF = 1

/** Milliseconds reserved at the end of an invocation for one call to DynamoDB and one to SQS. */
const REPORT_TIME = 2_000

/** Milliseconds for a batch when the invocation has no deadline: less than the 300 s after which the queue delivers it again. */
const MAX_BATCH_TIME = 240_000

interface WorkerOptions {
  service: Pick<Service, 'deliver'>
  queue: Pick<EmailQueue, 'showIn'>
  keys: Pick<Keys, 'refresh'>
  count: Count
  spans: Pick<Spans, 'run'>
  log: FastifyBaseLogger
  now?: () => number
}

function correlationIdOf ({ messageAttributes }: SQSRecord): string {
  const given = messageAttributes['correlationId']?.stringValue
  return given !== undefined && CORRELATION_ID_PATTERN.test(given) ? given : newId()
}

/** Reads a count from a record's attributes; 0 when it is missing. */
function countIn ({ messageAttributes }: SQSRecord, name: string): number {
  const value = messageAttributes[name]?.stringValue ?? ''
  return /^\d{1,4}$/.test(value) ? Number(value) : 0
}

/** The worker: passes a batch of queue records to the service and reports those that must be delivered again. */
export function createWorker ({ service, queue, keys, count, spans, log: parentLog, now = Date.now }: WorkerOptions) {
  async function handle (record: SQSRecord, deadline: number): Promise<void> {
    const correlationId = correlationIdOf(record)
    const receives = Number(record.attributes.ApproximateReceiveCount)
    let log = parentLog.child({ correlationId, sqsMessageId: record.messageId })
    try {
      const message = parseMessage(record.body)
      log = log.child({ messageId: message.messageId })
      const delivery = {
        message,
        correlationId,
        attempt: countIn(record, 'attempt'),
        unconfirmed: countIn(record, 'unconfirmed'),
        receives,
        sentAt: Number(record.attributes.SentTimestamp),
        firstReceivedAt: Number(record.attributes.ApproximateFirstReceiveTimestamp),
        deadline
      }
      await spans.run({ name: `deliver ${message.type}`, kind: 'consumer', parent: traceparentIn(record.messageAttributes['traceparent']?.stringValue), attributes: { 'correlation.id': correlationId } }, () => service.deliver(delivery, log))
    } catch (err) {
      const seconds = backOff(err, receives)
      if (!(err instanceof MessageBusy)) count('MailsFailed')
      log.warn({ err, receives, retryInSeconds: seconds }, 'message failed')
      await queue.showIn(record.receiptHandle, seconds).catch(err => { log.warn({ err }, 'the back-off could not be set; the message comes back after its visibility timeout') })
      throw err
    }
  }

  function backOff (error: unknown, receives: number): number {
    if (error instanceof MessageInvalid) return INVALID_BACK_OFF
    // Wait until the other delivery's lease has expired: a message has only three receives.
    if (error instanceof MessageBusy) return Math.max(1, Math.ceil((error.until - now()) / 1000))
    return BACK_OFF[receives - 1] ?? BACK_OFF.at(-1)!
  }

  return {
    async handleBatch (event: SQSEvent, { deadline = Infinity }: Invocation = {}): Promise<SQSBatchResponse> {
      // Loaded with the first batch, because the process that answers requests never needs it.
      const { BatchProcessor, EventType, processPartialResponse } = await import('@aws-lambda-powertools/batch')
      // The secret of codes may have been rotated while the process was frozen.
      await keys.refresh()
      const end = Math.min(deadline - REPORT_TIME, now() + MAX_BATCH_TIME)
      // A processor holds the state of one batch, and two batches may run at once. A batch that failed completely is
      // reported like any other: if it threw, it would be retried without the messages' back-off.
      return processPartialResponse(event, (record: SQSRecord) => handle(record, end), new BatchProcessor(EventType.SQS), { throwOnFullBatchFailure: false })
    }
  }
}
