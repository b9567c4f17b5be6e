import { DeleteCommand, GetCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import { idFrom, newId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { adminOf, codeIn, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { breakQueueFor, intercept } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, sequenceNumber, waiting } from '../../outbox.ts'
import { report, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { counted, itemAt } from './support.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: bus.env })
const admin = await adminOf(app)

let n = 0
const address = () => `code-${++n}@example.com`
const { mailsTo } = engines
const subjects = (email: string) => mailsTo(email).map(({ subject }) => subject)
const ask = (email: string, name?: string, correlationId = 'x') =>
  app.auth.requestCode({ email, network: newId(), ...(name === undefined ? {} : { registration: { name, locale: 'en' } }) }, correlationId)
const exchange = (challengeId: string, code: string) => app.auth.createTokens({ grantType: 'code', challengeId, code }, 'x')

/** An entry that asks for a code, as if it had been put at a moment. */
function asked (email: string, name?: string, at = new Date()): AuthEntry {
  const data = { ...newChallenge(at), email, userId: newId(), network: 'x', ...(name === undefined ? {} : { registration: { name, locale: 'en' } }) }
  return outboxEntry('code.requested', { subject: email, correlationId: 'test', data, now: at })
}
/** Puts an entry and delivers it, as often as wanted. */
async function deliverAsked (entry: AuthEntry): Promise<string[]> {
  await leaveBehind(app, entry)
  return await deliver(app, entryRecord(entry))
}
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)

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

t.test('an entry delivered again and again, at the same time too, has one effect', async (t) => {
  const entries = Array.from({ length: 5 }, () => asked(address(), 'Ada'))
  for (const entry of entries) await leaveBehind(app, entry)
  const batch = entries.map(entryRecord)
  for (let i = 0; i < 3; i++) {
    // Two at once may stand in each other's way: what they report comes again.
    for (const failed of await Promise.all([deliver(app, ...batch), deliver(app, ...batch)])) {
      t.same(await deliver(app, ...batch.filter(record => failed.includes(sequenceNumber(record)))), [])
    }
  }
  await pump(app, engines)
  for (const { data: { email, userId } } of entries) {
    t.equal(mailsTo(email).length, 1)
    t.equal((await app.users.findByEmail(email))?.id, userId)
    t.equal(new Set(bus.eventsOf(userId).map(({ eventId }) => eventId)).size, 1, 'a consumer knows a repetition by its id')
  }
  t.same(await waiting(app), [])
})

t.test('a registration that is delivered late brings no erased account back', async (t) => {
  const entry = asked(address(), 'Gone Again')
  const { email, userId } = entry.data
  t.same(await deliverAsked(entry), [])
  await pump(app, engines)
  await app.users.remove(admin, userId, 'x')
  await pump(app, engines)
  const before = mailsTo(email).length
  t.same(await deliverAsked(entry), [])
  await pump(app, engines)
  t.equal(await app.users.findByEmail(email), undefined)
  t.equal(mailsTo(email).length, before)
})

t.test('a registration from just before a deletion opens an account whose code is good, whichever is handled first', async (t) => {
  for (const first of ['the registration', 'the deletion']) {
    const email = address()
    const { user } = await signIn(app, engines, email)
    await ask(email, 'Registered Before')
    const [registration] = await waiting(app, 'AuthTable')
    await app.users.remove(admin, user.id, 'x')
    const deletion = (await waiting(app, 'UsersTable')).find(({ type }) => type === 'user.deleted')
    const entries = [registration!, deletion!]
    for (const entry of first === 'the registration' ? entries : entries.reverse()) t.same(await deliver(app, entryRecord(entry)), [])
    await pump(app, engines)
    const link = new URLSearchParams(/#(\S+)/.exec(mailsTo(email).at(-1)!.text!)![1])
    const { user: next } = await exchange(link.get('challengeId')!, link.get('code')!)
    t.match(next, { name: 'Registered Before', status: 'ACTIVE' }, `${first} first`)
    t.not(next.id, user.id)
    await pump(app, engines)
  }
})

t.test('one whose mail cannot be queued keeps no other from theirs, and gets it with the next delivery', async (t) => {
  const entries = Array.from({ length: 10 }, () => asked(address(), 'Ada'))
  for (const entry of entries) await leaveBehind(app, entry)
  const records = entries.map(entryRecord)
  const restore = breakQueueFor(app, entries[4]!.data.email)
  t.same(await deliver(app, ...records), [sequenceNumber(records[4]!)])
  restore()
  t.same((await waiting(app, 'AuthTable')).map(({ eventId }) => eventId), [entries[4]!.eventId])
  t.same(await deliver(app, records[4]!), [])
  await pump(app, engines)
  for (const { data } of entries) t.equal(mailsTo(data.email).length, 1)
})

t.test('after an outage no dead code is mailed: a welcome gets a fresh one, a sign-in none', async (t) => {
  const known = address()
  const { user } = await signIn(app, engines, known)
  const newcomer = address()
  const pending = address()
  await app.users.register({ email: pending, name: 'Still Pending' }, 'x')
  await pump(app, engines)
  const before = counted(app, 'CodesExpired')
  const late = minutesAgo(15)
  for (const entry of [asked(known, undefined, late), asked(known, 'Registered Again', late), asked(newcomer, 'New Here', late), asked(pending, undefined, late), asked(address(), undefined, late)]) {
    t.same(await deliverAsked(entry), [])
  }
  await pump(app, engines)
  t.same(subjects(known), ['Confirm your e-mail address'], 'only that of the sign-up')
  t.equal(counted(app, 'CodesExpired') - before, 3)
  for (const email of [newcomer, pending]) {
    const link = new URLSearchParams(/#(\S+)/.exec(mailsTo(email).at(-1)!.text!)![1])
    t.match(await exchange(link.get('challengeId')!, link.get('code')!), { user: { email, status: 'ACTIVE' } }, 'the code that was mailed is good')
  }
  await ask(known)
  await pump(app, engines)
  t.equal(mailsTo(known).length, 2, 'and the next request of the address gets its mail')
  t.ok(user)
})

t.test('a registration whose code is about to expire gets a fresh one, and a sign-in none: a mail would come too late', async (t) => {
  const known = address()
  await signIn(app, engines, known)
  const before = counted(app, 'CodesExpired')
  const [newcomer, signInEntry] = [asked(address(), 'In The Last Seconds', minutesAgo(9.75)), asked(known, undefined, minutesAgo(9.75))]
  for (const entry of [newcomer, signInEntry]) t.same(await deliverAsked(entry), [])
  await pump(app, engines)
  const link = new URLSearchParams(/#(\S+)/.exec(mailsTo(newcomer.data.email).at(-1)!.text!)![1])
  t.match(await exchange(link.get('challengeId')!, link.get('code')!), { user: { email: newcomer.data.email, status: 'ACTIVE' } })
  t.equal(mailsTo(known).length, 1)
  t.equal(counted(app, 'CodesExpired') - before, 1)
  await pump(app, engines)
})

t.test('with stream and queue down for fifteen minutes no dead code is mailed afterwards, and the next request of each address gets its mail', async (t) => {
  const size = workload({ short: 12, full: 150 })
  const known: { email: string, challengeId: string }[] = []
  while (known.length < size / 3) {
    const email = address()
    known.push({ email, challengeId: (await ask(email, 'Known')).challengeId })
  }
  await pump(app, engines)
  for (const { challengeId } of known) await exchange(challengeId, app.keys.codeOf(challengeId))
  await pump(app, engines)

  // Requests of the whole quarter of an hour wait: sign-ins, registrations, and repeated registrations.
  const at = (i: number) => minutesAgo(0.1 + 14.9 * i / size)
  const entries = Array.from({ length: size }, (_, i) => i % 3 === 0 ? asked(known[i / 3]!.email, undefined, at(i)) : i % 3 === 1 ? asked(address(), 'New Here', at(i)) : asked(known[(i - 2) / 3]!.email, 'Once More', at(i)))
  const mailsBefore = engines.mails.length
  for (const entry of entries) await leaveBehind(app, entry)
  const restore = breakQueueFor(app, '')
  const records = entries.map(entryRecord)
  for (let i = 0; i < size; i += 25) await deliver(app, ...records.slice(i, i + 25))
  restore()
  for (let i = 0; i < size; i += 25) t.same(await deliver(app, ...records.slice(i, i + 25)), [])
  await pump(app, engines)
  const codes = engines.mails.slice(mailsBefore).map(({ text }) => new URLSearchParams(/#(\S+)/.exec(text!)?.[1]))
  let dead = 0
  for (const link of codes) await exchange(link.get('challengeId')!, link.get('code')!).catch(() => { dead++ })
  t.ok(codes.length > size / 3, `${codes.length} mails`)

  const addresses = [...new Set(entries.map(({ data }) => data.email))]
  const before = new Map(addresses.map(email => [email, mailsTo(email).length]))
  for (const email of addresses) await ask(email)
  await pump(app, engines)
  const answered = addresses.filter(email => mailsTo(email).length === before.get(email)! + 1).length
  report(t, {
    promise: 35,
    figure: `${size} requests, ${codes.length} mails: ${dead} dead codes; the next request of ${answered} of ${addresses.length} addresses got its mail`,
    holds: dead === 0 && answered === addresses.length
  })
})

t.test('a fresh code is the same one however often a late entry is delivered, and one mail', async (t) => {
  const entry = asked(address(), 'Late', minutesAgo(15))
  for (let i = 0; i < 3; i++) t.same(await deliverAsked(entry), [])
  await pump(app, engines)
  t.equal(mailsTo(entry.data.email).length, 1)
})

t.test('what the stream could not deliver the sweep does', async (t) => {
  const entries = Array.from({ length: 5 }, () => asked(address(), 'Ada', minutesAgo(2)))
  const young = asked(address(), 'Ada')
  for (const entry of [...entries, young]) await leaveBehind(app, entry)
  t.match(await app.outbox.sweep(), { resent: 5 })
  t.same((await waiting(app, 'AuthTable')).map(({ eventId }) => eventId), [young.eventId], 'what may still be on its way is left to the stream')
  await pump(app, engines)
  for (const { data } of [...entries, young]) t.equal(mailsTo(data.email).length, 1)
})

t.test('addresses, names and codes are in no log line, failures included', async (t) => {
  const email = 'canary-auth@example.com'
  await ask(email, 'Canary Nightingale', 'canary')
  await pump(app, engines)
  const code = codeIn(engines, email)
  const entry = asked('canary-auth-2@example.com', 'Canary Nightingale')
  await leaveBehind(app, entry)
  const restore = breakQueueFor(app, 'canary-auth-2')
  t.equal((await deliver(app, entryRecord(entry), entryRecord({ ...entry, eventId: newId(), data: 'canary-auth-2' as never }))).length, 2)
  restore()
  await deliver(app, entryRecord(entry))
  await pump(app, engines)
  const log = JSON.stringify(app.logLines)
  for (const secret of ['canary-auth', 'Nightingale', code]) t.notOk(log.includes(secret), secret)
  t.ok(app.logLines.some(line => line['correlationId'] === 'canary' && line['eventType'] === 'code.requested' && line['msg'] === 'handled'))
})
