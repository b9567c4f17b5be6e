import t from 'tap'
import type { Actor, UserPatch, UsersEntry } from '../../../src/modules/users/contract.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'
import { adminOf } from '../../accounts.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, stored, address, itemAt, entriesOf, former, before, callsOf } = await startUsers(t)
const users = usersAt(app, { now: new Date() }, { adminEmails: ['chief@example.com', 'chief-2@example.com', 'chief-3@example.com'] })
const since = new Date().toISOString()
const MARK = { mail: { status: 'bounced', since } } as const
const PENDING = { status: 'PENDING_VERIFICATION', expiresAt: Math.floor(Date.now() / 1000) + 1000 } as const
const verify = async ({ id }: { id: string }, isOf = (_: string) => true) => await users.verify({ userId: id, challengeId: 'x', isOf }, 'corr')

/** What an entry says besides the account. */
const saidOf = ({ user, ...rest }: UsersEntry['data'] & { user?: unknown }) => rest

const PROOFS: [what: string, account: Partial<StoredUser>, calls: string[], after: Partial<StoredUser>, entry: object | undefined][] = [
  ['the first one makes a pending account active', PENDING, ['GetItem', 'GetItem', 'TransactWriteItems 3'], { status: 'ACTIVE' }, { type: 'user.verified' }],
  ['the first one says that mails arrive again', { ...PENDING, ...MARK }, ['GetItem', 'GetItem', 'TransactWriteItems 3'], { status: 'ACTIVE' }, { type: 'user.verified', readmits: true }],
  ['the first one of an address of ADMIN_EMAILS makes an admin', { ...PENDING, email: 'chief@example.com' }, ['GetItem', 'GetItem', 'TransactWriteItems 4'], { status: 'ACTIVE', role: 'admin' }, { type: 'user.verified' }],
  ['a later one changes nothing', {}, ['GetItem'], {}, undefined],
  ['a later one removes the mark that mails do not arrive', MARK, ['GetItem', 'TransactWriteItems 2'], {}, { type: 'user.updated', changed: ['mail'] }],
  ['a later one of an address of ADMIN_EMAILS makes an admin', { email: 'chief-2@example.com' }, ['GetItem', 'TransactWriteItems 3'], { role: 'admin' }, { type: 'user.updated', changed: ['role'] }],
  ['a later one can do both', { email: 'chief-3@example.com', ...MARK }, ['GetItem', 'TransactWriteItems 3'], { role: 'admin' }, { type: 'user.updated', changed: ['role', 'mail'] }],
  ['one of a suspended account lets it be suspended', { status: 'SUSPENDED' }, ['GetItem'], {}, undefined]
]
for (const [what, account, calls, after, entry] of PROOFS) {
  t.test(`proof of an address: ${what}`, async t => {
    const user = await stored(account)
    users.counted.length = 0
    t.same(await callsOf(async () => {
      const { mail, expiresAt, ...rest } = user
      t.strictSame({ ...await verify(user), updatedAt: user.updatedAt }, { ...rest, ...after, version: entry === undefined ? 5 : 6 })
    }), calls)
    t.same((await entriesOf(user.id)).map(({ type, correlationId, data }) => ({ type, correlationId, ...saidOf(data) })), entry === undefined ? [] : [{ correlationId: 'corr', ...entry }])
    t.same(users.counted, after.status === 'ACTIVE' ? ['UsersVerified'] : [])
  })
}

t.test('a proof of another address proves nothing', async t => {
  const { id, email } = await stored(PENDING)
  t.equal(await verify({ id }, of => of !== email), undefined)
  t.match(await users.getFresh(id), { status: 'PENDING_VERIFICATION', version: 5 })
  t.equal(await verify({ id: newId() }), undefined)
})

t.test('a proof that another change overtakes is applied to what the account is then, and counted once', async t => {
  const user = await stored(PENDING)
  users.counted.length = 0
  const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: user.id }, user.id, { name: 'Ada King' }, 'c'))
  t.match(await verify(user), { status: 'ACTIVE', name: 'Ada King', version: 7 })
  t.ok(isOvertaken())
  t.same(users.counted, ['UsersVerified'])
})

t.test('of the proposals of a pending account the one whose code was used is taken, and all are erased', async t => {
  const user = await stored(PENDING)
  for (const name of ['One', 'Two']) await users.repository.propose(user.id, `by-${name}`, { name, locale: 'de' }, Math.floor(Date.now() / 1000) + 600)
  t.match(await users.verify({ userId: user.id, challengeId: 'by-One', isOf: () => true }, 'c'), { name: 'One', locale: 'de', status: 'ACTIVE' })
  t.equal(await itemAt(`proposals#${user.id}`), undefined)
})

