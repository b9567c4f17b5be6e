import t from 'tap'
import type { Enrolment } from '../../../src/modules/users/enrolment-repository.ts'
import { newAccount } from '../../../src/modules/users/registration.ts'
import { newId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { adminOf } from '../../accounts.ts'
import { intercept } from '../../faults.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, address, stored, itemAt, ownerOf, before, remove, callsOf } = await startUsers(t)
const now = new Date('2026-11-26T12:00:00.600Z')
const seconds = Math.floor(now.getTime() / 1000)
const { enrolments } = usersAt(app, { now })
const { userId: root } = await adminOf(app)

function enrolment (email = address(), adminId = root): Enrolment {
  const user = newAccount({ id: newId(), email, name: 'Grace', locale: 'en' }, now)
  return {
    user,
    entry: outboxEntry('user.registered', { subject: user.id, correlationId: 'c', now, data: { user, welcome: true } }),
    line: { id: newId(), at: now.toISOString(), actorId: adminId, action: 'register', correlationId: 'c' }
  }
}
const several = (count: number) => Array.from({ length: count }, () => enrolment())
/** What is there of an account: itself, its claim, its entry and its audit line. */
async function traceOf ({ user, entry, line }: Enrolment): Promise<boolean[]> {
  const traces = [user.id, `email#${user.email}`, `outbox#${entry.eventId}`, `audit#${line.id}`]
  return await Promise.all(traces.map(async trace => await itemAt(trace) !== undefined))
}
const ALL = [true, true, true, true]
const NONE = [false, false, false, false]

t.test('accounts are written 24 to a transaction, with the check of the admin', async t => {
  for (const [count, calls] of [
    [0, []],
    [1, ['TransactWriteItems 5']],
    [24, ['TransactWriteItems 97']],
    [25, ['TransactWriteItems 97', 'TransactWriteItems 5']]
  ] as const) {
    const some = several(count)
    t.same(await callsOf(async () => { t.same(await enrolments.enrol(some, root), Array<string>(count).fill('written')) }), calls)
    for (const one of [...some.slice(0, 1), ...some.slice(-1)]) t.same(await traceOf(one), ALL)
  }
})

t.test('of a transaction that is refused each account has its own outcome, and the others are written in a second one', async t => {
  const owner = await stored()
  const [first, taken, repeated, last] = [enrolment(), enrolment(owner.email), enrolment(), enrolment()]
  await enrolments.enrol([repeated], root)
  const all = [first, taken, repeated, last]
  t.same(await callsOf(async () => { t.same(await enrolments.enrol(all, root), ['written', 'taken', 'repeated', 'written']) }), ['TransactWriteItems 17', 'TransactWriteItems 9'])
  for (const one of [first, repeated, last]) t.same(await traceOf(one), ALL)
  t.same(await traceOf(taken), [false, true, false, false])
  t.equal(await ownerOf(owner.email), owner.id)
  t.same(await callsOf(async () => { t.same(await enrolments.enrol([taken, repeated], root), ['taken', 'repeated']) }), ['TransactWriteItems 9'], 'when none is left there is no second one')
})

t.test('a repetition is known by what its first attempt has left', async t => {
  const [proved, erased, another] = [enrolment(), enrolment(), enrolment()]
  await enrolments.enrol([proved, erased, another], root)
  const users = usersAt(app, { now })
  await users.verify({ userId: proved.user.id, challengeId: 'x', isOf: () => true }, 'c')
  await users.remove({ userId: erased.user.id }, erased.user.id, 'c')
  await users.register({ email: erased.user.email, name: 'Somebody' }, 'c')
  t.same(await enrolments.enrol([proved, erased, another], root), ['repeated', 'repeated', 'repeated'])
  t.equal(await itemAt(erased.user.id), undefined)
  // What is left of it may be the account and its claim, the account alone at another address, or the claim alone.
  const [both, alone, claim] = [enrolment(), enrolment(), enrolment()]
  await stored({ id: both.user.id, email: both.user.email })
  await stored({ id: alone.user.id })
  await stored({ id: claim.user.id, email: claim.user.email })
  await remove(claim.user.id)
  t.same(await enrolments.enrol([both, alone, claim], root), ['repeated', 'repeated', 'repeated'])
})

t.test('the address of an account that was never confirmed can be had from the second at which it expires', async t => {
  for (const [expiresAt, outcome] of [[seconds - 1, 'written'], [seconds, 'written'], [seconds + 1, 'taken']] as const) {
    const pending = await stored({ status: 'PENDING_VERIFICATION', expiresAt })
    const one = enrolment(pending.email)
    t.same(await enrolments.enrol([one], root), [outcome])
    t.equal(await ownerOf(pending.email), outcome === 'written' ? one.user.id : pending.id)
  }
})

t.test('who is no active admin when it is written registers and invites no one', async t => {
  const [user, suspended] = [await stored(), await stored({ role: 'admin', status: 'SUSPENDED' })]
  const pending = enrolment()
  await enrolments.enrol([pending], root)
  for (const adminId of [user.id, suspended.id, newId()]) {
    const one = enrolment(address(), adminId)
    await t.rejects(enrolments.enrol([one, enrolment(user.email)], adminId), { code: 'FORBIDDEN' })
    t.same(await traceOf(one), NONE)
    const again = { ...enrolment(), user: pending.user }
    t.equal(await enrolments.inviteAgain(again, adminId), 'refused')
    t.equal(await itemAt(`outbox#${again.entry.eventId}`), undefined)
  }
})

t.test('an invitation that is repeated is written once, and only for the account as it was read', async t => {
  const pending = enrolment()
  await enrolments.enrol([pending], root)
  const again = { ...enrolment(), user: pending.user }
  t.same(await callsOf(async () => { t.equal(await enrolments.inviteAgain(again, root), 'written') }), ['TransactWriteItems 4'])
  t.same((await traceOf(again)).slice(2), [true, true])
  t.equal(await enrolments.inviteAgain(again, root), 'repeated')
  t.equal(await enrolments.inviteAgain({ ...again, user: { ...again.user, version: 2 } }, root), 'repeated', 'whatever has become of the account')
  const late = { ...enrolment(), user: { ...pending.user, version: 2 } }
  t.equal(await enrolments.inviteAgain(late, root), 'refused')
  t.same((await traceOf(late)).slice(2), [false, false])
})

t.test('a refusal that names no account is no outcome', async t => {
  const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async () => {
    throw Object.assign(new Error('refused'), { name: 'ConditionalCheckFailedException', $metadata: {} })
  })
  t.teardown(stop)
  await t.rejects(enrolments.enrol(several(2), root), { code: 'DEPENDENCY_UNAVAILABLE' })
})

t.test('an address that is taken between two transactions is taken', async t => {
  const [owner, late] = [await stored(), enrolment()]
  // The first transaction is refused for one address, the second one for another.
  let n = 0
  const isTaken = before('TransactWriteItemsCommand', () => stored({ email: late.user.email }), () => ++n === 2)
  t.same(await enrolments.enrol([enrolment(), enrolment(owner.email), late, enrolment()], root), ['written', 'taken', 'taken', 'written'])
  t.ok(isTaken())
})
