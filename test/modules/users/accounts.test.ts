import t from 'tap'
import { createAccounts } from '../../../src/modules/users/accounts.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { newId } from '../../../src/shared/ids.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, stored, former, address, callsOf } = await startUsers(t)
const clock = { now: new Date('2026-11-26T12:00:00.000Z') }
const seconds = clock.now.getTime() / 1000
const users = usersAt(app, clock)
const accounts = createAccounts({ repository: users.repository, cache: app.cache, now: () => clock.now })

t.test('an account is read from the table, or once and then from the cache; what is no id is not looked for', async t => {
  const { id } = await stored()
  const { getCached, getFresh } = accounts
  for (const [read, calls] of [[getFresh, ['GetItem']], [getFresh, ['GetItem']], [getCached, ['GetItem']], [getCached, []]] as const) {
    t.same(await callsOf(async () => { t.match(await read(id), { id }) }), calls)
  }
  for (const read of [getFresh, getCached]) {
    t.same(await callsOf(async () => { t.equal(await read('admins'), undefined) }), [])
    t.same(await callsOf(async () => { t.equal(await read(newId()), undefined) }), ['GetItem'])
  }
})

t.test('an account in the cache counts only under its own id', async t => {
  const [ada, eve] = [await stored(), await stored()]
  await app.cache.write(`user:${ada.id}`, eve)
  t.match(await accounts.getCached(ada.id), { id: ada.id })
  await app.cache.write(`user:${eve.id}`, { ...eve, role: 'root' } as never)
  t.match(await accounts.getCached(eve.id), { role: 'user' })
})

t.test('an account that was never confirmed ends in the cache when its time has come', async t => {
  const { id } = await stored({ status: 'PENDING_VERIFICATION', expiresAt: seconds + 10 })
  for (const [second, isThere] of [[0, true], [9, true], [10, false], [11, false]] as const) {
    clock.now = new Date((seconds + second) * 1000)
    t.equal((await accounts.getCached(id))?.id, isThere ? id : undefined, String(second))
  }
  clock.now = new Date(seconds * 1000)
})

t.test('the next version of an account', async t => {
  const [over, open] = [former(address(), { until: seconds }), former(address(), { until: seconds + 1 })]
  const { createdAt, updatedAt, ...ada } = await stored()
  const pending = { status: 'PENDING_VERIFICATION', expiresAt: seconds + 10 } as const
  for (const [before, changes, after] of [
    [{}, { name: 'Ada King' }, { name: 'Ada King' }],
    [pending, { name: 'Ada King' }, { name: 'Ada King', ...pending }],
    [pending, { status: 'ACTIVE' }, { status: 'ACTIVE' }],
    [{ status: 'PENDING_VERIFICATION' }, {}, { status: 'PENDING_VERIFICATION' }],
    [{ formerAddresses: [over, open] }, {}, { formerAddresses: [open] }],
    [{ formerAddresses: [over] }, {}, {}],
    [{ formerAddresses: [open] }, { formerAddresses: [] }, {}],
    [{}, { formerAddresses: [open] }, { formerAddresses: [open] }]
  ] as [Partial<StoredUser>, Partial<StoredUser>, Partial<StoredUser>][]) {
    t.strictSame(accounts.nextVersion({ ...ada, createdAt, updatedAt, ...before }, changes), { ...ada, createdAt, ...after, updatedAt: clock.now.toISOString(), version: 6 })
  }
})

t.test('a change is in the cache at once, and what has made way or was deleted is not', async t => {
  const [ada, pending] = [await stored(), await stored({ status: 'PENDING_VERIFICATION', expiresAt: seconds + 1000 })]
  for (const { id } of [ada, pending]) await accounts.getCached(id)
  t.match(await users.changeEmail({ userId: ada.id, email: pending.email, sid: newId() }, 'c'), { email: pending.email })
  t.equal(await accounts.getCached(pending.id), undefined)
  t.same(await callsOf(async () => { t.match(await accounts.getCached(ada.id), { email: pending.email, version: 6 }) }), [])
  await users.remove({ userId: ada.id }, ada.id, 'c')
  t.equal(await accounts.getCached(ada.id), undefined)
})

t.test('what another change has overtaken is not written, neither to the table nor to the cache', async t => {
  const ada = await stored()
  await users.update({ userId: ada.id }, ada.id, { name: 'Ada King' }, 'c')
  const next = accounts.nextVersion(ada, { name: 'Ada Late' })
  const entry = { eventId: newId(), subject: ada.id, occurredAt: clock.now.toISOString(), correlationId: 'c' }
  t.equal(await accounts.save(ada, next, { ...entry, type: 'user.updated', data: { user: ada, changed: ['name'] } }), undefined)
  t.equal(await accounts.remove(ada, { ...entry, type: 'user.deleted', data: { userId: ada.id, userVersion: 6, email: ada.email } }, { adminId: undefined }), false)
  for (const read of [accounts.getFresh, accounts.getCached]) t.match(await read(ada.id), { name: 'Ada King', version: 6 })
})
