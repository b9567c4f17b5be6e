import { simpleParser } from 'mailparser'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

/** A request of SESv2's SendEmail. */
interface SendEmail {
  FromEmailAddress: string
  Destination: object
  ConfigurationSetName?: string
  EmailTags?: { Name: string, Value: string }[]
  Content: { Raw: { Data: string } }
}

const requests: { method: string, path: string, body: SendEmail }[] = []
let answer: { status: number, type?: string, body: object } = { status: 200, body: { MessageId: 'ses-1' } }
const ses = createServer(async (request, response) => {
  requests.push({ method: request.method!, path: request.url!, body: await json(request) as SendEmail })
  const { status, type, body } = answer
  if (status === 0) return request.socket.resetAndDestroy()
  response.writeHead(status, { 'content-type': 'application/json', ...(type === undefined ? {} : { 'x-amzn-errortype': type }) }).end(JSON.stringify(body))
})
ses.listen(0, '127.0.0.1')
await once(ses, 'listening')
t.teardown(() => { ses.close(); ses.closeAllConnections() })

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { SMTP_URL: undefined, AWS_ENDPOINT_URL: `http://127.0.0.1:${(ses.address() as AddressInfo).port}` } })

t.test('without an SMTP server a mail goes to SES, whole, for one recipient', async (t) => {
  const message = emailMessage()
  t.same(await deliverMails(app, { Records: [sqsRecord(message, { correlationId: 'via-ses' })] }), { batchItemFailures: [] })
  const [{ method, path, body }, ...more] = requests.splice(0) as [typeof requests[0]]
  t.same(more, [])
  t.equal(`${method} ${path}`, 'POST /v2/email/outbound-emails')
  t.same(body.Destination, { ToAddresses: [message.email] })
  t.equal(body.ConfigurationSetName, undefined)
  t.equal(body.EmailTags, undefined, 'without a configuration set nothing reads them')
  t.equal(body.FromEmailAddress, 'User Service <users@example.com>')
  const mail = await simpleParser(Buffer.from(body.Content.Raw.Data, 'base64'))
  t.match(mail, { subject: 'Your sign-in code', messageId: `<${message.messageId}@example.com>`, to: { value: [{ address: message.email, name: 'Ada Lovelace' }] } })
  t.equal(mail.headers.get('x-correlation-id'), 'via-ses')
  t.match(mail.text, /\b\d{8}\b/)
  t.match(mail.html, /verify#/)
})

t.test('with a configuration set a mail carries tags that name it, and no address', async t => {
  const tagged = await buildTestApp(t, engines, { env: { SMTP_URL: undefined, SES_CONFIGURATION_SET: 'mails', AWS_ENDPOINT_URL: `http://127.0.0.1:${(ses.address() as AddressInfo).port}` } })
  const message = emailMessage()
  t.same(await deliverMails(tagged, { Records: [sqsRecord(message)] }), { batchItemFailures: [] })
  const [{ body }] = requests.splice(0) as [typeof requests[0]]
  t.equal(body.ConfigurationSetName, 'mails')
  t.same(body.EmailTags, [{ Name: 'messageId', Value: message.messageId }, { Name: 'userId', Value: message.userId }, { Name: 'type', Value: message.type }])
  // What SES allows in a tag: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
  for (const { Name, Value } of body.EmailTags!) t.match(Name + Value, /^[A-Za-z0-9_-]{1,256}$/)
  const mail = await simpleParser(Buffer.from(body.Content.Raw.Data, 'base64'))
  t.equal([...mail.headers.keys()].some(name => name.startsWith('x-ses')), false, 'and shows the recipient none of it')
})

const counted = (metric: string) => app.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)
const postponed = () => engines.sqs.inspectQueue('EmailQueue')!.messages.delayed.map(({ messageAttributes }) => messageAttributes['unconfirmed']?.StringValue ?? '0')

/** What becomes of a mail that SES answers so, after one call of it. */
async function outcomeOf (t: Test, given: typeof answer): Promise<string> {
  answer = given
  const before = [counted('MailsSent'), counted('MailsRefused'), postponed().length] as const
  const record = sqsRecord(emailMessage({ email: 'canary@example.com', name: 'Canary' }))
  t.same((await deliverMails(app, { Records: [record] })).batchItemFailures, [])
  t.equal(requests.splice(0).length, 1, `${given.status}: the queue repeats, not the SDK`)
  if (counted('MailsSent') > before[0]) return 'sent'
  if (counted('MailsRefused') > before[1]) return 'refused'
  t.equal(postponed().length, before[2] + 1)
  return postponed().at(-1) === '0' ? 'later' : 'unconfirmed'
}

t.test('SES rejects a mail for good, or for now, or the sender, or does not answer', async (t) => {
  t.equal(await outcomeOf(t, { status: 400, type: 'MessageRejected', body: { message: 'Email contains a virus' } }), 'refused')
  t.equal(await outcomeOf(t, { status: 400, type: 'BadRequestException', body: { message: 'Local address contains control or whitespace: canary@example.com' } }), 'refused')
  t.equal(await outcomeOf(t, { status: 400, type: 'MessageRejected', body: { message: 'Email address is not verified: canary@example.com' } }), 'later', 'the sandbox')
  t.equal(await outcomeOf(t, { status: 400, type: 'MailFromDomainNotVerifiedException', body: {} }), 'later')
  t.equal(await outcomeOf(t, { status: 400, type: 'SendingPausedException', body: {} }), 'later')
  t.equal(await outcomeOf(t, { status: 429, type: 'TooManyRequestsException', body: { message: 'Maximum sending rate exceeded' } }), 'later')
  t.equal(await outcomeOf(t, { status: 500, type: 'InternalFailure', body: {} }), 'later')
  t.equal(await outcomeOf(t, { status: 0, body: {} }), 'unconfirmed', 'the connection is reset')
  t.notMatch(JSON.stringify(app.logLines), /canary/i)
  t.match(JSON.stringify(app.logLines), /MessageRejected/)
})

t.test('a connection that SES does not accept is no mail', async (t) => {
  const away = await buildTestApp(t, engines, { env: { SMTP_URL: undefined, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' } })
  const before = postponed().length
  t.same((await deliverMails(away, { Records: [sqsRecord(emailMessage())] })).batchItemFailures, [])
  t.same(postponed().slice(before), ['0'])
})
