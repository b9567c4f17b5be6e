import t from 'tap'
import type { BatchResult, UsersEntry } from '../../../src/modules/users/contract.ts'
import { idFrom, newId } from '../../../src/shared/ids.ts'
import { adminOf } from '../../accounts.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, address, stored, entriesOf, before, callsOf } = await startUsers(t)
const users = usersAt(app, { now: new Date() })
const root = await adminOf(app)
const startedAt = new Date(Date.now() - 5000)
const operation = () => ({ id: newId(), startedAt })
const linesOf = async (id: string) => (await app.users.audit(root, id, {})).items
const invitation = (email = address()) => ({ email, name: 'Grace', locale: 'de' })
const taken = (index: number): BatchResult => ({ index, status: 409, code: 'USERS_EMAIL_TAKEN', detail: 'User already exists' })

t.test('each row of a batch gets what it would have got as a request of its own, in words', async t => {
  const [mine, theirs] = [address(), await stored()]
  const row = { email: mine, name: 'Grace' }
  const bad = (...details: string[]) => ({ status: 400, code: 'VALIDATION_FAILED', detail: details.join('; ') })
  const rows: [row: Record<string, unknown>, result: object][] = [
    [{}, bad('email is required', 'name is required')],
    [{ ...row, name: 5, locale: null }, bad('name must be a string', 'locale must be a string')],
    [{ ...row, role: 'admin', 'a/b': 1 }, bad('role is not a known property', 'a~1b is not a known property')],
    [{ email: 'x', name: 'y', locale: 'z' }, bad('email is not an e-mail address', 'name must have at least 2 visible characters, and no invisible ones', 'locale is not a language tag')],
    [{ ...row, email: theirs.email }, taken(4)],
    [row, { status: 201, id: String }],
    [{ ...row, email: mine.toUpperCase() }, taken(6)]
  ]
  users.counted.length = 0
  const results = await users.registerBatch(root, rows.map(([row]) => row), 'fr', operation(), 'corr')
  for (const [index, [, result]] of rows.entries()) t.match(results[index], { index, ...result })
  t.strictSame(results[0], { index: 0, ...rows[0]![1] })
  t.strictSame(results[4], taken(4))
  t.strictSame(results[6], taken(6))
  t.same(users.counted, ['UsersRegistered'])
  t.match(await users.findByEmail(mine), { id: results[5]!.id, name: 'Grace', locale: 'fr' })
})

t.test('what an account that an admin registers or invites is, and what is announced and noted of it, follows from the operation', async t => {
  for (const [action, invitedBy, act] of [
    ['register', undefined, async (asked: ReturnType<typeof invitation>, by: ReturnType<typeof operation>) => (await users.registerBatch(root, [asked], 'en', by, 'corr'))[0]!.id!],
    ['invite', root.userId, async (asked: ReturnType<typeof invitation>, by: ReturnType<typeof operation>) => (await users.invite(root, asked, by, 'corr')).id]
  ] as const) {
    const [asked, by] = [invitation(), operation()]
    users.counted.length = 0
    const id = await act(asked, by)
    const at = startedAt.toISOString()
    const user = (await users.getFresh(id))!
    t.strictSame(user, { ...asked, id, status: 'PENDING_VERIFICATION', role: 'user', createdAt: at, updatedAt: at, version: 1 })
    const [entry] = await entriesOf(id)
    t.strictSame(entry, { eventId: entry!.eventId, type: 'user.registered', subject: id, occurredAt: at, correlationId: 'corr', data: { user, welcome: true, ...(invitedBy === undefined ? {} : { invitedBy }) } })
    t.match(await linesOf(id), [{ at, actorId: root.userId, action, correlationId: 'corr' }])
    t.equal(await act(asked, by), id, 'its repetition')
    t.equal((await entriesOf(id)).length, 1)
    t.equal((await linesOf(id)).length, 1)
    t.same(users.counted, ['UsersRegistered'])
    const ids = [id, entry!.eventId, (await linesOf(id))[0]!.id]
    t.equal(new Set(ids).size, 3)
    await users.verify({ userId: id, challengeId: 'x', isOf: () => true }, 'c')
    t.equal(await act(asked, by), id, 'its repetition when the address is proved')
    await users.remove({ userId: id }, id, 'c')
    t.equal(await act(asked, by), id, 'its repetition when the account is gone')
    t.equal(await users.findByEmail(asked.email), undefined)
    t.same(users.counted, ['UsersRegistered', 'UsersVerified', 'UsersDeleted'])
    for (const one of ids) t.ok(['user 0', 'event 0', 'line 0'].some(part => idFrom(by.id, part) === one), 'a later version of the service must find it')
  }
})

