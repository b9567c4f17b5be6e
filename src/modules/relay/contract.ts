import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda'

/** What the Lambda entry and the local event-source mappings hand their events to. */
export interface RelayService {
  /** A batch of a table's stream (users or auth): acts on each new outbox entry and names those that failed. */
  handleBatch (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse>
  /** Acts on outbox entries that the stream could not deliver. Rejects when one still cannot be. */
  sweep (): Promise<{ resent: number }>
}

declare module 'fastify' {
  interface FastifyInstance {
    relay: RelayService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    MailsSuppressed: true
    OutboxResent: true
  }
}
