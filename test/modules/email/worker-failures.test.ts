import { ChangeMessageVisibilityCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { breakQueueFor } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { emailMessage, sqsRecord } from './records.ts'
import { startWorkers } from './worker-support.ts'

const { engines, app, cutOff, sqs, QueueUrl, failuresIn, failuresOf, mailsTo, stored, counted } = await startWorkers(t)

/** Records of the queue that are not shown yet, as the worker will get them. */
const postponed = (messageId: string) => {
  const { delayed } = engines.sqs.inspectQueue('EmailQueue')!.messages
  return delayed.filter(({ body }) => body.includes(messageId)).map(({ body, messageAttributes, delayUntil }) => ({
    message: JSON.parse(body) as object,
    attributes: Object.fromEntries(Object.entries(messageAttributes).map(([name, { StringValue }]) => [name, StringValue])),
    seconds: Math.round((delayUntil! - Date.now()) / 1000)
  }))
}

t.test('without a mail server a mail is queued for later, its record is done, and its lease is free', async (t) => {
  const message = emailMessage()
  for (const [attempt, seconds] of [[0, 30], [1, 60], [2, 120], [3, 120]] as const) {
    t.same(await failuresIn(cutOff, [sqsRecord(message, { correlationId: 'outage', attempt })]), [])
    const later = postponed(message.messageId).at(-1)!
    t.same(later.message, message)
    t.same(later.attributes, { correlationId: 'outage', attempt: String(attempt + 1) })
    t.ok(later.seconds > seconds - 5 && later.seconds <= seconds, `again in ${later.seconds} s`)
    t.equal(await stored(message.messageId), undefined)
  }
  t.equal(counted(cutOff, 'MailsFailed'), 4)
  t.same(await failuresOf(sqsRecord(message, { attempt: 4 })), [])
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a mail that can be neither sent nor queued is received again, later each time', async (t) => {
  const offline = await buildTestApp(t, engines, { env: { SMTP_URL: 'smtp://127.0.0.1:1' } })
  breakQueueFor(offline, '')
  const message = emailMessage()
  await app.email.enqueue(message, 'offline')
  for (const [receives, seconds] of [[1, 30], [2, 120]] as const) {
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
    const [{ Body, ReceiptHandle }] = Messages as [{ Body: string, ReceiptHandle: string }]
    const record = sqsRecord(Body, { receives, receiptHandle: ReceiptHandle })
    t.same(await failuresIn(offline, [record]), [record.messageId])
    const [held] = engines.sqs.inspectQueue('EmailQueue')!.messages.inflight
    const wait = (held!.visibilityDeadline - Date.now()) / 1000
    t.ok(wait > seconds - 5 && wait <= seconds, `shown again in ${wait} s`)
    await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }))
  }
  await pump(app, engines)
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a mail that the server rejects for good is done and counted: no retry, no dead letter', async (t) => {
  const [refused, accepted] = [emailMessage(), emailMessage()]
  const before = ['MailsRefused', 'MailsFailed'].map(metric => counted(app, metric))
  engines.faults.smtp.refuse = mail => JSON.stringify(mail.to).includes(refused.email) ? `550 5.1.1 <${refused.email}> unknown` : undefined
  t.same(await failuresOf(sqsRecord(refused), sqsRecord(accepted)), [])
  engines.faults.smtp.refuse = undefined
  t.equal(mailsTo(accepted.email).length, 1)
  t.same(postponed(refused.messageId), [])
  t.same(['MailsRefused', 'MailsFailed'].map((metric, i) => counted(app, metric) - before[i]!), [1, 0])
  t.ok(app.logLines.some(line => line['messageId'] === refused.messageId && String((line['err'] as { message?: string })?.message).includes('550')), 'the code of the refusal is in the log')
  t.notMatch(JSON.stringify(app.logLines), refused.email)
})

t.test('a message whose code was dead before it was first received is not mailed', async (t) => {
  const at = Date.now()
  const before = counted(app, 'MailsExpired')
  const messages = [
    emailMessage({ expiresAt: new Date(at - 1).toISOString() }),
    emailMessage({ type: 'WELCOME_EMAIL', expiresAt: new Date(at + 20_000).toISOString() }) // twenty seconds help no reader
  ]
  const { expiresAt, ...old } = emailMessage()
  t.same(await failuresOf(...messages.map(message => sqsRecord(message)), sqsRecord(old, { sentAt: at - 600_000 })), [])
  for (const { email, messageId } of [...messages, old]) {
    t.same(mailsTo(email), [])
    t.equal(await stored(messageId), undefined, 'nor marked as sent')
  }
  t.equal(counted(app, 'MailsExpired') - before, 3)
})

