import createError from '@fastify/error'

// None of them quotes a message, an address or a server's answer: these errors are logged.

/** Not a message of this queue; waiting changes nothing about it. */
export const MessageInvalid = createError('EMAIL_MESSAGE_INVALID', 'The message is not one that can be sent: %s', 400)
/** Another delivery of the same message may be sending it at this moment. */
export const MessageBusy = createError('EMAIL_MESSAGE_BUSY', 'Another delivery of this message is being worked on', 409)
/** The mail server, or SES, did not take the mail. */
export const MailRefused = createError('EMAIL_REFUSED', 'The mail was not taken: %s', 502)
