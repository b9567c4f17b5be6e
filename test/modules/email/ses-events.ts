import { randomUUID } from 'node:crypto'
import type { SQSRecord } from 'aws-lambda'
import type { EmailMessage } from '../../../src/modules/email/contract.ts'
import { sqsRecord } from './records.ts'

// Events as SES publishes them to EventBridge, written by the field tables of its developer guide: "Contents of event data
// that Amazon SES publishes" and "Monitoring SES events using Amazon EventBridge". The rule passes them on unchanged.

type About = Pick<EmailMessage, 'messageId' | 'userId' | 'type' | 'email'>

export interface SesEventOptions {
  at?: Date
  /** of the mail; default: those of the message */
  tags?: Record<string, string[]>
  correlationId?: string
}

const DETAIL_TYPES = { Bounce: 'Email Bounced', Complaint: 'Email Complaint Received', Reject: 'Email Rejected' }

function event (eventType: keyof typeof DETAIL_TYPES, { messageId, userId, type, email }: About, content: object, { at = new Date(), tags, correlationId = 'from-the-mail' }: SesEventOptions) {
  const sent = new Date(at.getTime() - 2000).toISOString()
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': DETAIL_TYPES[eventType],
    source: 'aws.ses',
    account: '123456789012',
    time: at.toISOString(),
    region: 'eu-central-1',
    resources: ['arn:aws:ses:eu-central-1:123456789012:configuration-set/mails'],
    detail: {
      eventType,
      mail: {
        timestamp: sent,
        source: 'User Service <users@example.com>',
        sourceArn: 'arn:aws:ses:eu-central-1:123456789012:identity/example.com',
        sendingAccountId: '123456789012',
        messageId: '0107018e6f2d0a1b-4b5a2b0e-0000-4c7e-8d3f-example-000000',
        destination: [email],
        headersTruncated: false,
        headers: [
          { name: 'From', value: 'User Service <users@example.com>' },
          { name: 'To', value: `Ada Lovelace <${email}>` },
          { name: 'Subject', value: 'Your sign-in code' },
          { name: 'X-Correlation-Id', value: correlationId }
        ],
        commonHeaders: { from: ['User Service <users@example.com>'], to: [`Ada Lovelace <${email}>`], messageId: `${messageId}@example.com`, subject: 'Your sign-in code' },
        tags: tags ?? {
          'ses:source-tls-version': ['TLSv1.3'],
          'ses:operation': ['SendEmail'],
          'ses:configuration-set': ['mails'],
          'ses:source-ip': ['192.0.2.7'],
          'ses:from-domain': ['example.com'],
          'ses:caller-identity': ['EmailFunctionRole'],
          messageId: [messageId],
          userId: [userId],
          type: [type]
        }
      },
      ...content
    }
  }
}

export function bounce (about: About, { bounceType = 'Permanent', bounceSubType = 'General', finalRecipient = about.email, ...options }: SesEventOptions & { bounceType?: string, bounceSubType?: string, finalRecipient?: string } = {}) {
  const { at = new Date() } = options
  return event('Bounce', about, {
    bounce: {
      feedbackId: '0107018e6f2d1111-00000000-example-000000',
      bounceType,
      bounceSubType,
      bouncedRecipients: [{ emailAddress: finalRecipient, action: 'failed', status: '5.1.1', diagnosticCode: `smtp; 550 5.1.1 <${finalRecipient}>: user unknown` }],
      timestamp: at.toISOString(),
      reportingMTA: 'dns; mta.example.net'
    }
  }, { ...options, at })
}

export function complaint (about: About, { feedbackType = 'abuse', ...options }: SesEventOptions & { feedbackType?: string | null } = {}) {
  const { at = new Date() } = options
  return event('Complaint', about, {
    complaint: {
      feedbackId: '0107018e6f2d2222-00000000-example-000000',
      complaintSubType: null,
      complainedRecipients: [{ emailAddress: about.email }],
      timestamp: at.toISOString(),
      userAgent: 'Example Feedback Loop/1.0',
      ...(feedbackType === null ? {} : { complaintFeedbackType: feedbackType }),
      arrivalDate: at.toISOString()
    }
  }, { ...options, at })
}

export const rejection = (about: About, options: SesEventOptions = {}) => event('Reject', about, { reject: { reason: 'Bad content' } }, options)

/** A record of the queue of receipts as Lambda hands it over. */
export const receiptRecord = (body: unknown): SQSRecord => ({ ...sqsRecord(body), messageAttributes: {}, eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:MailReceiptsQueue' })
