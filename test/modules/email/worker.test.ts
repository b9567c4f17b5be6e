import { SendMessageCommand } from '@aws-sdk/client-sqs'
import t from 'tap'
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/plugins/config.ts'
import { intercept } from '../../faults.ts'
import { report, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'
import { startWorkers } from './worker-support.ts'

const { engines, app, mails, sqs, QueueUrl, emptyDeadLetters, redrive, failuresOf, mailsTo, stored, counted } = await startWorkers(t)

t.test('each of the five messages arrives as a mail with a text and an HTML body', async (t) => {
  const subjects = {
    WELCOME_EMAIL: 'Confirm your e-mail address',
    SIGN_IN_CODE: 'Your sign-in code',
    ACCOUNT_EXISTS: 'You already have an account',
    EMAIL_CHANGE_CODE: 'Confirm your new e-mail address',
    EMAIL_CHANGED_NOTICE: 'Your e-mail address has been changed'
  }
  const quoted = 'the name “Ada Lovelace”'
  const shown = { WELCOME_EMAIL: quoted, SIGN_IN_CODE: 'Hello Ada Lovelace,', ACCOUNT_EXISTS: 'Hello Ada Lovelace,', EMAIL_CHANGE_CODE: 'the account of “Ada Lovelace”', EMAIL_CHANGED_NOTICE: 'Hello Ada Lovelace,' }
  for (const [type, subject] of Object.entries(subjects) as [keyof typeof subjects, string][]) {
    const { challengeId, ...message } = emailMessage({ type })
    await app.email.enqueue(type === 'EMAIL_CHANGED_NOTICE' ? message : { ...message, challengeId: challengeId! }, `corr.${type}`)
    await pump(app, engines)
    const [mail, ...more] = mailsTo(message.email)
    t.same(more, [])
    t.equal(mail!.subject, subject)
    t.equal(mail!.from?.text, '"User Service" <users@example.com>')
    t.same([mail!.to].flat().flatMap(to => to!.value), [{ address: message.email, name: shown[type].startsWith('Hello') ? 'Ada Lovelace' : '' }])
    t.equal(mail!.messageId, `<${message.messageId}@example.com>`)
    t.equal(mail!.headers.get('x-correlation-id'), `corr.${type}`)
    t.equal(mail!.headers.get('auto-submitted'), 'auto-generated')
    t.match(mail!.headers.get('content-type'), { value: 'multipart/alternative' })
    for (const body of [mail!.text!, mail!.html as string]) {
      t.ok(body.includes(shown[type]))
      if (type === 'EMAIL_CHANGED_NOTICE') {
        t.notMatch(body, /\/verify/)
        continue
      }
      const code = app.keys.codeOf(challengeId!)
      t.ok(body.includes(code))
      t.ok(body.replaceAll('&amp;', '&').includes(`http://localhost:3000/verify#challengeId=${challengeId}&code=${code}`))
    }
    t.same(Object.keys(await stored(message.messageId) ?? {}).sort(), ['expiresAt', 'messageId', 'state'], 'the record says nothing of the mail')
  }
})

t.test('ten messages of which three are poison: exactly those three are reported, and seven mails arrive', async (t) => {
  const rounds = workload({ short: 1, full: 100 })
  let [exact, sent] = [0, 0]
  for (let round = 0; round < rounds; round++) {
    const good = Array.from({ length: 7 }, () => emailMessage())
    const bad = ['{"type":', { ...emailMessage(), bcc: 'eve@evil.example' }, emailMessage({ email: 'Victim@example.com' })].map(body => sqsRecord(body))
    const records = good.map(message => sqsRecord(message))
    // Each round has its poison in other places.
    for (const [i, record] of bad.entries()) records.splice((2 + 3 * i + round) % (records.length + 1), 0, record)
    const failures = await failuresOf(...records)
    if (failures.length === 3 && bad.every(({ messageId }) => failures.includes(messageId))) exact++
    sent += good.filter(({ email }) => mailsTo(email).length === 1).length
  }
  report(t, { promise: 7, part: 'a batch with poison', figure: `${rounds} × 3 of 10 reported, ${sent} mails`, holds: exact === rounds && sent === 7 * rounds })
})

t.test('what is not a message of this queue is reported: everything that is wrong with one by one', async (t) => {
  const message = emailMessage()
  const { challengeId, ...codeless } = message
  const before = mails.length
  for (const body of ['', 'null', '[]', '"x"', '{}', '\u0000', '['.repeat(10_000), { ...message, type: 'NEWSLETTER' }, { ...message, messageId: 'x' }, { ...message, messageId: undefined },
    { ...message, userId: '../etc' }, { ...message, challengeId: 'x' }, codeless, { ...message, name: 7 }, { ...message, name: 'a\r\nBcc: eve@evil.example' }, { ...message, name: 'a\u0000' },
    { ...message, email: ['a@example.com', 'b@example.com'] }, { ...message, email: { address: 'a@example.com' } }, { ...message, html: '<b>' },
    `{"__proto__":{"a":1},${JSON.stringify(message).slice(1)}`]) {
    const record = sqsRecord(body)
    t.same(await failuresOf(record), [record.messageId], JSON.stringify(body).slice(0, 100))
  }
  t.equal(mails.length, before)
  await t.rejects(app.email.enqueue({ ...message, email: 'a@b, eve@evil.example' }, 'x'), { code: 'EMAIL_MESSAGE_INVALID' }, 'nor can one be queued')
})

t.test('a batch that fails as a whole is reported, not thrown', async (t) => {
  const records = [sqsRecord('x'), sqsRecord('y')]
  t.same(await failuresOf(...records), records.map(({ messageId }) => messageId))
})

t.test('poison ends in the dead-letter queue after three receives, and delays no other message', async (t) => {
  const good = emailMessage()
  for (const body of ['poison 1', 'poison 2', 'poison 3']) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: body }))
  await app.email.enqueue(good, 'x')
  await pump(app, engines)
  t.equal(mailsTo(good.email).length, 1)
  const { ready, inflight } = engines.sqs.inspectQueue('EmailDeadLetterQueue')!.messages
  t.same(ready.map(({ body }) => body).sort(), ['poison 1', 'poison 2', 'poison 3'])
  t.same(inflight, [])
  await emptyDeadLetters()
})

