import { ChangeMessageVisibilityBatchCommand, DeleteMessageCommand, GetQueueAttributesCommand, ReceiveMessageCommand, type Message, type SQSClient } from '@aws-sdk/client-sqs'
import { progress } from '../command.ts'

// Receiving every message of a queue once, and leaving nothing hidden behind.

/** Seconds for which a received message is hidden from others. A command that is killed leaves its messages hidden for so long. */
const IN_HAND = 300
/** Messages of one call, the limit of SQS. */
const PAGE = 10

export type Body = Record<string, unknown>
export const object = (value: unknown): Body => Object(value) as Body

export function bodyOf ({ Body }: Message): Body {
  try {
    return object(JSON.parse(Body!))
  } catch {
    // The message is not JSON, which is why it is in this queue.
    return {}
  }
}

export const attributeOf = ({ MessageAttributes }: Message, name: string): string | undefined => MessageAttributes?.[name]?.StringValue
export const sentAt = ({ Attributes }: Message): number => Number(Attributes?.SentTimestamp)

/** How many messages a queue has, about: SQS counts them by and by. */
export async function countIn (sqs: SQSClient, queueUrl: string): Promise<number> {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['ApproximateNumberOfMessages'] }))
  return Number(Attributes?.['ApproximateNumberOfMessages'] ?? 0)
}

async function putBack (sqs: SQSClient, queueUrl: string, messages: Message[]): Promise<void> {
  for (let i = 0; i < messages.length; i += PAGE) {
    const Entries = messages.slice(i, i + PAGE).map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle, VisibilityTimeout: 0 }))
    await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }))
  }
}

/**
 * Hands over every message of a queue, each once, a page at a time in parallel. Those for which `handle` resolves to `done` are deleted.
 * All others can be received again afterwards, also when this ends by an error or by the signal.
 */
export async function eachMessage (sqs: SQSClient, queueUrl: string, signal: AbortSignal, handle: (message: Message) => Promise<'done' | 'kept' | 'enough'>): Promise<void> {
  const seen = new Set<string>()
  const inHand = new Map<string, Message>()
  const say = progress()
  const count = await countIn(sqs, queueUrl)
  try {
    for (let isEnough = false; !isEnough;) {
      // Not aborted itself: SQS would hide what it was about to send.
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: PAGE,
        VisibilityTimeout: IN_HAND,
        WaitTimeSeconds: 1, // a short poll asks only some of SQS's servers and may miss messages
        MessageSystemAttributeNames: ['All'],
        MessageAttributeNames: ['All']
      }))
      // The newest receipt is the one that counts. A message that comes back was hidden for too short a time.
      for (const message of Messages) inHand.set(message.MessageId!, message)
      signal.throwIfAborted()
      const fresh = Messages.filter(({ MessageId }) => !seen.has(MessageId!))
      if (fresh.length === 0) return
      const results = await Promise.allSettled(fresh.map(async message => {
        seen.add(message.MessageId!)
        const result = await handle(message)
        if (result === 'done') {
          await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: message.ReceiptHandle }))
          inHand.delete(message.MessageId!)
        }
        if (result === 'enough') isEnough = true
      }))
      const failed = results.find(result => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      say(`${seen.size} of about ${Math.max(count, seen.size)} messages`)
    }
  } finally {
    await putBack(sqs, queueUrl, [...inHand.values()])
  }
}
