import fp from 'fastify-plugin'
import Fastify from 'fastify'
import t from 'tap'
import client from '../../../src/modules/email/client.ts'
import email from '../../../src/modules/email/index.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { emailMessage } from './records.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

t.test('where another service sends the mails, a message is put on its queue, and nothing else is done', async t => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { email: client })
  const message = emailMessage()
  await app.email.enqueue(message, 'of-a-request')
  await app.spans.run({ name: 'a request', kind: 'server', parent: TRACE }, () => app.email.enqueue(message, 'traced'))
  const { ready } = engines.sqs.inspectQueue('EmailQueue')!.messages
  t.same(ready.map(({ body }) => JSON.parse(body) as object), [message, message])
  const text = (StringValue: string) => ({ DataType: 'String', StringValue })
  t.match(ready.map(({ messageAttributes }) => messageAttributes), [{ correlationId: text('of-a-request') }, { correlationId: text('traced'), traceparent: text(TRACE) }])
  t.same(Object.keys(ready[0]!.messageAttributes), ['correlationId'])
  t.equal(app.logLines.filter(line => line['MailsQueued'] === 1).length, 2)

  await t.rejects(app.email.enqueue({ ...message, email: 'Ada@example.com' }, 'x'), { code: 'EMAIL_MESSAGE_INVALID' })
  app.email.follow(async () => {})
  await app.email.readmit(message.email, new Date())
  await app.email.forget(message.email)
  t.equal(engines.sqs.inspectQueue('EmailQueue')!.messages.ready.length, 2)
  await t.rejects(app.consumers.deliver({ Records: [{ eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:EmailQueue' }] }), /unknown source/)
})

t.test('the module says what it cannot be without, and others can say that they need it', async t => {
  for (const [module, needed] of [
    [client, ['config', 'sqs', 'metrics', 'spans']],
    [email, ['config', 'breakers', 'aws', 'consumers', 'sqs', 'dynamodb', 'keys', 'metrics', 'spans', 'docs']]
  ] as const) {
    for (const missing of needed) {
      const app = Fastify()
      for (const name of needed) if (name !== missing) app.register(fp(async () => {}, { name }))
      await t.rejects(async () => { await app.register(module) }, { message: `The dependency '${missing}' of plugin 'email' is not registered` })
    }
  }
})
