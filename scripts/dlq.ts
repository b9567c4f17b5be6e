import { PurgeQueueCommand, SendMessageCommand, SQSClient, type Message } from '@aws-sdk/client-sqs'
import { confirm, Failure, runCommand, UsageError } from './command.ts'
import { bodyOf, countIn, eachMessage, sentAt } from './dlq/messages.ts'
import { presentLines } from './dlq/present.ts'
import { findQueues, NAMES, TITLES, type FailureQueue, type Name, type Tables } from './dlq/queues.ts'
import { failureOf, loadParsers, partsOf, whyFailed } from './dlq/reasons.ts'
import { attributeLines, bodyText, printable, word } from './dlq/safe.ts'
import { abortOnSignals } from './signals.ts'

const HELP = `npm run dlq -- list | show | redrive | purge [mails | receipts | relay | events]: the messages that could not be handled.

  list      what is in each queue: type, ids, age, receives, and why it failed. No names and no addresses
  show      one message whole, why it failed, and what is true now: the account, its address, its code
  redrive   sends each message to its queue or function again; use it once the cause of the failures is fixed
  purge     removes all messages of one queue permanently; asks before

  mails     could not be sent in three receives; the queue of redrive and purge without a name
  receipts  of SES that could not be handled in three receives
  relay     what Lambda gave up on: batches of the tables' streams, sweeps, checks of uploads. Checks of uploads are started
            again; sweeps and batches are removed, because a sweep every five minutes handles what they were about
  events    what EventBridge gave up on: sweeps, checks of uploads; handled like relay

  --stack NAME      the queues of a stack; AWS's own variables say in which account and region
  --message ID      show: the message, by its id in the list
  --personal        show: names and addresses too, instead of ***
  --queue-url URL   another queue of failures
  --function NAME   with redrive and --queue-url: the function that gets the events again, ApiFunctionName:live
  --yes             purge: does not ask

Without a stack, EMAIL_QUEUE_URL and MAIL_RECEIPTS_QUEUE_URL of the environment name the first two, or else those of the running
npm start, in LOCAL_DATA_DIR/env (.local/env).
`

const MINUTE = 60_000

