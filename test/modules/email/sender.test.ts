import type { SESv2Client } from '@aws-sdk/client-sesv2'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import t, { type Test } from 'tap'
import { MailDeferred, MailUnreachable } from '../../../src/modules/email/errors.ts'
import { BREAKER, createSender, mailboxOf, needsTls, type Mail } from '../../../src/modules/email/sender.ts'
import { createBreaker } from '../../../src/shared/breaker.ts'
import '../../credentials.ts'
import { until } from '../../until.ts'

const mail: Mail = {
  messageId: 'one@acme.example',
  from: { name: 'Acme', address: 'no-reply@acme.example' },
  to: { name: 'Ada', address: 'ada@example.com' },
  subject: 'Hello',
  text: 'Hello Ada',
  html: '<p>Hello Ada</p>',
  headers: { 'X-Entity-Ref-ID': 'one' },
  tags: { type: 'SIGN_IN_CODE' }
}
const soon = () => Date.now() + 12_000

/** An SMTP server, and a sender that uses it. */
async function overSmtp (t: Test, options: SMTPServerOptions = {}) {
  const received: string[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    closeTimeout: 100,
    onData: (stream, session, done) => { stream.resume().on('end', () => { received.push(session.envelope.rcptTo[0]!.address); done() }) },
    ...options
  })
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.teardown(() => new Promise<void>(resolve => { server.close(resolve) }))
  const { port } = server.server.address() as AddressInfo
  const url = `smtp://127.0.0.1:${port}`
  return { received, server, url, sender: senderOf({ SMTP_URL: url }) }
}

type Config = Partial<Parameters<typeof createSender>[0]['config']>
function senderOf (config: Config, { now = Date.now, traced = () => {} }: { now?: () => number, traced?: (client: SESv2Client) => void } = {}) {
  const breaker = createBreaker({ ...BREAKER, now })
  const sender = createSender({
    config: { NODE_ENV: 'test', AWS_REGION: 'us-east-1', ...config },
    traced: (client) => { traced(client as unknown as SESv2Client); return client },
    breaker
  })
  return Object.assign(sender, { breaker })
}

/** How sending a mail ended: `sent`, or the code and the text of the error. */
const outcomeOf = (sender: ReturnType<typeof senderOf>, deadline = soon()) =>
  sender.send(mail, deadline).then(() => 'sent', (error: { code?: string, message: string }) => `${error.code}: ${error.message.replace(/^.*: /, '')}`)

t.test('a sender has an address, and a name with or without quotation marks', async t => {
  for (const [from, name, address] of [
    ['Acme <a@acme.example>', 'Acme', 'a@acme.example'],
    ['"Acme, Inc." <a@acme.example>', 'Acme, Inc.', 'a@acme.example'],
    ['  Acme   Mail  < a@acme.example >', 'Acme   Mail', 'a@acme.example'],
    ['The "Acme" <a@acme.example>', 'The "Acme"', 'a@acme.example'],
    ['"Acme" Mail <a@acme.example>', '"Acme" Mail', 'a@acme.example'],
    ['<a@acme.example>', '', 'a@acme.example'],
    [' a@acme.example ', '', 'a@acme.example'],
    ['<a@acme.example> Acme', '', '<a@acme.example> Acme']
  ] as const) t.same(mailboxOf(from), { name, address }, from)
})

t.test('in production a mail goes over TLS, unless its server is on this machine or the URL says otherwise', async t => {
  for (const host of ['mail.example.com', '10.0.0.7', '127.1.example.com', '127.0.0.1.example.com', 'localhost.example.com', 'not-localhost', '1270.0.0.1', '127.0.0', '[::2]', 'docker.internal']) {
    t.equal(needsTls(`smtp://${host}:25`, 'production'), true, host)
    t.equal(needsTls(`smtp://${host}:25`, 'test'), false, host)
    for (const value of ['true', 'false']) t.equal(needsTls(`smtp://${host}:25?requireTLS=${value}`, 'production'), false, 'nodemailer reads it from the URL')
  }
  for (const host of ['localhost', '127.0.0.1', '127.10.20.30', '[::1]', 'host.docker.internal']) t.equal(needsTls(`smtp://${host}:25`, 'production'), false, host)
})

