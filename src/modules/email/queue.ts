import { ChangeMessageVisibilityCommand, SendMessageCommand, type MessageAttributeValue, type SQSClient } from '@aws-sdk/client-sqs'
import type { EmailMessage } from './schemas.ts'
import { formatMessage } from './schemas.ts'

/** What goes beside a message, as attributes of its record. */
export interface Dispatch {
  correlationId: string
  /** tries so far that failed for a reason that passes */
  attempt?: number
  /** those of them after which it is not known whether the mail was sent */
  unconfirmed?: number
  /** seconds until the message is shown, at most 900 */
  delaySeconds?: number
}

export type EmailQueue = ReturnType<typeof createQueue>

const text = (value: string): MessageAttributeValue => ({ DataType: 'String', StringValue: value })
const number = (value: number): MessageAttributeValue => ({ DataType: 'Number', StringValue: String(value) })

/** The e-mail queue, as the module uses it. */
export function createQueue ({ sqs, queueUrl }: { sqs: SQSClient, queueUrl: string }) {
  return {
    async send (message: EmailMessage, { correlationId, attempt = 0, unconfirmed = 0, delaySeconds = 0 }: Dispatch): Promise<void> {
      await sqs.send(new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: formatMessage(message),
        MessageAttributes: {
          correlationId: text(correlationId),
          ...(attempt === 0 ? {} : { attempt: number(attempt) }),
          ...(unconfirmed === 0 ? {} : { unconfirmed: number(unconfirmed) })
        },
        ...(delaySeconds === 0 ? {} : { DelaySeconds: delaySeconds })
      }))
    },

    /** Shows a received message again after this many seconds instead of the queue's own 300. */
    async showIn (receiptHandle: string, seconds: number): Promise<void> {
      await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle: receiptHandle, VisibilityTimeout: seconds }))
    }
  }
}
