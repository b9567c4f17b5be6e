import {
  ChangeMessageVisibilityCommand, DeleteMessageCommand, GetQueueAttributesCommand, PurgeQueueCommand, ReceiveMessageCommand, SendMessageCommand,
  SQSClient, type Message
} from '@aws-sdk/client-sqs'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'

const HELP = `npm run dlq -- list | redrive | purge [receipts]: the messages that could not be handled in three receives.

  list      type, ids, age and receive count of each message; no addresses
  redrive   sends each message to its queue again; use it once the cause of the failures is fixed
  purge     removes all messages permanently

The queue is the dead-letter queue of EMAIL_QUEUE_URL, or with the word receipts, of MAIL_RECEIPTS_QUEUE_URL. The variable is
read from the environment, with AWS's own variables for region and credentials, or else from the running npm start, in
LOCAL_DATA_DIR/env (.local/env).
`

interface Queue {
  variable: string
  name: string
  /** type, message id and correlation id in a body that can be read; anything else is shown as a question mark */
  rowOf (body: Record<string, unknown>, message: Message): unknown[]
}

const MAILS: Queue = {
  variable: 'EMAIL_QUEUE_URL',
  name: 'e-mail queue',
  rowOf: ({ type, messageId }, { MessageAttributes }) => [type, messageId, MessageAttributes?.['correlationId']?.StringValue]
}

/** A receipt is an event of SES. Its tags name the mail. */
const RECEIPTS: Queue = {
  variable: 'MAIL_RECEIPTS_QUEUE_URL',
  name: 'queue of receipts',
  rowOf ({ detail }) {
    const { eventType, mail } = Object(detail) as { eventType?: unknown, mail?: { tags?: { messageId?: unknown[] }, headers?: unknown } }
    const headers = Array.isArray(mail?.headers) ? mail.headers as { name?: unknown, value?: unknown }[] : []
    return [eventType, mail?.tags?.messageId?.[0], headers.find(header => Object(header).name === 'X-Correlation-Id')?.value]
  }
}

/** Seconds for which received messages are hidden from other consumers. */
const IN_HAND = 60

function environment ({ variable }: Queue): void {
  if (process.env[variable]?.trim()) return
  const file = `${process.env['LOCAL_DATA_DIR']?.trim() || '.local'}/env`
  if (!existsSync(file)) throw new UsageError(`${variable} is missing, and no npm start is running (no ${file})`)
  process.loadEnvFile(file)
  if (!process.env[variable]?.trim()) throw new UsageError(`${variable} is not in ${file}: start npm start again`)
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

function rowOf (queue: Queue, message: Message, now: number): string[] {
  let body: Record<string, unknown> = {}
  try {
    body = Object(JSON.parse(message.Body!)) as typeof body
  } catch {
    // The message is not JSON, which is why it is in this queue.
  }
  return [...queue.rowOf(body, message).map(word), ageOf(message, now), word(message.Attributes?.ApproximateReceiveCount)]
}

async function list (sqs: SQSClient, queue: Queue, dlq: string): Promise<void> {
  const messages: Message[] = []
  try {
    for await (const message of messagesOf(sqs, dlq)) messages.push(message)
  } finally {
    for (const message of messages) await putBack(sqs, dlq, message)
  }
  const rows = [['TYPE', 'MESSAGE', 'CORRELATION', 'AGE', 'RECEIVES'], ...messages.map(message => rowOf(queue, message, Date.now()))]
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  if (messages.length > 0) for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd())
  console.log(`${messages.length} in the dead-letter queue`)
}

async function redrive (sqs: SQSClient, queue: Queue, queueUrl: string, dlq: string): Promise<void> {
  const start = Date.now()
  let sent = 0
  const late: Message[] = []
  for await (const message of messagesOf(sqs, dlq)) {
    // A message that was just sent has come back: the cause is not fixed, and sending it again would loop forever.
    if (sentAt(message) >= start) {
      late.push(message)
      continue
    }
    // Sent before it is deleted: an interruption in between causes a duplicate, which both consumers detect.
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: message.Body, MessageAttributes: message.MessageAttributes }))
    await sqs.send(new DeleteMessageCommand({ QueueUrl: dlq, ReceiptHandle: message.ReceiptHandle }))
    sent++
  }
  for (const message of late) await putBack(sqs, dlq, message)
  console.log(`${sent} sent to the ${queue.name} again`)
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

async function main ([verb, which]: string[]): Promise<void> {
  if (verb === '--help' || verb === '-h') return console.log(HELP)
  if (verb === undefined || !['list', 'redrive', 'purge'].includes(verb)) throw new UsageError(`Expected list, redrive or purge.\n\n${HELP}`)
  if (which !== undefined && which !== 'receipts') throw new UsageError(`Expected receipts or nothing after ${verb}.\n\n${HELP}`)
  const queue = which === 'receipts' ? RECEIPTS : MAILS
  environment(queue)
  const sqs = new SQSClient({})
  const queueUrl = process.env[queue.variable]!.trim()
  const dlq = await deadLetterQueueOf(sqs, queueUrl)
  if (verb === 'list') await list(sqs, queue, dlq)
  if (verb === 'redrive') await redrive(sqs, queue, queueUrl, dlq)
  if (verb === 'purge') await purge(sqs, dlq)
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error instanceof UsageError ? error.message : `${error.name}: ${error.message}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
