import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, PutCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { Value } from '@sinclair/typebox/value'
import { isConditionRefused } from '../../shared/aws-errors.ts'
import { RecordInvalid } from './errors.ts'
import { MailRecord } from './schemas.ts'

/** Seconds a record is kept: 30 days, longer than the 14 for which the queues keep a message. */
const RETENTION_SECONDS = 30 * 24 * 3600

export type Lease = { state: 'leased' } | { state: 'sent' } | { state: 'busy', /** milliseconds since 1970 */ until: number }

export type EmailRepository = ReturnType<typeof createRepository>

/**
 * One record a message, so that a message delivered twice is sent once: `sending` under a lease, then `sent`.
 */
export function createRepository ({ dynamodb, table, now = Date.now }: { dynamodb: DynamoDBDocumentClient, table: string, now?: () => number }) {
  const expiresAt = () => Math.floor(now() / 1000) + RETENTION_SECONDS
  const put = (record: MailRecord) => ({ TableName: table, Item: record })

  return {
    /** Takes the message for one delivery until a moment: `leased` to the caller, `sent` already, or `busy` with another delivery. */
    async lease (messageId: string, leaseId: string, until: number): Promise<Lease> {
      try {
        await dynamodb.send(new PutCommand({
          ...put({ messageId, state: 'sending', leaseId, leaseUntil: until, expiresAt: expiresAt() }),
          ConditionExpression: 'attribute_not_exists(messageId) OR (#state = :sending AND leaseUntil < :now) OR expiresAt < :seconds',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: { ':sending': 'sending', ':now': now(), ':seconds': Math.floor(now() / 1000) },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
        }))
        return { state: 'leased' }
      } catch (error) {
        if (!isConditionRefused(error)) throw error
        const record = unmarshall((error.Item ?? {}) as Record<string, AttributeValue>)
        if (!Value.Check(MailRecord, record)) throw new RecordInvalid()
        if (record.state === 'sent') return { state: 'sent' }
        // Our own put, repeated by the SDK after its answer was lost, is no conflict.
        return record.leaseId === leaseId ? { state: 'leased' } : { state: 'busy', until: record.leaseUntil }
      }
    },

    /** The mail was accepted. Unconditional: it is true, whichever delivery holds the lease by now. */
    async markSent (messageId: string): Promise<void> {
      await dynamodb.send(new PutCommand(put({ messageId, state: 'sent', expiresAt: expiresAt() })))
    },

    /** Gives an unused lease back, unless it has become another's or the message has been sent. */
    async release (messageId: string, leaseId: string): Promise<void> {
      try {
        await dynamodb.send(new DeleteCommand({
          TableName: table,
          Key: { messageId },
          ConditionExpression: 'leaseId = :leaseId',
          ExpressionAttributeValues: { ':leaseId': leaseId }
        }))
      } catch (error) {
        if (!isConditionRefused(error)) throw error
      }
    }
  }
}
