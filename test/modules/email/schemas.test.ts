import { Value } from '@sinclair/typebox/value'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { AddressRecord, checkMessage, EmailAttributes, formatMessage, MailRecord, parseMessage, parseReceipt, tagsOf, type EmailMessage } from '../../../src/modules/email/schemas.ts'
import { emailMessage } from './records.ts'
import { bounce, complaint, rejection } from './ses-events.ts'

/** The text of the error that a call throws, without its beginning, which is always the same. */
function refusalOf (call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    return (error as Error).message.replace(/^The (?:message|receipt) is not valid: /, '')
  }
}
/** An object without some of its properties. */
const without = (object: object, ...names: string[]) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))

const message = emailMessage({ name: 'Ada', expiresAt: '2027-03-01T12:10:00.000Z' })
const notice = { ...message, type: 'EMAIL_CHANGED_NOTICE' }

t.test('a message of each type is valid, with all it may say and with no more than it must', async t => {
  for (const type of ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE', 'EMAIL_CHANGED_NOTICE']) {
    for (const valid of [
      { ...message, type, invitedBy: 'Grace Hopper', locale: 'zh-Hant-TW' },
      { ...message, type, expiresAt: '2027-03-01T12:10:00Z' },
      { ...message, type, name: 'N'.repeat(600) },
      type === 'EMAIL_CHANGED_NOTICE' ? without({ ...message, type }, 'challengeId', 'expiresAt', 'locale') : without({ ...message, type }, 'expiresAt', 'locale')
    ]) t.equal(refusalOf(() => { checkMessage(valid) }), undefined, JSON.stringify(valid).slice(0, 200))
  }
  t.equal(refusalOf(() => { checkMessage(without(notice, 'challengeId')) }), undefined, 'a notice with an end and no link')
})

t.test('a message that is not valid is refused with the field that is wrong, and none of its content', async t => {
  for (const [wrong, field] of [
    [{ ...message, type: 'NEWSLETTER' }, 'type'],
    [{ ...message, type: '' }, 'type'],
    [without(message, 'type'), 'type'],
    [{ ...message, messageId: 'x' }, 'messageId'],
    [{ ...message, messageId: message.messageId.toUpperCase() }, 'messageId'],
    [{ ...message, userId: `${message.userId}0` }, 'userId'],
    [{ ...message, challengeId: '' }, 'challengeId'],
    [{ ...message, email: 7 }, 'email'],
    [{ ...message, email: 'Ada@example.com' }, 'email'],
    [{ ...message, email: `${'a'.repeat(64)}@${'b'.repeat(300)}.example` }, 'email'],
    [{ ...message, name: 'N'.repeat(601) }, 'name'],
    ...['\r\nBcc: x', '\u0000', '\u001f', '\u007f', '\u009f', '\u2028', '\u2029'].map(text => [{ ...message, name: `Ada${text}` }, 'name'] as const),
    [{ ...message, invitedBy: 'Eve\n' }, 'invitedBy'],
    ...['tomorrow', '2027-03-01', 'x2027-03-01T12:10:00Z', '2027-03-01T12:10:00+01:00', '2027-03-01T12:10:00.0000Z', '2027-13-41T12:10:00.000Z', '2027-03-01T12:10:00.000Zx'].map(expiresAt => [{ ...message, expiresAt }, 'expiresAt'] as const),
    ...['', 'e', 'de_AT', 'de-', 'x'.repeat(9), '12', `de${'-variant1'.repeat(4)}`, 'de AT'].map(locale => [{ ...message, locale }, 'locale'] as const),
    [without(message, 'challengeId'), 'challengeId'],
    [without(notice, 'expiresAt'), 'expiresAt'],
    [{ ...message, 'canary@example.com': 1 }, 'wrong form'],
    [{ ...message, toString: 1 }, 'wrong form'],
    [null, 'wrong form'],
    ['text', 'wrong form']
  ] as const) {
    t.equal(refusalOf(() => { checkMessage(wrong) }), field, encodeURIComponent(JSON.stringify(wrong)))
    t.equal(refusalOf(() => parseMessage(JSON.stringify(wrong))), field)
  }
  for (const body of ['', '{', '{"canary":', 'undefined']) t.equal(refusalOf(() => parseMessage(body)), 'not JSON')
})

