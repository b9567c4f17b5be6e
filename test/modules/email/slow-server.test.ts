import { GetCommand } from '@aws-sdk/lib-dynamodb'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import t, { type Test } from 'tap'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

// What a mail server does that is slow, breaks off, or rejects, at each step of SMTP.

const engines = await startEngines(t)

const error = (responseCode: number, message = 'no') => Object.assign(new Error(message), { responseCode })
const accept: NonNullable<SMTPServerOptions['onData']> = (stream, _session, done) => { stream.resume().on('end', () => { done() }) }
const never = () => {}

async function against (t: Test, options: SMTPServerOptions, { environment = 'test', urlOf = (port: number) => `smtp://127.0.0.1:${port}` } = {}) {
  const server = new SMTPServer({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'], closeTimeout: 100, onData: accept, ...options })
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.teardown(() => new Promise<void>(resolve => { server.close(resolve) }))
  const app = await buildTestApp(t, engines, { env: { NODE_ENV: environment, SMTP_URL: urlOf((server.server.address() as AddressInfo).port) } })
  return { app, server }
}

const counted = (app: TestApp, metric: string) => app.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)
const counts = (app: TestApp) => Object.fromEntries(['MailsSent', 'MailsRefused', 'MailsFailed'].map(metric => [metric, counted(app, metric)]))
const failuresOf = async (app: TestApp, records: ReturnType<typeof sqsRecord>[], time = 10_000) => (await deliverMails(app, { Records: records }, { deadline: Date.now() + time })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
const postponed = (messageId: string) => engines.sqs.inspectQueue('EmailQueue')!.messages.delayed.filter(({ body }) => body.includes(messageId)).map(({ messageAttributes, delayUntil }) => ({
  attempt: Number(messageAttributes['attempt']?.StringValue ?? 0),
  unconfirmed: Number(messageAttributes['unconfirmed']?.StringValue ?? 0),
  isSoon: delayUntil! - Date.now() < 60_000
}))

t.test('a server that accepts mails and answers after six seconds gets each once, in an invocation of ten', async (t) => {
  const received: string[] = []
  const { app } = await against(t, {
    onData (stream, { envelope }, done) {
      received.push(envelope.rcptTo[0]!.address)
      stream.resume().on('end', () => { setTimeout(done, 6_000) })
    }
  })
  const messages = Array.from({ length: 10 }, () => emailMessage())
  t.same(await failuresOf(app, messages.map(message => sqsRecord(message))), [])
  t.same(received.sort(), messages.map(({ email }) => email).sort())
  t.same(counts(app), { MailsSent: 10, MailsRefused: 0, MailsFailed: 0 })
})

t.test('a mail that was handed over without an answer is tried again later, by no other delivery before, and three times at the most', async (t) => {
  let received = 0
  const { app } = await against(t, {
    onData (stream) {
      received++
      stream.resume()
    }
  })
  const message = emailMessage()
  const started = Date.now()
  t.same(await failuresOf(app, [sqsRecord(message)], 4_000), [])
  t.ok(Date.now() - started < 3_500, 'in time to report it')
  t.same(postponed(message.messageId), [{ attempt: 1, unconfirmed: 1, isSoon: false }])
  const twin = sqsRecord(message)
  t.same(await failuresOf(app, [twin], 4_000), [twin.messageId], 'the same message, delivered once more, waits for it')
  t.equal(received, 1)

  const last = { ...message, messageId: emailMessage().messageId }
  const third = sqsRecord(last, { attempt: 2, unconfirmed: 2 })
  t.same(await failuresOf(app, [third], 4_000), [third.messageId])
  t.equal(received, 2)
  const [second, fourth] = [sqsRecord(last, { attempt: 2, unconfirmed: 2, receives: 2 }), sqsRecord(last, { attempt: 2, unconfirmed: 2, receives: 3 })]
  t.same(await failuresOf(app, [second, fourth], 4_000), [second.messageId, fourth.messageId], 'on its way to the dead-letter queue')
  t.equal(received, 2, 'without another copy')
  t.same(postponed(last.messageId), [])
})

t.test('a connection that breaks after the mail was handed over is no answer either', async (t) => {
  const { app, server } = await against(t, {
    onData (stream) { stream.resume().on('end', () => { for (const { _socket } of server.connections as Set<{ _socket?: { destroy (): void } }>) _socket?.destroy() }) }
  })
  const message = emailMessage()
  const started = Date.now()
  t.same(await failuresOf(app, [sqsRecord(message)]), [])
  t.ok(Date.now() - started < 5_000, 'it was not waited for')
  t.same(postponed(message.messageId), [{ attempt: 1, unconfirmed: 1, isSoon: false }])
})

t.test('a server that hangs before it has the mail is tried again soon, and nothing is uncertain', async (t) => {
  for (const step of ['onConnect', 'onMailFrom', 'onRcptTo'] as const) {
    const { app } = await against(t, { [step]: never })
    const message = emailMessage()
    const started = Date.now()
    t.same(await failuresOf(app, [sqsRecord(message)], 5_000), [], step)
    t.ok(Date.now() - started < 2_500, `${step}: half of the time is kept for those who answer`)
    t.same(postponed(message.messageId), [{ attempt: 1, unconfirmed: 0, isSoon: true }])
    const { Item } = await app.dynamodb.send(new GetCommand({ TableName: 'EmailTable', Key: { messageId: message.messageId }, ConsistentRead: true }))
    t.equal(Item, undefined, 'its lease is released')
  }
})

t.test('only a final answer about the recipient or the mail is final', async (t) => {
  const cases: [outcome: 'refused' | 'later', options: SMTPServerOptions][] = [
    ['refused', { onRcptTo: (_address, _session, done) => { done(error(550, '5.1.1 <canary@example.com> unknown')) } }],
    ['refused', { onData: (stream, _session, done) => { stream.resume().on('end', () => { done(error(554, '5.7.1 spam')) }) } }],
    ['later', { onRcptTo: (_address, _session, done) => { done(error(451, '4.7.1 greylisted')) } }],
    ['later', { onRcptTo: (_address, _session, done) => { done(error(503, 'bad sequence')) } }],
    ['later', { onData: (stream, _session, done) => { stream.resume().on('end', () => { done(error(452, '4.3.1 no space')) }) } }],
    ['later', { onData: (stream, _session, done) => { stream.resume().on('end', () => { done(error(421, '4.3.2 shutting down')) }) } }],
    ['later', { onMailFrom: (_address, _session, done) => { done(error(550, '5.7.1 sender rejected')) } }],
    ['later', { onConnect: (_session, done) => { done(error(554, '5.7.1 your address is listed')) } }]
  ]
  for (const [outcome, options] of cases) {
    const { app } = await against(t, options)
    const message = emailMessage({ email: 'canary@example.com' })
    const name = `${Object.keys(options)[0]!} ${outcome}`
    t.same(await failuresOf(app, [sqsRecord(message)]), [], name)
    t.same(postponed(message.messageId), outcome === 'later' ? [{ attempt: 1, unconfirmed: 0, isSoon: true }] : [], name)
    t.same(counts(app), { MailsSent: 0, MailsRefused: Number(outcome === 'refused'), MailsFailed: Number(outcome === 'later') }, name)
    t.notMatch(JSON.stringify(app.logLines), /canary/)
  }
})

t.test('however many mails are to be sent, ten connections are open at once', async (t) => {
  let open = 0
  let most = 0
  const { app } = await against(t, {
    onConnect (_session, done) {
      most = Math.max(most, ++open)
      void sleep(20).then(() => { done() })
    },
    onClose () { open-- }
  })
  const batches = Array.from({ length: 5 }, () => Array.from({ length: 10 }, () => sqsRecord(emailMessage())))
  t.same((await Promise.all(batches.map(batch => failuresOf(app, batch, 60_000)))).flat(), [])
  t.same(counts(app), { MailsSent: 50, MailsRefused: 0, MailsFailed: 0 })
  t.ok(most > 1 && most <= 11, `${most} at once, one of which may be closing`)
})

t.test('in production no mail goes in the clear to another machine, unless the URL allows it', async (t) => {
  // A name of this machine that does not say so.
  const cases: [environment: string, host: string, query: string, options: SMTPServerOptions, sent: number][] = [
    ['production', '0.0.0.0', '', {}, 0],
    ['production', '0.0.0.0', '', { disabledCommands: ['AUTH'] }, 0], // STARTTLS, with a certificate that no authority has signed
    ['production', '0.0.0.0', '?requireTLS=false', {}, 1],
    ['production', '127.0.0.1', '', {}, 1],
    ['test', '0.0.0.0', '', {}, 1]
  ]
  for (const [environment, host, query, options, sent] of cases) {
    let received = 0
    const { app } = await against(t, { ...options, onData: (stream, session, done) => { received++; accept(stream, session, done) } }, { environment, urlOf: port => `smtp://${host}:${port}${query}` })
    const message = emailMessage()
    t.same(await failuresOf(app, [sqsRecord(message)]), [])
    t.equal(received, sent, `${environment} ${host}${query}`)
    t.equal(postponed(message.messageId).length, 1 - sent, 'a mail that was not sent is kept for later')
  }
})
