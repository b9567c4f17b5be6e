import {
  ChangeMessageVisibilityCommand, DeleteMessageCommand, GetQueueAttributesCommand, PurgeQueueCommand, ReceiveMessageCommand, SendMessageCommand,
  SQSClient, type Message
} from '@aws-sdk/client-sqs'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { UsageError } from './command.ts'

const HELP = `npm run dlq -- list | redrive | purge [receipts | --queue-url URL [--function NAME]]: the messages that could not be
handled in three receives, or those of another queue of failures.

  list      type, ids, age and receive count of each message; no addresses
  redrive   sends each message to its queue again; use it once the cause of the failures is fixed
  purge     removes all messages permanently

The queue is the dead-letter queue of EMAIL_QUEUE_URL, or with the word receipts, of MAIL_RECEIPTS_QUEUE_URL. The variable is
read from the environment, with AWS's own variables for region and credentials, or else from the running npm start, in
LOCAL_DATA_DIR/env (.local/env).

  --queue-url URL   another queue: the output EventFailureQueueUrl or RelayFailureQueueUrl of the stack
  --function NAME   with redrive and --queue-url: the function that gets the events again, ApiFunctionName:live. Checks of uploads
                    are started again; sweeps and stream batches are removed, because a sweep every five minutes handles what
                    they were about
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

type Body = Record<string, unknown>
const object = (value: unknown): Body => Object(value) as Body

function bodyOf ({ Body }: Message): Body {
  try {
    return object(JSON.parse(Body!))
  } catch {
    // The message is not JSON, which is why it is in this queue.
    return {}
  }
}

/**
 * What a message of a queue of failures was about, and the event that starts it again, if anything must. Lambda keeps an
 * asynchronous event as `requestPayload`, and of a stream batch only its position; EventBridge keeps the event itself.
 */
function failureOf (body: Body): { kind?: 'stream-batch' | 'sweep' | 'upload', event?: Body } {
  if ('DDBStreamBatchInfo' in body) return { kind: 'stream-batch' }
  const event = object(body['requestPayload'] ?? body)
  const { source, detail } = event
  if (source === 'aws.events' || source === 'aws.scheduler') return { kind: 'sweep' }
  if (Array.isArray(event['Records']) && object(event['Records'][0])['eventSource'] === 'aws:s3') return { kind: 'upload', event }
  if (source !== 'aws.s3') return {}
  // As the rule UploadedRule of the template transforms it.
  const { bucket, object: { key, size } = {} } = object(detail) as { bucket?: { name?: string }, object?: { key?: string, size?: number } }
  return { kind: 'upload', event: { Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', eventTime: event['time'], s3: { bucket: { name: bucket?.name }, object: { key, size } } }] } }
}

/** A queue of failures, given by its URL. */
const FAILURES: Pick<Queue, 'rowOf'> = {
  rowOf: (body, { MessageAttributes }) => [body['type'] ?? failureOf(body).kind, body['messageId'], MessageAttributes?.['correlationId']?.StringValue]
}

function rowOf ({ rowOf }: Pick<Queue, 'rowOf'>, message: Message, now: number): string[] {
  return [...rowOf(bodyOf(message), message).map(word), ageOf(message, now), word(message.Attributes?.ApproximateReceiveCount)]
}

async function list (sqs: SQSClient, queue: Pick<Queue, 'rowOf'>, dlq: string, what: string): Promise<void> {
  const messages: Message[] = []
  try {
    for await (const message of messagesOf(sqs, dlq)) messages.push(message)
  } finally {
    for (const message of messages) await putBack(sqs, dlq, message)
  }
  const rows = [['TYPE', 'MESSAGE', 'CORRELATION', 'AGE', 'RECEIVES'], ...messages.map(message => rowOf(queue, message, Date.now()))]
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  if (messages.length > 0) for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd())
  console.log(`${messages.length} in the ${what}`)
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

/** Starts again what can be, and removes what need not be. A message that is neither stays. */
async function redriveEvents (sqs: SQSClient, queueUrl: string, functionName: string): Promise<void> {
  const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda')
  const lambda = new LambdaClient({})
  let started = 0
  let removed = 0
  const unknown: Message[] = []
  for await (const message of messagesOf(sqs, queueUrl)) {
    const { kind, event } = failureOf(bodyOf(message))
    if (kind === undefined) {
      unknown.push(message)
      continue
    }
    // Started before it is deleted: a check that is started twice changes nothing.
    if (event !== undefined) await lambda.send(new InvokeCommand({ FunctionName: functionName, InvocationType: 'Event', Payload: JSON.stringify(event) }))
    await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: message.ReceiptHandle }))
    if (event === undefined) removed++
    else started++
  }
  for (const message of unknown) await putBack(sqs, queueUrl, message)
  console.log(`${started} checks of uploads started again, ${removed} sweeps and stream batches removed${unknown.length === 0 ? '' : `, ${unknown.length} of an unknown kind left in the queue`}`)
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

interface Options { which?: string, queueUrl?: string, functionName?: string }

function optionsOf (args: string[]): { verb: string | undefined, help: boolean } & Options {
  try {
    const { values: { help = false, 'queue-url': queueUrl, function: functionName }, positionals: [verb, which, extra] } = parseArgs({
      args,
      options: { help: { type: 'boolean', short: 'h' }, 'queue-url': { type: 'string' }, function: { type: 'string' } },
      allowPositionals: true
    })
    if (extra !== undefined) throw new UsageError(`Unexpected argument ${extra}: --help lists the options`)
    return { verb, help, ...(which === undefined ? {} : { which }), ...(queueUrl === undefined ? {} : { queueUrl }), ...(functionName === undefined ? {} : { functionName }) }
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]!}: --help lists the options`)
  }
}

async function main (args: string[]): Promise<void> {
  const { verb, help, which, queueUrl, functionName } = optionsOf(args)
  if (help) return console.log(HELP)
  if (verb === undefined || !['list', 'redrive', 'purge'].includes(verb)) throw new UsageError(`Expected list, redrive or purge.\n\n${HELP}`)
  if (which !== undefined && (which !== 'receipts' || queueUrl !== undefined)) throw new UsageError(`Expected receipts, --queue-url or nothing after ${verb}.\n\n${HELP}`)
  const sqs = new SQSClient({})
  if (queueUrl !== undefined) {
    if (verb === 'list') return await list(sqs, FAILURES, queueUrl, 'queue')
    if (verb === 'purge') return await purge(sqs, queueUrl)
    if (functionName === undefined) throw new UsageError('redrive of another queue needs --function, the function that gets its events again')
    return await redriveEvents(sqs, queueUrl, functionName)
  }
  if (functionName !== undefined) throw new UsageError('--function needs --queue-url')
  const queue = which === 'receipts' ? RECEIPTS : MAILS
  environment(queue)
  const source = process.env[queue.variable]!.trim()
  const dlq = await deadLetterQueueOf(sqs, source)
  if (verb === 'list') await list(sqs, queue, dlq, 'dead-letter queue')
  if (verb === 'redrive') await redrive(sqs, queue, source, dlq)
  if (verb === 'purge') await purge(sqs, dlq)
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error instanceof UsageError ? error.message : `${error.name}: ${error.message}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
