import { SendMessageCommand } from '@aws-sdk/client-sqs'
import { GetCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { Context, SQSBatchResponse } from 'aws-lambda'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createDispatch } from '../../../src/lambda/dispatch.ts'
import { createAddresses, RECEIPT_LIFE } from '../../../src/modules/email/addresses.ts'
import type { EmailMessage } from '../../../src/modules/email/contract.ts'
import { createRepository } from '../../../src/modules/email/repository.ts'
import { adminOf, bearerOf, codeIn, signIn } from '../../accounts.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { lineError, intercept } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { until } from '../../until.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'
import { bounce, complaint, receiptRecord, rejection } from './ses-events.ts'

const CODE_SECRET = randomBytes(32).toString('hex')
const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: { ...bus.env, CODE_SECRET, ADMIN_EMAILS: 'root@example.com' } })
// As the template deploys it: the secret of codes, and not the root secret.
const worker = await buildTestApp(t, engines, { env: { JWT_SECRET: undefined, CODE_SECRET } })
const { mailsTo } = engines

const deliver = async (to: TestApp, ...events: unknown[]) =>
  (await to.consumers.deliver({ Records: events.map(receiptRecord) }) as SQSBatchResponse).batchItemFailures.length
const counted = (metric: string, from: TestApp = app) => from.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)

/** Has the extracted worker send a mail. Resolves to whether it arrived. */
async function arrives (message: EmailMessage, from: TestApp = worker): Promise<boolean> {
  const before = mailsTo(message.email).length
  t.same((await deliverMails(from, { Records: [sqsRecord(message)] })).batchItemFailures, [])
  return mailsTo(message.email).length > before
}

let n = 0
const newEmail = () => `receipt-${++n}@example.com`
/** A signed-in user, and what a mail to them says about itself. */
async function newUser (email = newEmail()) {
  const { user, accessToken } = await signIn(app, engines, email)
  const about = emailMessage({ userId: user.id, email })
  return { id: user.id, email, about, headers: { authorization: `Bearer ${accessToken}` } }
}
const shown = async (id: string) => (await app.users.getFresh(id))?.mail
/** After the sign-in of a test, and not in the future for long. */
const soon = () => new Date(Date.now() + 5)
/** Waits until the clock has reached a time. */
const reached = async (time: Date) => { await until(() => Date.now() >= time.getTime()) }
const settle = () => pump(app, engines)

t.test('a permanent bounce stops mails to the address, and shows on its account', async t => {
  const ada = await newUser()
  const at = soon()
  await reached(at)
  t.equal(await deliver(app, bounce(ada.about, { at, correlationId: 'of-the-mail' })), 0)
  await settle()
  t.same(await shown(ada.id), { status: 'bounced', since: at.toISOString() })
  t.match((await app.inject({ url: '/v2/users/me', headers: ada.headers })).json(), { mail: { status: 'bounced', since: at.toISOString() } })
  t.match((await app.inject({ url: '/v2/users/me/export', headers: ada.headers })).json(), { account: { mail: { status: 'bounced' } } })
  const admin = await bearerOf(app, (await adminOf(app)).userId)
  t.match((await app.inject({ url: `/v2/users?email=${ada.email}`, headers: admin })).json(), { items: [{ id: ada.id, mail: { status: 'bounced' } }] })
  t.notMatch((await app.inject({ url: `/v1/users/${ada.id}`, headers: ada.headers })).body, /bounced/, 'version 1 is frozen')
  t.match(bus.eventsOf(ada.id).at(-1), { type: 'user.updated', correlationId: 'of-the-mail', data: { changed: ['mail'], mail: { status: 'bounced' } } })

  for (const type of ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE'] as const) t.equal(await arrives(emailMessage({ ...ada.about, messageId: emailMessage().messageId, type })), false, type)
  const { challengeId: _, expiresAt: __, ...notice } = emailMessage({ ...ada.about, messageId: emailMessage().messageId, type: 'EMAIL_CHANGED_NOTICE' })
  t.equal(await arrives(notice), true, 'a notice of a change is sent always')
  t.equal(counted('MailsWithheld', worker), 4)
  t.equal(await arrives(emailMessage()), true, 'another address gets its mails')

  const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName: 'EmailTable', ConsistentRead: true }))
  t.notMatch(JSON.stringify(Items), ada.email, 'the table names no address')
  for (const from of [app, worker]) t.notMatch(JSON.stringify(from.logLines), ada.email, 'nor does the log')
})

