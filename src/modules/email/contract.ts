import type { EmailMessage } from './schemas.ts'

export type { EmailMessage, EmailType } from './schemas.ts'

/** What other modules may ask of the email module. */
export interface EmailService {
  /** Queues a message, with the correlation id as its attribute. */
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
    /** tries of a mail that failed; it is tried again */
    MailsFailed: true
    /** messages whose code was no longer good when they were first received */
    MailsExpired: true
    /** mails that their server rejected for good */
    MailsRefused: true
  }
}