t.test('a batch of no rows has no results', async t => {
  t.strictSame(await users.registerBatch(root, [], 'en', operation(), 'c'), [])
})

t.test('the rows of a batch have ids of their own', async t => {
  const results = await users.registerBatch(root, [invitation(), invitation()], 'en', operation(), 'c')
  const made: string[] = []
  for (const { id } of results) made.push(id!, (await entriesOf(id!))[0]!.eventId, (await linesOf(id!))[0]!.id)
  t.equal(new Set(made).size, 6)
})

t.test('only an admin registers and invites, and learns nothing about an address otherwise', async t => {
  const [user, suspended] = [await stored(), await stored({ role: 'admin', status: 'SUSPENDED' })]
  for (const [actor, code] of [
    [{ userId: user.id }, 'FORBIDDEN'],
    [{ userId: suspended.id }, 'AUTH_TOKEN_INVALID'],
    [{ userId: newId() }, 'AUTH_TOKEN_INVALID'],
    [{ ...root, email: 'before@example.com' }, 'AUTH_TOKEN_INVALID']
  ] as const) {
    t.same(await callsOf(async () => {
      await t.rejects(users.registerBatch(actor, [invitation(user.email)], 'en', operation(), 'c'), { code })
      await t.rejects(users.invite(actor, invitation(user.email), operation(), 'c'), { code })
    }), ['GetItem', 'GetItem'])
  }
  await t.rejects(users.invite(root, invitation('x'), operation(), 'c'), { code: 'VALIDATION_FAILED' })
})

t.test('a fault is no refusal of a row', async t => {
  await t.rejects(users.registerBatch(root, [invitation()], 'en', { id: newId(), startedAt: new Date(NaN) }, 'c'), RangeError)
})

t.test('an account that waits for its proof is invited again: its owner hears of it, and it stays as it was', async t => {
  const [asked, by, admin] = [invitation(), operation(), await adminOf(app)]
  const { id } = await users.invite(root, asked, operation(), 'c')
  users.counted.length = 0
  t.strictSame(await users.invite(admin, { ...asked, name: 'Someone' }, by, 'corr'), { id })
  t.strictSame(await users.invite(admin, { ...asked, name: 'Someone' }, by, 'corr'), { id })
  t.same(users.counted, [])
  const again = (await entriesOf(id)).filter(({ type }) => type === 'user.invited') as UsersEntry[]
  t.strictSame(again, [{ eventId: idFrom(by.id, 'event 0'), type: 'user.invited', subject: id, occurredAt: startedAt.toISOString(), correlationId: 'corr', data: { invitedBy: admin.userId } }])
  t.match(await users.getFresh(id), { name: 'Grace', version: 1 })
  t.same((await linesOf(id)).map(({ actorId, action }) => [actorId, action]).sort(), [[root.userId, 'invite'], [admin.userId, 'invite']].sort())
})

t.test('an invitation that meets another request finds the account as it is then', async t => {
  const asked = invitation()
  const meets = async (act: () => Promise<unknown>) => {
    const hasMet = before('TransactWriteItemsCommand', act)
    const invited = await users.invite(root, asked, operation(), 'c').catch((error: Error) => error)
    t.ok(hasMet())
    return invited
  }
  const invitations = async (id: string) => (await entriesOf(id)).filter(({ type }) => type === 'user.invited').length

  const invited = await meets(() => users.register({ email: asked.email, name: 'Faster' }, 'c'))
  const { id } = (await users.findByEmail(asked.email))!
  t.strictSame(invited, { id })
  t.equal(await invitations(id), 1)
  t.strictSame(await meets(() => users.update({ userId: id }, id, { name: 'Grace Hopper' }, 'c')), { id })
  t.equal(await invitations(id), 2)
  t.match(await meets(() => users.verify({ userId: id, challengeId: 'x', isOf: () => true }, 'c')), { code: 'USERS_EMAIL_TAKEN' })
  t.equal(await invitations(id), 2)
})
