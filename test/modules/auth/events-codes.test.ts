import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t, { type Test } from 'tap'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import { idFrom, newId, newNumberedId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { startHandlers } from './handlers-support.ts'
import { itemAt } from './support.ts'

const { app, repository, mails, after, at, newAddress, newAccount, handle, mailsTo, challenge, startSession, count } = await startHandlers(t)

const SECOND = 1000
const LIFETIME = 600 * SECOND
const SAID = { name: 'As Said', locale: 'fr' }

t.beforeEach(() => {
  at(0)
  mails.length = 0
})

/** Checks the mails to an address since the last look, as many as are expected. */
function checkMails (t: Test, email: string, expected: object[], message: string) {
  const found = mailsTo(email)
  t.match(found, expected, message)
  t.equal(found.length, expected.length, message)
}

type CodeRequested = Extract<AuthEntry, { type: 'code.requested' }>
/** A request for a code that was put some time ago. */
function asked (email: string, more: Partial<CodeRequested['data']> = {}, ago = 0): CodeRequested {
  const now = after(-ago)
  return outboxEntry('code.requested', { subject: email, correlationId: 'corr-1', now, data: { ...newChallenge(now), email, userId: newId(), network: 'x', ...more } })
}
const seconds = (time: string) => Math.floor(Date.parse(time) / SECOND)
const ticketOf = ({ data: { challengeId, expiresAt } }: CodeRequested) => ({ challengeId, expiresAt })
/** Marks a code as erased with an account of its address. */
const spend = async (challengeId: string) => await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item: { pk: `challenge#${challengeId}`, sk: 'challenge', usedBy: 'erasure', expiresAt: seconds(after(LIFETIME).toISOString()) } }))

t.test('which mail answers a request for a code, in whose name, and that each request opens a challenge', async t => {
  for (const [status, registration, type, name] of [
    ['ACTIVE', undefined, 'SIGN_IN_CODE', { name: 'Ada', locale: 'de' }],
    ['ACTIVE', SAID, 'ACCOUNT_EXISTS', { name: 'Ada', locale: 'de' }],
    ['PENDING_VERIFICATION', undefined, 'WELCOME_EMAIL', { name: 'Ada', locale: 'de' }],
    ['PENDING_VERIFICATION', SAID, 'WELCOME_EMAIL', SAID],
    ['SUSPENDED', undefined, undefined, {}],
    ['SUSPENDED', SAID, undefined, {}],
    [undefined, undefined, undefined, {}],
    [undefined, SAID, 'WELCOME_EMAIL', SAID]
  ] as const) {
    const email = newAddress()
    const account = status === undefined ? undefined : await newAccount({ email, status })
    const entry = asked(email, registration === undefined ? {} : { registration })
    const userId = account?.id ?? entry.data.userId
    for (let i = 0; i < 2; i++) {
      await handle(entry)
      const mail = { type, messageId: entry.eventId, userId, email, ...name, ...ticketOf(entry), correlationId: 'corr-1' }
      t.same(mailsTo(email), type === undefined ? [] : [mail], `${status} ${registration?.name}`)
    }
    t.same(await challenge(entry.data.challengeId), { pk: `challenge#${entry.data.challengeId}`, sk: 'challenge', userId, address: app.keys.pseudonym(email), expiresAt: seconds(entry.data.expiresAt) })
    t.match(await app.users.findByEmail(email), account ?? (registration === undefined ? undefined : { id: userId, status: 'PENDING_VERIFICATION', ...SAID }))
  }
})

t.test('a code with thirty seconds left is too old for a mail: who waits for the first one gets a fresh one, others none', async t => {
  for (const [left, isLate] of [[30_001, false], [30_000, true]] as const) {
    for (const [status, registration, type] of [['ACTIVE', undefined, 'SIGN_IN_CODE'], ['ACTIVE', SAID, 'ACCOUNT_EXISTS'], [undefined, undefined, undefined], ['PENDING_VERIFICATION', undefined, 'WELCOME_EMAIL'], [undefined, SAID, 'WELCOME_EMAIL']] as const) {
      const email = newAddress()
      if (status !== undefined) await newAccount({ email, status })
      const entry = asked(email, registration === undefined ? {} : { registration }, LIFETIME - left)
      const before = count('CodesExpired')
      await handle(entry)
      const isFresh = isLate && type === 'WELCOME_EMAIL'
      const isNone = type === undefined || (isLate && !isFresh)
      const ticket = isFresh ? { challengeId: entry.eventId, expiresAt: after(LIFETIME).toISOString() } : ticketOf(entry)
      checkMails(t, email, isNone ? [] : [{ type, messageId: entry.eventId, ...ticket }], `${left} ${status} ${type}`)
      t.equal(count('CodesExpired') - before, isLate && !isFresh ? 1 : 0)
      t.equal(await challenge(entry.data.challengeId) !== undefined, !isLate)
      t.equal(await challenge(entry.eventId) !== undefined, isFresh)
      const mark = await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, `challenge#${entry.eventId}`)
      t.equal(mark?.['expiresAt'], isFresh ? seconds(ticket.expiresAt) : undefined, 'an erasure finds a code that was not counted under its id')
    }
  }
})