t.test('mails whose cause of failure is fixed are sent by a redrive, and what is still poison comes back', async (t) => {
  const size = workload({ short: 3, full: 30 })
  const messages = Array.from({ length: size }, () => emailMessage())
  for (const message of messages) await app.email.enqueue(message, 'redriven')
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'still poison' }))
  // Without access to its table the worker can handle nothing, and only an operator can mend that.
  const stop = intercept(app.dynamodb, { command: 'PutItemCommand', onTheLine: false }, async () => { throw Object.assign(new Error('no access'), { name: 'AccessDeniedException' }) })
  await pump(app, engines)
  stop()
  const waiting = () => engines.sqs.inspectQueue('EmailDeadLetterQueue')!.messages.ready.length
  t.equal(waiting(), size + 1)
  t.match(await redrive(), new RegExp(`^${size + 1} sent to the queue of mails again$`, 'm'))
  await pump(app, engines)
  const sent = messages.filter(({ email }) => mailsTo(email).length === 1).length
  const left = waiting()
  await emptyDeadLetters()
  report(t, { promise: 7, part: 'redrive', figure: `${sent} of ${size} sent, ${left} still poison`, holds: sent === size && left === 1 })
})

t.test('links lead to the page that is configured', async (t) => {
  const config = { ...loadConfig({ ...engines.env, LOG_LEVEL: 'silent' }), VERIFY_URL: 'https://app.example/sign-in' }
  const own = await buildApp({ config, docs: { source: 'routes' } })
  t.teardown(() => own.close())
  await own.ready()
  const message = emailMessage()
  t.same(await deliverMails(own, { Records: [sqsRecord(message)] }), { batchItemFailures: [] })
  t.match(mailsTo(message.email)[0]!.text, `https://app.example/sign-in#challengeId=${message.challengeId}&code=`)
})

t.test('a correlation id that is not one is replaced', async (t) => {
  const message = emailMessage()
  t.same(await failuresOf(sqsRecord(message, { correlationId: 'a\r\nBcc: eve@evil.example' })), [])
  const [mail] = mailsTo(message.email)
  t.match(mail!.headers.get('x-correlation-id'), /^[0-9a-f-]{36}$/)
  t.equal(mail!.bcc, undefined)
})

t.test('what was queued, sent and failed is counted', async (t) => {
  const metrics = ['MailsQueued', 'MailsSent', 'MailsFailed'] as const
  const before = metrics.map(metric => counted(app, metric))
  const message = emailMessage()
  await app.email.enqueue(message, 'x')
  await failuresOf(sqsRecord(message), sqsRecord('poison'))
  await failuresOf(sqsRecord(message))
  t.same(metrics.map((metric, i) => counted(app, metric) - before[i]!), [1, 1, 1])
  await pump(app, engines)
})
