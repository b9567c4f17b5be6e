import { Type, type Static } from '@sinclair/typebox'
// The interpreter and not TypeCompiler: the configuration check has loaded it already, and compiling the schema costs a
// cold start more than ten small messages per batch can save.
import { Value } from '@sinclair/typebox/value'
import { canonicalEmail, MAX_EMAIL } from '../../shared/email-address.ts'
import { CORRELATION_ID_PATTERN, CorrelationId, UUID, UUID_PATTERN } from '../../shared/ids.ts'
import { StoredPersonName } from '../../shared/person-name.ts'
import { Traceparent } from '../../shared/traceparent.ts'
import { MessageInvalid, ReceiptInvalid } from './errors.ts'

const Uuid = Type.String({ maxLength: 36, pattern: UUID_PATTERN, examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] })

// No control characters and no line separators. It is checked here too, because other senders can write to the queue.
const Name = Type.String({ maxLength: StoredPersonName.maxLength!, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$', examples: ['Ada Lovelace'] })

export const EmailType = Type.Union([
  /** to an unconfirmed address of a new or pending account */
  Type.Literal('WELCOME_EMAIL'),
  /** to the proved address of an account */
  Type.Literal('SIGN_IN_CODE'),
  /** to the proved address of an account */
  Type.Literal('ACCOUNT_EXISTS'),
  /** to the new address of an account, which is not confirmed yet */
  Type.Literal('EMAIL_CHANGE_CODE'),
  /** to the previous address of an account */
  Type.Literal('EMAIL_CHANGED_NOTICE')
])
export type EmailType = Static<typeof EmailType>

/** A message in the e-mail queue, in the article's format. */
export const EmailMessage = Type.Object({
  type: EmailType,
  /** the outbox entry's event id; the worker removes duplicates by it */
  messageId: Uuid,
  userId: Uuid,
  email: Type.String({ maxLength: MAX_EMAIL, description: 'In the form in which the service stores it', examples: ['ada@example.com'] }),
  name: Name,
  /** the name of the admin who invited the user; only on WELCOME_EMAIL */
  invitedBy: Type.Optional(Name),
  /** the code is derived from it; always present except on EMAIL_CHANGED_NOTICE, where the code undoes the change */
  challengeId: Type.Optional(Uuid),
  /** ISO 8601: when the code expires; always present where EMAIL_CHANGED_NOTICE has a challenge */
  expiresAt: Type.Optional(Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$', examples: ['2026-11-22T12:10:00.000Z'] })),
  /** BCP 47: the language of the mail */
  locale: Type.Optional(Type.String({ maxLength: 35, pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$', examples: ['en'] }))
}, { additionalProperties: false })
export type EmailMessage = Static<typeof EmailMessage>

/** The attributes of a message, each a String or Number of SQS. */
export const EmailAttributes = Type.Object({
  correlationId: CorrelationId,
  traceparent: Type.Optional(Traceparent),
  attempt: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Tries so far that failed with a temporary error' })),
  unconfirmed: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Those of them after which it is unknown whether the mail was sent' }))
})

/** The record of a message. It holds the message's id and none of its content. */
export const MailRecord = Type.Union([
  Type.Object({
    messageId: Uuid,
    state: Type.Literal('sending'),
    leaseId: Type.String(),
    /** milliseconds since 1970 */
    leaseUntil: Type.Number(),
    /** seconds since 1970: when the record may be removed */
    expiresAt: Type.Number()
  }),
  Type.Object({ messageId: Uuid, state: Type.Literal('sent'), expiresAt: Type.Number() })
])
export type MailRecord = Static<typeof MailRecord>

/** What the last receipt says about an address, in the table of messages. Its key has a pseudonym of the address. */
export const AddressRecord = Type.Object({
  messageId: Type.String({ pattern: '^address#' }),
  /** `readmitted`: the address was proved again, so older receipts do not count */
  status: Type.Union([Type.Literal('bounced'), Type.Literal('complained'), Type.Literal('readmitted')]),
  /** milliseconds since 1970: when it happened */
  at: Type.Number(),
  /** seconds since 1970 */
  expiresAt: Type.Number()
}, { additionalProperties: false })
export type AddressRecord = Static<typeof AddressRecord>

/**
 * Checks a message before it is queued, and again before it is sent, because other senders can write to the queue.
 *
 * @throws {MessageInvalid} with the name of the field, and none of the message's content
 */
export function checkMessage (message: unknown): asserts message is EmailMessage {
  if (!Value.Check(EmailMessage, message)) {
    const field = Value.Errors(EmailMessage, message).First()?.path.slice(1) ?? ''
    // The name of an unknown property is content of the message too.
    throw new MessageInvalid(Object.hasOwn(EmailMessage.properties, field) ? field : 'wrong form')
  }
  if (canonicalEmail(message.email) !== message.email) throw new MessageInvalid('email')
  if (message.challengeId === undefined && message.type !== 'EMAIL_CHANGED_NOTICE') throw new MessageInvalid('challengeId')
  if (message.type === 'EMAIL_CHANGED_NOTICE' && message.challengeId !== undefined && message.expiresAt === undefined) throw new MessageInvalid('expiresAt')
  if (message.expiresAt !== undefined && Number.isNaN(Date.parse(message.expiresAt))) throw new MessageInvalid('expiresAt')
}

/**
 * Parses the message in a queue record's body.
 *
 * @throws {MessageInvalid}
 */
export function parseMessage (body: string): EmailMessage {
  let message: unknown
  try {
    message = JSON.parse(body)
  } catch {
    // The parser's own message quotes the body.
    throw new MessageInvalid('not JSON')
  }
  checkMessage(message)
  return message
}

/** Writes a message as a queue record's body, in ASCII: SQS rejects some characters that a name may contain. */
export function formatMessage (message: EmailMessage): string {
  return JSON.stringify(message).replace(/[^\x20-\x7e]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

// ── Receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The part of an event of SES on EventBridge that the module reads: "Contents of event data that Amazon SES publishes" in the SES developer guide. */
const SesEvent = Type.Object({
  source: Type.Literal('aws.ses'),
  detail: Type.Object({
    eventType: Type.String(),
    mail: Type.Object({
      destination: Type.Array(Type.String()),
      tags: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
      headers: Type.Optional(Type.Array(Type.Object({ name: Type.String(), value: Type.String() })))
    }),
    bounce: Type.Optional(Type.Object({ bounceType: Type.String(), timestamp: Type.String() })),
    complaint: Type.Optional(Type.Object({ complaintFeedbackType: Type.Optional(Type.Union([Type.String(), Type.Null()])), timestamp: Type.String() }))
  })
})
type SesEvent = Static<typeof SesEvent>

/** The tags that each mail carries to SES, by which a receipt names its message. SES allows letters, digits, dashes and underscores. */
export const tagsOf = ({ messageId, userId, type }: Pick<EmailMessage, 'messageId' | 'userId' | 'type'>): Record<string, string> => ({ messageId, userId, type })

/** A receipt: what became of a mail, or why it says nothing about the address. */
export type Receipt =
  | { outcome: 'failed', status: 'bounced' | 'complained', messageId: string, userId: string, type: string, email: string, at: number, correlationId: string | undefined }
  | { outcome: 'undelivered', messageId: string, type: string, correlationId: string | undefined }
  | { outcome: 'ignored', reason: 'foreign' | 'neutral' }

// RFC 5965 §7.3 and RFC 6591: a report that a mail is no spam, and a report about DMARC, are no complaints of a recipient.
const NO_COMPLAINT = ['not-spam', 'auth-failure']

/** What happened at what time; `undefined` when the event says nothing about the mailbox. */
function outcomeOf ({ eventType, bounce, complaint }: SesEvent['detail']): { status: 'bounced' | 'complained', at: number } | 'undelivered' | 'neutral' {
  const timed = (status: 'bounced' | 'complained', timestamp: string) => {
    const at = Date.parse(timestamp)
    if (Number.isNaN(at)) throw new ReceiptInvalid('timestamp')
    return { status, at }
  }
  switch (eventType) {
    case 'Bounce':
      if (bounce === undefined) throw new ReceiptInvalid('bounce')
      // Transient and Undetermined: the mailbox is full, or the server does not answer. The next mail may arrive.
      return bounce.bounceType === 'Permanent' ? timed('bounced', bounce.timestamp) : 'undelivered'
    case 'Complaint':
      if (complaint === undefined) throw new ReceiptInvalid('complaint')
      return NO_COMPLAINT.includes(complaint.complaintFeedbackType ?? '') ? 'neutral' : timed('complained', complaint.timestamp)
    case 'Reject': return 'undelivered'
    default: throw new ReceiptInvalid('eventType')
  }
}

/**
 * Parses a receipt in a queue record's body.
 *
 * @throws {ReceiptInvalid} with the name of the field, and none of the receipt's content
 */
export function parseReceipt (body: string): Receipt {
  let event: unknown
  try {
    event = JSON.parse(body)
  } catch {
    throw new ReceiptInvalid('not JSON')
  }
  // Deeper names in the path may be those of another sender's tags.
  if (!Value.Check(SesEvent, event)) throw new ReceiptInvalid(Value.Errors(SesEvent, event).First()?.path.split('/').slice(1, 4).join('.') || 'wrong form')
  const { detail } = event
  const { tags = {}, destination, headers = [] } = detail.mail
  const [messageId = '', userId = '', type = ''] = ['messageId', 'userId', 'type'].map(name => tags[name]?.[0])
  // Another sender in the same account uses other tags or none.
  if (!UUID.test(messageId) || !UUID.test(userId) || !EmailType.anyOf.some(({ const: known }) => known === type)) return { outcome: 'ignored', reason: 'foreign' }
  const given = headers.find(({ name }) => name.toLowerCase() === 'x-correlation-id')?.value
  const about = { messageId, type, correlationId: given !== undefined && CORRELATION_ID_PATTERN.test(given) ? given : undefined }
  const what = outcomeOf(detail)
  if (what === 'neutral') return { outcome: 'ignored', reason: what }
  if (what === 'undelivered') return { outcome: what, ...about }
  // Where we sent it, and not the recipient in the bounce: that may be a mailbox to which the recipient forwards.
  const email = destination.length === 1 ? canonicalEmail(destination[0]!) : undefined
  if (email === undefined) throw new ReceiptInvalid('destination')
  return { outcome: 'failed', ...about, userId, email, ...what }
}