t.test('what says nothing about the mailbox stops nothing', async t => {
  const ada = await newUser()
  const before = ['MailsUndelivered', 'ReceiptsIgnored'].map(name => counted(name))
  t.equal(await deliver(app,
    bounce(ada.about, { bounceType: 'Transient', bounceSubType: 'MailboxFull' }),
    bounce(ada.about, { bounceType: 'Undetermined', bounceSubType: 'Undetermined' }),
    rejection(ada.about),
    complaint(ada.about, { feedbackType: 'not-spam' }),
    complaint(ada.about, { feedbackType: 'auth-failure' }),
    bounce(ada.about, { tags: { 'ses:configuration-set': ['mails'], campaign: ['spring'] } }),
    bounce(ada.about, { tags: { messageId: ['1'], userId: ['2'], type: ['SIGN_IN_CODE'] } }),
    bounce(ada.about, { at: new Date(Date.now() - RECEIPT_LIFE) })
  ), 0)
  t.same(['MailsUndelivered', 'ReceiptsIgnored'].map((name, i) => counted(name) - before[i]!), [3, 5])
  t.equal(await shown(ada.id), undefined)
  t.equal(await arrives(ada.about), true)
})

t.test('no stranger can lock an owner out by mails that the owner complains about', async t => {
  const ada = await newUser()
  for (const type of ['ACCOUNT_EXISTS', 'SIGN_IN_CODE', 'EMAIL_CHANGE_CODE'] as const) t.equal(await deliver(app, complaint({ ...ada.about, type }, { at: soon(), feedbackType: null })), 0)
  t.match(await shown(ada.id), { status: 'complained' })
  t.equal(await arrives(ada.about), true, 'codes to sign in still arrive')
  t.equal(await arrives(emailMessage({ email: ada.email, type: 'ACCOUNT_EXISTS' })), true)
  t.equal(await arrives(emailMessage({ email: ada.email, type: 'EMAIL_CHANGE_CODE' })), false, 'those that others ask for do not')
  t.equal(await arrives(emailMessage({ email: ada.email, type: 'WELCOME_EMAIL' })), false)
})

t.test('receipts twice, late and out of order come to the newest', async t => {
  const ada = await newUser()
  const [first, second] = [soon(), new Date(soon().getTime() + 1)]
  await reached(second)
  const before = counted('MailsBounced')
  await deliver(app, bounce(ada.about, { at: second }), bounce(ada.about, { at: second }))
  await deliver(app, complaint(ada.about, { at: first }), bounce(ada.about, { at: second }))
  t.same(await shown(ada.id), { status: 'bounced', since: second.toISOString() })
  t.equal(counted('MailsBounced') - before, 1, 'counted once')
  t.equal((await app.users.getFresh(ada.id))!.version, 3, 'and written once')
  t.equal(await arrives(ada.about), false)
  // A complaint means that the mail was delivered, so the mailbox exists.
  await reached(soon())
  await deliver(app, complaint(ada.about))
  t.match(await shown(ada.id), { status: 'complained' })
  t.equal(await arrives(ada.about), true)
})

t.test('a code from a mail proves the address: the account is clean, and mails are sent', async t => {
  const ada = await newUser()
  const { challengeId } = (await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: ada.email } })).json<{ challengeId: string }>()
  await settle()
  const code = codeIn(engines, ada.email)
  const at = soon()
  await reached(at)
  await deliver(app, bounce(ada.about, { at }))
  t.match(await shown(ada.id), { status: 'bounced' })
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/verify', payload: { challengeId, code } })).statusCode, 204)
  t.equal(await shown(ada.id), undefined, 'at once')
  await settle()
  t.match(bus.eventsOf(ada.id).at(-1), { type: 'user.updated', data: { changed: ['mail'] } })
  t.notOk('mail' in (bus.eventsOf(ada.id).at(-1)!.data))
  t.equal(await arrives(ada.about), true)
  // The same receipt once more, and another one from before the proof.
  await deliver(app, bounce(ada.about, { at }), bounce(ada.about, { at: new Date(at.getTime() - 1) }))
  t.equal(await arrives({ ...ada.about, messageId: emailMessage().messageId }), true, 'a receipt from before the proof stops nothing')
})

t.test('the first proof of an address cleans a pending account too', async t => {
  const email = newEmail()
  const { challengeId } = (await app.inject({ method: 'POST', url: '/v2/users', payload: { email, name: 'Ada' } })).json<{ challengeId: string }>()
  await settle()
  const { id, status } = (await app.users.findByEmail(email))!
  t.equal(status, 'PENDING_VERIFICATION')
  await deliver(app, complaint(emailMessage({ userId: id, email, type: 'WELCOME_EMAIL' })))
  t.match(await shown(id), { status: 'complained' })
  t.equal(await arrives(emailMessage({ email, type: 'WELCOME_EMAIL' })), false)
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/verify', payload: { challengeId, code: codeIn(engines, email) } })).statusCode, 204)
  await settle()
  t.match(await app.users.getFresh(id), { status: 'ACTIVE', mail: undefined })
  t.equal(await arrives(emailMessage({ email, type: 'WELCOME_EMAIL' })), true)
  t.notMatch(JSON.stringify(bus.eventsOf(id)), 'readmits')
})

