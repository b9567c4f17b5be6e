import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { marshall } from '@aws-sdk/util-dynamodb'
import type { DynamoDBRecord } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import type { User, UsersEntry } from '../../../src/modules/users/contract.ts'
import type { DomainEvent } from '../../../src/plugins/event-bus.ts'
import { newChallenge } from '../../../src/shared/codes.ts'
import { outboxAttributes, outboxEntry, type OutboxEntry } from '../../../src/shared/outbox.ts'
import { buildTestApp, codeIn, pump, signIn, startEngines } from '../../helper.ts'

/** A bus that keeps what it is sent, and takes its time over it. */
const events: DomainEvent[] = []
let busIsUp = true
const bus = createServer(async (request, response) => {
  const { Entries } = await json(request) as { Entries: { Detail: string }[] }
  await sleep(Math.random() * 10)
  if (busIsUp) events.push(...Entries.map(({ Detail }) => JSON.parse(Detail) as DomainEvent))
  const answer = busIsUp ? { FailedEntryCount: 0, Entries: [{ EventId: 'x' }] } : { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] }
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer))
})
bus.listen(0, '127.0.0.1')
await once(bus, 'listening')
t.teardown(() => { bus.close(); bus.closeAllConnections() })

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { EVENT_BUS_NAME: 'domain', AWS_ENDPOINT_URL: `http://127.0.0.1:${(bus.address() as AddressInfo).port}` } })

let n = 0
const address = () => `relay-${++n}@example.com`
const mailsTo = (email: string) => engines.mails.filter(({ to }) => [to ?? []].flat().some(({ value }) => value.some(mailbox => mailbox.address === email)))
const eventsOf = (userId: string) => events.filter(({ data }) => (data as { userId: string }).userId === userId)
const counted = (metric: string) => app.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)

/** What is left in the outboxes, of any age. */
async function unacknowledged (): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = []
  for await (const entry of app.users.outbox.pending(-60_000)) entries.push(entry)
  for await (const entry of app.auth.outbox.pending(-60_000)) entries.push(entry)
  return entries
}

let sequence = 0
function streamRecord (item: Record<string, unknown>, eventName: 'INSERT' | 'MODIFY' | 'REMOVE' = 'INSERT'): DynamoDBRecord {
  const image = marshall(item, { removeUndefinedValues: true }) as NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']>
  return { eventName, eventSource: 'aws:dynamodb', dynamodb: { SequenceNumber: String(1e20 + 1e5 * ++sequence), ...(eventName === 'REMOVE' ? { OldImage: image } : { NewImage: image }) } }
}
const entryRecord = (entry: OutboxEntry) => streamRecord(outboxAttributes(entry) as unknown as Record<string, unknown>)
const relay = async (...Records: DynamoDBRecord[]) => (await app.relay.handleBatch({ Records })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)

function user (changes: Partial<User> = {}): User {
  const at = new Date().toISOString()
  return { id: randomUUID(), email: address(), name: 'Ada', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...changes }
}
const registration = (email = address(), name = 'Ada', at = new Date()): UsersEntry =>
  outboxEntry('registration.requested', 'relay-test', { userId: randomUUID(), email, name, ...newChallenge(at) }, at)

/** Puts an entry into the users table's outbox, so old that the stream must have failed to deliver it. */
async function leaveBehind (entry: UsersEntry): Promise<void> {
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { ...outboxAttributes(entry), userId: `outbox#${entry.eventId}` } }))
}
const longAgo = () => new Date(Date.now() - 120_000)

/** Makes every message to the queue whose body holds a text go wrong. */
function breakQueueFor (text: string): () => void {
  app.sqs.middlewareStack.add(next => async (args) => {
    if ((args.input as { MessageBody?: string }).MessageBody?.includes(text)) throw new Error('the queue is down')
    return next(args)
  }, { step: 'initialize', name: 'breakQueue', override: true })
  return () => { app.sqs.middlewareStack.remove('breakQueue') }
}

t.test('a registration of a new address becomes an account, a welcome and an event', async (t) => {
  const email = address()
  await app.users.requestRegistration({ email, name: 'Ada Lovelace' }, 'corr-1')
  await pump(app, engines)
  const account = await app.users.findByEmail(email)
  t.match(account, { email, name: 'Ada Lovelace', status: 'PENDING_VERIFICATION' })
  const [mail, ...more] = mailsTo(email)
  t.same(more, [])
  t.match(mail, { subject: 'Confirm your e-mail address', text: /the name “Ada Lovelace”/ })
  t.equal(mail!.headers.get('x-correlation-id'), 'corr-1')
  const { id: userId, ...profile } = account!
  t.match(eventsOf(userId), [{ type: 'user.registered', version: 1, correlationId: 'corr-1', eventId: mail!.messageId!.slice(1, 37), data: { userId, ...profile } }])
  t.same(await unacknowledged(), [])
})

