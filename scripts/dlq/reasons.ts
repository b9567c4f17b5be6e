import type { Message } from '@aws-sdk/client-sqs'
import { attributeOf, bodyOf, object, type Body } from './messages.ts'
import type { FailureQueue } from './queues.ts'

// Why a message is in a queue of failures, as far as the message itself shows it. The log of the service has the rest, under the correlation id.

/**
 * What a message of a queue of failures was about, and the event that starts it again, if anything must. Lambda keeps an
 * asynchronous event as `requestPayload`, and of a stream batch only its position; EventBridge keeps the event itself.
 */
export function failureOf (body: Body): { kind?: 'stream-batch' | 'sweep' | 'upload', event?: Body } {
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

/** A receipt is an event of SES. Its tags name the mail. */
function partsOfReceipt (body: Body) {
  const { eventType, mail } = object(body['detail']) as { eventType?: unknown, mail?: { tags?: { messageId?: unknown[], userId?: unknown[] }, headers?: unknown } }
  const headers = Array.isArray(mail?.headers) ? mail.headers as { name?: unknown, value?: unknown }[] : []
  return { type: eventType, messageId: mail?.tags?.messageId?.[0], userId: mail?.tags?.userId?.[0], correlationId: headers.find(header => Object(header).name === 'X-Correlation-Id')?.value }
}

/** Type, id and correlation id of a message, and the account that it is about. Unchecked: each may be anything. */
export function partsOf (queue: FailureQueue, message: Message): { type?: unknown, messageId?: unknown, correlationId?: unknown, userId?: unknown } {
  const body = bodyOf(message)
  if (queue.name === 'receipts' || body['source'] === 'aws.ses') return partsOfReceipt(body)
  return { type: body['type'] ?? failureOf(body).kind, messageId: body['messageId'], userId: body['userId'], correlationId: attributeOf(message, 'correlationId') }
}

type Parse = (body: string) => unknown
interface Parsers { parseMessage: Parse, parseReceipt: Parse }

/** How the module of mails reads a message. Imported by its path, because the module may leave. */
export const loadParsers = async (): Promise<Parsers> => await import(new URL('../../src/modules/email/schemas.ts', import.meta.url).href) as Parsers

/** What a parser of the service refuses about a message; `undefined` when it is valid. Its errors quote none of the content. */
function refusal (parse: Parse, { Body = '' }: Message): string | undefined {
  try {
    parse(Body)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const times = (count: string): string => `${count} ${count === '1' ? 'time' : 'times'}`

function whyMail (message: Message, { parseMessage }: Parsers): string {
  const invalid = refusal(parseMessage, message)
  if (invalid !== undefined) return invalid
  const [attempt, unconfirmed] = ['attempt', 'unconfirmed'].map(name => attributeOf(message, name))
  if (unconfirmed !== undefined) return `the mail server did not confirm it ${times(unconfirmed)}`
  if (attempt !== undefined) return `the mail could not be sent ${times(attempt)}`
  return 'the worker failed in each receive'
}

/** What EventBridge puts into the attributes of an event that it could not deliver: "Using dead-letter queues" in its user guide. */
function whyEvent (message: Message): string | undefined {
  const [code, text, limit, attempts] = ['ERROR_CODE', 'ERROR_MESSAGE', 'EXHAUSTED_RETRY_CONDITION', 'RETRY_ATTEMPTS'].map(name => attributeOf(message, name))
  if (code === undefined) return undefined
  return `EventBridge: ${code}${text === undefined ? '' : `, ${text}`}${limit === undefined ? '' : `; gave up by ${limit}`}${attempts === undefined ? '' : ` after ${times(attempts)}`}`
}

/** What Lambda keeps of an invocation that it gave up on: "Capturing records of Lambda asynchronous invocations" in its developer guide. */
function whyInvocation (body: Body): string | undefined {
  const { condition, approximateInvokeCount: count } = object(body['requestContext'])
  if (condition === undefined) return undefined
  const { statusCode, functionError } = object(body['responseContext'])
  // The message of an error may quote what the function got.
  const { errorType } = object(body['responsePayload'])
  const detail = [statusCode === undefined ? undefined : `status ${String(statusCode)}`, functionError, errorType].filter(part => part !== undefined).join(', ')
  return `Lambda: ${String(condition)}${count === undefined ? '' : ` after ${times(String(count))}`}${detail === '' ? '' : ` (${detail})`}`
}

/** Why a message failed, in a few words. Not made safe for a terminal. */
export function whyFailed (queue: FailureQueue, message: Message, parsers: Parsers): string {
  const known = whyEvent(message) ?? whyInvocation(bodyOf(message))
  if (known !== undefined) return known
  if (queue.name === 'mails') return whyMail(message, parsers)
  if (queue.name === 'receipts') return refusal(parsers.parseReceipt, message) ?? 'the service failed in each receive'
  return failureOf(bodyOf(message)).kind === undefined ? 'not known' : 'EventBridge or Lambda gave up'
}