t.test('a receipt that comes after a later sign-in is out of date', async t => {
  const email = newEmail()
  const at = new Date()
  await reached(soon())
  const ada = await newUser(email)
  await deliver(app, bounce(ada.about, { at }))
  t.equal(await shown(ada.id), undefined)
  t.equal(await arrives(ada.about), true)
})

t.test('a receipt is about the address that the mail was sent to, not about the account', async t => {
  const ada = await newUser()
  const at = soon()
  await reached(at)
  await deliver(app, bounce({ ...ada.about, email: 'earlier.' + ada.email }, { at }))
  t.equal(await shown(ada.id), undefined, 'the account has another address')
  t.equal(await arrives(ada.about), true)
  await deliver(app, bounce(ada.about, { at, finalRecipient: 'forwarded-to@example.net' }))
  t.match(await shown(ada.id), { status: 'bounced' }, 'a mailbox that forwards to a dead one is dead')
  t.equal(await arrives(emailMessage({ email: 'forwarded-to@example.net' })), true)

  const email = newEmail()
  const { challengeId } = (await app.inject({ method: 'POST', url: '/v2/users/me/email', headers: ada.headers, payload: { email } })).json<{ challengeId: string }>()
  await settle()
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/verify', payload: { challengeId, code: codeIn(engines, email) } })).statusCode, 204)
  await settle()
  t.match(await app.users.getFresh(ada.id), { email, mail: undefined }, 'nothing is known of the new address')
})

t.test('the user or an admin has mails sent again, and no one else', async t => {
  const ada = await newUser()
  const eve = await newUser()
  const { userId } = await adminOf(app)
  const root = await bearerOf(app, userId)
  const patch = async (url: string, headers: { authorization: string }, mail: unknown) => (await app.inject({ method: 'PATCH', url, headers, payload: { mail } })).statusCode
  for (const [url, headers] of [['/v2/users/me', ada.headers], [`/v2/users/${ada.id}`, root]] as const) {
    await reached(soon())
    await deliver(app, bounce(ada.about))
    t.match(await shown(ada.id), { status: 'bounced' })
    t.equal(await patch(`/v2/users/${ada.id}`, eve.headers, null), 404)
    for (const value of ['bounced', {}, { status: 'bounced', since: new Date().toISOString() }]) t.equal(await patch(url, headers, value), 400, 'it cannot be set')
    t.equal(await patch(url, headers, null), 200)
    await settle()
    t.equal(await shown(ada.id), undefined)
    t.equal(await arrives({ ...ada.about, messageId: emailMessage().messageId }), true)
  }
  const { version } = (await app.users.getFresh(ada.id))!
  t.equal(await patch('/v2/users/me', ada.headers, null), 200)
  t.equal((await app.users.getFresh(ada.id))!.version, version, 'without a mark it changes nothing')
  t.match((await app.users.audit({ userId }, ada.id, {})).items, [{ action: 'update', changed: ['mail'] }])
})

t.test('a deleted account leaves nothing, and its receipts bring nothing back', async t => {
  const ada = await newUser()
  await reached(soon())
  await deliver(app, bounce(ada.about))
  const [pseudonym] = app.keys.recipients(ada.email)
  const record = async () => (await app.dynamodb.send(new GetCommand({ TableName: 'EmailTable', Key: { messageId: `address#${pseudonym}` }, ConsistentRead: true }))).Item
  t.match(await record(), { status: 'bounced' })
  t.equal((await app.inject({ method: 'DELETE', url: '/v2/users/me', headers: ada.headers })).statusCode, 204)
  await settle()
  t.equal(await record(), undefined)
  t.equal(await deliver(app, bounce(ada.about)), 0)
  await settle()
  t.equal(await app.users.getFresh(ada.id), undefined)
  t.same(Object.keys(await record() ?? {}).sort(), ['at', 'expiresAt', 'messageId', 'status'], 'the address is remembered for a week, by a pseudonym')
  t.equal(bus.eventsOf(ada.id).at(-1)!.type, 'user.deleted')
})

