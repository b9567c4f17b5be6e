import t from 'tap'
import type { SpanOptions } from '../../../src/plugins/spans.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { recordCalls } from '../../faults.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'
import { bounce, receiptRecord } from './ses-events.ts'

// How the parts of the module are put together, by the configuration.

const engines = await startEngines(t)
const { mailsTo } = engines
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

t.test('a mail is a part of the trace that it came with, and the call of the mail server is a part of it', async t => {
  const spans: SpanOptions[] = []
  const app = await buildTestApp(t, engines, { tracer: { start (span) { spans.push(span); return { traceparent: TRACE, end () {} } } } })
  const message = emailMessage()
  await app.spans.run({ name: 'a request', kind: 'server' }, () => app.email.enqueue(message, 'traced'))
  t.equal(engines.sqs.inspectQueue('EmailQueue')!.messages.ready.pop()!.messageAttributes['traceparent']!.StringValue, TRACE)
  spans.length = 0
  t.same(await deliverMails(app, { Records: [sqsRecord(message, { correlationId: 'traced' })] }), { batchItemFailures: [] })
  t.match(spans[0], { name: 'deliver SIGN_IN_CODE', kind: 'consumer', attributes: { 'correlation.id': 'traced' } })
  t.match(spans.filter(({ name }) => name === 'send mail'), [{ kind: 'client' }])
})

t.test('mails name the brand: as configured, or the name of their sender, or the host of the service', async t => {
  for (const [env, brand] of [
    [{ BRAND_NAME: 'Acme', EMAIL_FROM: 'Users <users@example.com>' }, 'Acme'],
    [{ BRAND_NAME: undefined, EMAIL_FROM: 'Users <users@example.com>' }, 'Users'],
    [{ BRAND_NAME: undefined, EMAIL_FROM: 'users@example.com', PUBLIC_URL: 'https://id.example.com' }, 'id.example.com']
  ] as const) {
    const app = await buildTestApp(t, engines, { env })
    const message = emailMessage()
    const { challengeId: _, expiresAt: __, ...notice } = emailMessage({ type: 'EMAIL_CHANGED_NOTICE' })
    t.same(await deliverMails(app, { Records: [sqsRecord(message), sqsRecord(notice)] }), { batchItemFailures: [] })
    const { text } = mailsTo(message.email)[0]!
    t.ok(text!.endsWith(`\n-- \n${brand}\n`), brand)
    t.match(text, `\n${'PUBLIC_URL' in env ? env.PUBLIC_URL : 'http://localhost:3000'}/verify#challengeId=${message.challengeId}`)
    t.match(mailsTo(notice.email)[0]!.text, 'write to users@example.com at once')
  }
})

t.test('where receipts come, their addresses are looked up before a mail, and elsewhere nothing is', async t => {
  const looksUp = async (app: Awaited<ReturnType<typeof buildTestApp>>) => {
    const calls = recordCalls(app)
    t.same(await deliverMails(app, { Records: [sqsRecord(emailMessage())] }), { batchItemFailures: [] })
    return calls.stop().filter(name => name === 'GetItemCommand').length
  }
  const app = await buildTestApp(t, engines)
  t.ok(await looksUp(app) > 0)
  const receipt = receiptRecord(bounce(emailMessage()))
  t.same(await app.consumers.deliver({ Records: [receipt] }), { batchItemFailures: [] })
  t.ok(app.logLines.some(line => line['MailsBounced'] === 1))
  const without = await buildTestApp(t, engines, { env: { MAIL_RECEIPTS_QUEUE_URL: undefined } })
  t.equal(await looksUp(without), 0)
  await t.rejects(without.consumers.deliver({ Records: [receipt] }), /unknown source/)
})

t.test('a mail server that does not answer is counted once', async t => {
  const app = await buildTestApp(t, engines, { env: { SMTP_URL: 'smtp://127.0.0.1:1' } })
  t.same(await deliverMails(app, { Records: Array.from({ length: 10 }, () => sqsRecord(emailMessage())) }), { batchItemFailures: [] })
  t.equal(app.breakers.stateOf('mail'), 'open')
  t.equal(app.logLines.filter(line => line['MailServerUnavailable'] === 1).length, 1)
})

t.test('the queue of mails is in the document of queues', async t => {
  const app = await buildTestApp(t, engines)
  const { asyncapi } = (await app.inject('/schemas/')).json<{ asyncapi: string }>()
  const { channels, components } = (await app.inject(new URL(asyncapi).pathname)).json<{ channels: object, components: { messages: object } }>()
  t.match(channels, { emailQueue: { address: 'emailQueue' } })
  t.match(components.messages, { emailQueue: {} })
})
