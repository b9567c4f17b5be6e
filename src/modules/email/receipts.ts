import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import type { FastifyBaseLogger } from 'fastify'
import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import { newId } from '../../shared/ids.ts'
import type { Addresses } from './addresses.ts'
import type { ReceiptFollower } from './contract.ts'
import { parseReceipt } from './schemas.ts'

interface ReceiptsOptions {
  addresses: Pick<Addresses, 'note'>
  keys: Pick<Keys, 'refresh'>
  count: Count
  log: FastifyBaseLogger
}

/** Takes the receipts of mails from their queue: what SES publishes about mails that bounced or were complained about. */
export function createReceipts ({ addresses, keys, count, log: parentLog }: ReceiptsOptions) {
  const followers: ReceiptFollower[] = []

  /** Every step may be repeated. A record that fails is received again, and is in the dead-letter queue after three receives. */
  async function handle ({ messageId: sqsMessageId, body, attributes }: SQSRecord): Promise<void> {
    let log = parentLog.child({ sqsMessageId })
    try {
      const receipt = parseReceipt(body)
      if (receipt.outcome === 'ignored') {
        count('ReceiptsIgnored')
        return log.info({ reason: receipt.reason }, 'receipt ignored')
      }
      const { messageId, type, correlationId = newId() } = receipt
      log = log.child({ messageId, correlationId })
      if (receipt.outcome === 'undelivered') {
        count('MailsUndelivered')
        return log.info({ type }, 'mail not delivered')
      }
      const { userId, email, status, at } = receipt
      const noted = await addresses.note(email, status, at)
      if (noted === 'late') {
        count('ReceiptsIgnored')
        return log.info({ reason: noted }, 'receipt ignored')
      }
      // Before the followers: when one of them fails, the repetition finds the receipt known and does not count it again.
      if (noted === 'noted') {
        if (status === 'bounced') count('MailsBounced')
        else count('MailsComplained')
        log.info({ userId, type, status }, 'a receipt stops mails to an address')
      }
      for (const follower of followers) await follower({ userId, email, status, at: new Date(at) }, correlationId)
    } catch (err) {
      log.warn({ err, receives: Number(attributes.ApproximateReceiveCount) }, 'receipt failed')
      throw err
    }
  }

  return {
    follow (follower: ReceiptFollower): void { followers.push(follower) },

    async handleBatch (event: SQSEvent): Promise<SQSBatchResponse> {
      // Loaded with the first batch, because the process that answers requests never needs it.
      const { BatchProcessor, EventType, processPartialResponse } = await import('@aws-lambda-powertools/batch')
      // The secret of pseudonyms may have been rotated while the process was frozen.
      await keys.refresh()
      return processPartialResponse(event, handle, new BatchProcessor(EventType.SQS), { throwOnFullBatchFailure: false })
    }
  }
}