t.test('a registration whose code was erased brings no account back once it is older than ten seconds; a younger one gets a fresh code', async t => {
  for (const [ago, isDone] of [[10_000, true], [10_001, false]] as const) {
    const email = newAddress()
    const entry = asked(email, { registration: SAID }, ago)
    await spend(entry.data.challengeId)
    await handle(entry)
    t.equal(await app.users.findByEmail(email) !== undefined, isDone, `${ago} ms`)
    checkMails(t, email, isDone ? [{ type: 'WELCOME_EMAIL', messageId: idFrom(entry.eventId, 'fresh code'), challengeId: entry.eventId, expiresAt: after(LIFETIME).toISOString() }] : [], `${ago} ms`)
    t.equal((await challenge(entry.data.challengeId))!['usedBy'], 'erasure')
  }
  const [pending, active] = [await newAccount({ status: 'PENDING_VERIFICATION' }), await newAccount()]
  for (const { email } of [pending, active]) {
    const entry = asked(email, {}, 10_001)
    await spend(entry.data.challengeId)
    await handle(entry)
    checkMails(t, email, email === pending.email ? [{ challengeId: entry.eventId, name: 'Ada' }] : [], 'a sign-in is no registration')
  }
  const old = asked(newAddress(), { registration: SAID }, 20_000)
  await handle(old)
  t.equal(mailsTo(old.subject).length, 1, 'one whose code was not erased is handled however old')
})

t.test('a late code that was used is not replaced a second time', async t => {
  const { email } = await newAccount({ status: 'PENDING_VERIFICATION' })
  const entry = asked(email, {}, LIFETIME)
  await spend(entry.eventId)
  await handle(entry)
  t.same(mailsTo(email), [])
})

t.test('a mail to who was invited names the admin who did it, as long as they are active', async t => {
  for (const [status, invitedBy] of [['ACTIVE', 'The Admin'], ['SUSPENDED', undefined], [undefined, undefined]] as const) {
    const { email } = await newAccount({ status: 'PENDING_VERIFICATION' })
    const admin = status === undefined ? newId() : (await newAccount({ name: 'The Admin', status })).id
    await handle(asked(email, { invitedBy: admin }))
    const [mail] = mailsTo(email)
    t.equal(mail?.type, 'WELCOME_EMAIL')
    t.equal(mail?.invitedBy, invitedBy)
  }
  const { email } = await newAccount()
  await handle(asked(email, { invitedBy: (await newAccount()).id }))
  t.notOk('invitedBy' in mailsTo(email)[0]!)
})

t.test('a code for an account that was erased meanwhile is mailed to nobody, and leaves nothing', async t => {
  for (const status of ['PENDING_VERIFICATION', 'ACTIVE'] as const) {
    const { id, email } = await newAccount({ status })
    const entry = asked(email)
    await repository.forgetUser(id)
    await handle(entry)
    t.same(mailsTo(email), [])
    for (const challengeId of [entry.data.challengeId, entry.eventId]) t.notOk((await challenge(challengeId))?.['userId'], status)
    t.equal(await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, `challenge#${entry.eventId}`), undefined)
  }
})

t.test('a code for a new address is mailed to it for an active account that has not got it, as long as the session that asked lives and the code does', async t => {
  const ask = (userId: string, sid: string, email: string, ago = 0) => {
    const now = after(-ago)
    return outboxEntry('email-change.requested', { subject: email, correlationId: 'corr-2', now, data: { ...newChallenge(now), email, userId, sid, network: 'x' } })
  }
  for (const [what, status, ago, isMailed] of [
    ['at once', 'ACTIVE', 0, true],
    ['in the last millisecond', 'ACTIVE', LIFETIME - 1, true],
    ['expired', 'ACTIVE', LIFETIME, false],
    ['suspended', 'SUSPENDED', 0, false],
    ['pending', 'PENDING_VERIFICATION', 0, false],
    ['its own address', 'ACTIVE', 0, false],
    ['session ended', 'ACTIVE', 0, false],
    ['erased', 'ACTIVE', 0, false]
  ] as const) {
    const account = await newAccount({ status })
    const sid = newNumberedId(1)
    if (what !== 'session ended') await startSession(account.id, sid, after(0))
    const email = what === 'its own address' ? account.email : newAddress('next')
    const entry = ask(account.id, sid, email, ago)
    const { challengeId, expiresAt } = entry.data
    if (what === 'erased') await repository.forgetUser(account.id)
    if (what === 'erased') await startSession(account.id, sid, after(0))
    const before = count('CodesExpired')
    await handle(entry)
    t.same(mailsTo(email), isMailed ? [{ type: 'EMAIL_CHANGE_CODE', messageId: entry.eventId, userId: account.id, email, name: 'Ada', locale: 'de', challengeId, expiresAt, correlationId: 'corr-2' }] : [], what)
    t.equal(count('CodesExpired') - before, what === 'expired' ? 1 : 0)
    const opened = await challenge(challengeId)
    if (isMailed) t.same(opened, { pk: `challenge#${challengeId}`, sk: 'challenge', userId: account.id, address: app.keys.pseudonym(email), emailChange: { email, sid }, expiresAt: seconds(expiresAt) })
    else t.equal(opened, undefined, what)
    t.equal(await itemAt(app.dynamodb, `user#${account.id}`, `challenge#${challengeId}`) !== undefined, isMailed, 'an erasure of the account finds it')
  }
})
