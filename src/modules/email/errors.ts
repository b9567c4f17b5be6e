import createError from '@fastify/error'

// None of them quotes a message, an address or a server's answer: these errors are logged.

/** Not a message of this queue; retrying cannot fix it. */
export const MessageInvalid = createError('EMAIL_MESSAGE_INVALID', 'The message is not one that can be sent: %s', 400)
/** Another delivery of the same message may be sending it at this moment. */
export const MessageBusy = createError('EMAIL_MESSAGE_BUSY', 'Another delivery of this message is in progress', 409)
/** A record of the table is not one that this module writes. */
export const RecordInvalid = createError('EMAIL_RECORD_INVALID', 'The record of this message cannot be read', 500)

// The three ways in which a mail is not sent. The text is the code of the mail server, or of SES.

/** The mail was not sent. It may be later. */
export const MailDeferred = createError('EMAIL_DEFERRED', 'The mail could not be sent now: %s', 502)
/** The recipient or the mail was rejected for good: to send the same mail again would be rejected again. */
export const MailRefused = createError('EMAIL_REFUSED', 'The mail was rejected for good: %s', 502)
/** The whole mail was handed over and no answer came: it may have been sent. */
export const MailUnconfirmed = createError('EMAIL_UNCONFIRMED', 'The mail was handed over and not confirmed: %s', 504)
