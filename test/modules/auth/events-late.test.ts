import t from 'tap'
import { newId } from '../../../src/shared/ids.ts'
import { codeIn, signIn } from '../../accounts.ts'
import { breakQueueFor } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, sequenceNumber, waiting } from '../../outbox.ts'
import { report, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { startEvents } from './events-support.ts'
import { counted } from './support.ts'

const { engines, bus, app, admin, address, mailsTo, subjects, ask, exchange, asked, deliverAsked, minutesAgo } = await startEvents(t)

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
