import { ChangeMessageVisibilityCommand, SendMessageCommand, type MessageAttributeValue, type SQSClient } from '@aws-sdk/client-sqs'
import type { Spans } from '../../plugins/spans.ts'
import type { EmailMessage } from './schemas.ts'
import { formatMessage } from './schemas.ts'

/** Data about a message, sent as attributes of its record. */
export interface Dispatch {
  correlationId: string
  /** tries so far that failed with a temporary error */
  attempt?: number
  /** those of them after which it is unknown whether the mail was sent */
  unconfirmed?: number
  /** seconds until the message can be received, at most 900 */
  delaySeconds?: number
}

export type EmailQueue = ReturnType<typeof createQueue>

const text = (value: string): MessageAttributeValue => ({ DataType: 'String', StringValue: value })
const number = (value: number): MessageAttributeValue => ({ DataType: 'Number', StringValue: String(value) })

/** The operations on the e-mail queue that the module uses. */
export function createQueue ({ sqs, queueUrl, traceparent = () => undefined }: { sqs: SQSClient, queueUrl: string, /** of what runs now */ traceparent?: Spans['traceparent'] }) {
  return {
    async send (message: EmailMessage, { correlationId, attempt = 0, unconfirmed = 0, delaySeconds = 0 }: Dispatch): Promise<void> {
      const trace = traceparent()
      await sqs.send(new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: formatMessage(message),
        MessageAttributes: {
          correlationId: text(correlationId),
          ...(trace === undefined ? {} : { traceparent: text(trace) }),
          ...(attempt === 0 ? {} : { attempt: number(attempt) }),
          ...(unconfirmed === 0 ? {} : { unconfirmed: number(unconfirmed) })
        },
        ...(delaySeconds === 0 ? {} : { DelaySeconds: delaySeconds })
      }))
    },

    /** Makes a received message visible again after this many seconds, instead of the queue's default of 300. */
    async showIn (receiptHandle: string, seconds: number): Promise<void> {
      await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle: receiptHandle, VisibilityTimeout: seconds }))
    }
  }
}
