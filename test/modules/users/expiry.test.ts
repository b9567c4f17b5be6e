import { DeleteCommand, GetCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { createRepository, expiryOf } from '../../../src/modules/users/repository.ts'
import { USERS_ENTRIES } from '../../../src/modules/users/schemas.ts'
import { createService } from '../../../src/modules/users/service.ts'
import { createStore } from '../../../src/plugins/outbox/store.ts'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { intercept } from '../../faults.ts'
import { deliver, expiryRecord, sequenceNumber, streamRecord, waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { itemsOf } from '../auth/support.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: bus.env })

const DAY = 24 * 3_600_000

/** The users service of the app, by a clock that a test moves. */
function serviceAt (clock: { now: Date }) {
  const now = () => clock.now
  const table = app.config.USERS_TABLE
  const outbox = createStore(app.dynamodb, { table, key: eventId => ({ userId: `outbox#${eventId}` }), entries: USERS_ENTRIES })
  const repository = createRepository({ dynamodb: app.dynamodb, outbox, table, publicUrl: app.config.PUBLIC_URL, now })
  return createService({ repository, cache: app.cache, count: app.metrics.count, adminEmails: [], publicUrl: app.config.PUBLIC_URL, now, follow: () => {}, contribute: () => {}, collect: async () => { throw new Error('not used') } })
}

const itemOf = async (userId: string) => (await app.dynamodb.send(new GetCommand({ TableName: app.config.USERS_TABLE, Key: { userId }, ConsistentRead: true }))).Item

t.test('an account that is not confirmed within seven days is gone for every reader, and its address is free', async t => {
  const clock = { now: new Date() }
  const users = serviceAt(clock)
  const email = 'never@example.com'
  const { id } = await users.register({ email, name: 'Never Proved' }, 'x')
  const registration = { userId: crypto.randomUUID(), email, name: 'Second', locale: 'en', challengeId: crypto.randomUUID(), expiresAt: new Date(clock.now.getTime() + 600_000).toISOString() }
  t.equal((await users.openAccount(registration, 'x'))?.id, id)
  const start = clock.now.getTime()

  clock.now = new Date(start + 7 * DAY - 1000)
  t.equal((await users.getFresh(id))?.id, id, 'a second before, it is there')
  await t.rejects(users.register({ email, name: 'Too Early' }, 'x'), { code: 'USERS_EMAIL_TAKEN' })

  clock.now = new Date(start + 7 * DAY)
  t.ok(await itemOf(id), 'the item is there: DynamoDB removes it later')
  t.equal(await users.getFresh(id), undefined)
  t.equal(await users.findByEmail(email), undefined)
  await t.rejects(users.read({ userId: id }, id), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(users.exportOf({ userId: id }), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(users.update({ userId: id }, id, { name: 'Still Here' }, 'x'), { code: 'AUTH_TOKEN_INVALID' })
  await t.rejects(users.remove({ userId: id }, id, 'x'), { code: 'AUTH_TOKEN_INVALID' })
  t.equal(await users.verify({ userId: id, challengeId: registration.challengeId, isOf: () => true }, 'x'), undefined, 'no code brings it back')

  const next = await users.register({ email, name: 'Next Owner' }, 'x')
  t.not(next.id, id)
  t.match(await users.findByEmail(email), { id: next.id, name: 'Next Owner' })
  await pump(app, engines)
})

t.test('what the TTL removes is announced like a deletion: other modules and services forget the account', async t => {
  const email = 'expires@example.com'
  const { id } = await app.users.register({ email, name: 'Never Proved' }, 'x')
  await pump(app, engines)
  t.same(bus.eventsOf(id).map(({ type }) => type), ['user.registered'])
  const traces = async () => (await itemsOf(app.dynamodb)).filter(item => JSON.stringify(item).includes(app.keys.pseudonym(email)))
  t.equal((await traces()).length, 2, 'a challenge and the counts of codes')

  const item = (await itemOf(id))!
  for (const userId of [id, `email#${email}`]) await app.dynamodb.send(new DeleteCommand({ TableName: app.config.USERS_TABLE, Key: { userId } }))
  const record = expiryRecord('UsersTable', item)
  t.same(await deliver(app, record), [])
  t.same(await deliver(app, record), [], 'twice, as streams do')
  t.match(await waiting(app, 'UsersTable'), [{ type: 'user.deleted', subject: id, occurredAt: new Date(Number(item['expiresAt']) * 1000).toISOString() }])
  await pump(app, engines)
  t.match(bus.eventsOf(id).at(-1), { type: 'user.deleted', data: { userId: id, userVersion: 2 } })
  t.equal(bus.eventsOf(id).length, 2)
  t.same(Object.keys(bus.eventsOf(id).at(-1)!.data), ['userId', 'userVersion'])
  t.same(await traces(), [])
})

t.test('only the removal of an unconfirmed account by the TTL is announced', async t => {
  const { user } = await signIn(app, engines, 'stays@example.com')
  await pump(app, engines)
  const active = (await itemOf(user.id))!
  const pending = { ...active, status: 'PENDING_VERIFICATION', expiresAt: 1_700_000_000 }
  const claim = { userId: 'email#x@example.com', kind: 'claim', ownerId: user.id, expiresAt: 1_700_000_000 }
  t.same(await deliver(app, expiryRecord('UsersTable', active), expiryRecord('UsersTable', claim), streamRecord('UsersTable', pending, 'REMOVE'), { ...expiryRecord('UsersTable', pending), eventName: 'MODIFY' }), [])
  t.same(await deliver(app, expiryRecord('AuthTable', { pk: 'user#x', sk: 'session#y', expiresAt: 1 })), [])
  t.same(await waiting(app), [])
  t.equal(expiryOf(claim), undefined)
})

t.test('a removal that cannot be announced is reported, so that the stream delivers it again', async t => {
  const { id } = await app.users.register({ email: 'again@example.com', name: 'Again' }, 'x')
  await pump(app, engines)
  const record = expiryRecord('UsersTable', (await itemOf(id))!)
  const restore = intercept(app.dynamodb, { command: 'PutItemCommand', onTheLine: false }, async () => { throw new Error('down') })
  t.same(await deliver(app, record), [sequenceNumber(record)])
  restore()
  t.same(await deliver(app, record), [])
  t.match(await waiting(app, 'UsersTable'), [{ type: 'user.deleted', subject: id }])
})
