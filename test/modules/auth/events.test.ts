import { DeleteCommand, GetCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import { idFrom } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { codeIn, signIn } from '../../accounts.ts'
import { breakQueueFor, intercept } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { startEvents } from './events-support.ts'
import { itemAt } from './support.ts'

const { engines, bus, app, admin, address, mailsTo, subjects, ask, exchange, deliverAsked, minutesAgo } = await startEvents(t)

t.test('a registration of a new address becomes an account, a welcome and an event', async (t) => {
  const email = address()
  await ask(email, 'Ada Lovelace', 'corr-1')
  await pump(app, engines)
  const account = await app.users.findByEmail(email)
  t.match(account, { email, name: 'Ada Lovelace', locale: 'en', status: 'PENDING_VERIFICATION' })
  const [mail, ...more] = mailsTo(email)
  t.same(more, [])
  t.match(mail, { subject: 'Confirm your e-mail address', text: /Ada Lovelace/ })
  t.equal(mail!.headers.get('x-correlation-id'), 'corr-1')
  const { id: userId, version: userVersion, ...profile } = account!
  t.match(bus.eventsOf(userId), [{ type: 'user.registered', version: 1, correlationId: 'corr-1', data: { userId, userVersion, ...profile } }])
  t.same(await waiting(app), [])
})

t.test('a registration of version 1 gets its welcome too, and its code signs in', async (t) => {
  const email = address()
  const { id } = await app.users.register({ email, name: 'Ada Lovelace' }, 'corr-1')
  await pump(app, engines)
  const [mail, ...more] = mailsTo(email)
  t.same(more, [])
  t.match(mail, { subject: 'Confirm your e-mail address', text: /Ada Lovelace/ })
  const link = new URLSearchParams(/#(\S+)/.exec(mail!.text!)![1])
  t.match(await exchange(link.get('challengeId')!, link.get('code')!), { user: { id, name: 'Ada Lovelace', status: 'ACTIVE' } })
  await pump(app, engines)
})

t.test('the welcome of version 1 is counted once and mailed once, however often and however late its entry is delivered', async (t) => {
  const email = address()
  const { id } = await app.users.register({ email, name: 'Often' }, 'x')
  const [entry] = (await waiting(app, 'UsersTable')).filter(({ subject }) => subject === id)
  const codes = async () => (await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all'))!['codes'] as string[]
  // The queue is down for longer than the network's share of codes lasts.
  const restore = breakQueueFor(app, email)
  for (let i = 0; i < 7; i++) t.equal((await deliver(app, entryRecord(entry!))).length, 1)
  restore()
  t.equal((await codes()).length, 1)
  t.same(await deliver(app, entryRecord(entry!)), [])
  await leaveBehind(app, entry!)
  await pump(app, engines)
  const [mail, ...more] = mailsTo(email)
  t.same(more, [])
  const link = new URLSearchParams(/#(\S+)/.exec(mail!.text!)![1])
  t.equal(link.get('challengeId'), (await codes())[0]!.split(' ')[1], 'the code that was counted')
  t.equal((await codes()).length, 1)

  const late = address()
  const { id: lateId } = await app.users.register({ email: late, name: 'Late' }, 'x')
  const [young] = (await waiting(app, 'UsersTable')).filter(({ subject }) => subject === lateId)
  const old = { ...young!, occurredAt: minutesAgo(9).toISOString() }
  await leaveBehind(app, old)
  t.same(await deliver(app, entryRecord(old)), [])
  await pump(app, engines)
  const fresh = new URLSearchParams(/#(\S+)/.exec(mailsTo(late)[0]!.text!)![1])
  t.equal(fresh.get('challengeId'), old.eventId, 'a code that would expire on its way is replaced by a fresh one')
  t.match(await exchange(fresh.get('challengeId')!, fresh.get('code')!), { user: { id: lateId, status: 'ACTIVE' } })
  await pump(app, engines)
})

t.test('a welcome that the version before has requested is mailed', async (t) => {
  const email = address()
  const { id } = await app.users.register({ email, name: 'In Between' }, 'x')
  const [registered] = (await waiting(app, 'UsersTable')).filter(({ subject }) => subject === id)
  await app.dynamodb.send(new DeleteCommand({ TableName: 'UsersTable', Key: { userId: `outbox#${registered!.eventId}` } }))
  const challenge = newChallenge(new Date(), idFrom(registered!.eventId, 'challenge'))
  const data = { ...challenge, email, userId: idFrom(registered!.eventId, 'user'), network: 'x', registration: { name: 'In Between', locale: 'en' } }
  t.same(await deliverAsked(outboxEntry('code.requested', { eventId: registered!.eventId, subject: email, correlationId: 'x', now: new Date(), data })), [])
  await leaveBehind(app, registered!)
  t.same(await deliver(app, entryRecord(registered!)), [], 'and its entry may still follow')
  await pump(app, engines)
  t.equal(mailsTo(email).length, 1)
  t.match(await exchange(challenge.challengeId, codeIn(engines, email)), { user: { id, status: 'ACTIVE' } })
  await pump(app, engines)
})

t.test('a registration of a proved address becomes a mail to its owner, by the name the owner has chosen', async (t) => {
  const email = address()
  const { user: { id } } = await signIn(app, engines, email, 'The Owner')
  const { challengeId } = await ask(email, 'A Stranger', 'corr-3')
  await pump(app, engines)
  const [, mail, ...more] = mailsTo(email)
  t.same(more, [])
  t.match(mail, { subject: 'You already have an account', text: /Hello The Owner,/ })
  t.notMatch(mail!.text, /Stranger/)
  t.match(await exchange(challengeId, codeIn(engines, email)), { user: { id, name: 'The Owner' } }, 'and the code signs in')
  await pump(app, engines)
  t.same(bus.eventsOf(id).map(({ type }) => type), ['user.registered', 'user.verified'], 'nothing else has happened to the account')
})

t.test('what a stranger said outlives no proof: name and language are those of the registration whose code is proved', async (t) => {
  const email = address()
  const stranger = await app.auth.requestCode({ email, registration: { name: 'Chosen By Stranger', locale: 'fr' }, network: 'stranger' }, 'x')
  await pump(app, engines)
  const owner = await app.auth.requestCode({ email, registration: { name: 'Real Owner', locale: 'de' }, network: 'owner' }, 'x')
  await pump(app, engines)
  t.same(subjects(email), ['Confirmez votre adresse e-mail', 'Bestätigen Sie Ihre E-Mail-Adresse'], 'an account that was never proved is no account to have already')
  t.match(mailsTo(email).at(-1)!.text!.split('\n')[0], /Real Owner/)
  t.match((await exchange(owner.challengeId, app.keys.codeOf(owner.challengeId))).user, { name: 'Real Owner', locale: 'de', status: 'ACTIVE' })
  t.match((await exchange(stranger.challengeId, app.keys.codeOf(stranger.challengeId))).user, { name: 'Real Owner', locale: 'de' }, 'once it is proved, an older registration changes nothing')
  await pump(app, engines)
  const first = address()
  const one = await ask(first, 'The First')
  await ask(first, 'The Second')
  await pump(app, engines)
  t.match((await exchange(one.challengeId, app.keys.codeOf(one.challengeId))).user, { name: 'The First' })
})

t.test('a registration that says what the account has already is not kept, and none is after the proof', async (t) => {
  const email = address()
  const proposals = async (userId: string) => (await app.dynamodb.send(new GetCommand({ TableName: 'UsersTable', Key: { userId: `proposals#${userId}` }, ConsistentRead: true }))).Item
  await ask(email, 'The Same')
  await pump(app, engines)
  const { id } = (await app.users.findByEmail(email))!
  const again = await ask(email, 'The Same')
  await pump(app, engines)
  t.equal(mailsTo(email).length, 2)
  t.equal(await proposals(id), undefined)
  const other = await ask(email, 'Another')
  await pump(app, engines)
  t.match(await proposals(id), { [other.challengeId]: { name: 'Another', locale: 'en' } })
  t.match((await exchange(again.challengeId, app.keys.codeOf(again.challengeId))).user, { name: 'The Same', status: 'ACTIVE' })
  t.equal(await proposals(id), undefined)
  await pump(app, engines)
})

t.test('a registration that is kept while the address is proved has no effect any more, and expires', async (t) => {
  const email = address()
  const one = await ask(email, 'The First')
  await pump(app, engines)
  const two = await ask(email, 'The Second')
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    restore()
    await pump(app, engines) // the second registration is kept after the first has looked for kept ones
    return await send()
  })
  const { user } = await exchange(one.challengeId, app.keys.codeOf(one.challengeId))
  t.match(user, { name: 'The First', status: 'ACTIVE' })
  const { Item } = await app.dynamodb.send(new GetCommand({ TableName: 'UsersTable', Key: { userId: `proposals#${user.id}` } }))
  t.ok(Item!['expiresAt'] <= Date.now() / 1000 + 600, 'kept for ten minutes at most')
  t.match((await exchange(two.challengeId, app.keys.codeOf(two.challengeId))).user, { name: 'The First' })
  await app.users.remove(admin, user.id, 'x')
  const left = await app.dynamodb.send(new GetCommand({ TableName: 'UsersTable', Key: { userId: `proposals#${user.id}` } }))
  t.notOk(left.Item, 'a deletion finds it')
  await pump(app, engines)
})

t.test('a sign-in code is mailed to a known address, to a suspended or unknown one not', async (t) => {
  const email = address()
  const { user } = await signIn(app, engines, email)
  const unknown = address()
  await ask(email)
  await ask(unknown)
  await pump(app, engines)
  t.same(subjects(email), ['Confirm your e-mail address', 'Your sign-in code'])
  t.same(mailsTo(unknown), [])
  await app.users.update(admin, user.id, { status: 'SUSPENDED' }, 'x')
  await ask(email)
  await ask(email, 'Again')
  await pump(app, engines)
  t.equal(mailsTo(email).length, 2)
  t.same(await waiting(app), [])
})
