import t from 'tap'
import { idFrom, newId, newNumberedId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import type { User } from '../../../src/modules/users/contract.ts'
import { startHandlers } from './handlers-support.ts'
import { itemAt } from './support.ts'

const { app, repository, service, limit, mails, readmitted, forgotten, after, at, newAddress, newAccount, follow, receipt, mailsTo, challenge, startSession, count } = await startHandlers(t)

const SECOND = 1000
const LIFETIME = 600 * SECOND
const seconds = (time: string) => Math.floor(Date.parse(time) / SECOND)

t.beforeEach(() => {
  at(0)
  limit.fails = undefined
  for (const list of [mails, readmitted, forgotten]) list.length = 0
})

const entryOf = <T extends string, D>(type: T, subject: string, data: D, ago = 0) => outboxEntry(type, { subject, correlationId: 'corr-1', now: after(-ago), data })
const registered = (user: User, { welcome = true, invitedBy, ago = 0 }: { welcome?: boolean, invitedBy?: string, ago?: number } = {}) =>
  entryOf('user.registered', user.id, { user, welcome, ...(invitedBy === undefined ? {} : { invitedBy }) }, ago)
const codes = async (email: string) => await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all')
const sessionsOf = async (userId: string) => (await repository.listSessions(userId)).map(({ sid }) => sid)

t.test('who was registered by others gets a welcome, counted once, that names the admin who invited', async t => {
  const admin = await newAccount({ name: 'The Admin' })
  for (const [what, entryFor, invitedBy] of [
    ['version 1', (user: User) => registered(user), undefined],
    ['an import', (user: User) => registered(user, { invitedBy: admin.id }), 'The Admin'],
    ['an invitation', (user: User) => entryOf('user.invited', user.id, { invitedBy: admin.id }), 'The Admin']
  ] as const) {
    const user = await newAccount({ status: 'PENDING_VERIFICATION' })
    const entry = entryFor(user)
    const before = count('RegistrationsRequested')
    const challengeId = idFrom(entry.eventId, 'challenge')
    const expiresAt = after(LIFETIME).toISOString()
    for (let i = 0; i < 2; i++) {
      await follow(entry as never, user)
      t.same(mailsTo(user.email), [{ type: 'WELCOME_EMAIL', messageId: entry.eventId, userId: user.id, email: user.email, name: 'Ada', locale: 'de', challengeId, expiresAt, correlationId: 'corr-1', ...(invitedBy === undefined ? {} : { invitedBy }) }], what)
    }
    t.equal(count('RegistrationsRequested') - before, 2)
    t.same((await codes(user.email))!['codes'], [`${after(0).toISOString()} ${challengeId}`])
    t.match(await challenge(challengeId), { userId: user.id, address: app.keys.pseudonym(user.email), expiresAt: seconds(expiresAt) })
  }
})

t.test('nobody is welcomed who has proved the address, is gone, or has a code already', async t => {
  for (const [present, welcome] of [[await newAccount(), true], [undefined, true], [await newAccount({ status: 'SUSPENDED' }), true], [await newAccount({ status: 'PENDING_VERIFICATION' }), false]] as const) {
    const user = present ?? await newAccount()
    await follow(registered(user, { welcome }), present)
    t.same(mailsTo(user.email), [])
    t.equal(await codes(user.email), undefined)
  }
})

t.test('a welcome whose code has two minutes left is mailed with a fresh one that is not counted again', async t => {
  for (const [left, isLate] of [[120_001, false], [120_000, true], [-1000, true]] as const) {
    const user = await newAccount({ status: 'PENDING_VERIFICATION' })
    const entry = registered(user, { ago: LIFETIME - left })
    await follow(entry, user)
    const ticket = isLate
      ? { challengeId: entry.eventId, expiresAt: after(LIFETIME).toISOString() }
      : { challengeId: idFrom(entry.eventId, 'challenge'), expiresAt: after(left).toISOString() }
    t.match(mailsTo(user.email), [{ messageId: entry.eventId, ...ticket }], `${left} ms`)
    t.equal(await codes(user.email) === undefined, isLate)
    t.equal(await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(user.email)}`, `challenge#${entry.eventId}`) !== undefined, isLate)
  }
})

t.test('an address that has had its share gets no welcome, and what fails otherwise is tried again', async t => {
  const user = await newAccount({ status: 'PENDING_VERIFICATION' })
  for (let i = 0; i < 5; i++) await service.countCode(user.email, newId(), after(0))
  const before = { suppressed: count('MailsSuppressed'), requested: count('RegistrationsRequested') }
  await follow(registered(user), user)
  t.same(mailsTo(user.email), [])
  t.same({ suppressed: count('MailsSuppressed') - before.suppressed, requested: count('RegistrationsRequested') - before.requested }, { suppressed: 1, requested: 0 })
  limit.fails = new Error('the table is down')
  const other = await newAccount({ status: 'PENDING_VERIFICATION' })
  await t.rejects(follow(registered(other), other), /the table is down/)
  t.equal(count('MailsSuppressed') - before.suppressed, 1)
})

t.test('an account that was erased while it was welcomed gets no mail', async t => {
  const user = await newAccount({ status: 'PENDING_VERIFICATION' })
  await repository.forgetUser(user.id)
  const entry = registered(user)
  await follow(entry, user)
  t.same(mailsTo(user.email), [])
  t.equal(await codes(user.email), undefined, 'what was counted is forgotten again')
})

t.test('sessions that the account has ended are deleted, and no others', async t => {
  for (const type of ['user.suspended', 'user.signed-out', 'user.email-changed'] as const) {
    const user = await newAccount()
    const [ended, kept] = [newNumberedId(1), newNumberedId(2)]
    for (const sid of [ended, kept]) await startSession(user.id, sid, after(0))
    const data = { user, changed: [], userVersion: 2, previousEmail: newAddress('previous') }
    await follow(entryOf(type, user.id, data) as never, user, { hasEnded: sid => sid === ended })
    t.same(await sessionsOf(user.id), [kept], type)
  }
})

t.test('a former address gets a notice, with the way back as long as there is one', async t => {
  for (const [what, undoes, can] of [['a way back', true, true], ['one that is gone', true, false], ['none', false, true]] as const) {
    const user = await newAccount()
    const previousEmail = newAddress('previous')
    const undo = { challengeId: newId(), until: after(7 * 24 * 3600 * SECOND).toISOString() }
    const entry = entryOf('user.email-changed', user.id, { user, changed: ['email'], previousEmail, ...(undoes ? { undo } : {}) })
    await follow(entry, user, { canUndo: challengeId => can && challengeId === undo.challengeId })
    const isOpen = undoes && can
    t.same(mails.splice(0), [{ type: 'EMAIL_CHANGED_NOTICE', messageId: entry.eventId, userId: user.id, email: previousEmail, name: 'Ada', locale: 'de', correlationId: 'corr-1', ...(isOpen ? { challengeId: undo.challengeId, expiresAt: undo.until } : {}) }], what)
    t.same(await challenge(undo.challengeId), isOpen ? { pk: `challenge#${undo.challengeId}`, sk: 'challenge', userId: user.id, address: app.keys.pseudonym(previousEmail), undoes: 'email-change', expiresAt: seconds(undo.until) } : undefined)
  }
  const user = await newAccount()
  const undo = { challengeId: newId(), until: after(LIFETIME).toISOString() }
  await repository.forgetUser(user.id)
  await follow(entryOf('user.email-changed', user.id, { user, changed: ['email'], previousEmail: newAddress(), undo }), user, { canUndo: () => true })
  t.notOk('challengeId' in mails.splice(0)[0]!, 'no way back to an account that was erased')
})

t.test('no notice goes to an address that the account has again, nor for one that is gone', async t => {
  const user = await newAccount()
  await follow(entryOf('user.email-changed', user.id, { user, changed: ['email'], previousEmail: user.email }), user)
  await follow(entryOf('user.email-changed', user.id, { user, changed: ['email'], previousEmail: newAddress() }), undefined)
  t.same(mails, [])
})

t.test('what was counted for a former address is forgotten, unless it is the same mailbox', async t => {
  for (const [previous, next, isKept] of [['other', 'ada', false], ['ada+tag', 'ada', true]] as const) {
    const domain = `@${newId()}.example`
    const user = await newAccount({ email: next + domain })
    const previousEmail = previous + domain
    await service.countCode(previousEmail, newId(), after(0))
    await follow(entryOf('user.email-changed', user.id, { user, changed: ['email'], previousEmail }), user)
    t.equal(await codes(previousEmail.replace('+tag', '')) !== undefined, isKept, previous)
  }
})

t.test('a deletion forgets sessions, and codes and mails of each address that the account could have had', async t => {
  for (const formerEmails of [undefined, [newAddress('former'), newAddress('former')]]) {
    const user = await newAccount()
    const addresses = [user.email, ...formerEmails ?? []]
    await startSession(user.id, newNumberedId(1), after(0))
    const challenges: string[] = []
    for (const email of addresses) {
      const challengeId = newId()
      challenges.push(challengeId)
      await service.countCode(email.replace('@', '+tag@'), challengeId, after(0))
      await repository.openChallenge({ challengeId, userId: user.id, address: app.keys.pseudonym(email), expiresAt: seconds(after(LIFETIME).toISOString()) })
    }
    await follow(entryOf('user.deleted', user.id, { userId: user.id, userVersion: 2, email: user.email, ...(formerEmails === undefined ? {} : { formerEmails }) }), undefined)
    t.same(await sessionsOf(user.id), [])
    t.ok(await repository.isErased(user.id))
    for (const email of addresses) t.equal(await codes(email), undefined)
    for (const challengeId of challenges) t.equal(await repository.isSpent(challengeId), true)
    t.same(forgotten.splice(0), addresses)
  }
})

t.test('a bounce is noted on the account, unless its owner has had a mail since; then mails go on', async t => {
  const status = 'bounced'
  const bounced = await newAccount()
  await startSession(bounced.id, newNumberedId(1), after(-1000))
  await receipt({ userId: bounced.id, email: bounced.email, status, at: after(-1000) })
  t.match((await app.users.getFresh(bounced.id))!.mail, { status, since: after(-1000).toISOString() }, 'a session that began in the same moment is no proof')
  t.same(readmitted, [])

  const proved = await newAccount()
  for (const [i, ago] of [3000, 1000, 2000].entries()) await startSession(proved.id, newNumberedId(i + 1), after(-ago))
  await receipt({ userId: proved.id, email: proved.email, status, at: after(-2500) })
  t.same(readmitted.splice(0), [[proved.email, after(-1000)]], 'from the newest proof on')
  t.equal((await app.users.getFresh(proved.id))!.mail, undefined)

  const moved = await newAccount()
  await receipt({ userId: moved.id, email: newAddress('former'), status, at: after(0) })
  await receipt({ userId: newId(), email: newAddress(), status, at: after(0) })
  t.equal((await app.users.getFresh(moved.id))!.mail, undefined)
  t.same(readmitted, [])
})

t.test('mails go to an account again once nothing is known against it', async t => {
  const user = await newAccount()
  const noted = await newAccount({ mail: { status: 'bounced', since: after(0).toISOString() } })
  const at = [[user.email, after(-7)]]
  for (const [what, entryFor, expected] of [
    ['a proof', (id: string) => entryOf('user.verified', id, { user, readmits: true }, 7), at],
    ['a first proof', (id: string) => entryOf('user.verified', id, { user }, 7), []],
    ['mail removed', (id: string) => entryOf('user.updated', id, { user, changed: ['name', 'mail'] }, 7), at],
    ['another change', (id: string) => entryOf('user.updated', id, { user, changed: ['name'] }, 7), []],
    ['another address', (id: string) => entryOf('user.email-changed', id, { user, changed: ['email'], previousEmail: user.email }, 7), at]
  ] as const) {
    await follow(entryFor(user.id) as never, user)
    t.same(readmitted.splice(0), expected, what)
    for (const present of [noted, undefined]) await follow(entryFor(noted.id) as never, present)
    t.same(readmitted, [], `${what}, with something against it, or gone`)
  }
})