t.test('a message is written in ASCII, and read as it was', async t => {
  const written: EmailMessage = { ...message, name: 'Zoë ~ 山🙈 \ufffe' }
  const body = formatMessage(written)
  t.ok(body.includes('"name":"Zo\\u00eb ~ \\u5c71\\ud83d\\ude48 \\ufffe"'), body)
  t.same(parseMessage(body), written)
})

t.test('a record is of a mail that is being sent, or was, or of an address', async t => {
  const messageId = randomUUID()
  const sending = { messageId, state: 'sending', leaseId: 'one', leaseUntil: 1, expiresAt: 2 }
  const sent = { messageId, state: 'sent', expiresAt: 2 }
  for (const record of [sending, sent]) {
    t.ok(Value.Check(MailRecord, record))
    t.equal(refusalOf(() => { checkMessage(record) }), 'type', 'it is no message')
    for (const name of Object.keys(record)) t.notOk(Value.Check(MailRecord, without(record, name)), `without ${name}`)
  }
  for (const wrong of [{ ...sent, messageId: 'x' }, { ...sending, leaseUntil: '1' }, { ...sent, state: '' }, { ...sending, state: '' }, {}]) t.notOk(Value.Check(MailRecord, wrong), JSON.stringify(wrong))

  for (const status of ['bounced', 'complained', 'readmitted']) {
    const record = { messageId: 'address#of-someone', status, at: 1, expiresAt: 2 }
    t.ok(Value.Check(AddressRecord, record))
    for (const name of Object.keys(record)) t.notOk(Value.Check(AddressRecord, without(record, name)), `without ${name}`)
    for (const wrong of [{ ...record, messageId: 'of-someone' }, { ...record, status: '' }, { ...record, email: 'ada@example.com' }]) t.notOk(Value.Check(AddressRecord, wrong), JSON.stringify(wrong))
  }
})

t.test('the attributes of a message are counts of up to a thousand', async t => {
  const all = { correlationId: 'of-a-request', attempt: 1, unconfirmed: 1000 }
  t.ok(Value.Check(EmailAttributes, all))
  t.equal(refusalOf(() => { checkMessage(all) }), 'type', 'they are no message')
  for (const name of ['attempt', 'unconfirmed']) {
    t.ok(Value.Check(EmailAttributes, without(all, name)))
    for (const value of [0, 1001, 1.5, '1']) t.notOk(Value.Check(EmailAttributes, { ...all, [name]: value }))
  }
  t.notOk(Value.Check(EmailAttributes, without(all, 'correlationId')))
})

const at = new Date('2027-03-01T12:00:00.000Z')
const parse = (event: unknown) => parseReceipt(JSON.stringify(event))

