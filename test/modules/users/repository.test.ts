import { randomUUID } from 'node:crypto'
import t from 'tap'
import { claimItem, userItem } from '../../../src/modules/users/items.ts'
import { expiryOf } from '../../../src/modules/users/repository.ts'
import { nameless } from '../../../src/shared/erasure.ts'
import { idFrom } from '../../../src/shared/ids.ts'
import { loseOneAnswer, staleReads } from '../../faults.ts'
import { NOW, SECOND, startRepository } from './repository-support.ts'

const { app, repository, itemAt, put, newUser, stored, entryOf, isAnnounced, setAdmins, admins } = await startRepository(t)
const registered = (user: ReturnType<typeof newUser>) => entryOf('user.registered', user, { user, welcome: true })
const deleted = (user: ReturnType<typeof newUser>) => entryOf('user.deleted', user, { userId: user.id, userVersion: user.version + 1, email: user.email })
const OWN = { adminId: undefined }

t.test('a new account is stored with its claim and its announcement, all or nothing', async t => {
  for (const expiresAt of [SECOND + 60, undefined]) {
    for (const hasNewId of [true, false]) {
      const user = newUser(expiresAt === undefined ? {} : { status: 'PENDING_VERIFICATION', expiresAt })
      const entry = registered(user)
      t.equal(await repository.create(user, entry, { hasNewId }), 'written')
      t.same(await itemAt(user.id), userItem(user))
      t.same(await itemAt(`email#${user.email}`), claimItem(user.email, user.id, expiresAt))
      t.ok(await isAnnounced(entry))
      t.same([await repository.get(user.id), await repository.ownerOf(user.email)], [user, user.id])
      const again = registered(user)
      t.equal(await repository.create(user, again, { hasNewId }), 'repeated')
      t.notOk(await isAnnounced(again))
    }
  }
  const user = newUser()
  const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  t.equal(await repository.create(user, registered(user), { hasNewId: true }), 'repeated')
  fault.stop()
  t.ok(fault.wasLost())
})

t.test('an address has one account, and is free in the second in which its claim expires', async t => {
  for (const [expiresAt, outcome] of [[undefined, 'refused'], [SECOND + 1, 'refused'], [SECOND, 'written'], [SECOND - 1, 'written']] as const) {
    const [owner, user] = [randomUUID(), newUser()]
    await put(claimItem(user.email, owner, expiresAt))
    t.equal(await repository.ownerOf(user.email), outcome === 'refused' ? owner : undefined)
    const entry = registered(user)
    t.equal(await repository.create(user, entry, { hasNewId: true }), outcome, String(expiresAt))
    const isWritten = outcome === 'written'
    t.same([await repository.get(user.id) !== undefined, await isAnnounced(entry), await repository.ownerOf(user.email)], [isWritten, isWritten, isWritten ? user.id : owner])
  }
})

t.test('an id has one account, and none once it was erased', async t => {
  const user = await stored()
  const other = newUser({ id: user.id })
  t.equal(await repository.create(other, registered(other), { hasNewId: true }), 'refused')
  t.same([await repository.get(user.id), await repository.ownerOf(other.email)], [user, undefined])

  const gone = await stored()
  t.equal(await repository.remove(gone, deleted(gone), OWN), 'written')
  const late = newUser({ id: gone.id })
  t.equal(await repository.create(late, registered(late), { hasNewId: false }), 'refused')
  t.equal(await repository.get(gone.id), undefined)
  t.equal(await repository.create(late, registered(late), { hasNewId: true }), 'written', 'an id of this call is not looked up')
})

t.test('an account is read from the table itself, unless it has expired', async t => {
  const stale = staleReads(app.dynamodb)
  t.teardown(stale.stop)
  const id = randomUUID()
  const email = `${id}@example.com`
  t.same([await repository.get(id), await repository.ownerOf(email), await repository.proposalOf(id, 'c')], [undefined, undefined, { proposal: undefined, hasAny: false }])
  stale.freeze()
  const user = await stored({ id, email, avatar: { path: '/avatars/x', order: 1 } })
  await put({ userId: `proposals#${id}`, kind: 'proposals', c: { name: 'Ada', locale: 'en' }, expiresAt: SECOND + 1 })
  t.same(await repository.get(id), { ...user, avatarUrl: 'https://users.example.com/avatars/x' })
  t.equal(await repository.ownerOf(email), id)
  t.same(await repository.proposalOf(id, 'c'), { proposal: { name: 'Ada', locale: 'en' }, hasAny: true })
  stale.stop()

  for (const [expiresAt, isThere] of [[SECOND + 1, true], [SECOND, false]] as const) {
    const pending = await stored({ status: 'PENDING_VERIFICATION', expiresAt })
    t.same([await repository.get(pending.id), await repository.ownerOf(pending.email)], isThere ? [pending, pending.id] : [undefined, undefined])
  }
  await put({ userId: 'email#odd@example.com', kind: 'claim', ownerId: 7 })
  t.equal(await repository.ownerOf('odd@example.com'), undefined, 'a claim that names no id')
})

