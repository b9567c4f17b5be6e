import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, GetCommand, PutCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { Value } from '@sinclair/typebox/value'
import { unlessRefused } from '../../shared/conditional-write.ts'
import { RecordInvalid } from './errors.ts'
import { AddressRecord, MailRecord } from './schemas.ts'

/** Seconds for which a record is kept: 30 days, longer than the 14 days for which the queues keep a message. */
const RETENTION_SECONDS = 30 * 24 * 3600

export type Lease = { state: 'leased' } | { state: 'sent' } | { state: 'busy', /** milliseconds since 1970 */ until: number }

export type EmailRepository = ReturnType<typeof createRepository>

/** Names an address by a pseudonym, in the table of messages. */
const addressKey = (pseudonym: string) => ({ messageId: `address#${pseudonym}` })

/**
 * One record per message, so that a message delivered twice is sent once. Its state is `sending` under a lease, then `sent`.
 */
export function createRepository ({ dynamodb, table, now = Date.now }: { dynamodb: DynamoDBDocumentClient, table: string, now?: () => number }) {
  const expiresAt = () => Math.floor(now() / 1000) + RETENTION_SECONDS
  const put = (record: MailRecord) => ({ TableName: table, Item: record })

  return {
    /** Leases the message to one delivery until a given time. Returns `leased`, or `sent` if it was sent before, or `busy` if another delivery holds the lease. */
    async lease (messageId: string, leaseId: string, until: number): Promise<Lease> {
      return await unlessRefused<Lease, Lease>(async () => {
        await dynamodb.send(new PutCommand({
          ...put({ messageId, state: 'sending', leaseId, leaseUntil: until, expiresAt: expiresAt() }),
          ConditionExpression: 'attribute_not_exists(messageId) OR (#state = :sending AND leaseUntil < :now) OR expiresAt < :seconds',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: { ':sending': 'sending', ':now': now(), ':seconds': Math.floor(now() / 1000) },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
        }))
        return { state: 'leased' }
      }, ({ Item = {} }) => {
        const record = unmarshall(Item as Record<string, AttributeValue>)
        if (!Value.Check(MailRecord, record)) throw new RecordInvalid()
        if (record.state === 'sent') return { state: 'sent' }
        // When the lease is this caller's own, an earlier put succeeded, its answer was lost, and the SDK retried it.
        return record.leaseId === leaseId ? { state: 'leased' } : { state: 'busy', until: record.leaseUntil }
      })
    },

    /** Records that the mail was accepted. Unconditional, because it is true whichever delivery holds the lease now. */
    async markSent (messageId: string): Promise<void> {
      await dynamodb.send(new PutCommand(put({ messageId, state: 'sent', expiresAt: expiresAt() })))
    },

    /** What is known of an address: of its pseudonyms, the newest record that has not expired. Strongly consistent. */
    async addressOf (pseudonyms: readonly string[]): Promise<AddressRecord | undefined> {
      const records = await Promise.all(pseudonyms.map(async pseudonym => {
        const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key: addressKey(pseudonym), ConsistentRead: true }))
        if (Item !== undefined && !Value.Check(AddressRecord, Item)) throw new RecordInvalid()
        return Item
      }))
      const live = records.filter(record => record !== undefined && record.expiresAt > now() / 1000) as AddressRecord[]
      return live.sort((a, b) => b.at - a.at)[0]
    },

    /** Records what happened to an address, unless something newer is known. `isKnown`: only when something is known at all. Resolves to whether it was recorded. */
    async noteAddress (pseudonym: string, { status, at, expiresAt }: Omit<AddressRecord, 'messageId'>, { isKnown = false } = {}): Promise<boolean> {
      return await unlessRefused<boolean, boolean>(async () => {
        await dynamodb.send(new PutCommand({
          TableName: table,
          Item: { ...addressKey(pseudonym), status, at, expiresAt },
          ConditionExpression: isKnown ? '#at < :at' : 'attribute_not_exists(messageId) OR #at < :at',
          ExpressionAttributeNames: { '#at': 'at' },
          ExpressionAttributeValues: { ':at': at }
        }))
        return true
      }, () => false)
    },

    async forgetAddress (pseudonym: string): Promise<void> {
      await dynamodb.send(new DeleteCommand({ TableName: table, Key: addressKey(pseudonym) }))
    },

    /** Releases an unused lease, unless another delivery holds it by now or the message has been sent. */
    async release (messageId: string, leaseId: string): Promise<void> {
      await unlessRefused(() => dynamodb.send(new DeleteCommand({
        TableName: table,
        Key: { messageId },
        ConditionExpression: 'leaseId = :leaseId',
        ExpressionAttributeValues: { ':leaseId': leaseId }
      })))
    }
  }
}