t.test('a receipt says what became of which mail, and when', async t => {
  const { messageId, userId, type, email } = message
  t.same(tagsOf(message), { messageId, userId, type })
  const failed = { outcome: 'failed', messageId, userId, type, email, at: at.getTime(), correlationId: 'from-the-mail' }
  const undelivered = { outcome: 'undelivered', messageId, type, correlationId: 'from-the-mail' }
  t.same(parse(bounce(message, { at })), { ...failed, status: 'bounced' })
  t.same(parse(bounce(message, { at, bounceType: 'Transient' })), undelivered)
  t.same(parse(rejection(message, { at })), undelivered)
  for (const feedbackType of ['abuse', 'fraud', '', null]) t.same(parse(complaint(message, { at, feedbackType })), { ...failed, status: 'complained' }, String(feedbackType))
  for (const feedbackType of ['not-spam', 'auth-failure']) t.same(parse(complaint(message, { at, feedbackType })), { outcome: 'ignored', reason: 'neutral' })
  for (const each of ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE', 'EMAIL_CHANGED_NOTICE'] as const) t.match(parse(bounce({ ...message, type: each }, { at })), { type: each })
  t.match(parse(bounce({ ...message, email: 'Ada@EXAMPLE.com' }, { at })), { email: 'ada@example.com' })
})

t.test('a receipt is of our mails only if its tags are ours', async t => {
  const tags = { messageId: [message.messageId], userId: [message.userId], type: ['SIGN_IN_CODE'] }
  t.match(parse(bounce(message, { at, tags })), { outcome: 'failed' })
  for (const foreign of [
    {}, without(tags, 'messageId'), without(tags, 'userId'), without(tags, 'type'), { ...tags, messageId: [] }, { ...tags, messageId: ['1'] }, { ...tags, userId: ['2'] },
    { ...tags, type: ['NEWSLETTER'] }, { ...tags, type: [''] }, { messageId: tags.userId, userId: ['x'], type: tags.type }
  ] as Record<string, string[]>[]) t.same(parse(bounce(message, { at, tags: foreign })), { outcome: 'ignored', reason: 'foreign' }, JSON.stringify(foreign))
  const { detail, ...envelope } = bounce(message, { at })
  t.same(parse({ ...envelope, detail: { ...detail, mail: without(detail.mail, 'tags') } }), { outcome: 'ignored', reason: 'foreign' })
})

t.test('the correlation id of a receipt is that of the mail, if it has one', async t => {
  const { detail, ...envelope } = bounce(message, { at })
  const withHeaders = (headers: unknown) => parse({ ...envelope, detail: { ...detail, mail: { ...detail.mail, headers } } })
  t.match(withHeaders([{ name: 'x-CORRELATION-id', value: 'one' }, { name: 'X-Correlation-Id', value: 'two' }]), { correlationId: 'one' })
  for (const headers of [[], [{ name: 'Subject', value: 'one' }], [{ name: 'X-Correlation-Id', value: 'a b' }], [{ name: 'X-Correlation-Id', value: '' }], undefined]) {
    t.equal((withHeaders(headers) as { correlationId?: string }).correlationId, undefined, JSON.stringify(headers))
  }
})

t.test('what is not a receipt as SES writes them is refused with the field that is wrong, and none of its content', async t => {
  const { detail, ...envelope } = bounce(message, { at }) as unknown as { detail: Record<string, object> & { mail: object } }
  const complained = (complaint(message, { at }) as unknown as { detail: object }).detail
  const mail = (changes: object) => ({ ...envelope, detail: { ...detail, mail: { ...detail.mail, ...changes } } })
  for (const [wrong, field] of [
    [{}, 'source'],
    [null, 'wrong form'],
    [[], 'wrong form'],
    [{ ...envelope, source: 'aws.s3', detail }, 'source'],
    [{ ...envelope, source: '', detail }, 'source'],
    [envelope, 'detail'],
    [{ ...envelope, detail: without(detail, 'eventType') }, 'detail.eventType'],
    [{ ...envelope, detail: without(detail, 'mail') }, 'detail.mail'],
    [mail({ destination: 'ada@example.com' }), 'detail.mail.destination'],
    [mail({ destination: [7] }), 'detail.mail.destination'],
    [mail({ tags: { 'canary@example.com': 1 } }), 'detail.mail.tags'],
    [mail({ headers: [{ name: 'canary' }] }), 'detail.mail.headers'],
    [mail({ headers: [{ value: 'canary' }] }), 'detail.mail.headers'],
    [{ ...envelope, detail: { ...detail, bounce: without(detail['bounce']!, 'bounceType') } }, 'detail.bounce.bounceType'],
    [{ ...envelope, detail: { ...detail, bounce: without(detail['bounce']!, 'timestamp') } }, 'detail.bounce.timestamp'],
    [{ ...envelope, detail: { ...complained, complaint: {} } }, 'detail.complaint.timestamp'],
    [{ ...envelope, detail: { ...complained, complaint: { complaintFeedbackType: 7, timestamp: at.toISOString() } } }, 'detail.complaint.complaintFeedbackType'],
    [{ ...envelope, detail: without(detail, 'bounce') }, 'bounce'],
    [{ ...envelope, detail: without(complained, 'complaint') }, 'complaint'],
    [{ ...envelope, detail: { ...detail, eventType: 'Open' } }, 'eventType'],
    [{ ...envelope, detail: { ...detail, bounce: { ...detail['bounce'], timestamp: 'yesterday' } } }, 'timestamp'],
    [{ ...envelope, detail: { ...complained, complaint: { timestamp: 'yesterday' } } }, 'timestamp'],
    [mail({ destination: [] }), 'destination'],
    [mail({ destination: ['a@example.com', 'b@example.com'] }), 'destination'],
    [mail({ destination: ['not an address'] }), 'destination']
  ] as const) t.equal(refusalOf(() => parse(wrong)), field, JSON.stringify(wrong)?.slice(0, 100))
  for (const body of ['', '{', 'yesterday']) t.equal(refusalOf(() => parseReceipt(body)), 'not JSON')
  const read = parse({ ...envelope, detail: { ...complained, complaint: { complaintFeedbackType: null, timestamp: at.toISOString() } } })
  t.match(read, { status: 'complained' }, 'a type that is null is none')
})
