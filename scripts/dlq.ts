import {
  ChangeMessageVisibilityCommand, DeleteMessageCommand, GetQueueAttributesCommand, PurgeQueueCommand, ReceiveMessageCommand, SendMessageCommand,
  SQSClient, type Message
} from '@aws-sdk/client-sqs'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'

const HELP = `npm run dlq -- list | redrive | purge: the messages that the e-mail worker could not handle in three receives.

  list      type, ids, age and receive count of each message; no addresses
  redrive   sends each message to the e-mail queue again; use it once the cause of the failures is fixed
  purge     removes all messages permanently

The queue is the dead-letter queue of EMAIL_QUEUE_URL. The variable is read from the environment, with AWS's own variables
for region and credentials, or else from the running npm start, in LOCAL_DATA_DIR/env (.local/env).
`

/** Seconds for which received messages are hidden from other consumers. */
const IN_HAND = 60

function environment (): void {
  if (process.env['EMAIL_QUEUE_URL']?.trim()) return
  const file = `${process.env['LOCAL_DATA_DIR']?.trim() || '.local'}/env`
  if (!existsSync(file)) throw new UsageError(`EMAIL_QUEUE_URL is missing, and no npm start is running (no ${file})`)
  process.loadEnvFile(file)
}

class UsageError extends Error {}

/** URL of the queue in the redrive policy. Both queues belong to one stack, so account and region are the same. */
async function deadLetterQueueOf (sqs: SQSClient, queueUrl: string): Promise<string> {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['RedrivePolicy'] }))
  const policy = Attributes?.['RedrivePolicy']
  if (policy === undefined) throw new UsageError(`${queueUrl} has no dead-letter queue`)
  const { deadLetterTargetArn } = JSON.parse(policy) as { deadLetterTargetArn: string }
  return new URL(deadLetterTargetArn.split(':').at(-1)!, queueUrl).href
}

/** Every message of a queue, each once, hidden from other consumers meanwhile. */
async function * messagesOf (sqs: SQSClient, queueUrl: string): AsyncGenerator<Message> {
  const seen = new Set<string>()
  for (;;) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: IN_HAND,
      WaitTimeSeconds: 1, // a short poll asks only some of SQS's servers and may miss messages
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All']
    }))
    const fresh = Messages.filter(({ MessageId }) => !seen.has(MessageId!))
    if (fresh.length === 0) return
    for (const message of fresh) {
      seen.add(message.MessageId!)
      yield message
    }
  }
}

const putBack = (sqs: SQSClient, QueueUrl: string, { ReceiptHandle }: Message) => sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }))

const sentAt = ({ Attributes }: Message) => Number(Attributes?.SentTimestamp)

/** A value in a form that is safe for a terminal, because a message may contain anything. */
const word = (value: unknown): string => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : '?'

function ageOf (message: Message, now: number): string {
  const minutes = Math.floor((now - sentAt(message)) / 60_000)
  if (minutes < 60) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`
}

function rowOf (message: Message, now: number): string[] {
  let body: { type?: unknown, messageId?: unknown } = {}
  try {
    body = Object(JSON.parse(message.Body!)) as typeof body
  } catch {
    // The message is not JSON, which is why it is in this queue.
  }
  return [word(body.type), word(body.messageId), word(message.MessageAttributes?.['correlationId']?.StringValue), ageOf(message, now), word(message.Attributes?.ApproximateReceiveCount)]
}

async function list (sqs: SQSClient, dlq: string): Promise<void> {
  const messages: Message[] = []
  try {
    for await (const message of messagesOf(sqs, dlq)) messages.push(message)
  } finally {
    for (const message of messages) await putBack(sqs, dlq, message)
  }
  const rows = [['TYPE', 'MESSAGE', 'CORRELATION', 'AGE', 'RECEIVES'], ...messages.map(message => rowOf(message, Date.now()))]
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  if (messages.length > 0) for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd())
  console.log(`${messages.length} in the dead-letter queue`)
}

async function redrive (sqs: SQSClient, queueUrl: string, dlq: string): Promise<void> {
  const start = Date.now()
  let sent = 0
  const late: Message[] = []
  for await (const message of messagesOf(sqs, dlq)) {
    // A message that was just sent has come back: the cause is not fixed, and sending it again would loop forever.
    if (sentAt(message) >= start) {
      late.push(message)
      continue
    }
    // Sent before it is deleted: an interruption in between causes a duplicate, which the worker detects by its messageId.
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: message.Body, MessageAttributes: message.MessageAttributes }))
    await sqs.send(new DeleteMessageCommand({ QueueUrl: dlq, ReceiptHandle: message.ReceiptHandle }))
    sent++
  }
  for (const message of late) await putBack(sqs, dlq, message)
  console.log(`${sent} sent to the e-mail queue again`)
}

async function purge (sqs: SQSClient, dlq: string): Promise<void> {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: dlq, AttributeNames: ['ApproximateNumberOfMessages'] }))
  const count = Attributes?.['ApproximateNumberOfMessages'] ?? '?'
  if (process.stdin.isTTY) {
    const terminal = createInterface({ input: process.stdin, output: process.stdout })
    const answer = await terminal.question(`Remove ${count} messages of ${dlq} permanently? (yes/no) `)
    terminal.close()
    if (answer !== 'yes') return console.log('Nothing removed')
  }
  await sqs.send(new PurgeQueueCommand({ QueueUrl: dlq }))
  console.log(`${count} removed`)
}

async function main ([verb]: string[]): Promise<void> {
  if (verb === '--help' || verb === '-h') return console.log(HELP)
  if (verb === undefined || !['list', 'redrive', 'purge'].includes(verb)) throw new UsageError(`Expected list, redrive or purge.\n\n${HELP}`)
  environment()
  const sqs = new SQSClient({})
  const queueUrl = process.env['EMAIL_QUEUE_URL']!.trim()
  const dlq = await deadLetterQueueOf(sqs, queueUrl)
  if (verb === 'list') await list(sqs, dlq)
  if (verb === 'redrive') await redrive(sqs, queueUrl, dlq)
  if (verb === 'purge') await purge(sqs, dlq)
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error instanceof UsageError ? error.message : `${error.name}: ${error.message}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