t.test('an erasure leaves a mark without a name for 45 days, and nothing else', async t => {
  const formerAddresses = [{ email: `open-${randomUUID()}@example.com`, until: SECOND + 1, challengeId: 'c' }]
  const user = await stored({ formerAddresses })
  await put({ userId: `proposals#${user.id}`, kind: 'proposals', expiresAt: SECOND + 60 })
  const entry = deleted(user)
  t.equal(await repository.remove(user, entry, OWN), 'written')
  for (const key of [user.id, `email#${user.email}`, `email#${formerAddresses[0]!.email}`, `proposals#${user.id}`]) t.equal(await itemAt(key), undefined, key)
  t.same(await itemAt(`erased#${nameless(user.id)}`), { userId: `erased#${nameless(user.id)}`, kind: 'erased', expiresAt: SECOND + 45 * 86_400 })
  t.ok(await isAnnounced(entry))

  const lost = await stored()
  const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  t.equal(await repository.remove(lost, deleted(lost), OWN), 'repeated')
  fault.stop()
  t.ok(fault.wasLost())
})

t.test('an erasure is refused when the account or one of its claims is another by now', async t => {
  const user = await stored()
  const entry = deleted(user)
  t.equal(await repository.remove({ ...user, version: user.version - 1 }, entry, OWN), 'refused')
  t.same([await repository.get(user.id), await isAnnounced(entry), await itemAt(`erased#${nameless(user.id)}`)], [user, false, undefined])
  const owner = randomUUID()
  await put(claimItem(user.email, owner, undefined))
  t.equal(await repository.remove(user, deleted(user), OWN), 'refused')
  t.same([await repository.get(user.id), await repository.ownerOf(user.email)], [user, owner])
})

t.test('who erases themselves leaves the set of admins, and another admin in it', async t => {
  const [ada, eve] = [await stored({ role: 'admin' }), await stored({ role: 'admin' })]
  await setAdmins(ada.id)
  await t.rejects(repository.remove(ada, deleted(ada), OWN), { code: 'USERS_LAST_ADMIN' })
  t.same(await repository.get(ada.id), ada)
  await setAdmins(ada.id, eve.id)
  t.equal(await repository.remove(ada, deleted(ada), OWN), 'written')
  t.same(await admins(), [eve.id])
  t.equal(await repository.remove(eve, deleted(eve), { adminId: undefined, mayLeaveNoAdmin: true }), 'written')
  t.same(await admins(), [])
})

t.test('what a registration proposes is kept for a pending account, by challenge, for as long as its code', async t => {
  const user = await stored({ status: 'PENDING_VERIFICATION', expiresAt: SECOND + 60 })
  const [one, two] = [{ name: 'Ada', locale: 'en' }, { name: 'Grace', locale: 'de' }]
  t.equal(await repository.propose(user.id, 'challenge-1', one, SECOND + 10), 'written')
  t.equal(await repository.propose(user.id, 'challenge-2', two, SECOND + 20), 'written')
  t.same(await itemAt(`proposals#${user.id}`), { userId: `proposals#${user.id}`, kind: 'proposals', 'challenge-1': one, 'challenge-2': two, expiresAt: SECOND + 20 })
  for (const [challenge, proposal] of [['challenge-1', one], ['challenge-2', two], ['challenge-3', undefined], ['kind', undefined]] as const) {
    t.same(await repository.proposalOf(user.id, challenge), { proposal, hasAny: true }, challenge)
  }
  await repository.propose(user.id, 'challenge-3', one, SECOND)
  t.same(await repository.proposalOf(user.id, 'challenge-3'), { proposal: undefined, hasAny: true }, 'over, but there')
  t.same(await repository.proposalOf(randomUUID(), 'challenge-1'), { proposal: undefined, hasAny: false })

  for (const { id } of [await stored(), await stored({ status: 'SUSPENDED' }), newUser()]) {
    t.equal(await repository.propose(id, 'challenge-1', one, SECOND + 10), 'refused')
    t.equal(await itemAt(`proposals#${id}`), undefined)
  }
})

t.test('the removal of an account that expired is announced as of the time of its expiry, each time by the same event', async t => {
  const user = newUser({ status: 'PENDING_VERIFICATION', expiresAt: SECOND })
  const eventId = idFrom(user.id, 'expired')
  t.strictSame(expiryOf(userItem(user)), {
    eventId, type: 'user.deleted', subject: user.id, occurredAt: NOW.replace('.500', '.000'), correlationId: eventId, data: { userId: user.id, userVersion: 5, email: user.email }
  })
  for (const item of [userItem(newUser()), { ...claimItem(user.email, user.id, SECOND) }, {}]) t.equal(expiryOf(item), undefined)
})