t.test('signing out everywhere ends the sessions before it, also when another change comes between', async t => {
  const { id } = await stored()
  const [earlier, later] = [newNumberedId(6), newNumberedId(7)]
  const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: id }, id, { name: 'Ada King' }, 'c'))
  const hasEnded = await users.endSessions({ userId: id }, 'corr')
  t.ok(isOvertaken())
  for (const [sid, ended] of [[earlier, true], [later, false]] as const) {
    t.equal(hasEnded(sid), ended)
    t.match(await users.ofSession(id, sid) ?? 'ended', ended ? 'ended' : { id, name: 'Ada King', version: 7 })
  }
  t.match((await entriesOf(id)).find(({ type }) => type === 'user.signed-out'), { correlationId: 'corr', data: { userVersion: 7 } })
  await t.rejects(users.endSessions({ userId: id, sid: earlier }, 'c'), { code: 'AUTH_TOKEN_INVALID' })
  t.equal(await users.ofSession(newId(), later), undefined)
})

t.test('who may read whom', async t => {
  const root = await stored({ role: 'admin' })
  const [ada, suspended] = [await stored(), await stored({ status: 'SUSPENDED' })]
  const [suspendedAdmin, pendingAdmin] = [await stored({ role: 'admin', status: 'SUSPENDED' }), await stored({ role: 'admin', sessions: { since: 5 } })]
  const [gone, oldSession] = [newId(), newNumberedId(4)]
  for (const [who, actor, id, outcome] of [
    ['a user themselves', { userId: ada.id, email: ada.email }, ada.id, undefined],
    ['a user whose token names another address', { userId: ada.id, email: 'before@example.com' }, ada.id, 'AUTH_TOKEN_INVALID'],
    ['a suspended user themselves', { userId: suspended.id }, suspended.id, 'AUTH_TOKEN_INVALID'],
    ['a user who is gone themselves', { userId: gone }, gone, 'AUTH_TOKEN_INVALID'],
    ['a user another one', { userId: ada.id }, suspended.id, 'USERS_NOT_FOUND'],
    ['an admin a suspended user', { userId: root.id, email: root.email }, suspended.id, undefined],
    ['an admin a user who is gone', { userId: root.id }, gone, 'USERS_NOT_FOUND'],
    ['a suspended admin', { userId: suspendedAdmin.id }, ada.id, 'AUTH_TOKEN_INVALID'],
    ['an admin whose session has ended', { userId: pendingAdmin.id, sid: oldSession }, ada.id, 'AUTH_TOKEN_INVALID']
  ] as [string, Actor, string, string | undefined][]) {
    if (outcome === undefined) t.match(await users.read(actor, id), { id }, who)
    else await t.rejects(users.read(actor, id), { code: outcome }, who)
  }
})

t.test('all who read a cached account share one profile, which none can change, and which has nothing of the table alone', async t => {
  const { id } = await stored({ formerAddresses: [former(address())], sessions: { since: 2 } })
  const read = () => users.read({ userId: id }, id)
  await read()
  const shown = await read()
  t.equal(await read(), shown)
  t.ok(Object.isFrozen(shown))
  t.same(Object.keys(shown).sort(), ['createdAt', 'email', 'id', 'locale', 'name', 'role', 'status', 'updatedAt', 'version'])
  for (const key of Object.keys((await users.getFresh(id))!)) t.ok(key in shown)
})

