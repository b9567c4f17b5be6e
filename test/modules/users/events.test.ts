import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SQSClient } from '@aws-sdk/client-sqs'
import t from 'tap'
import { LOCAL_AWS } from '../../../local/aws.ts'
import { createCheckpoints } from '../../../local/checkpoints.ts'
import { startStreamMapping } from '../../../local/stream-mapping.ts'
import { readTemplate } from '../../../local/template.ts'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import type { UsersEntry } from '../../../src/modules/users/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { createEventChecker, startEventBus } from '../../event-bus.ts'
import { breakQueueFor } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, sequenceNumber, waiting } from '../../outbox.ts'
import { report, SIZE, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { until } from '../../until.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: bus.env })
const admin = await adminOf(app)

let n = 0
const address = () => `event-${++n}@example.com`
const refresh = (refreshToken: string) => app.auth.createTokens({ grantType: 'refresh_token', refreshToken }, 'x')
const { mailsTo } = engines

/** The entry of a type that waits in the outbox, kept for later deliveries. */
async function entryOf (type: UsersEntry['type'], userId: string): Promise<UsersEntry> {
  const entry = (await waiting(app, 'UsersTable')).find(entry => entry.type === type && entry.subject === userId)
  if (entry === undefined) throw new Error(`no ${type} waits`)
  return entry as UsersEntry
}

/** Delivers an entry as if it had never been handled: late, once more. */
async function deliverLate (entry: UsersEntry): Promise<string[]> {
  await leaveBehind(app, entry)
  return await deliver(app, entryRecord(entry))
}

t.test('changes of an account are announced in order, each with its version', async (t) => {
  const tokens = await signIn(app, engines, address())
  const userId = tokens.user.id
  for (const name of ['First Name', 'Second Name']) await app.users.update({ userId }, userId, { name }, 'x')
  await app.users.update(admin, userId, { status: 'SUSPENDED' }, 'x')
  await app.users.update(admin, userId, { status: 'ACTIVE' }, 'x')
  await pump(app, engines)
  await app.users.remove({ userId }, userId, 'corr-8')
  await pump(app, engines)
  const announced = bus.eventsOf(userId)
  t.match(announced.map(({ type, data }) => [type, (data as { userVersion: number }).userVersion, (data as { name?: string }).name, (data as { changed?: string[] }).changed]), [
    ['user.registered', 1, 'Test Person', undefined],
    ['user.verified', 2, 'Test Person', undefined],
    ['user.updated', 3, 'First Name', ['name']],
    ['user.updated', 4, 'Second Name', ['name']],
    ['user.suspended', 5, 'Second Name', ['status']],
    ['user.updated', 6, 'Second Name', ['status']],
    ['user.deleted', 7, undefined, undefined]
  ])
  t.same(announced.at(-1)!.data, { userId, userVersion: 7 }, 'nothing but its id is said of a deleted account')
  t.match(announced.at(-1), { version: 1, correlationId: 'corr-8' })
  t.same(await waiting(app), [])
})

t.test('a change of address is announced with the new address, and without the former one', async (t) => {
  const { user, accessToken } = await signIn(app, engines, address())
  const { sid } = JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }
  const email = address()
  await app.users.changeEmail({ userId: user.id, email, sid }, 'x')
  await pump(app, engines)
  const event = bus.eventsOf(user.id).at(-1)
  t.match(event, { type: 'user.email-changed', data: { userId: user.id, userVersion: 3, email, changed: ['email'] } })
  t.notMatch(JSON.stringify(event), user.email)
})