t.test('what an SMTP server answers decides whether a mail is tried again, and only codes are told', async t => {
  const fail = (responseCode: number) => Object.assign(new Error('<ada@example.com> no'), { responseCode })
  const cases: [outcome: string, options: SMTPServerOptions][] = [
    ['EMAIL_REFUSED: EENVELOPE 550', { onRcptTo: (_address, _session, done) => { done(fail(550)) } }],
    ['EMAIL_REFUSED: EMESSAGE 554', { onData: (stream, _session, done) => { stream.resume().on('end', () => { done(fail(554)) }) } }],
    ['EMAIL_DEFERRED: EENVELOPE 451', { onRcptTo: (_address, _session, done) => { done(fail(451)) } }],
    ['EMAIL_DEFERRED: EMESSAGE 452', { onData: (stream, _session, done) => { stream.resume().on('end', () => { done(fail(452)) }) } }],
    ['EMAIL_DEFERRED: EENVELOPE 550', { onMailFrom: (_address, _session, done) => { done(fail(550)) } }]
  ]
  for (const [outcome, options] of cases) t.equal(await outcomeOf((await overSmtp(t, options)).sender), outcome)
  t.equal(await outcomeOf(senderOf({ SMTP_URL: 'smtp://127.0.0.1:1' })), 'EMAIL_UNREACHABLE: ESOCKET')
})

t.test('a connection that breaks is uncertain only once the mail was handed over', async t => {
  for (const [step, outcome] of [['onConnect', 'EMAIL_UNREACHABLE'], ['onRcptTo', 'EMAIL_UNREACHABLE'], ['onData', 'EMAIL_UNCONFIRMED']] as const) {
    const cut = () => { for (const { _socket } of world.server.connections as Set<{ _socket?: { destroy (): void } }>) _socket?.destroy() }
    const world = await overSmtp(t, step === 'onData' ? { onData (stream) { stream.resume().on('end', cut) } } : { [step]: cut })
    t.match(await outcomeOf(world.sender), outcome, step)
  }
})

t.test('no mail is begun in the last second, and no trial of a server that was away', async t => {
  const { sender, received } = await overSmtp(t)
  for (const left of [-1000, 0, 500]) t.equal(await outcomeOf(sender, Date.now() + left), 'EMAIL_DEFERRED: no time left')
  t.same(received, [])
  t.equal(await outcomeOf(sender), 'sent')
  t.same(received, ['ada@example.com'])

  let now = Date.now()
  const away = senderOf({ SMTP_URL: 'smtp://127.0.0.1:1' }, { now: () => now })
  for (let i = 0; i < 5; i++) t.match(await outcomeOf(away), 'EMAIL_UNREACHABLE')
  t.equal(away.breaker.state, 'open')
  t.equal(await outcomeOf(away), 'EMAIL_UNREACHABLE: not tried')
  now += 1000
  t.equal(await outcomeOf(away, Date.now() + 500), 'EMAIL_DEFERRED: no time left')
  t.equal(away.breaker.state, 'open', 'it says nothing about the server')
})

t.test('only a server that does not answer stops the mails after it, and those wait for a trial', async t => {
  t.equal(BREAKER.isFailure(new MailUnreachable('ESOCKET')), true)
  t.equal(BREAKER.isFailure(new MailDeferred('451')), false)
  t.equal(BREAKER.isFailure(new Error('a mistake')), false)
  let now = Date.now()
  const { url, received } = await overSmtp(t)
  const sender = senderOf({ SMTP_URL: url }, { now: () => now })
  for (let i = 0; i < 5; i++) await sender.breaker.run(async () => { throw new MailUnreachable('ESOCKET') }).catch(() => {})
  t.equal(await outcomeOf(sender), 'EMAIL_UNREACHABLE: not tried')
  now += 1000
  t.same(await Promise.all([outcomeOf(sender), outcomeOf(sender)]), ['sent', 'sent'])
  t.equal(received.length, 2)
})

t.test('ten mails are under way at once, and the next begins when one has ended', async t => {
  const open: (() => void)[] = []
  let most = 0
  let accepted = 0
  const { sender } = await overSmtp(t, {
    onData (stream, _session, done) {
      stream.resume().on('end', () => {
        open.push(() => { accepted++; done() })
        most = Math.max(most, open.length)
      })
    }
  })
  const sending = Array.from({ length: 23 }, () => sender.send(mail, soon()))
  const all = Promise.all(sending)
  await until(() => open.length >= 10)
  t.equal(accepted, 0)
  while (accepted < 23) {
    await until(() => open.length > 0)
    open.shift()!()
  }
  await all
  t.equal(most, 10)
})

/** What SES would answer, over HTTP. */
async function overSes (t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void, config: Config = {}) {
  const server = createServer((request, response) => { request.resume().on('end', () => { answer(request, response) }) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return senderOf({ AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ...config })
}
const answerWith = (status: number, type: string, message = '') => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type }).end(JSON.stringify({ message }))
}