t.test('a malformed receipt is in the dead-letter queue after three receives, and stops no other', async t => {
  const ada = await newUser()
  await reached(soon())
  const good = bounce(ada.about)
  const { detail, ...envelope } = good
  const bad = [
    '{"source":', 'null', '{}', { ...envelope, detail: { ...detail, mail: undefined } }, { ...good, source: 'aws.s3' }, { ...envelope, detail: { ...detail, eventType: 'Open' } },
    { ...envelope, detail: { ...detail, bounce: undefined } }, { ...envelope, detail: { ...detail, bounce: { ...(detail as unknown as { bounce: object }).bounce, timestamp: 'yesterday canary@example.com' } } },
    { ...envelope, detail: { ...detail, mail: { ...detail.mail, destination: [] } } }, { ...envelope, detail: { ...detail, mail: { ...detail.mail, destination: ['a@example.com', 'b@example.com'] } } },
    { ...envelope, detail: { ...detail, mail: { ...detail.mail, tags: { 'canary@example.com': 1 } } } }
  ]
  for (const body of [...bad, good]) await app.sqs.send(new SendMessageCommand({ QueueUrl: engines.queueUrl('MailReceiptsQueue'), MessageBody: typeof body === 'string' ? body : JSON.stringify(body) }))
  await settle()
  t.match(await shown(ada.id), { status: 'bounced' })
  t.equal(engines.sqs.inspectQueue('MailReceiptsDeadLetterQueue')!.messages.ready.length, bad.length)
  t.same(Object.values(engines.sqs.inspectQueue('MailReceiptsQueue')!.messages).flat(), [])
  const failures = app.logLines.filter(({ msg }) => msg === 'receipt failed')
  t.equal(failures.length, 3 * bad.length)
  t.notMatch(JSON.stringify(failures), /canary@example|receipt-\d/, 'no log line quotes a receipt')
})

t.test('a failure in the middle repeats the receipt, and nothing is done twice', async t => {
  const ada = await newUser()
  await reached(soon())
  const before = counted('MailsBounced')
  let left = 1
  const restore = intercept(app.dynamodb, {}, async ({ input, send }) => {
    if (left > 0 && 'TransactItems' in input) {
      left = 0
      throw Object.assign(new Error('down'), { name: 'ValidationException' }) // the SDK does not retry it
    }
    return await send()
  })
  t.teardown(restore)
  const receipt = bounce(ada.about)
  t.equal(await deliver(app, receipt), 1, 'the account could not be written')
  t.equal(await shown(ada.id), undefined)
  t.equal(await arrives(ada.about), false, 'the address is known by then')
  t.equal(await deliver(app, receipt), 0)
  t.match(await shown(ada.id), { status: 'bounced' })
  t.equal(counted('MailsBounced') - before, 1)
})

t.test('the answer of a write is lost: it is found done', async t => {
  const ada = await newUser()
  await reached(soon())
  let left = 1
  const restore = intercept(app.dynamodb, {}, async ({ input, send }) => {
    const answer = await send()
    if (left-- > 0 && JSON.stringify(input).includes('address#')) throw lineError()
    return answer
  })
  t.teardown(restore)
  t.equal(await deliver(app, bounce(ada.about)), 0)
  t.match(await shown(ada.id), { status: 'bounced' })
})

t.test('Lambda hands receipts to the same consumer, and the extracted worker has none of them', async t => {
  const ada = await newUser()
  await reached(soon())
  const answer = await createDispatch(app)({ Records: [receiptRecord(bounce(ada.about)), receiptRecord('{')] }, {} as Context) as SQSBatchResponse
  t.equal(answer.batchItemFailures.length, 1)
  t.match(await shown(ada.id), { status: 'bounced' })
  const without = await buildTestApp(t, engines, { env: { MAIL_RECEIPTS_QUEUE_URL: undefined, CODE_SECRET } })
  await t.rejects(without.consumers.deliver({ Records: [receiptRecord(bounce(ada.about))] }), /unknown source/, 'where no queue is configured')
  t.equal(await arrives(ada.about, without), true, 'and nothing is looked up')
})

t.test('a receipt counts for a week, also after the secret was rotated, and no longer', async t => {
  let now = Date.now()
  const repository = createRepository({ dynamodb: app.dynamodb, table: 'EmailTable', now: () => now })
  const at = (keys: string[]) => createAddresses({ repository, recipients: email => keys.map(key => `${key}-${email}`), now: () => now })
  const message = { type: 'SIGN_IN_CODE', email: 'rotated@example.com' } as const
  t.equal(await at(['old']).note(message.email, 'bounced', now), 'noted')
  t.equal(await at(['new', 'old']).statusAgainst(message), 'bounced')
  now += RECEIPT_LIFE - 1000
  t.equal(await at(['new', 'old']).statusAgainst(message), 'bounced')
  now += 2000
  t.equal(await at(['new', 'old']).statusAgainst(message), undefined, 'DynamoDB may keep the record for days')
  t.equal(await at(['new', 'old']).note(message.email, 'bounced', now + 3_600_000), 'noted')
  await at(['new', 'old']).readmit(message.email, new Date(now + 1))
  t.equal(await at(['new', 'old']).statusAgainst(message), 'bounced', 'a clock that is ahead, and a proof in the same millisecond')
  now += 5
  await at(['new', 'old']).readmit(message.email, new Date(now))
  t.equal(await at(['new', 'old']).statusAgainst(message), undefined, 'a later proof')
})
