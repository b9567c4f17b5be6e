import { ChangeMessageVisibilityCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, type Message, type SQSClient } from '@aws-sdk/client-sqs'
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { LOCAL_AWS } from './aws.ts'
import { runLoop, type Invocation, type Mapping, type Reporter } from './mapping-loop.ts'
import type { QueueMapping } from './template.ts'

// The event-source mapping between a queue and a function, implemented after the AWS documentation:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html

export type QueueHandler = (event: SQSEvent, invocation: Invocation) => Promise<SQSBatchResponse | void>

function lambdaMessage (message: Message, queueArn: string): SQSRecord {
  return {
    messageId: message.MessageId!,
    receiptHandle: message.ReceiptHandle!,
    body: message.Body!,
    attributes: message.Attributes as unknown as SQSRecord['attributes'],
    messageAttributes: Object.fromEntries(Object.entries(message.MessageAttributes ?? {}).map(([name, { StringValue, BinaryValue, DataType }]) => [name, {
      ...(StringValue === undefined ? {} : { stringValue: StringValue }),
      ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
      stringListValues: [],
      binaryListValues: [],
      dataType: DataType as SQSRecord['messageAttributes'][string]['dataType']
    }])),
    md5OfBody: message.MD5OfBody!,
    ...(message.MD5OfMessageAttributes === undefined ? {} : { md5OfMessageAttributes: message.MD5OfMessageAttributes }),
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: LOCAL_AWS.region
  } as SQSRecord
}

export interface QueueStep {
  mapping: QueueMapping
  handler: QueueHandler
  sqs: SQSClient
  queueUrl: string
  queueArn: string
  /** seconds to wait for a first message */
  wait: number
  /** seconds until a failed message is visible again; unset uses the queue's visibility timeout, like AWS */
  retryAfter?: number
  signal?: AbortSignal
}

/** Receives one batch, passes it on and deletes the handled messages. Resolves to the received and the failed messages. */
export async function deliverMessages ({ mapping, handler, sqs, queueUrl, queueArn, wait, retryAfter, signal }: QueueStep): Promise<{ received: number, error?: unknown, failed: number }> {
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: Math.min(10, mapping.batchSize),
    WaitTimeSeconds: wait,
    MessageSystemAttributeNames: ['All'],
    MessageAttributeNames: ['All']
  }), signal === undefined ? {} : { abortSignal: signal })
  if (Messages.length === 0) return { received: 0, failed: 0 }
  let failed = Messages
  let thrown: unknown
  try {
    const response = await handler({ Records: Messages.map(message => lambdaMessage(message, queueArn)) }, { deadline: Date.now() + mapping.timeout })
    const ids = (mapping.reportsItemFailures ? response?.batchItemFailures ?? [] : []).map(({ itemIdentifier }) => itemIdentifier)
    // An id that is not in the batch makes the whole batch fail.
    const isKnown = ids.every(id => Messages.some(({ MessageId }) => MessageId === id))
    failed = isKnown ? Messages.filter(({ MessageId }) => ids.includes(MessageId!)) : Messages
  } catch (error) {
    thrown = error
  }
  const done = Messages.filter(message => !failed.includes(message))
  if (done.length > 0) {
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries: done.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle })) }))
  }
  if (retryAfter !== undefined) {
    for (const { ReceiptHandle } of failed) await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: retryAfter }))
  }
  return { received: Messages.length, failed: failed.length, error: thrown }
}

export interface QueueMappingOptions extends Pick<QueueStep, 'mapping' | 'handler' | 'sqs' | 'queueUrl' | 'queueArn'> {
  log: Reporter
  /** parallel batches; AWS starts with five */
  concurrency?: number
}

/** Passes a queue's messages to a function, as its event-source mapping in the template says. */
export function startQueueMapping ({ log, concurrency = 5, ...step }: QueueMappingOptions): Mapping {
  const name = `queue ${step.mapping.queue}`
  const loops = Array.from({ length: concurrency }, () => runLoop(name, log, async signal => {
    const { failed, error } = await deliverMessages({ ...step, wait: 20, signal })
    if (failed > 0) log.warn({ err: error, messages: failed }, `${name}: failed, visible again after the visibility timeout`)
  }))
  return { async stop () { await Promise.all(loops.map(loop => loop.stop())) } }
}
