import t from 'tap'
import { MailDeferred, MailRefused, MailUnconfirmed, MailUnreachable, MessageBusy, MessageInvalid, ReceiptInvalid, RecordInvalid } from '../../../src/modules/email/errors.ts'

t.test('an error has a code for the reader of the log, and says what it is about', async t => {
  for (const [error, code, message] of [
    [new MessageInvalid('email'), 'EMAIL_MESSAGE_INVALID', 'The message is not valid: email'],
    [new ReceiptInvalid('detail.mail'), 'EMAIL_RECEIPT_INVALID', 'The receipt is not valid: detail.mail'],
    [new MessageBusy(1), 'EMAIL_MESSAGE_BUSY', 'Another delivery of this message is in progress'],
    [new RecordInvalid(), 'EMAIL_RECORD_INVALID', 'The record of this message cannot be read'],
    [new MailDeferred('451'), 'EMAIL_DEFERRED', 'The mail could not be sent now: 451'],
    [new MailUnreachable('ESOCKET'), 'EMAIL_UNREACHABLE', 'The mail server does not answer: ESOCKET'],
    [new MailRefused('550'), 'EMAIL_REFUSED', 'The mail was rejected permanently: 550'],
    [new MailUnconfirmed('ETIMEDOUT'), 'EMAIL_UNCONFIRMED', 'The mail was handed over but not confirmed: ETIMEDOUT']
  ] as const) t.match(error, { code, message })
  t.equal(new MessageBusy(1234).until, 1234)
})