const root = await adminOf(app)
const SUSPENSION = { status: 'SUSPENDED' } as const
const CHANGES: [what: string, account: Partial<StoredUser>, isByAdmin: boolean, patch: UserPatch, outcome: string | { type: string, changed: string[] } | undefined, since?: number][] = [
  ['a field', {}, false, { name: 'Ada King' }, { type: 'user.updated', changed: ['name'] }],
  ['of two fields the one that is new', {}, false, { name: 'Ada', locale: 'de' }, { type: 'user.updated', changed: ['locale'] }],
  ['nothing', {}, false, { name: 'Ada', locale: 'en' }, undefined],
  ['nothing, by removing a mark that is not there', {}, false, { mail: null }, undefined],
  ['a name, which keeps the mark', MARK, false, { name: 'Ada King' }, { type: 'user.updated', changed: ['name'] }],
  ['the mark that mails do not arrive', MARK, false, { mail: null }, { type: 'user.updated', changed: ['mail'] }],
  ['the mark, and a field', MARK, false, { locale: 'de', mail: null }, { type: 'user.updated', changed: ['locale', 'mail'] }],
  ['the status of a user by themselves', {}, false, SUSPENSION, 'FORBIDDEN'],
  ['the role of a user by themselves', {}, false, { role: 'admin' }, 'FORBIDDEN'],
  ['a field of the admins as it is', {}, false, { name: 'Ada King', role: 'user' }, 'FORBIDDEN'],
  ['the role of an admin by themselves', { role: 'admin' }, false, { role: 'user' }, { type: 'user.updated', changed: ['role'] }],
  ['a suspension', {}, true, SUSPENSION, { type: 'user.suspended', changed: ['status'] }, 6],
  ['a suspension with a new role', {}, true, { ...SUSPENSION, role: 'admin' }, { type: 'user.suspended', changed: ['status', 'role'] }, 6],
  ['the end of a suspension', { status: 'SUSPENDED', sessions: { since: 3 } }, true, { status: 'ACTIVE' }, { type: 'user.updated', changed: ['status'] }, 3],
  ['the name of a suspended account', { status: 'SUSPENDED', sessions: { since: 3 } }, true, { ...SUSPENSION, name: 'Ada King' }, { type: 'user.updated', changed: ['name'] }, 3],
  ['the name of a pending account by an admin', PENDING, true, { name: 'Ada King' }, { type: 'user.updated', changed: ['name'] }]
]
for (const [what, account, isByAdmin, patch, outcome, endedBefore] of CHANGES) {
  t.test(`a change: ${what}`, async t => {
    const user = await stored(account)
    const update = () => users.update(isByAdmin ? root : { userId: user.id, email: user.email }, user.id, patch, 'corr')
    if (typeof outcome === 'string') {
      await t.rejects(update(), { code: outcome })
    } else {
      const { expiresAt, sessions, mail, ...rest } = user
      const kept = mail === undefined || patch.mail === null ? {} : { mail }
      const { mail: _, ...fields } = patch
      const after = await update()
      t.strictSame({ ...after, updatedAt: user.updatedAt }, { ...rest, ...kept, ...fields, version: outcome === undefined ? 5 : 6 })
      const { expiresAt: expiry, sessions: ended } = (await itemAt(user.id))!
      t.equal(expiry, expiresAt)
      t.same(ended, endedBefore === undefined ? undefined : { since: endedBefore })
    }
    t.same((await entriesOf(user.id)).map(({ type, correlationId, data }) => ({ type, correlationId, ...saidOf(data) })), typeof outcome === 'object' ? [{ correlationId: 'corr', ...outcome }] : [])
  })
}

t.test('no change or deletion of an account that is gone, by nobody who may not, or of a version that was not expected', async t => {
  const [ada, eve] = [await stored(), await stored()]
  for (const [actor, id, isExpected, code] of [
    [root, newId(), () => true, 'USERS_NOT_FOUND'],
    [{ userId: eve.id }, ada.id, () => true, 'USERS_NOT_FOUND'],
    [{ userId: newId() }, ada.id, () => true, 'AUTH_TOKEN_INVALID'],
    [{ userId: ada.id, email: eve.email }, ada.id, () => true, 'AUTH_TOKEN_INVALID'],
    [root, ada.id, ({ version }: { version: number }) => version !== 5, 'PRECONDITION_FAILED'],
    [{ userId: ada.id }, ada.id, (present: object) => 'sessions' in present, 'PRECONDITION_FAILED']
  ] as const) {
    await t.rejects(users.update(actor, id, { name: 'Ada King' }, 'c', isExpected), { code })
    await t.rejects(users.remove(actor, id, 'c', isExpected), { code })
  }
  t.match(await users.getFresh(ada.id), { name: 'Ada', version: 5 })
  t.same(await entriesOf(ada.id), [])
  await t.rejects(users.exportOf({ userId: ada.id, email: eve.email }), { code: 'AUTH_TOKEN_INVALID' })
  t.match(await users.exportOf({ userId: ada.id }), { account: { id: ada.id } })
})

t.test('a deletion frees every address of the account, tells other modules of them, and is counted once', async t => {
  const [email, open, closed] = [address(), address(), address()]
  for (const formerAddresses of [undefined, [former(closed, { until: Math.floor(Date.now() / 1000) - 10 }), former(open)]]) {
    const { id } = await stored({ email, ...(formerAddresses === undefined ? {} : { formerAddresses }) })
    users.counted.length = 0
    const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: id }, id, { name: 'Ada King' }, 'c'))
    await users.remove({ userId: id }, id, 'corr')
    t.ok(isOvertaken())
    const entry = (await entriesOf(id)).find(({ type }) => type === 'user.deleted')!
    t.equal(entry.correlationId, 'corr')
    t.strictSame(entry.data, { userId: id, userVersion: 7, email, ...(formerAddresses === undefined ? {} : { formerEmails: [open] }) })
    t.same(users.counted, ['UsersDeleted'])
    t.equal(await users.getFresh(id), undefined)
    t.equal(await users.findByEmail(email), undefined)
  }
})