t.test('a message without a code has no end', async (t) => {
  const { challengeId, expiresAt, ...notice } = emailMessage({ type: 'EMAIL_CHANGED_NOTICE' })
  t.same(await failuresOf(sqsRecord(notice, { sentAt: 0 })), [])
  t.equal(mailsTo(notice.email).length, 1)
})

t.test('the notice of a changed address is mailed after its undo has expired too, without the link', async (t) => {
  const link = /verify#challengeId=\S+&action=undo/
  const open = emailMessage({ type: 'EMAIL_CHANGED_NOTICE', expiresAt: new Date(Date.now() + 20_000).toISOString() })
  const over = emailMessage({ type: 'EMAIL_CHANGED_NOTICE', expiresAt: new Date(Date.now() - 1).toISOString() })
  t.same(await failuresOf(sqsRecord(open, { sentAt: 0 }), sqsRecord(over, { sentAt: 0 })), [])
  t.match(mailsTo(open.email)[0]!.text, link)
  t.notMatch(mailsTo(over.email)[0]!.text, /verify|seven days/)
  const { expiresAt, ...endless } = open
  await t.rejects(app.email.enqueue(endless, 'x'), { code: 'EMAIL_MESSAGE_INVALID' }, 'a link that undoes a change says when it expires')
})

t.test('a message that was received in time, and whose code died before it could be sent, says how to ask again', async (t) => {
  const expiresAt = new Date(Date.now() - 1).toISOString()
  const crashed = emailMessage({ expiresAt })
  const postponedOne = emailMessage({ type: 'WELCOME_EMAIL', expiresAt })
  t.same(await failuresOf(sqsRecord(crashed, { receives: 2, firstReceivedAt: Date.now() - 300_000 }), sqsRecord(postponedOne, { attempt: 5 })), [])
  for (const { email, challengeId } of [crashed, postponedOne]) {
    const [mail, ...more] = mailsTo(email)
    t.same(more, [])
    t.equal(mail!.subject, 'Your code has expired')
    for (const body of [mail!.text!, mail!.html as string]) {
      t.match(body, 'http://localhost:3000/verify')
      t.notMatch(body, /verify#/)
      t.notMatch(body, app.keys.codeOf(challengeId!))
    }
  }
})

t.test('a failed message fails the same when its back-off cannot be set', async (t) => {
  const record = sqsRecord('poison', { receiptHandle: 'no such handle' })
  const before = app.logLines.length
  t.same(await failuresOf(record), [record.messageId])
  t.ok(app.logLines.slice(before).some(({ msg }) => String(msg).startsWith('the back-off could not be set')))
  t.match(app.logLines.slice(before).filter(({ msg }) => msg === 'message failed'), [{ msg: 'message failed', retryInSeconds: 1, err: { code: 'EMAIL_MESSAGE_INVALID' } }], 'and retrying cannot fix this one')
})

t.test('address, name, code and subject are in no log line, after any failure', async (t) => {
  const message = emailMessage({ email: 'canary-address@example.com', name: 'Canary Nightingale' })
  const code = app.keys.codeOf(message.challengeId!)
  await app.email.enqueue(message, 'canary')
  engines.faults.smtp.refuse = () => '451 try again, <canary-address@example.com>'
  await failuresOf(sqsRecord(message))
  engines.faults.smtp.refuse = undefined
  await failuresOf(sqsRecord(JSON.stringify(message).slice(0, -1)), sqsRecord({ ...message, 'canary-address@example.com': 1 }), sqsRecord({ ...message, type: 'Canary Nightingale' }))
  await failuresIn(cutOff, [sqsRecord(message)])
  await pump(app, engines)
  t.ok(mailsTo(message.email)[0]!.text!.includes(code))
  const log = JSON.stringify([app.logLines, cutOff.logLines])
  for (const secret of ['canary-address', 'Canary Nightingale', code, 'Your sign-in code', message.challengeId!]) t.notOk(log.includes(secret), secret)
  t.ok(app.logLines.some(line => line['correlationId'] === 'canary' && line['msg'] === 'mail sent'), 'while what happened is there')
})
