import type { EmailMessage } from './schemas.ts'

export type { EmailMessage, EmailType } from './schemas.ts'

/** The interface of the email module for other modules. */
export interface EmailService {
  /** Queues a message, with the correlation id as an attribute. */
  enqueue (message: EmailMessage, correlationId: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    email: EmailService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    MailsQueued: true
    MailsSent: true
    /** failed tries to send a mail that will be retried */
    MailsFailed: true
    /** messages whose code had expired when they were first received */
    MailsExpired: true
    /** mails that the mail server rejected permanently */
    MailsRefused: true
  }
}
