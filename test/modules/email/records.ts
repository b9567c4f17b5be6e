import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import type { EmailMessage } from '../../../src/modules/email/contract.ts'
import type { Invocation } from '../../../src/plugins/consumers.ts'
import type { TestApp } from '../../app.ts'

/** Hands records of the e-mail queue to what takes them in an app. */
export const deliverMails = async (app: Pick<TestApp, 'consumers'>, event: SQSEvent, invocation: Invocation = {}) =>
  await app.consumers.deliver({ ...event }, invocation) as SQSBatchResponse

let n = 0

/** A message that the worker sends; each call makes another one. */
export function emailMessage (changes: Partial<EmailMessage> = {}): EmailMessage {
  return {
    type: 'SIGN_IN_CODE',
    messageId: randomUUID(),
    userId: randomUUID(),
    email: `reader-${++n}@example.com`,
    name: 'Ada Lovelace',
    challengeId: randomUUID(),
    expiresAt: new Date(Date.now() + 600_000).toISOString(),
    locale: 'en',
    ...changes
  }
}

/** A queue record as Lambda hands it over. */
export function sqsRecord (body: unknown, { correlationId = 'test-1', receives = 1, receiptHandle = 'unknown', attempt = 0, unconfirmed = 0, sentAt = Date.now(), firstReceivedAt = Date.now() } = {}): SQSRecord {
  const attribute = (dataType: string, value: unknown) => ({ stringValue: String(value), dataType, stringListValues: [], binaryListValues: [] })
  return {
    messageId: randomUUID(),
    receiptHandle,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: { ApproximateReceiveCount: String(receives), SentTimestamp: String(sentAt), SenderId: 'test', ApproximateFirstReceiveTimestamp: String(firstReceivedAt) },
    messageAttributes: {
      correlationId: attribute('String', correlationId),
      ...(attempt === 0 ? {} : { attempt: attribute('Number', attempt) }),
      ...(unconfirmed === 0 ? {} : { unconfirmed: attribute('Number', unconfirmed) })
    },
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:EmailQueue',
    awsRegion: 'us-east-1'
  }
}
