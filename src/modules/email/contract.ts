import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import type { EmailMessage } from './schemas.ts'

export type { EmailMessage, EmailType } from './schemas.ts'

/** What other modules may ask of the email module. */
export interface EmailService {
  /** Queues a message, with the correlation id as its attribute. */
  enqueue (message: EmailMessage, correlationId: string): Promise<void>
  /**
   * The worker: sends a batch of queue messages and names those that failed.
   *
   * @param options.deadline when the invocation ends, in milliseconds since 1970
   */
  handleBatch (event: SQSEvent, options?: { deadline?: number }): Promise<SQSBatchResponse>
}

declare module 'fastify' {
  interface FastifyInstance {
    email: EmailService
  }
}
