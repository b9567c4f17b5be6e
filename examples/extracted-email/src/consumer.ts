import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient, type Message } from '@aws-sdk/client-sqs'
import type { SQSBatchResponse, SQSRecord } from 'aws-lambda'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServerLogger } from '../../../src/plugins/logging.ts'
import { ConfigError } from '../../../src/shared/config-error.ts'
import { readConfig } from './config.ts'
import { buildService } from './service.ts'

// The entry everywhere else: reads the queue itself. Run as many of these processes as the mails need.

/** Seconds for which an empty queue is asked; the most that SQS allows. */
const WAIT = 20

/** Milliseconds until the queue is asked again after an error. */
const RETRY = 1_000

/** A message as Lambda would hand it over. */
const recordOf = (queueArn: string, region: string) => ({ MessageId, ReceiptHandle, Body, MD5OfBody, Attributes, MessageAttributes = {} }: Message): SQSRecord => ({
  messageId: MessageId!,
  receiptHandle: ReceiptHandle!,
  body: Body!,
  md5OfBody: MD5OfBody!,
  attributes: Attributes as unknown as SQSRecord['attributes'],
  messageAttributes: Object.fromEntries(Object.entries(MessageAttributes).map(([name, { StringValue, DataType }]) => [name, { stringValue: StringValue!, dataType: DataType! as 'String' }])),
  eventSource: 'aws:sqs',
  eventSourceARN: queueArn,
  awsRegion: region
})

async function main () {
  const config = readConfig(process.env)
  const service = await buildService({ config, logger: createServerLogger(config) })
  const { aws, consumers, log } = service
  const { AWS_REGION: region, EMAIL_QUEUE_URL: QueueUrl } = config
  const [account, name] = new URL(QueueUrl).pathname.split('/').slice(-2)
  const toRecord = recordOf(`arn:aws:sqs:${region}:${account}:${name}`, region)
  // The client of the module gives up before an empty queue answers.
  const sqs = new SQSClient(aws.clientOptions({ endpoint: config.AWS_ENDPOINT_URL_SQS, requestTimeout: (WAIT + 5) * 1000 }))

  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1) // a second signal ends the process at once
      log.info({ signal }, 'stopping: the mails at hand are sent first')
      stop.abort()
    })
  }

  async function takeBatch () {
    const { Messages: messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: WAIT, MessageSystemAttributeNames: ['All'], MessageAttributeNames: ['All'] }),
      { abortSignal: stop.signal })
    if (messages.length === 0) return
    const { batchItemFailures } = await consumers.deliver({ Records: messages.map(toRecord) }) as SQSBatchResponse
    const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier))
    // What failed comes back when the worker has said, and is in the dead-letter queue after three receives.
    const Entries = messages.filter(({ MessageId }) => !failed.has(MessageId!)).map(({ MessageId, ReceiptHandle }) => ({ Id: MessageId!, ReceiptHandle: ReceiptHandle! }))
    // What is not deleted comes back too, and its record in the table says that it was sent.
    if (Entries.length > 0) await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))
  }

  log.info({ queue: name }, 'reading the queue')
  while (!stop.signal.aborted) {
    await takeBatch().catch(async (err: unknown) => {
      if (stop.signal.aborted) return
      log.error({ err }, 'the queue could not be read')
      await sleep(RETRY)
    })
  }
  sqs.destroy()
  await service.close()
}

main().catch((error: unknown) => {
  // A bad configuration is reported in one line; every other error with its stack.
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = 1
})