t.test('a registration of a known address becomes a mail to its owner, by the name the owner has chosen', async (t) => {
  const email = address()
  const { id } = await app.users.register({ email, name: 'The Owner' }, 'corr-2')
  await pump(app, engines)
  t.match(mailsTo(email), [{ subject: 'Confirm your e-mail address' }])
  const { challengeId } = await app.users.requestRegistration({ email, name: 'A Stranger' }, 'corr-3')
  await pump(app, engines)
  const [, mail, ...more] = mailsTo(email)
  t.same(more, [])
  t.match(mail, { subject: 'You already have an account', text: /Hello The Owner,/ })
  t.same(eventsOf(id).map(({ type }) => type), ['user.registered'], 'nothing has happened to the account')
  t.match(await app.auth.exchangeCode(challengeId, codeIn(engines, email), 'x'), { user: { id } }, 'and the code signs in')
  await pump(app, engines)
  t.same(await unacknowledged(), [])
})

t.test('a sign-in is mailed to a known address, to a suspended or unknown one not', async (t) => {
  const { id } = await app.users.register({ email: address(), name: 'Ada' }, 'x')
  const { email } = (await app.users.getFresh(id))!
  const unknown = address()
  await app.auth.requestChallenge(email, 'corr-4')
  await app.auth.requestChallenge(unknown, 'corr-5')
  await pump(app, engines)
  t.same(mailsTo(email).map(({ subject }) => subject).sort(), ['Confirm your e-mail address', 'Your sign-in code'])
  t.same(mailsTo(unknown), [])
  await app.users.update(id, { status: 'SUSPENDED' }, 'x')
  await app.auth.requestChallenge(email, 'corr-6')
  await app.users.requestRegistration({ email, name: 'Again' }, 'corr-7')
  await pump(app, engines)
  t.equal(mailsTo(email).length, 2)
  t.same(await unacknowledged(), [])
})

t.test('what happens to an account is told in its order', async (t) => {
  const email = address()
  const tokens = await signIn(app, engines, email)
  const userId = tokens.user.id
  for (const name of ['First Name', 'Second Name', 'Third Name']) await app.users.update(userId, { name }, 'x')
  await app.users.update(userId, { status: 'SUSPENDED' }, 'x')
  await app.users.remove(userId, 'corr-8')
  await pump(app, engines)
  const told = eventsOf(userId)
  t.match(told.map(({ type, data }) => [type, (data as { name?: string }).name, (data as { changed?: string[] }).changed]), [
    ['user.registered', 'Test Person', undefined],
    ['user.verified', 'Test Person', undefined],
    ['user.updated', 'First Name', ['name']],
    ['user.updated', 'Second Name', ['name']],
    ['user.updated', 'Third Name', ['name']],
    ['user.updated', 'Third Name', ['status']],
    ['user.deleted', undefined, undefined]
  ])
  t.same(told.at(-1)!.data, { userId }, 'of a deleted account nothing but its id is told')
  t.same(await unacknowledged(), [])
})

