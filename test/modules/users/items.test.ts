import t from 'tap'
import { auditItem, auditLineIn, claimItem, claimsOf, isActiveAdmin, isLive, userIn, userItem } from '../../../src/modules/users/items.ts'
import type { AuditLine, StoredUser } from '../../../src/modules/users/schemas.ts'
import { nameless } from '../../../src/shared/erasure.ts'

const ID = '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'
const AT = '2026-11-22T12:00:00.000Z'
const SECONDS = Date.parse(AT) / 1000
const ada: StoredUser = { id: ID, email: 'ada@example.com', name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: AT, updatedAt: AT, version: 1 }

t.test('an account is in the list of its month, and in that of its status when it is not active', async t => {
  const { id: userId, ...rest } = ada
  const listed = { ...rest, userId, kind: 'user', list: 'users#2026-11', listedAt: `${AT}#${ID}` }
  t.strictSame(userItem(ada), listed)
  t.strictSame(userItem({ ...ada, avatarUrl: 'https://users.example.com/avatars/x' }), listed, 'the URL of a picture is not stored')
  for (const status of ['SUSPENDED', 'PENDING_VERIFICATION'] as const) t.strictSame(userItem({ ...ada, status }), { ...listed, status, listStatus: `${status}#2026-11` })
})

t.test('an account is read as it was written, and what is not one is refused', async t => {
  t.strictSame(userIn(userItem(ada), 'https://users.example.com'), ada)
  t.strictSame(userIn({ ...userItem({ ...ada, status: 'SUSPENDED' }), lastEventId: 'x' }, ''), { ...ada, status: 'SUSPENDED' })
  t.equal(userIn({ ...userItem(ada), avatar: { path: '/avatars/x', order: 1 } }, 'https://users.example.com')?.avatarUrl, 'https://users.example.com/avatars/x')
  for (const item of [undefined, {}, claimItem('ada@example.com', ID, undefined)]) t.equal(userIn(item, ''), undefined)
  for (const wrong of [{ status: 'GONE' }, { role: 'root' }, { version: 0 }, { email: 'no address' }, { extra: true }, { name: undefined }, { avatar: { order: 1, url: 'x' } }]) {
    t.throws(() => userIn({ ...userItem(ada), ...wrong }, ''), { message: 'A record of the users table is not a valid user' }, JSON.stringify(wrong))
  }
})

t.test('an item is gone in the second in which it expires', async t => {
  for (const [expiresAt, live] of [[undefined, true], [SECONDS + 1, true], [SECONDS, false], [SECONDS - 1, false]] as const) {
    t.equal(isLive(expiresAt === undefined ? {} : { expiresAt }, SECONDS), live, String(expiresAt))
  }
})

t.test('the claim of a pending account expires with it, and that of another one never', async t => {
  const claim = { userId: 'email#ada@example.com', kind: 'claim', ownerId: ID }
  t.strictSame(claimItem('ada@example.com', ID, undefined), claim)
  t.strictSame(claimItem('ada@example.com', ID, SECONDS), { ...claim, expiresAt: SECONDS })
})

t.test('an account claims its address, and those it had until their time is over', async t => {
  const former = (email: string, until: number) => ({ email, until, challengeId: 'c' })
  t.strictSame([...claimsOf(ada, SECONDS)], [['ada@example.com', undefined]])
  t.strictSame([...claimsOf({ ...ada, expiresAt: SECONDS + 5 }, SECONDS)], [['ada@example.com', SECONDS + 5]])
  const moved = { ...ada, formerAddresses: [former('over@example.com', SECONDS - 1), former('now@example.com', SECONDS), former('open@example.com', SECONDS + 1)] }
  t.strictSame([...claimsOf(moved, SECONDS)], [['open@example.com', SECONDS + 1], ['ada@example.com', undefined]])
})

t.test('an audit line names the account by a hash only, and is kept for 400 days', async t => {
  const line: AuditLine = { id: '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60', at: AT, actorId: ID, action: 'update', correlationId: 'c', changed: ['role'], role: 'admin' }
  const { id, ...rest } = line
  t.strictSame(auditItem(line, ID), { ...rest, userId: `audit#${id}`, kind: 'audit', list: `audit#${nameless(ID)}`, listedAt: `${AT}#${id}`, expiresAt: SECONDS + 400 * 86_400 })
  t.strictSame(auditLineIn(auditItem(line, ID)), line)
  for (const wrong of [{ action: 'read' }, { actorId: 'x' }, { extra: true }]) {
    t.throws(() => auditLineIn({ ...auditItem(line, ID), ...wrong }), { message: 'A record of the users table is not a valid audit line' }, JSON.stringify(wrong))
  }
})

t.test('only an admin who is active is one of those of whom one must remain', async t => {
  for (const [user, is] of [[undefined, false], [ada, false], [{ ...ada, role: 'admin' }, true], [{ ...ada, role: 'admin', status: 'SUSPENDED' }, false]] as const) t.equal(isActiveAdmin(user), is)
})