t.test('what SES answers decides whether a mail is tried again, and its name is told', async t => {
  const cases: [outcome: string, status: number, type: string, message?: string][] = [
    ['EMAIL_REFUSED: MessageRejected', 400, 'MessageRejected', 'Email contains a virus'],
    ['EMAIL_REFUSED: BadRequestException', 400, 'BadRequestException', 'Email address is not verified: ada@example.com'],
    ['EMAIL_DEFERRED: MessageRejected', 400, 'MessageRejected', 'Email address is Not Verified: ada@example.com'],
    ['EMAIL_DEFERRED: SendingPausedException', 400, 'SendingPausedException', 'not verified'],
    ['EMAIL_DEFERRED: TooManyRequestsException', 429, 'TooManyRequestsException'],
    ['EMAIL_DEFERRED: TimeoutError', 408, 'TimeoutError'],
    ['EMAIL_UNREACHABLE: InternalFailure', 500, 'InternalFailure'],
    ['EMAIL_UNREACHABLE: ServiceUnavailable', 503, 'ServiceUnavailable']
  ]
  for (const [outcome, ...answer] of cases) t.equal(await outcomeOf(await overSes(t, answerWith(...answer))), outcome)
  t.match(await outcomeOf(await overSes(t, ({ socket }) => { socket.destroy() })), 'EMAIL_UNCONFIRMED')
  t.match(await outcomeOf(senderOf({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })), 'EMAIL_UNREACHABLE')
})

t.test('a connection to SES that is not made in time is no mail', async t => {
  // A name server that does not answer.
  const agent = new Agent({ lookup () {} })
  const sender = senderOf({ AWS_ENDPOINT_URL: 'http://ses.example' }, {
    traced (client) {
      const handler = client.config.requestHandler as unknown as NodeHttpHandler
      handler.updateHttpClientConfig('httpAgent', agent)
      handler.updateHttpClientConfig('connectionTimeout', 50)
    }
  })
  t.equal(await outcomeOf(sender), 'EMAIL_UNREACHABLE: TimeoutError')
})

t.test('SES has until the deadline to answer, and no longer', async t => {
  // Later than the half that is for everything before the mail.
  const late = await overSes(t, (_, response) => { setTimeout(() => { response.writeHead(200, { 'content-type': 'application/json' }).end('{"MessageId":"one"}') }, 2700) })
  const never = await overSes(t, () => {})
  const start = Date.now()
  t.same(await Promise.all([outcomeOf(late, start + 5000), outcomeOf(never, start + 2000)]), ['sent', 'EMAIL_UNCONFIRMED: AbortError'])
  t.ok(Date.now() - start < 15_000)
})

t.test('a mail to SES has its region, its trace and a connection of its own', async t => {
  const seen: IncomingMessage[] = []
  const clients: SESv2Client[] = []
  const sender = await overSes(t, (request, response) => {
    seen.push(request)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"MessageId":"one"}')
  })
  for (let i = 0; i < 2; i++) t.equal(await outcomeOf(sender), 'sent')
  t.equal(new Set(seen.map(({ socket }) => socket)).size, 2, 'one that is kept may be dead after a freeze')
  t.match(seen[0]!.headers.authorization, '/us-east-1/ses/')
  const traced = senderOf({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, { traced: client => { clients.push(client) } })
  await outcomeOf(traced)
  await outcomeOf(traced)
  t.equal(clients.length, 1, 'a client that is made once')
  const real = senderOf({ AWS_REGION: 'eu-central-1' }, { traced: client => { clients.push(client) } })
  void outcomeOf(real, Date.now() + 1100)
  await until(() => clients.length === 2)
  t.equal(await clients[1]!.config.region(), 'eu-central-1')
  t.equal(clients[1]!.config.endpoint, undefined, 'without an endpoint of its own it is the one of AWS')
})

t.test('no mail reads a file of this machine or a URL, whatever is put into it', async t => {
  const smtp = await overSmtp(t)
  let asked = 0
  const ses = await overSes(t, (_, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end('{"MessageId":"one"}') })
  const page = createServer((_, response) => { asked++; response.end('of another server') })
  page.listen(0, '127.0.0.1')
  await once(page, 'listening')
  t.teardown(() => { page.close() })
  for (const html of [{ path: import.meta.filename }, { href: `http://127.0.0.1:${(page.address() as AddressInfo).port}/` }]) {
    for (const sender of [smtp.sender, ses]) await t.rejects(sender.send({ ...mail, html: { ...html } as unknown as string }, soon()), { code: /^EMAIL_/ })
  }
  t.equal(asked, 0)
})
