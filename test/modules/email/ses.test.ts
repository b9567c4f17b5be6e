import { simpleParser } from 'mailparser'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import t from 'tap'
import { buildTestApp, startEngines } from '../../helper.ts'
import { emailMessage, sqsRecord } from './records.ts'

/** A request of SESv2's SendEmail. */
interface SendEmail {
  FromEmailAddress: string
  Destination: object
  Content: { Raw: { Data: string } }
}

const requests: { method: string, path: string, body: SendEmail }[] = []
let answer: { status: number, type?: string, body: object } = { status: 200, body: { MessageId: 'ses-1' } }
const ses = createServer(async (request, response) => {
  requests.push({ method: request.method!, path: request.url!, body: await json(request) as SendEmail })
  const { status, type, body } = answer
  response.writeHead(status, { 'content-type': 'application/json', ...(type === undefined ? {} : { 'x-amzn-errortype': type }) }).end(JSON.stringify(body))
})
ses.listen(0, '127.0.0.1')
await once(ses, 'listening')
t.teardown(() => { ses.close(); ses.closeAllConnections() })

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { SMTP_URL: undefined, AWS_ENDPOINT_URL: `http://127.0.0.1:${(ses.address() as AddressInfo).port}` } })

t.test('without an SMTP server a mail goes to SES, whole, for one recipient', async (t) => {
  const message = emailMessage()
  t.same(await app.email.handleBatch({ Records: [sqsRecord(message, { correlationId: 'via-ses' })] }), { batchItemFailures: [] })
  const [{ method, path, body }, ...more] = requests.splice(0) as [typeof requests[0]]
  t.same(more, [])
  t.equal(`${method} ${path}`, 'POST /v2/email/outbound-emails')
  t.same(body.Destination, { ToAddresses: [message.email] })
  t.equal(body.FromEmailAddress, 'User Service <no-reply@example.com>')
  const mail = await simpleParser(Buffer.from(body.Content.Raw.Data, 'base64'))
  t.match(mail, { subject: 'Your sign-in code', messageId: `<${message.messageId}@example.com>`, to: { value: [{ address: message.email, name: 'Ada Lovelace' }] } })
  t.equal(mail.headers.get('x-correlation-id'), 'via-ses')
  t.match(mail.text, /\b\d{8}\b/)
  t.match(mail.html, /verify#/)
})

t.test('what SES refuses has failed, after one attempt and without the address in the log', async (t) => {
  for (const refusal of [
    { status: 400, type: 'MessageRejected', body: { message: 'Address canary@example.com is not verified' } },
    { status: 429, type: 'TooManyRequestsException', body: { message: 'Maximum sending rate exceeded' } },
    { status: 500, type: 'InternalFailure', body: {} }
  ]) {
    answer = refusal
    const record = sqsRecord(emailMessage({ email: 'canary@example.com', name: 'Canary' }))
    t.same((await app.email.handleBatch({ Records: [record] })).batchItemFailures, [{ itemIdentifier: record.messageId }])
    t.equal(requests.splice(0).length, 1, `${refusal.status}: the queue repeats, not the SDK`)
  }
  t.notMatch(JSON.stringify(app.logLines), /canary/i)
  t.match(JSON.stringify(app.logLines), /MessageRejected/)
})
