import t from 'tap'
import type { FormerAddress, StoredUser } from '../../../src/modules/users/schemas.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'
import { adminOf } from '../../accounts.ts'
import { startUsers, usersAt } from './service-support.ts'

const CHIEF = 'chief@example.com'
const { app, stored, address, former, itemAt, ownerOf, entriesOf, before, remove, callsOf } = await startUsers(t)
const NOW = Date.parse('2026-11-26T12:00:00.000Z')
const seconds = NOW / 1000
const users = usersAt(app, { now: new Date(NOW + 600) }, { adminEmails: [CHIEF] })
const open = (email: string, more: { madeAdmin?: true } = {}) => former(email, { until: seconds + 3600, ...more })
const formerOf = async (id: string) => (await itemAt(id))!['formerAddresses'] as FormerAddress[] | undefined
const change = async (userId: string, email: string, sid = newNumberedId(5)) => await users.changeEmail({ userId, email, sid }, 'corr')

await adminOf(app) // so that no change leaves the service without one

t.test('a change gives the account the address, keeps the session that asked, and can be undone for seven days', async t => {
  const user = await stored({ mail: { status: 'bounced', since: '2026-11-26T11:00:00.000Z' } })
  const [next, sid] = [address(), newNumberedId(5)]
  const { mail, ...rest } = user
  const after = { ...rest, email: next, version: 6, updatedAt: new Date(NOW + 600).toISOString() }
  t.same(await callsOf(async () => { t.strictSame(await change(user.id, next, sid), after) }), ['GetItem', 'GetItem', 'TransactWriteItems 4'])
  const [given, ...others] = (await formerOf(user.id))!
  t.strictSame(given, { email: user.email, until: seconds + 7 * 86_400, challengeId: given!.challengeId })
  t.same(others, [])
  t.strictSame((await itemAt(user.id))!['sessions'], { since: 6, kept: sid })
  for (const email of [user.email, next]) t.equal(await ownerOf(email), user.id)
  const [entry] = await entriesOf(user.id)
  t.strictSame([entry!.type, entry!.correlationId, entry!.data], ['user.email-changed', 'corr', { user: after, changed: ['email'], previousEmail: user.email, undo: { challengeId: given!.challengeId, until: '2026-12-03T12:00:00.000Z' } }])
  t.same(await callsOf(async () => { t.strictSame(await change(user.id, next), after, 'once more') }), ['GetItem'])
})

t.test('who may change to an address', async t => {
  const [taken, kept] = [address(), address()]
  await stored({ email: taken, formerAddresses: [open(kept)] })
  const others = (count: number, until = seconds + 3600) => Array.from({ length: count }, () => former(address(), { until }))
  for (const [what, account, email, outcome] of [
    ['an active account', {}, address(), 'changed'],
    ['a pending one', { status: 'PENDING_VERIFICATION' }, address(), undefined],
    ['a suspended one', { status: 'SUSPENDED' }, address(), undefined],
    ['a session that has ended', { sessions: { since: 6 } }, address(), undefined],
    ['to the address of another account', {}, taken, 'taken'],
    ['to an address that another account can have back', {}, kept, 'taken'],
    ['with four changes that can be undone', { formerAddresses: others(4) }, address(), 'changed'],
    ['with five changes that can be undone', { formerAddresses: others(5) }, address(), 'exhausted'],
    ['with five changes that could be undone', { formerAddresses: others(5, seconds) }, address(), 'changed']
  ] as [string, Partial<StoredUser>, string, string | undefined][]) {
    const { id } = await stored(account)
    const answer = await change(id, email)
    t.equal(typeof answer === 'object' ? answer.email : answer, outcome === 'changed' ? email : outcome, what)
    t.equal((await users.getFresh(id))!.version, outcome === 'changed' ? 6 : 5)
  }
  t.equal(await change(newId(), address()), undefined)
})

t.test('who returns to a former address has undone the change from it and every later one', async t => {
  const formerAddresses = Array.from({ length: 5 }, () => open(address()))
  const { id, email } = await stored({ formerAddresses })
  const back = formerAddresses[2]!.email
  t.match(await change(id, back), { email: back, version: 6 })
  t.strictSame(await formerOf(id), formerAddresses.slice(0, 2))
  t.notOk('undo' in (await entriesOf(id))[0]!.data)
  for (const given of [email, ...formerAddresses.slice(3).map(({ email }) => email)]) t.equal(await ownerOf(given), undefined)
})

