import { simpleParser } from 'mailparser'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { SMTPServer } from 'smtp-server'
import t from 'tap'
import { canonicalEmail } from '../../../src/shared/email-address.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { report, workload } from '../../promise.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

/** What an SMTP server received, before parsing. */
interface Delivery {
  from: string
  to: string[]
  raw: string
}

const deliveries: Delivery[] = []
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  closeTimeout: 100,
  async onData (stream, { envelope: { mailFrom, rcptTo } }, done) {
    const chunks = await stream.toArray()
    deliveries.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map(({ address }) => address), raw: Buffer.concat(chunks).toString() })
    done()
  }
})
server.listen(0, '127.0.0.1')
await once(server.server, 'listening')
t.teardown(() => new Promise<void>(resolve => { server.close(resolve) }))

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { SMTP_URL: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`, EMAIL_FROM: '"Acme, Inc. (Notes)" <no-reply@example.com>' } })

const headersOf = (raw: string) => [...raw.split('\r\n\r\n')[0]!.matchAll(/^([A-Za-z-]+):/gm)].map(([, name]) => name!.toLowerCase()).sort()

t.test('a mail has one sender, one recipient and always the same headers', async (t) => {
  const message = emailMessage()
  await deliverMails(app, { Records: [sqsRecord(message)] })
  const { from, to, raw } = deliveries.pop()!
  t.equal(from, 'no-reply@example.com')
  t.same(to, [message.email])
  t.same(headersOf(raw), ['auto-submitted', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject', 'to', 'x-auto-response-suppress', 'x-correlation-id', 'x-entity-ref-id'])
  t.match(await simpleParser(raw), { from: { value: [{ name: 'Acme, Inc. (Notes)', address: 'no-reply@example.com' }] } })
})

t.test('with any name, the mail goes to the address only and has no other headers', async (t) => {
  const hostile = ['Eve <eve@evil.example>', 'eve@evil.example,', '"Eve" <eve@evil.example>, "x', 'a, b, c', 'group: eve@evil.example;', '=?utf-8?Q?Bcc:_eve@evil.example?=',
    '=?utf-8?B?PGV2ZUBldmlsLmV4YW1wbGU+?=', '=?utf-8?Q?=0D=0ABcc:_eve@evil.example?=', '\\"\\', '" <eve@evil.example>', '(comment)', '<>', '@', ';', ':', '%0d%0aBcc: eve@evil.example',
    '\u202eelpmaxe.live@eve', '＜eve＠evil.example＞', 'Zoë 🙈'.repeat(16), 'é'.repeat(100), '\ufffe\uffff', "'; DROP TABLE users; --", '$' + '{jndi:ldap://evil}', '{{7*7}}', ' '.repeat(50)]
  // Each by itself, then in pairs with texts that could open or close what the other one needs.
  const JOINTS = ['', ' ', '"', '\\', '<', '>', ',', ';', ':', '\r\n', '\n ', '\0', '\u2028', '\u202e', '=?utf-8?Q?', '?=', '(', ')', '@', '\ud83d\ude48']
  const names = [...hostile, ...hostile.flatMap((first, i) => JOINTS.flatMap(joint => [`${first}${joint}Bcc: eve@evil.example`, `Ann${joint}${first}${joint}${hostile.at(-i)!}`]))]
    .slice(0, workload({ short: 60, full: 1000 }))
  const plain = emailMessage()
  await deliverMails(app, { Records: [sqsRecord(plain)] })
  const usual = headersOf(deliveries.pop()!.raw)
  app.logLines.length = 0
  const wrong: object[] = []
  let refused = 0
  const messages = names.map((name, i) => emailMessage({ name, email: `name-${i}@example.com` }))
  for (let i = 0; i < messages.length; i += 10) {
    const records = messages.slice(i, i + 10).map(message => [message, sqsRecord(message)] as const)
    const { batchItemFailures } = await deliverMails(app, { Records: records.map(([, record]) => record) })
    const sent = deliveries.splice(0)
    for (const [message, { messageId }] of records) {
      const own = sent.filter(({ to }) => to.includes(message.email))
      // With a line break, or too long a name, the message is not valid, and nothing is sent.
      if (batchItemFailures.some(({ itemIdentifier }) => itemIdentifier === messageId) && own.length === 0) { refused++; continue }
      const mail = await simpleParser(own[0]?.raw ?? '')
      const mailboxes = [mail.to ?? []].flat().flatMap(({ value }) => value)
      const seen = {
        recipients: own.map(({ to }) => to),
        headers: headersOf(own[0]?.raw ?? ''),
        shown: mailboxes.map(({ address }) => address),
        copies: [mail.cc, mail.bcc].filter(field => field !== undefined).length,
        subject: mail.subject,
        // A name that misleads is not shown either.
        misleading: /evil|bcc|[\u202a-\u202e\u2066-\u2069]/i.test(mailboxes.map(({ name }) => name).join())
      }
      const expected = { recipients: [[message.email]], headers: usual, shown: [message.email], copies: 0, subject: 'Your sign-in code', misleading: false }
      if (!isDeepStrictEqual(seen, expected)) wrong.push({ name: message.name, ...seen })
    }
    if (sent.length + batchItemFailures.length !== records.length) wrong.push({ from: i, sent: sent.map(({ to }) => to) })
  }
  t.same(wrong.slice(0, 5), [])
  t.ok(refused < names.length / 2, `${refused} refused`)
  const inLogs = JSON.stringify(app.logLines).match(/evil/gi)?.length ?? 0
  report(t, {
    promise: 24,
    part: 'names',
    figure: `${names.length} hostile names, ${refused} of them refused: ${wrong.length} mails with another recipient or header, ${inLogs} log lines with one`,
    holds: wrong.length === 0 && inLogs === 0
  })
})

t.test('an encoded word of a name is decoded in no header and no text', async (t) => {
  const word = (text: string) => `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`
  for (const type of ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS'] as const) {
    for (const name of [word('see http://evil.example'), word('Security <a@evil.example>'), word('ab\u202ecba'), 'Ann =?utf-8?Q?see_evil=2Eexample?=', '=?utf-8?B?c2VlIGV2 aWwuZXhhbXBsZQ==?=', '=?utf-8?Q?evil?= =?utf-8?Q?=2Eexample?=', '=?UTF-8*en?q?evil?=']) {
      t.same(await deliverMails(app, { Records: [sqsRecord(emailMessage({ type, name }))] }), { batchItemFailures: [] })
      const { raw } = deliveries.pop()!
      const mail = await simpleParser(raw)
      t.same([mail.to].flat().flatMap(to => to!.value).map(({ name }) => name), [''], name)
      t.notMatch(`${mail.text} ${String(mail.html)} ${mail.headerLines.map(({ line }) => line).join()}`, /evil|=\?utf|\u202e/i)
    }
  }
})

t.test('a name with characters that SQS refuses can be queued', async (t) => {
  const message = emailMessage({ name: 'Ada \ufffe\uffff' })
  await app.email.enqueue(message, 'x')
  const { body } = engines.sqs.inspectQueue('EmailQueue')!.messages.ready[0]!
  t.notMatch(body, /[\ufffe\uffff]/)
  t.same(JSON.parse(body), message)
})

t.test('an address in any other spelling than its canonical one is sent nothing', async (t) => {
  const addresses = ['Ada@example.com', 'ada@EXAMPLE.com', ' ada@example.com', 'ada@example.com ', 'ada@example.com\r\nBcc: eve@evil.example', 'ada@example.com, eve@evil.example', 'ada@example.com;eve@evil.example',
    '<ada@example.com>', 'Ada <ada@example.com>', '"ada"@example.com', '"a, eve@evil.example"@example.com', 'ada@example.com>, <eve@evil.example', 'ada@@example.com', 'ada@eve@evil.example', 'ada@example.com\0',
    '=?utf-8?Q?ada=40example.com?=', '\u212aate@example.com', 'ada@ex\u0430mple.com', 'ada@\uff45xample.com', 'ada@bücher.example', 'ada@[127.0.0.1]', 'ada@localhost', 'ada', '@example.com', '', 'ada@example.com.',
    'group: ada@example.com;', 'ada(comment)@example.com', 'ada@example..com', `${'a'.repeat(65)}@example.com`]
  for (const email of addresses) {
    const record = sqsRecord({ ...emailMessage(), email })
    t.same((await deliverMails(app, { Records: [record] })).batchItemFailures, [{ itemIdentifier: record.messageId }], JSON.stringify(email))
    await t.rejects(app.email.enqueue({ ...emailMessage(), email }, 'x'), { code: 'EMAIL_MESSAGE_INVALID' })
  }
  t.same(deliveries, [])
})

t.test('an address with everything that an address may hold is one recipient', async (t) => {
  for (const email of ["o'brien+news.letter!#$%&*/=?^_`{|}~-@example.com", 'ada@xn--bcher-kva.example', `${'a'.repeat(64)}@example.com`]) {
    t.same(await deliverMails(app, { Records: [sqsRecord(emailMessage({ email }))] }), { batchItemFailures: [] })
    t.same(deliveries.pop()!.to.map(canonicalEmail), [email], 'the server of this test shows domains in Unicode')
  }
})
