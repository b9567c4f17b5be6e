import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { MailDeferred, MailRefused, MailUnconfirmed, MailUnreachable } from '../../../src/modules/email/errors.ts'
import type { Dispatch } from '../../../src/modules/email/queue.ts'
import { createRenderer } from '../../../src/modules/email/renderer.ts'
import { createRepository } from '../../../src/modules/email/repository.ts'
import type { EmailMessage } from '../../../src/modules/email/schemas.ts'
import type { Mail } from '../../../src/modules/email/sender.ts'
import { createService, type Delivery } from '../../../src/modules/email/service.ts'
import { intercept, lineError } from '../../faults.ts'
import { startTable, TABLE, watch } from './parts.ts'
import { emailMessage } from './records.ts'

// The rules by the millisecond: the clock, the mail server and the queue are the test's, the table and the templates are as they are.

const { dynamodb, stored } = await startTable(t)
const AT = Date.parse('2027-03-01T12:00:00.000Z')
const iso = (time: number) => new Date(time).toISOString()

function createWorld () {
  const { log, count, counted, logged } = watch()
  const sent: { mail: Mail, deadline: number }[] = []
  const queued: { message: EmailMessage, dispatch: Dispatch }[] = []
  const world = {
    now: AT,
    /** what the mail server does instead of accepting the next mails */
    failure: undefined as Error | undefined,
    status: undefined as 'bounced' | undefined,
    /** runs before the address of a mail is looked up */
    onLookUp: () => {},
    sent,
    queued,
    counted,
    logged,
    deliver: (message: EmailMessage, changes: Partial<Delivery> = {}) =>
      service.deliver({ message, correlationId: 'of-a-test', attempt: 0, unconfirmed: 0, receives: 1, sentAt: AT, firstReceivedAt: AT, deadline: AT + 60_000, ...changes }, log),
    enqueue: (message: EmailMessage, correlationId: string) => service.enqueue(message, correlationId)
  }
  const now = () => world.now
  const service = createService({
    now,
    count,
    repository: createRepository({ dynamodb, table: TABLE, now }),
    queue: { async send (message, dispatch) { queued.push({ message, dispatch }) }, async showIn () {} },
    sender: {
      async send (mail, deadline) {
        if (world.failure !== undefined) throw world.failure
        sent.push({ mail, deadline })
      }
    },
    addresses: {
      async statusAgainst () {
        world.onLookUp()
        return world.status
      }
    },
    render: createRenderer({ brand: 'Acme', contact: 'help@acme.example', verifyUrl: 'https://acme.example/verify' }).render,
    codeOf: () => '04815162',
    from: { name: 'Acme', address: 'no-reply@mail.acme.example' }
  })
  return world
}

const message = (changes: Partial<EmailMessage> = {}) => emailMessage({ expiresAt: iso(AT + 600_000), ...changes })
const notice = (changes: Partial<EmailMessage> = {}): EmailMessage => {
  const { challengeId: _, expiresAt: __, ...rest } = emailMessage({ type: 'EMAIL_CHANGED_NOTICE' })
  return { ...rest, ...changes }
}

