import createError from '@fastify/error'

// These errors are logged, so none of them quotes a message, an address or a server's answer.

/** The record is not a valid message; retrying cannot fix it. */
export const MessageInvalid = createError('EMAIL_MESSAGE_INVALID', 'The message is not valid: %s', 400)
/** The record is not a receipt in the form that SES documents; retrying cannot fix it. */
export const ReceiptInvalid = createError('EMAIL_RECEIPT_INVALID', 'The receipt is not valid: %s', 400)
/** Another delivery of the same message may be sending it now. */
export class MessageBusy extends createError('EMAIL_MESSAGE_BUSY', 'Another delivery of this message is in progress', 409) {
  /** when the other delivery's lease expires, in milliseconds since the epoch */
  readonly until: number
  constructor (until: number) {
    super()
    this.until = until
  }
}
/** A record in the table does not have the form that this module writes. */
export const RecordInvalid = createError('EMAIL_RECORD_INVALID', 'The record of this message cannot be read', 500)

// The ways in which sending a mail can fail. The text is the code of the mail server, or of SES.

/** The mail was not sent; a later try may succeed. */
export const MailDeferred = createError('EMAIL_DEFERRED', 'The mail could not be sent now: %s', 502)
/** The mail was not sent, because the mail server does not answer; a later try may succeed. */
export const MailUnreachable = createError('EMAIL_UNREACHABLE', 'The mail server does not answer: %s', 502)
/** The recipient or the mail was rejected permanently; the same mail would be rejected again. */
export const MailRefused = createError('EMAIL_REFUSED', 'The mail was rejected permanently: %s', 502)
/** The whole mail was handed over and no answer came, so it may have been sent. */
export const MailUnconfirmed = createError('EMAIL_UNCONFIRMED', 'The mail was handed over but not confirmed: %s', 504)
