import type { EmailMessage } from './schemas.ts'

export type { EmailMessage, EmailType } from './schemas.ts'

/** What the mail provider reports about a mail after it was sent. */
export interface MailReceipt {
  /** the account for which the mail was sent */
  userId: string
  /** canonical: where it was sent. The account may have another address by now */
  email: string
  /** `bounced`: no such mailbox. `complained`: the recipient marked the mail as spam */
  status: 'bounced' | 'complained'
  at: Date
}

/** What a module does with a receipt. May run more than once, late and out of order. */
export type ReceiptFollower = (receipt: MailReceipt, correlationId: string) => Promise<void>

/** The interface of the email module for other modules. */
export interface EmailService {
  /** Queues a message, with the correlation id as an attribute. */
  enqueue (message: EmailMessage, correlationId: string): Promise<void>
  /** Registers what a module does with a receipt. */
  follow (follower: ReceiptFollower): void
  /** Sends mails to an address again: its owner has proved at this time that they arrive, or asked for them. Older receipts no longer count. */
  readmit (email: string, at: Date): Promise<void>
  /** Erases what is kept about an address. */
  forget (email: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    email: EmailService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    /** mails that were put into the queue */
    MailsQueued: true
    /** mails that the mail server accepted */
    MailsSent: true
    /** messages that were delivered again after their mail had been sent; no second mail was sent */
    MailsDuplicated: true
    /** failed tries to send a mail that will be retried */
    MailsFailed: true
    /** each time the worker stops asking a mail server that does not answer: about once a second while there are mails */
    MailServerUnavailable: true
    /** each time the mail server answers again after MailServerUnavailable */
    MailServerRestored: true
    /** messages whose code had expired when they were first received */
    MailsExpired: true
    /** mails that the mail server rejected permanently */
    MailsRefused: true
    /** mails that could not be delivered because the mailbox does not exist */
    MailsBounced: true
    /** mails that their recipient marked as spam */
    MailsComplained: true
    /** mails that SES accepted and then gave up, without a permanent reason */
    MailsUndelivered: true
    /** mails that were not sent because of an earlier receipt */
    MailsWithheld: true
    /** receipts of mails that are not ours, or that came too late */
    ReceiptsIgnored: true
  }
}