t.test('suspending an account ends its sessions, and so does deleting it', async (t) => {
  const [suspended, deleted] = [await signIn(app, engines, address()), await signIn(app, engines, address())]
  await app.users.update(admin, suspended.user.id, { status: 'SUSPENDED' }, 'x')
  await app.users.remove(admin, deleted.user.id, 'x')
  await pump(app, engines)
  await app.users.update(admin, suspended.user.id, { status: 'ACTIVE' }, 'x')
  await t.rejects(refresh(suspended.refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  await t.rejects(refresh(deleted.refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  await pump(app, engines)
})

t.test('a suspension ends the sessions before it for good, however late it is delivered', async (t) => {
  const { user, refreshToken, accessToken } = await signIn(app, engines, address())
  await app.users.update(admin, user.id, { status: 'SUSPENDED' }, 'x')
  await app.users.update(admin, user.id, { status: 'ACTIVE' }, 'x')
  t.equal((await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })).statusCode, 401)
  await t.rejects(refresh(refreshToken), { code: 'AUTH_REFRESH_TOKEN_INVALID' })
  await pump(app, engines)
})

t.test('a suspension that is delivered late ends no session that was started after it', async (t) => {
  const { user } = await signIn(app, engines, address())
  await app.users.update(admin, user.id, { status: 'SUSPENDED' }, 'x')
  const suspension = await entryOf('user.suspended', user.id)
  await app.users.update(admin, user.id, { status: 'ACTIVE' }, 'x')
  await pump(app, engines)
  const again = await signIn(app, engines, user.email)
  t.same(await deliverLate(suspension), [])
  t.ok(await refresh(again.refreshToken))
})

t.test('entries of every kind, late, twice and out of order, change nothing of an account that was erased', async (t) => {
  const email = address()
  const { id } = await app.users.register({ email, name: 'Gone Soon' }, 'x')
  const registered = await entryOf('user.registered', id)
  await pump(app, engines)
  const code = await app.auth.requestCode({ email, network: 'x' }, 'x')
  await pump(app, engines)
  await app.auth.createTokens({ grantType: 'code', challengeId: code.challengeId, code: app.keys.codeOf(code.challengeId) }, 'x')
  const verified = await entryOf('user.verified', id)
  await app.users.update({ userId: id }, id, { name: 'Gone Sooner' }, 'x')
  const updated = await entryOf('user.updated', id)
  await app.users.update(admin, id, { status: 'SUSPENDED' }, 'x')
  const suspended = await entryOf('user.suspended', id)
  await app.users.remove(admin, id, 'x')
  await pump(app, engines)
  const [mailsBefore, eventsBefore] = [mailsTo(email).length, bus.eventsOf(id).map(({ type }) => type)]
  t.equal(eventsBefore.at(-1), 'user.deleted')
  t.equal(eventsBefore.filter(type => type === 'user.deleted').length, 1)
  for (const entry of [suspended, registered, updated, verified, registered]) {
    t.same(await deliverLate(entry), [], entry.type)
    await pump(app, engines)
  }
  t.equal(mailsTo(email).length, mailsBefore, 'no mail')
  t.same(bus.eventsOf(id).map(({ type }) => type), eventsBefore, 'nothing is announced after the deletion')
  t.equal(await app.users.findByEmail(email), undefined)
  t.same(await waiting(app), [])
})

t.test('an event that the bus does not accept is sent with the next delivery', async (t) => {
  const { id } = await app.users.register({ email: address(), name: 'Ada' }, 'x')
  const record = entryRecord(await entryOf('user.registered', id))
  bus.isUp = false
  t.same(await deliver(app, record), [sequenceNumber(record)])
  bus.isUp = true
  t.same(await deliver(app, record), [])
  await pump(app, engines)
  t.equal(bus.eventsOf(id).length, 1)
})

t.test('with the bus down, who asks for a code gets it all the same', async (t) => {
  const email = address()
  bus.isUp = false
  await app.users.register({ email: address(), name: 'Held Up' }, 'x')
  await app.auth.requestCode({ email, registration: { name: 'In A Hurry', locale: 'en' }, network: 'x' }, 'x')
  const [asked] = await waiting(app, 'AuthTable')
  t.same(await deliver(app, entryRecord(asked!)), [])
  bus.isUp = true
  await pump(app, engines)
  t.equal(mailsTo(email).length, 1)
  await app.outbox.sweep({ minAge: -1000 })
  await pump(app, engines)
  t.same(await waiting(app), [])
})

t.test('with the bus failing for every entry, sign-ins are relayed beside them, and each sweep ends in its time and counts what it did', async (t) => {
  const [backlog, asks] = [workload({ short: 60, full: 1000 }), workload({ short: 10, full: 50 })]
  const engines = await startEngines(t) // whose streams have nothing of other tests
  const bus = await startEventBus(t)
  const app = await buildTestApp(t, engines, { env: bus.env })
  const { user: { id, email } } = await signIn(app, engines, 'bus@example.com')
  await app.users.update({ userId: id }, id, { name: 'Held Up' }, 'x')
  const [updated] = await waiting(app, 'UsersTable')
  await pump(app, engines)
  const eventsBefore = bus.events.length
  bus.isUp = false
  const twoMinutesAgo = new Date(Date.now() - 120_000)
  const held = Array.from({ length: backlog }, () => ({ ...updated!, eventId: newId(), occurredAt: twoMinutesAgo.toISOString() }))
  for (let i = 0; i < backlog; i += 50) await Promise.all(held.slice(i, i + 50).map(async entry => { await leaveBehind(app, entry) }))

  const clients = { streams: new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint }), sqs: new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint }) }
  t.teardown(() => { clients.streams.destroy(); clients.sqs.destroy() })
  const mappings = readTemplate().streamMappings.filter(({ table }) => table !== 'EmailTable').map(mapping => startStreamMapping({
    ...clients,
    mapping,
    queueUrl: engines.queueUrl,
    checkpoints: createCheckpoints(),
    log: { warn () {} },
    handler: async event => await app.consumers.deliver({ ...event }, { deadline: Date.now() + mapping.timeout }) as never
  }))
  t.teardown(async () => { for (const mapping of mappings) await mapping.stop() })
  const failures = () => app.logLines.filter(({ msg }) => msg === 'an outbox entry could not be handled').length
  await until(() => failures() > 0)
  const asked = Date.now()
  for (let n = 0; n < asks; n++) {
    await app.auth.requestCode(n % 8 === 0 ? { email, network: newId() } : { email: `bus-${n}@example.com`, registration: { name: 'In A Hurry', locale: 'en' }, network: newId() }, 'x')
  }
  await until(async () => (await waiting(app, 'AuthTable')).length === 0, { timeoutMs: 30_000 })
  const seconds = (Date.now() - asked) / 1000
  report(t, { promise: 37, part: 'sign-ins', figure: `${asks} relayed within ${seconds.toFixed(1)} s, beside ${backlog} entries that the bus refused`, holds: seconds < 10 })
  for (const mapping of mappings) await mapping.stop()

  // The streams are gone too. `budget`: what the function has for a sweep, in seconds; less in a short run.
  const budget = SIZE === 'short' ? 6 : 10
  for (const [part, isSilent] of [['sweep with a bus that refuses', false], ['sweep with a bus that never answers', true]] as const) {
    bus.isSilent = isSilent
    const signIns = Array.from({ length: asks }, (): AuthEntry => outboxEntry('code.requested', {
      subject: email, correlationId: 'x', now: twoMinutesAgo, data: { ...newChallenge(new Date()), email, userId: newId(), network: 'x' }
    }))
    for (const entry of signIns) await leaveBehind(app, entry)
    const waited = (await waiting(app, 'AuthTable')).length
    const [start, linesBefore, failuresBefore] = [Date.now(), app.logLines.length, failures()]
    await t.rejects(app.outbox.sweep({ deadline: start + budget * 1000 }), /outbox entries could not be handled/)
    const took = (Date.now() - start) / 1000
    const done = app.logLines.slice(linesBefore).find(({ resent }) => resent !== undefined) as { resent: number, failed: number } | undefined
    const left = (await waiting(app, 'AuthTable')).length
    report(t, {
      promise: 37,
      part,
      figure: `${took.toFixed(1)} of ${budget} s, ${done?.resent} resent, ${done?.failed} failed, ${left} of ${waited} sign-ins left`,
      holds: took <= budget && done !== undefined && done.resent === waited - left && done.resent > 0 && done.failed > 0 && done.failed === failures() - failuresBefore
    })
  }

  bus.isSilent = false
  bus.isUp = true
  await until(async () => { await app.outbox.sweep({ minAge: -1000 }); return (await waiting(app)).length === 0 }, { timeoutMs: 60_000 })
  const published = new Set(bus.events.slice(eventsBefore).map(({ eventId }) => eventId))
  report(t, { promise: 37, part: 'afterwards', figure: `${held.filter(({ eventId }) => published.has(eventId)).length} of ${backlog} events published`, holds: held.every(({ eventId }) => published.has(eventId)) })
})