function ageOf (message: Message): string {
  const minutes = Math.floor((Date.now() - sentAt(message)) / MINUTE)
  if (minutes < 60) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`
}

/** The id of a message in the list: the service's, or SQS's where it has none. */
const idOf = (queue: FailureQueue, message: Message): string => [partsOf(queue, message).messageId, message.MessageId].map(word).find(id => id !== '?') ?? '?'

async function list (sqs: SQSClient, queues: FailureQueue[], signal: AbortSignal): Promise<void> {
  const parsers = await loadParsers()
  for (const queue of queues) {
    const rows: string[][] = []
    await eachMessage(sqs, queue.url, signal, async message => {
      const { type, correlationId } = partsOf(queue, message)
      rows.push([word(type), idOf(queue, message), word(correlationId), ageOf(message), word(message.Attributes?.ApproximateReceiveCount), printable(whyFailed(queue, message, parsers)).replaceAll('\n', ' ')])
      return 'kept'
    })
    const table = [['TYPE', 'MESSAGE', 'CORRELATION', 'AGE', 'RECEIVES', 'WHY'], ...rows]
    const widths = table[0]!.map((_, i) => Math.max(...table.map(row => row[i]!.length)))
    if (rows.length > 0) for (const row of table) console.log(row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd())
    console.log(`${rows.length} in the ${TITLES[queue.name]}`)
  }
}

async function show (sqs: SQSClient, queues: FailureQueue[], tables: Tables, signal: AbortSignal, { id, isPersonal }: { id: string | undefined, isPersonal: boolean }): Promise<void> {
  const found: { queue: FailureQueue, message: Message }[] = []
  for (const queue of queues) {
    await eachMessage(sqs, queue.url, signal, async message => {
      if (id !== undefined && idOf(queue, message) !== id && message.MessageId !== id) return 'kept'
      found.push({ queue, message })
      return 'enough'
    })
  }
  if (found.length === 0) throw new Failure(id === undefined ? 'There is no message' : `There is no message ${printable(id)}. list has the ids; another reader may hold it for some minutes`)
  if (found.length > 1) throw new UsageError(`There are ${found.length} messages or more: --message ID says which one; list has the ids`)
  const { queue, message } = found[0]!
  const parts = partsOf(queue, message)
  const lines = [
    `message: ${idOf(queue, message)}, of the ${TITLES[queue.name]}`,
    `sent: ${new Date(sentAt(message)).toISOString()} (${ageOf(message)} ago), receives: ${word(message.Attributes?.ApproximateReceiveCount)}`,
    `why: ${printable(whyFailed(queue, message, await loadParsers())).replaceAll('\n', ' ')}`,
    ...await presentLines(message, parts, tables, queue.name === 'mails'),
    ...attributeLines(message, isPersonal),
    bodyText(message, isPersonal)
  ]
  console.log(lines.join('\n'))
}

/** Sends each message to its queue again. */
async function resend (sqs: SQSClient, { name, url, source }: FailureQueue & { source: string }, signal: AbortSignal): Promise<void> {
  const start = Date.now()
  let sent = 0
  await eachMessage(sqs, url, signal, async message => {
    // A message that was just sent has come back: the cause is not fixed, and sending it again would loop forever.
    if (sentAt(message) >= start) return 'kept'
    // Sent before it is deleted: an interruption in between causes a duplicate, which both consumers detect.
    await sqs.send(new SendMessageCommand({ QueueUrl: source, MessageBody: message.Body, MessageAttributes: message.MessageAttributes }))
    sent++
    return 'done'
  })
  console.log(`${sent} sent to the queue of ${name} again`)
}

/** Starts again what can be, and removes what need not be. A message that is neither stays. */
async function restart (sqs: SQSClient, { url, functionName }: FailureQueue & { functionName: string }, signal: AbortSignal): Promise<void> {
  const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda')
  const lambda = new LambdaClient({})
  const count = { started: 0, removed: 0, unknown: 0 }
  await eachMessage(sqs, url, signal, async message => {
    const { kind, event } = failureOf(bodyOf(message))
    if (kind === undefined) {
      count.unknown++
      return 'kept'
    }
    // Started before it is deleted: a check that is started twice changes nothing.
    if (event !== undefined) await lambda.send(new InvokeCommand({ FunctionName: functionName, InvocationType: 'Event', Payload: JSON.stringify(event) }))
    if (event === undefined) count.removed++
    else count.started++
    return 'done'
  })
  console.log(`${count.started} checks of uploads started again, ${count.removed} sweeps and stream batches removed${count.unknown === 0 ? '' : `, ${count.unknown} of an unknown kind left in the queue`}`)
}

async function purge (sqs: SQSClient, { name, url }: FailureQueue, isAgreed: boolean): Promise<void> {
  const count = await countIn(sqs, url)
  if (!await confirm(`Remove about ${count} messages of the ${TITLES[name]} permanently? ${url}`, isAgreed)) return console.log('Nothing removed')
  await sqs.send(new PurgeQueueCommand({ QueueUrl: url }))
  console.log(`${count} removed from the ${TITLES[name]}`)
}

const text = (value: unknown): string | undefined => typeof value === 'string' ? value : undefined

await runCommand({
  help: HELP,
  verbs: ['list', 'show', 'redrive', 'purge'],
  operands: { list: NAMES, show: NAMES, redrive: NAMES, purge: NAMES },
  options: { stack: { type: 'string' }, message: { type: 'string' }, personal: { type: 'boolean' }, 'queue-url': { type: 'string' }, function: { type: 'string' }, yes: { type: 'boolean' } },
  async run (verb, options, operand) {
    let signal: AbortSignal | undefined
    const place = { stack: text(options['stack']), queueUrl: text(options['queue-url']), functionName: text(options['function']) }
    const isOverview = verb === 'list' || verb === 'show'
    const wanted: Name | undefined = operand as Name | undefined ?? (isOverview || place.queueUrl !== undefined ? undefined : 'mails')
    let client: SQSClient | undefined
    const sqs = () => {
      client ??= new SQSClient({})
      return client
    }
    try {
      const { queues, tables } = await findQueues(place, wanted, sqs)
      if (verb === 'purge') return await purge(sqs(), queues[0]!, options['yes'] === true)
      // An interruption ends the command between two messages, and what it holds goes back into the queue.
      signal = abortOnSignals('Interrupted. All messages that were not handled are in their queue')
      if (verb === 'list') return await list(sqs(), queues, signal)
      if (verb === 'show') return await show(sqs(), queues, tables, signal, { id: text(options['message']), isPersonal: options['personal'] === true })
      const queue = queues[0]!
      if (queue.source !== undefined) return await resend(sqs(), { ...queue, source: queue.source }, signal)
      if (queue.functionName === undefined) throw new UsageError('redrive of another queue needs --function, the function that gets its events again')
      await restart(sqs(), { ...queue, functionName: queue.functionName }, signal)
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error
    } finally {
      client?.destroy()
    }
  }
})
