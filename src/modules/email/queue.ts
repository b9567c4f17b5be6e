import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs'
import type { EmailMessage } from './contract.ts'

export type EmailQueue = ReturnType<typeof createQueue>

/** The e-mail queue: the only place that sends to it. */
export function createQueue (sqs: SQSClient, queueUrl: string) {
  return {
    async send (message: EmailMessage, correlationId: string): Promise<void> {
      await sqs.send(new SendMessageCommand({
        QueueUrl: queueUrl,
        // SQS refuses some of the characters that a name may hold, and not every engine takes those beyond the BMP:
        // ASCII is what all agree on.
        MessageBody: JSON.stringify(message).replace(/[^\x20-\x7e]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
        MessageAttributes: { correlationId: { DataType: 'String', StringValue: correlationId } }
      }))
    },

    /** Shows a received message again after this many seconds instead of the queue's own 300. */
    async showIn (receiptHandle: string, seconds: number): Promise<void> {
      await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle: receiptHandle, VisibilityTimeout: seconds }))
    }
  }
}
