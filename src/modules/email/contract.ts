import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'

export type EmailType = 'WELCOME_EMAIL' | 'SIGN_IN_CODE' | 'ACCOUNT_EXISTS' | 'EMAIL_CHANGE_CODE' | 'EMAIL_CHANGED_NOTICE'

/** A message of the e-mail queue, in the article's shape. */
export interface EmailMessage {
  type: EmailType
  /** what the worker de-duplicates by: the outbox entry's event id */
  messageId: string
  userId: string
  email: string
  name: string
  /** the code is derived from it; present on every type but EMAIL_CHANGED_NOTICE */
  challengeId?: string
  expiresAt?: string
  locale?: string
}

/** What other modules may ask of the email module. */
export interface EmailService {
  /** Queues a message, with the correlation id as its attribute. */
  enqueue (message: EmailMessage, correlationId: string): Promise<void>
  /** The worker: sends a batch of queue messages and names those that failed. */
  handleBatch (event: SQSEvent): Promise<SQSBatchResponse>
}

declare module 'fastify' {
  interface FastifyInstance {
    email: EmailService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    MailsFailed: true
    MailsQueued: true
    MailsSent: true
  }
}