t.test('a pending account with the address gives way, and an address whose account is gone is free', async t => {
  const pending = await stored({ status: 'PENDING_VERIFICATION', expiresAt: seconds + 1000 })
  const { id } = await stored()
  t.match(await change(id, pending.email), { email: pending.email })
  t.equal(await users.getFresh(pending.id), undefined)
  t.match(await entriesOf(pending.id), [{ type: 'user.deleted', correlationId: 'corr' }])
  t.strictSame((await entriesOf(pending.id))[0]!.data, { userId: pending.id, userVersion: 6, email: pending.email })
  t.equal(await ownerOf(pending.email), id)
})

t.test('what an address of ADMIN_EMAILS gives, and what an undo takes back', async t => {
  for (const role of ['user', 'admin'] as const) {
    const user = await stored({ role })
    t.match(await change(user.id, CHIEF), { role: 'admin' })
    const [given] = (await formerOf(user.id))!
    t.equal(given!.madeAdmin, role === 'user' ? true : undefined)
    t.match(await entriesOf(user.id), [{ data: { changed: role === 'user' ? ['email', 'role'] : ['email'] } }])
    t.match(await users.restoreEmail(user.id, given!.challengeId, 'c'), { email: user.email, role })
    t.notOk('madeAdmin' in (await itemAt(user.id))!)
  }
  const user = await stored()
  await change(user.id, address())
  t.notOk('madeAdmin' in (await formerOf(user.id))![0]!)
})

t.test('an undo gives the address back, frees every later one, ends every session, and undoes what the changes gave', async t => {
  for (const [position, madeAdmin, role] of [[0, undefined, 'admin'], [1, undefined, 'admin'], [0, 1, 'user'], [1, 0, 'admin'], [1, 1, 'user'], [0, 0, 'user']] as const) {
    const formerAddresses = [0, 1].map(i => open(address(), i === madeAdmin ? { madeAdmin: true } : {}))
    const { id, email } = await stored({ role: 'admin', formerAddresses, sessions: { since: 2 } })
    const { email: back, challengeId } = formerAddresses[position]!
    t.match(await users.restoreEmail(id, challengeId, 'corr'), { email: back, role, version: 6 })
    t.strictSame(await formerOf(id) ?? [], formerAddresses.slice(0, position))
    t.strictSame((await itemAt(id))!['sessions'], { since: 6 })
    for (const given of [email, ...formerAddresses.slice(position + 1).map(({ email }) => email)]) t.equal(await ownerOf(given), undefined)
    const [entry] = await entriesOf(id)
    t.strictSame([entry!.type, entry!.correlationId, entry!.data], ['user.email-changed', 'corr', { user: await users.getFresh(id), changed: role === 'user' ? ['email', 'role'] : ['email'], previousEmail: email }])
  }
})

t.test('an undo takes the role back even where no admin is left, and only where the change gave it', async t => {
  await remove('admins')
  for (const madeAdmin of [true, undefined] as const) {
    const formerAddresses = [open(address(), madeAdmin === undefined ? {} : { madeAdmin })]
    const { id } = await stored({ role: 'admin', formerAddresses })
    t.match(await users.restoreEmail(id, formerAddresses[0]!.challengeId, 'c'), { role: madeAdmin === undefined ? 'admin' : 'user' })
  }
})

t.test('what cannot be undone', async t => {
  const [over, there] = [former(address(), { until: seconds }), open(address())]
  const { id } = await stored({ formerAddresses: [over, there] })
  for (const [userId, challengeId] of [[id, over.challengeId], [id, newId()], [newId(), there.challengeId]] as const) t.equal(await users.restoreEmail(userId, challengeId, 'c'), undefined)
  t.match(await users.getFresh(id), { version: 5 })
})

t.test('a change and an undo that another change overtakes are applied to what the account is then', async t => {
  const given = open(address())
  for (const act of [(id: string) => change(id, address()), (id: string) => users.restoreEmail(id, given.challengeId, 'c')]) {
    const { id } = await stored({ formerAddresses: [given] })
    const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: id }, id, { name: 'Ada King' }, 'c'))
    t.match(await act(id), { id, name: 'Ada King', version: 7 })
    t.ok(isOvertaken())
  }
})