t.test('another module hears of what happens to an account, with the account as it is now, and before the event is published', async (t) => {
  const follower = await buildTestApp(t, engines, {
    env: bus.env,
    beforeReady: app => {
      app.users.follow('user.updated', async ({ subject, data }, present) => {
        heard.push({ subject, changed: data.changed, name: present?.name, eventsBefore: bus.eventsOf(subject).length })
      })
    }
  })
  const heard: object[] = []
  const { user } = await signIn(follower, engines, address())
  await follower.users.update({ userId: user.id }, user.id, { name: 'One' }, 'x')
  const first = await entryOf('user.updated', user.id)
  await follower.users.update({ userId: user.id }, user.id, { name: 'Two' }, 'x')
  const eventsBefore = bus.eventsOf(user.id).length
  await deliver(follower, entryRecord(first))
  t.same(heard, [{ subject: user.id, changed: ['name'], name: 'Two', eventsBefore }])
  await pump(follower, engines)
})

t.test('every published event keeps the schema that is served for its type, and says nothing besides', async (t) => {
  const types = new Set(bus.events.map(({ type }) => type))
  const { schemas } = (await app.inject('/schemas/')).json<{ schemas: { type: string, url: string }[] }>()
  t.same([...types].sort(), schemas.map(({ type }) => type).sort(), 'the tests above have published each type')
  const faults = createEventChecker(await Promise.all(schemas.map(async ({ url }) => (await app.inject(new URL(url).pathname)).json<object>())))
  for (const event of bus.events) t.same(faults(event), [], event.type)
  t.ok(bus.events.length > 20, `${bus.events.length} events`)
  const [event] = bus.events
  t.strictSame(faults({ ...event!, data: { ...event!.data, expiresAt: 1 } }), ['/data must NOT have additional properties'], 'a property too many is noticed')
})

t.test('addresses and names are in no log line, failures included', async (t) => {
  const email = 'canary-users@example.com'
  const { id } = await app.users.register({ email, name: 'Canary Nightingale' }, 'canary')
  const record = entryRecord(await entryOf('user.registered', id))
  const restore = breakQueueFor(app, 'canary-users')
  bus.isUp = false
  t.equal((await deliver(app, record)).length, 1)
  bus.isUp = true
  restore()
  await pump(app, engines)
  const log = JSON.stringify(app.logLines)
  for (const secret of ['canary-users', 'Nightingale']) t.notOk(log.includes(secret), secret)
  t.ok(app.logLines.some(line => line['correlationId'] === 'canary' && line['eventType'] === 'user.registered' && line['msg'] === 'handled'))
})
