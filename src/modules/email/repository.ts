import { DeleteCommand, PutCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { isConditionRefused } from '../../shared/aws-errors.ts'

/**
 * Milliseconds a delivery has for itself: longer than the worker's whole invocation (10 s embedded, 50 s extracted), so
 * that a lease that has run out belongs to a worker that is gone, and well under the 300 s after which the queue
 * delivers again.
 */
const LEASE_MS = 60_000

/** Seconds a record is kept: 30 days, longer than the 14 for which the queues keep a message. */
const RETENTION_SECONDS = 30 * 24 * 3600

export type EmailRepository = ReturnType<typeof createRepository>

/**
 * One record a message, so that a message delivered twice is sent once: `sending` under a lease, then `sent`. It names
 * the message and nothing of what is in it.
 */
export function createRepository (dynamodb: DynamoDBDocumentClient, table: string) {
  const expiresAt = () => Math.floor(Date.now() / 1000) + RETENTION_SECONDS

  return {
    /** Takes the message for one delivery: `leased` to the caller, `sent` already, or `busy` with another delivery. */
    async lease (messageId: string, leaseId: string): Promise<'leased' | 'sent' | 'busy'> {
      const now = Date.now()
      try {
        await dynamodb.send(new PutCommand({
          TableName: table,
          Item: { messageId, state: 'sending', leaseId, leaseUntil: now + LEASE_MS, expiresAt: expiresAt() },
          ConditionExpression: 'attribute_not_exists(messageId) OR (#state = :sending AND leaseUntil < :now) OR expiresAt < :seconds',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: { ':sending': 'sending', ':now': now, ':seconds': Math.floor(now / 1000) },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
        }))
        return 'leased'
      } catch (error) {
        if (!(isConditionRefused(error))) throw error
        if (error.Item?.['state']?.S === 'sent') return 'sent'
        // Our own put, repeated by the SDK after its answer was lost, is no conflict.
        return error.Item?.['leaseId']?.S === leaseId ? 'leased' : 'busy'
      }
    },

    /** The mail was taken. Unconditional: it is true whoever holds the lease by now. */
    async markSent (messageId: string): Promise<void> {
      await dynamodb.send(new PutCommand({ TableName: table, Item: { messageId, state: 'sent', expiresAt: expiresAt() } }))
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
        if (!(isConditionRefused(error))) throw error
      }
    }
  }
}