t.test('a mail is what the templates make of its message, with the headers of an automatic mail', async t => {
  const world = createWorld()
  const invitation = message({ type: 'WELCOME_EMAIL', invitedBy: 'Grace Hopper', locale: 'de' })
  await world.deliver(invitation, { deadline: AT + 40_000 })
  const { mail: { subject, text, html, ...rest }, deadline } = world.sent[0]!
  t.equal(deadline, AT + 40_000)
  t.same(rest, {
    messageId: `${invitation.messageId}@mail.acme.example`,
    from: { name: 'Acme', address: 'no-reply@mail.acme.example' },
    to: { name: '', address: invitation.email },
    tags: { messageId: invitation.messageId, userId: invitation.userId, type: 'WELCOME_EMAIL' },
    headers: { 'X-Correlation-Id': 'of-a-test', 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All', 'X-Entity-Ref-ID': invitation.messageId }
  })
  for (const body of [text, html]) for (const part of ['Grace Hopper', 'Ada Lovelace', '04815162', 'Einladung']) t.match(body, part)
  t.match(subject, 'Acme')
  t.same(world.counted(), { MailsSent: 1 })
  t.match(world.logged(), [{ level: 'info', type: 'WELCOME_EMAIL', isExpired: false, attempt: 0, msg: 'mail sent' }])

  await world.deliver(invitation)
  t.equal(world.sent.length, 1, 'delivered once more, it is not sent again')
  t.same(world.counted(), { MailsDuplicated: 1 })
  t.match(world.logged(), [{ level: 'info', msg: 'already sent' }])
})

t.test('a code is mailed until half a minute before its end, and then only how to get another', async t => {
  const world = createWorld()
  const end = AT + 570_000
  const { expiresAt: _, ...old } = message()
  const cases: [name: string, what: EmailMessage, now: number, delivery: Partial<Delivery>, outcome: 'code' | 'expired' | 'nothing'][] = [
    ['in time', message(), end - 1, { firstReceivedAt: end - 1 }, 'code'],
    ['too late', message(), end, { firstReceivedAt: end }, 'nothing'],
    ['received in time', message(), end, { firstReceivedAt: end - 1 }, 'expired'],
    ['tried before', message(), end, { firstReceivedAt: end, attempt: 1 }, 'expired'],
    ['received late by another clock', message(), end - 1, { firstReceivedAt: end + 1 }, 'code'],
    ['of before codes had an end', old, end - 1, {}, 'code'],
    ['the same, too late', { ...old, messageId: randomUUID() }, end, { firstReceivedAt: end }, 'nothing'],
    ['with an end of its own', message({ expiresAt: iso(AT + 300_000) }), end - 300_000, { firstReceivedAt: end - 300_000 }, 'nothing'],
    ['queued earlier', { ...old, messageId: randomUUID() }, AT, { sentAt: AT - 570_000 }, 'nothing']
  ]
  for (const [name, what, now, delivery, outcome] of cases) {
    world.now = now
    await world.deliver(what, delivery)
    const { mail } = world.sent.pop() ?? {}
    t.equal(mail === undefined ? 'nothing' : mail.text.includes('04815162') ? 'code' : 'expired', outcome, name)
    if (outcome === 'expired') t.match(mail, { subject: 'Your code has expired' })
    t.same(world.counted(), outcome === 'nothing' ? { MailsExpired: 1 } : { MailsSent: 1 }, name)
    t.match(world.logged(), [outcome === 'nothing' ? { level: 'info', type: 'SIGN_IN_CODE' } : { isExpired: outcome === 'expired', attempt: delivery.attempt ?? 0 }], name)
    t.equal(await stored(what.messageId) === undefined, outcome === 'nothing', 'a mail that was not sent is not recorded')
  }
})

t.test('a mail that was begun in time holds its code, however long its lease takes', async t => {
  const world = createWorld()
  world.onLookUp = () => { world.now = AT + 600_001 }
  await world.deliver(message())
  t.match(world.sent[0]!.mail.text, '04815162')
})

t.test('the notice of a change is always mailed, with its link until its end', async t => {
  const world = createWorld()
  const challengeId = randomUUID()
  for (const [now, what, hasLink] of [
    [AT + 599_999, notice({ challengeId, expiresAt: iso(AT + 600_000) }), true],
    [AT + 600_000, notice({ challengeId, expiresAt: iso(AT + 600_000) }), false],
    [AT, notice(), false]
  ] as const) {
    world.now = now
    await world.deliver(what, { sentAt: 0, firstReceivedAt: now })
    const { mail } = world.sent.pop()!
    t.equal(mail.subject, 'Your e-mail address has been changed')
    t.equal(mail.text.includes(`#challengeId=${challengeId}&code=04815162&action=undo`), hasLink)
    t.equal(/challengeId=/.test(mail.text), hasLink)
    t.match(world.logged(), [{ isExpired: false, msg: 'mail sent' }])
  }
})

t.test('a mail that could not be sent waits, twice as long each time, and not longer than its code is worth', async t => {
  const world = createWorld()
  const late = (seconds: number) => ({ now: AT + 570_000 + seconds * 1000 })
  const cases: [name: string, what: EmailMessage, attempt: number, seconds: number, options?: { now?: number, failure?: Error, unconfirmed?: number }][] = [
    ['first', message(), 0, 30],
    ['second', message(), 1, 60],
    ['third', message(), 2, 120],
    ['later', message(), 3, 120],
    ['much later', message(), 9, 120],
    ['the code is over', message(), 9, 120, late(0)],
    ['it is over for four minutes', message(), 9, 120, late(240)],
    ['it is over for ten minutes', message(), 9, 300, late(600)],
    ['it is over for an hour', message(), 9, 900, late(3600)],
    ['it is over, and tried for the first time', message(), 1, 60, late(3600)],
    ['a notice', notice(), 3, 240],
    ['a notice, later', notice(), 5, 900],
    ['a notice, the first time', notice(), 0, 30],
    ['perhaps sent', message(), 0, 300, { failure: new MailUnconfirmed('ETIMEDOUT') }],
    ['perhaps sent, the second time', message(), 1, 300, { failure: new MailUnconfirmed('ETIMEDOUT'), unconfirmed: 1 }],
    ['a notice that was perhaps sent', notice(), 5, 900, { failure: new MailUnconfirmed('ETIMEDOUT') }],
    ['perhaps sent twice before', message(), 3, 120, { unconfirmed: 2 }],
    ['the mail server does not answer', message(), 0, 30, { failure: new MailUnreachable('ECONNREFUSED') }],
    ['the line to AWS breaks', message(), 0, 30, { failure: lineError() }]
  ]
  for (const [name, what, attempt, seconds, { now = AT, failure = new MailDeferred('451'), unconfirmed = 0 } = {}] of cases) {
    Object.assign(world, { now, failure })
    await world.deliver(what, { attempt, unconfirmed, firstReceivedAt: AT })
    const isUnconfirmed = failure instanceof MailUnconfirmed
    const expected = { correlationId: 'of-a-test', attempt: attempt + 1, unconfirmed: unconfirmed + (isUnconfirmed ? 1 : 0), delaySeconds: seconds }
    t.same(world.queued.splice(0), [{ message: what, dispatch: expected }], name)
    t.same(world.counted(), { MailsFailed: 1 }, name)
    t.match(world.logged(), [{ level: 'warn', err: 'code' in failure ? failure.code : failure.message, attempt: attempt + 1, retryInSeconds: seconds, msg: 'mail not sent' }], name)
    // The server may still be working on a mail that it has: no other delivery may send it before it has been given up.
    t.match(await stored(what.messageId), isUnconfirmed ? { state: 'sending', leaseUntil: AT + 70_000 } : undefined, name)
  }
  t.same(world.sent, [])
})

t.test('a message that says no end of its code gets one when it waits', async t => {
  const world = createWorld()
  world.failure = new MailDeferred('451')
  const { expiresAt: _, ...old } = message()
  await world.deliver(old, { sentAt: AT - 1000 })
  t.same(world.queued.map(({ message }) => message), [{ ...old, expiresAt: iso(AT + 599_000) }])
  await world.deliver({ ...notice(), messageId: old.messageId })
  t.notOk('expiresAt' in world.queued[1]!.message, 'a notice without a code has none')
})

t.test('a mail is given up after a hundred tries, or three that may have sent it', async t => {
  const world = createWorld()
  const deferred = new MailDeferred('451')
  const unconfirmed = new MailUnconfirmed('ETIMEDOUT')
  world.failure = deferred
  await world.deliver(message(), { attempt: 98 })
  t.equal(world.queued.pop()!.dispatch.attempt, 99)
  await t.rejects(world.deliver(message(), { attempt: 99 }), deferred)
  await t.rejects(world.deliver(message(), { attempt: 120 }), deferred)
  world.failure = unconfirmed
  await t.rejects(world.deliver(message(), { attempt: 2, unconfirmed: 2 }), unconfirmed)
  t.same(world.queued, [])

  // Received again after the third: on its way to the dead-letter queue.
  world.failure = undefined
  await t.rejects(world.deliver(message(), { unconfirmed: 2, receives: 2 }), { code: 'EMAIL_UNCONFIRMED', message: 'The mail was handed over but not confirmed: several times' })
  t.same(world.sent, [])
  for (const delivery of [{ unconfirmed: 2, receives: 1 }, { unconfirmed: 1, receives: 2 }, { unconfirmed: 0, receives: 3 }, { unconfirmed: 4, receives: 2 }]) {
    await world.deliver(message(), delivery)
    t.equal(world.sent.splice(0).length, 1, JSON.stringify(delivery))
  }
})

t.test('what another try cannot mend is not queued again: a refused mail is done, and our own fault is thrown', async t => {
  const world = createWorld()
  const refused = message()
  world.failure = new MailRefused('EENVELOPE 550')
  await world.deliver(refused)
  t.same(world.counted(), { MailsRefused: 1 })
  t.match(world.logged(), [{ level: 'warn', err: 'EMAIL_REFUSED', type: 'SIGN_IN_CODE', msg: 'mail rejected permanently' }])
  t.equal(await stored(refused.messageId), undefined)

  const failed = message()
  world.failure = new TypeError('a mistake')
  await t.rejects(world.deliver(failed), world.failure)
  t.equal(await stored(failed.messageId), undefined, 'its lease is free')

  const busy = message()
  await dynamodb.send(new PutCommand({ TableName: TABLE, Item: { messageId: busy.messageId, state: 'sending', leaseId: randomUUID(), leaseUntil: AT + 5000, expiresAt: AT / 1000 + 100 } }))
  await t.rejects(world.deliver(busy), { code: 'EMAIL_MESSAGE_BUSY', until: AT + 5000 })
  t.same(world.counted(), {})
  t.same(world.queued, [])
})

t.test('a mail to an address that bounced is not sent, and leaves no record', async t => {
  const world = createWorld()
  world.status = 'bounced'
  const withheld = message({ type: 'ACCOUNT_EXISTS' })
  await world.deliver(withheld)
  t.same(world.sent, [])
  t.same(world.counted(), { MailsWithheld: 1 })
  t.match(world.logged(), [{ level: 'info', type: 'ACCOUNT_EXISTS', status: 'bounced' }])
  t.equal(await stored(withheld.messageId), undefined)
})

t.test('a lease that cannot be released, or a mail that cannot be recorded, changes nothing of what became of the mail', async t => {
  const world = createWorld()
  const broken = (command: string) => intercept(dynamodb, { command, onTheLine: false }, async () => { throw new Error('the table is down') })
  world.failure = new MailDeferred('451')
  const repair = broken('DeleteItemCommand')
  await world.deliver(message())
  repair()
  t.equal(world.queued.length, 1)
  t.match(world.logged(), [{ level: 'warn', err: 'the table is down', msg: 'a lease could not be released; it expires by itself' }, { msg: 'mail not sent' }])

  world.failure = undefined
  let writes = 0
  const mend = intercept(dynamodb, { command: 'PutItemCommand', onTheLine: false }, async ({ send }) => {
    if (++writes === 2) throw new Error('the table is down')
    return await send()
  })
  await world.deliver(message())
  mend()
  t.equal(world.sent.length, 1)
  t.match(world.logged(), [{ msg: 'mail sent' }, { level: 'warn', err: 'the table is down', msg: 'a sent mail could not be recorded' }])
})

t.test('only a valid message is queued', async t => {
  const world = createWorld()
  const good = message()
  await world.enqueue(good, 'of-a-request')
  t.same(world.queued.splice(0), [{ message: good, dispatch: { correlationId: 'of-a-request' } }])
  t.same(world.counted(), { MailsQueued: 1 })
  await t.rejects(world.enqueue({ ...good, email: 'Ada@example.com' }, 'x'), { code: 'EMAIL_MESSAGE_INVALID' })
  t.same(world.queued, [])
  t.same(world.counted(), {})
})
