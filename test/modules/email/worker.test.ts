import { ChangeMessageVisibilityCommand, DeleteMessageCommand, PurgeQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { SQSRecord } from 'aws-lambda'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/plugins/config.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { breakQueueFor, intercept, lineError } from '../../faults.ts'
import { report, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const { mails } = engines

const cutOff = await buildTestApp(t, engines, { env: { SMTP_URL: 'smtp://127.0.0.1:1' } }) // no server listens there
const sqs = new SQSClient({ region: 'us-east-1', endpoint: engines.sqsEndpoint })
t.teardown(() => sqs.destroy())
const QueueUrl = engines.queueUrl('EmailQueue')

async function failuresIn (worker: TestApp, Records: SQSRecord[]): Promise<string[]> {
  return (await deliverMails(worker, { Records })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
}

const emptyDeadLetters = () => sqs.send(new PurgeQueueCommand({ QueueUrl: engines.queueUrl('EmailDeadLetterQueue') }))

/** What `npm run dlq -- redrive` does, and says. */
async function redrive (): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../../scripts/dlq.ts', import.meta.url)), 'redrive'], {
    env: { ...process.env, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_SQS: engines.sqsEndpoint, EMAIL_QUEUE_URL: QueueUrl }
  })
  return stdout
}
const failuresOf = (...records: SQSRecord[]) => failuresIn(app, records)
const { mailsTo } = engines
const stored = async (messageId: string) => (await app.dynamodb.send(new GetCommand({ TableName: 'EmailTable', Key: { messageId }, ConsistentRead: true }))).Item
const counted = (worker: TestApp, metric: string) => worker.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)

/** Lets the time of a lease pass. */
const expireLease = (messageId: string) => app.dynamodb.send(new UpdateCommand({
  TableName: 'EmailTable', Key: { messageId }, UpdateExpression: 'SET leaseUntil = :past', ConditionExpression: 'attribute_exists(leaseUntil)', ExpressionAttributeValues: { ':past': Date.now() - 1 }
}))

/** Makes commands of the app's DynamoDB client go wrong; `before` or after they have been carried out. */
function breakDynamodb (when: (input: Record<string, unknown>) => boolean, { times = Infinity, after = false } = {}) {
  let left = times
  // Below the SDK's retries: what fails here is repeated by them.
  return intercept(app.dynamodb, {}, async ({ input, send }) => {
    const item = (input as { Item?: Record<string, { S?: string }> }).Item
    const hit = left > 0 && when(Object.fromEntries(Object.entries(item ?? {}).map(([name, value]) => [name, value.S ?? value])))
    if (!hit) return await send()
    left--
    if (after) await send()
    throw lineError()
  })
}

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
  // Without its table the worker can handle nothing.
  const stop = intercept(app.dynamodb, { command: 'PutItemCommand', onTheLine: false }, async () => { throw lineError() })
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

t.test('messages delivered three times, out of order and at the same time, are one mail each', async (t) => {
  const size = workload({ short: 40, full: 1000 })
  const messages = Array.from({ length: size }, () => emailMessage())
  let deliveries = [...messages, ...messages, ...messages].map(message => sqsRecord(message)).sort(() => Math.random() - 0.5)
  let repeated = 0
  while (deliveries.length > 0) {
    const batches = Array.from({ length: Math.ceil(deliveries.length / 10) }, (_, i) => deliveries.slice(i * 10, i * 10 + 10))
    const failed = new Set<string>()
    // As many at once as Lambda starts with two workers.
    await Promise.all(Array.from({ length: 20 }, async () => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) for (const id of await failuresOf(...batch)) failed.add(id)
    }))
    // A delivery that came while another one was sending is repeated.
    deliveries = deliveries.filter(({ messageId }) => failed.has(messageId))
    repeated += deliveries.length
  }
  const mailsOf = messages.map(({ email }) => mailsTo(email).length)
  const once = mailsOf.filter(count => count === 1).length
  report(t, { promise: 5, figure: `${size} messages × 3 deliveries, ${repeated} of them repeated: ${mailsOf.reduce((sum, count) => sum + count, 0)} mails`, holds: once === size })
})

t.test('a message that another delivery may be sending is left to it until its lease runs out', async (t) => {
  const message = emailMessage()
  const lease = { messageId: message.messageId, state: 'sending', leaseId: randomUUID(), leaseUntil: Date.now() + 60_000, expiresAt: Date.now() / 1000 + 1000 }
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: lease }))
  await app.email.enqueue(message, 'busy')
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
  const [{ ReceiptHandle }] = Messages as [{ ReceiptHandle: string }]
  const record = sqsRecord(message, { receiptHandle: ReceiptHandle })
  t.same(await failuresOf(record), [record.messageId])
  const [held] = engines.sqs.inspectQueue('EmailQueue')!.messages.inflight
  t.ok(held!.visibilityDeadline >= lease.leaseUntil && held!.visibilityDeadline < lease.leaseUntil + 5_000, 'and not received before')
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
  t.equal((await stored(message.messageId))?.['leaseId'], lease.leaseId, "another's lease is not released")
  await expireLease(message.messageId)
  t.same(await failuresOf(record), [])
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a record that is none of ours fails its message, and says so', async (t) => {
  const message = emailMessage()
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'lost', expiresAt: Date.now() } }))
  const record = sqsRecord(message)
  t.same(await failuresOf(record), [record.messageId])
  t.ok(app.logLines.some(line => line['messageId'] === message.messageId && (line['err'] as { code?: string } | undefined)?.code === 'EMAIL_RECORD_INVALID'))
})

t.test('a record that should have expired does not count', async (t) => {
  const message = emailMessage()
  await app.dynamodb.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'sent', expiresAt: Math.floor(Date.now() / 1000) - 1 } }))
  t.same(await failuresOf(sqsRecord(message)), [])
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a lease whose answer was lost is our own', async (t) => {
  const message = emailMessage()
  const repair = breakDynamodb(({ state }) => state === 'sending', { times: 1, after: true })
  t.same(await failuresOf(sqsRecord(message)), [])
  repair()
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a sent mail that cannot be recorded is done all the same; delivered once more, it is the same mail again', async (t) => {
  const message = emailMessage()
  const repair = breakDynamodb(({ state }) => state === 'sent')
  t.same(await failuresOf(sqsRecord(message)), [])
  repair()
  t.ok(app.logLines.some(line => line['messageId'] === message.messageId && line['msg'] === 'a sent mail could not be recorded'))
  const late = sqsRecord(message)
  t.same(await failuresOf(late), [late.messageId], 'its lease is still in force')
  await expireLease(message.messageId)
  t.same(await failuresOf(late), [])
  const [first, second, ...more] = mailsTo(message.email)
  t.same(more, [])
  t.equal(second!.messageId, first!.messageId)
  t.equal(second!.text, first!.text)
})

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