t.test('suspending an account ends its sessions, and so does deleting it', async (t) => {
  const [suspended, deleted] = [await signIn(app, engines, address()), await signIn(app, engines, address())]
  await app.users.update(suspended.user.id, { status: 'SUSPENDED' }, 'x')
  await app.users.remove(deleted.user.id, 'x')
  await pump(app, engines)
  await app.users.update(suspended.user.id, { status: 'ACTIVE' }, 'x')
  await t.rejects(app.auth.refresh(suspended.refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  await t.rejects(app.auth.refresh(deleted.refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  await pump(app, engines)
})

t.test('an entry delivered again and again, at the same time too, has one effect', async (t) => {
  const entries = Array.from({ length: 5 }, () => registration())
  for (const entry of entries) await leaveBehind(entry)
  const batch = entries.map(entryRecord)
  for (let i = 0; i < 3; i++) {
    // Two at once may stand in each other's way: what they report comes again.
    for (const failed of await Promise.all([relay(...batch), relay(...batch)])) {
      t.same(await relay(...batch.filter(({ dynamodb }) => failed.includes(dynamodb!.SequenceNumber!))), [])
    }
  }
  await pump(app, engines)
  for (const { eventId, data } of entries) {
    const { email, userId } = data as { email: string, userId: string }
    t.equal(mailsTo(email).length, 1)
    t.equal((await app.users.findByEmail(email))?.id, userId)
    t.same(new Set(eventsOf(userId).map(event => event.eventId)), new Set([eventId]), 'whoever gets the event again knows it by its id')
  }
  t.same(await unacknowledged(), [])
})

t.test('what is no new entry is passed over', async (t) => {
  const entry = outboxAttributes(registration()) as unknown as Record<string, unknown>
  const before = [events.length, app.logLines.length]
  t.same(await relay(streamRecord(entry, 'MODIFY'), streamRecord(entry, 'REMOVE'), streamRecord({ userId: 'x', kind: 'user' }), streamRecord({ pk: 'x', kind: 7 }), { eventName: 'INSERT' }), [])
  t.same([events.length, app.logLines.length], before)
})

t.test('what is wrong in a batch is named, in the order of the stream; everything else in it is done', async (t) => {
  const good = Array.from({ length: 46 }, () => outboxEntry('user.verified', 'x', { user: user() }))
  const unreadable = entryRecord(registration())
  unreadable.dynamodb!.NewImage!['data'] = { X: 'y' } as never
  const bad = [
    entryRecord(outboxEntry('user.promoted', 'x', { userId: 'x' })),
    entryRecord(outboxEntry('toString', 'x', { userId: 'x' })),
    streamRecord({ kind: 'outbox', outbox: '0', eventId: 'x' }),
    unreadable
  ]
  const Records = good.map(entryRecord)
  Records.splice(3, 0, bad[0]!)
  Records.splice(17, 0, bad[1]!, bad[2]!)
  Records.push(bad[3]!)
  t.same(await relay(...Records), bad.map(({ dynamodb }) => dynamodb!.SequenceNumber))
  for (const { data } of good) t.equal(eventsOf(data.user.id).length, 1)
})

t.test('one whose mail cannot be queued keeps nobody else from theirs, and gets it with the next delivery', async (t) => {
  const entries = Array.from({ length: 10 }, () => registration())
  for (const entry of entries) await leaveBehind(entry)
  const records = entries.map(entryRecord)
  const mend = breakQueueFor((entries[4]!.data as { email: string }).email)
  t.same(await relay(...records), [records[4]!.dynamodb!.SequenceNumber])
  mend()
  t.same((await unacknowledged()).map(({ eventId }) => eventId), [entries[4]!.eventId])
  t.same(await relay(records[4]!), [])
  await pump(app, engines)
  for (const { data } of entries) t.equal(mailsTo((data as { email: string }).email).length, 1)
  t.same(await unacknowledged(), [])
})

t.test('an event the bus does not take is sent with the next delivery; its mail is not sent twice', async (t) => {
  const entry = registration()
  await leaveBehind(entry)
  const { email, userId } = entry.data as { email: string, userId: string }
  busIsUp = false
  const record = entryRecord(entry)
  t.same(await relay(record), [record.dynamodb!.SequenceNumber])
  busIsUp = true
  t.same(await relay(record), [])
  await pump(app, engines)
  t.equal(eventsOf(userId).length, 1)
  t.equal(mailsTo(email).length, 1)
})

t.test('what the stream could not deliver the sweeper does, and says so', async (t) => {
  t.same(await app.relay.sweep(), { resent: 0 })
  const young = registration()
  const old = Array.from({ length: 5 }, () => registration(address(), 'Ada', longAgo()))
  const signInEntry: AuthEntry = outboxEntry('challenge.requested', 'x', { email: address(), ...newChallenge(longAgo()) }, longAgo())
  for (const entry of [young, ...old]) await leaveBehind(entry)
  await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item: { ...outboxAttributes(signInEntry), pk: `outbox#${signInEntry.eventId}`, sk: 'outbox' } }))
  const before = counted('OutboxResent')
  const mend = breakQueueFor((old[2]!.data as { email: string }).email)
  await t.rejects(app.relay.sweep(), { message: '1 outbox entries could not be relayed' }, 'an alarm is due')
  mend()
  t.equal(counted('OutboxResent') - before, 5)
  t.same(await app.relay.sweep(), { resent: 1 })
  t.same(await app.relay.sweep(), { resent: 0 })
  t.same((await unacknowledged()).filter(({ eventId }) => eventId !== signInEntry.eventId).map(({ eventId }) => eventId), [young.eventId], 'what may still be on its way is left to the stream')
  await relay(entryRecord(young))
  await pump(app, engines)
  for (const { data } of old) t.equal(mailsTo((data as { email: string }).email).length, 1)
})

t.test('an address gets its share of mails with codes and no more; what asked for them is done with', async (t) => {
  const email = address()
  await app.users.register({ email, name: 'Ada' }, 'x')
  await pump(app, engines)
  const before = counted('MailsSuppressed')
  for (let i = 0; i < 7; i++) await app.auth.requestChallenge(email, 'x')
  await pump(app, engines)
  t.equal(mailsTo(email).length, 5)
  t.equal(counted('MailsSuppressed') - before, 3)
  t.same(await unacknowledged(), [])
})

t.test('addresses, names and codes are in no log line, failures included', async (t) => {
  const email = 'canary-relay@example.com'
  await app.users.requestRegistration({ email, name: 'Canary Nightingale' }, 'canary')
  await pump(app, engines)
  const code = codeIn(engines, email)
  const entry = registration('canary-relay-2@example.com', 'Canary Nightingale')
  await leaveBehind(entry)
  const mend = breakQueueFor('canary-relay-2')
  t.equal((await relay(entryRecord(entry), entryRecord({ ...entry, type: 'user.updated' }), entryRecord({ ...entry, data: 'canary-relay-2' }))).length, 3)
  mend()
  await pump(app, engines)
  await relay(entryRecord(entry))
  await pump(app, engines)
  const log = JSON.stringify(app.logLines)
  for (const secret of ['canary-relay', 'Nightingale', code]) t.notOk(log.includes(secret), secret)
  t.ok(app.logLines.some(line => line['correlationId'] === 'canary' && line['eventType'] === 'registration.requested' && line['msg'] === 'relayed'))
})
