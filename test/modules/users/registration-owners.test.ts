import t from 'tap'
import { newId } from '../../../src/shared/ids.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, address, stored, itemAt, entriesOf, former, before, callsOf } = await startUsers(t)
const users = usersAt(app, { now: new Date() })

const registration = (email: string, { name = 'Grace', locale = 'en' } = {}) =>
  ({ userId: newId(), email, name, locale, challengeId: newId(), expiresAt: new Date(Date.now() + 600_000).toISOString() })
const verify = async (userId: string, challengeId = 'x') => await users.verify({ userId, challengeId, isOf: () => true }, 'c')

t.test('an address that an account can have back belongs to no one else, and has no account', async t => {
  const [first, second] = [address(), address()]
  const { email, id } = await stored({ formerAddresses: [former(first), former(second)] })
  t.match(await users.findByEmail(email), { id })
  for (const given of [first, second]) {
    t.equal(await users.findByEmail(given), undefined)
    t.equal(await users.openAccount(registration(given), 'c'), undefined)
    await t.rejects(users.register({ email: given, name: 'Grace' }, 'c'), { code: 'USERS_EMAIL_TAKEN' })
  }
})

t.test('an address that its account gives up at that moment can be registered', async t => {
  for (const older of [[], [former(address())]]) {
    const [given, own] = [address(), address()]
    const { id } = await stored({ email: given, formerAddresses: [...older, former(own)] })
    const asked = registration(given)
    // Between the look at the claim and the look at its owner.
    const hasMoved = before('GetItemCommand', () => users.changeEmail({ userId: id, email: own, sid: newId() }, 'c'), ({ Key }) => JSON.stringify(Key).includes(id))
    t.match(await users.openAccount(asked, 'c'), { id: asked.userId, email: given })
    t.ok(hasMoved())
  }
})

t.test('what a registration costs, and what it writes', async t => {
  const [email, other] = [address(), address()]
  users.counted.length = 0
  t.same(await callsOf(() => users.register({ email, name: 'Grace' }, 'c')), ['TransactWriteItems 3'], 'an id that is new needs no look whether it was erased')
  const asked = registration(other, { locale: 'de' })
  t.same(await callsOf(() => users.openAccount(asked, 'corr')), ['GetItem', 'TransactWriteItems 4'])
  t.match(await entriesOf(asked.userId), [{ type: 'user.registered', correlationId: 'corr', data: { welcome: false, user: { id: asked.userId, email: other, name: 'Grace', locale: 'de', status: 'PENDING_VERIFICATION', role: 'user', version: 1 } } }])
  t.same(users.counted, ['UsersRegistered', 'UsersRegistered'])
  const { id } = (await users.findByEmail(email))!
  t.match(await entriesOf(id), [{ type: 'user.registered', data: { welcome: true, user: { id, email, locale: 'en' } } }])
})

t.test('a registration that is repeated opens the account once, whatever has become of it', async t => {
  const asked = registration(address())
  t.match(await users.openAccount(asked, 'c'), { id: asked.userId })
  await users.update({ userId: asked.userId }, asked.userId, { name: 'Grace Hopper' }, 'c')
  t.same(await callsOf(async () => { t.match(await users.openAccount(asked, 'c'), { id: asked.userId, name: 'Grace Hopper' }) }), ['GetItem', 'GetItem'])
  t.equal(await itemAt(`proposals#${asked.userId}`), undefined)
  await verify(asked.userId)
  t.match(await users.openAccount(asked, 'c'), { id: asked.userId, status: 'ACTIVE' })
  await users.remove({ userId: asked.userId }, asked.userId, 'c')
  t.equal(await users.openAccount(asked, 'c'), undefined)
  t.equal(await users.findByEmail(asked.email), undefined, 'it does not come back')
})

t.test('of another registration of the address only what is new is kept, and only until the address is proved', async t => {
  const { id, email } = (await users.openAccount(registration(address()), 'c'))!
  for (const [said, writes, becomes] of [
    [{}, [], {}],
    [{ locale: 'de' }, ['TransactWriteItems 2'], { name: 'Grace', locale: 'de' }],
    [{ name: 'Someone' }, ['TransactWriteItems 2'], { name: 'Someone', locale: 'en' }]
  ] as const) {
    const asked = registration(email, said)
    t.same(await callsOf(async () => { t.match(await users.openAccount(asked, 'c'), { id, name: 'Grace', locale: 'en' }) }), ['GetItem', 'GetItem', ...writes])
    t.strictSame((await users.repository.proposalOf(id, asked.challengeId)).proposal, writes.length === 0 ? undefined : becomes)
  }
  await verify(id)
  t.same(await callsOf(async () => { t.match(await users.openAccount(registration(email, { name: 'Mallory' }), 'c'), { id, name: 'Grace', status: 'ACTIVE' }) }), ['GetItem', 'GetItem'])
})

t.test('a registration that another one overtakes finds the account of the other one', async t => {
  const email = address()
  const [first, second] = [registration(email), registration(email)]
  const isOvertaken = before('TransactWriteItemsCommand', () => users.openAccount(first, 'c'))
  t.match(await users.openAccount(second, 'c'), { id: first.userId })
  t.ok(isOvertaken())
})

t.test('a registration that the proof of the address overtakes finds the account as it is then', async t => {
  const { id, email } = (await users.openAccount(registration(address()), 'c'))!
  const isOvertaken = before('TransactWriteItemsCommand', () => verify(id))
  t.match(await users.openAccount(registration(email, { name: 'Someone' }), 'c'), { id, name: 'Grace', status: 'ACTIVE' })
  t.ok(isOvertaken())
})
