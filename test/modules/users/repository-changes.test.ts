import { QueryCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { auditLineIn, auditList, claimItem, userItem } from '../../../src/modules/users/items.ts'
import type { By, Circumstances } from '../../../src/modules/users/repository.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { nameless } from '../../../src/shared/erasure.ts'
import { loseOneAnswer } from '../../faults.ts'
import { NOW, SECOND, startRepository } from './repository-support.ts'

const { app, repository, itemAt, put, newUser, stored, entryOf, isAnnounced, setAdmins, admins, writesOf } = await startRepository(t)
const OWN: By = { adminId: undefined }

const nextOf = ({ expiresAt, ...user }: StoredUser, changes: Partial<StoredUser>): StoredUser => ({ ...user, version: user.version + 1, ...changes })

/** Saves the next version of an account, as its events name the changes. */
async function save (previous: StoredUser, changes: Partial<StoredUser>, by = OWN, circumstances?: Circumstances) {
  const next = nextOf(previous, changes)
  const entry = entryOf('user.updated', next, { user: next, changed: Object.keys(changes) })
  return { next, entry, outcome: await repository.save(previous, next, entry, by, ...(circumstances === undefined ? [] : [circumstances])) }
}

const claims = async (...emails: string[]) => await Promise.all(emails.map(async email => {
  const item = await itemAt(`email#${email}`)
  return item === undefined ? undefined : [item['ownerId'], item['expiresAt']]
}))
async function auditOf ({ id }: StoredUser) {
  const { Items = [] } = await app.dynamodb.send(new QueryCommand({ TableName: app.config.USERS_TABLE, IndexName: 'list', KeyConditionExpression: '#list = :list', ExpressionAttributeNames: { '#list': 'list' }, ExpressionAttributeValues: { ':list': auditList(id) } }))
  return Items.map(auditLineIn)
}

t.test('a change replaces the version that was read, and is announced with it', async t => {
  const user = await stored()
  const { next, entry, outcome } = await save(user, { name: 'Ada King' })
  t.equal(outcome, 'written')
  t.same(await itemAt(user.id), { ...userItem(next), lastEventId: entry.eventId })
  t.ok(await isAnnounced(entry))
  const late = await save(user, { name: 'Too Late' })
  t.equal(late.outcome, 'refused')
  t.same([await repository.get(user.id), await isAnnounced(late.entry)], [next, false])
  t.equal((await save(newUser(), { name: 'Gone' })).outcome, 'refused')

  const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  t.equal((await save(next, { name: 'Ada Once' })).outcome, 'repeated')
  fault.stop()
  t.ok(fault.wasLost())
})

t.test('a change of the own account writes the account and its announcement, and nothing else', async t => {
  for (const changes of [{ status: 'ACTIVE' }, { status: 'ACTIVE', role: 'admin' }, { status: 'SUSPENDED', role: 'admin' }, { status: 'PENDING_VERIFICATION', expiresAt: SECOND + 60 }] as const) {
    const user = await stored(changes)
    let eventId = ''
    const writes = await writesOf(async () => { eventId = (await save(user, 'expiresAt' in changes ? { name: 'Ada King', expiresAt: changes.expiresAt } : { name: 'Ada King' })).entry.eventId })
    t.same(writes, [`Put ${user.id}`, `Put outbox#${eventId}`], JSON.stringify(changes))
    t.same(await claims(user.email), [[user.id, user.expiresAt]])
  }
})

t.test('who is no admin any more changes no other account', async t => {
  const user = await stored()
  for (const changes of [{ role: 'user' }, { role: 'admin', status: 'SUSPENDED' }, { role: 'admin', status: 'PENDING_VERIFICATION' }] as const) {
    const { id: adminId } = await stored(changes)
    t.equal((await save(user, { name: 'Changed' }, { adminId })).outcome, 'refused', JSON.stringify(changes))
    t.equal(await repository.remove(user, entryOf('user.deleted', user, { userId: user.id, userVersion: 5, email: user.email }), { adminId }), 'refused')
  }
  t.equal((await save(user, { name: 'Changed' }, { adminId: randomUUID() })).outcome, 'refused')
  t.same([await repository.get(user.id), await auditOf(user)], [user, []])
})

t.test('what an admin changes is in the audit of the account, with a new status or role, and in no one else\'s', async t => {
  const { id: adminId } = await stored({ role: 'admin' })
  let user = await stored()
  const expected: object[] = []
  for (const [changes, shown] of [
    [{ name: 'Ada King' }, {}], [{ status: 'SUSPENDED' }, { status: 'SUSPENDED' }], [{ name: 'Ada', role: 'admin' }, { role: 'admin' }], [{ status: 'ACTIVE', role: 'user' }, { status: 'ACTIVE', role: 'user' }]
  ] as const) {
    const { next, outcome } = await save(user, changes, { adminId })
    t.equal(outcome, 'written')
    expected.push({ at: NOW, actorId: adminId, action: 'update', correlationId: 'corr-1', changed: Object.keys(changes), ...shown })
    user = next
  }
  await repository.save(user, user = nextOf(user, { sessions: { since: 9 } }), entryOf('user.signed-out', user, { userVersion: 9 }), { adminId })
  expected.push({ at: NOW, actorId: adminId, action: 'update', correlationId: 'corr-1' })
  t.equal(await repository.remove(user, entryOf('user.deleted', user, { userId: user.id, userVersion: user.version + 1, email: user.email }), { adminId }), 'written')
  expected.push({ at: NOW, actorId: adminId, action: 'delete', correlationId: 'corr-1' })
  const lines = (await auditOf(user)).map(({ id, ...line }) => line)
  const inOrder = (some: object[]) => some.map(line => JSON.stringify(Object.entries(line).sort())).sort()
  t.same(inOrder(lines), inOrder(expected))
  const own = await stored()
  await save(own, { name: 'Ada King' })
  t.same(await auditOf(own), [])
})

t.test('of the active admins one must remain', async t => {
  const other = randomUUID()
  const cases: [why: string, set: (id: string) => string[], by: (adminId: string) => By, outcome: 'written' | 'refused', after: (id: string) => string[]][] = [
    ['the last one', id => [id], () => OWN, 'refused', id => [id]],
    ['with another one', id => [id, other], () => OWN, 'written', () => [other]],
    ['from before the set, with another one in it', () => [other], () => OWN, 'written', () => [other]],
    ['from before the set, which is not there', () => [], () => OWN, 'refused', () => []],
    ['an account that no one uses any more', id => [id], () => ({ adminId: undefined, mayLeaveNoAdmin: true }), 'written', () => []],
    ['by another admin, who remains', id => [id], adminId => ({ adminId }), 'written', () => []],
    ['by another admin, whatever may be left', id => [id, other], adminId => ({ adminId, mayLeaveNoAdmin: true }), 'written', () => [other]]
  ]
  const { id: adminId } = await stored({ role: 'admin' })
  for (const [why, set, by, outcome, after] of cases) {
    for (const changes of [{ role: 'user' }, { status: 'SUSPENDED' }] as const) {
      const user = await stored({ role: 'admin' })
      await setAdmins(...set(user.id))
      const change = save(user, changes, by(adminId))
      if (outcome === 'refused') await t.rejects(change, { code: 'USERS_LAST_ADMIN', statusCode: 409 }, why)
      else t.equal((await change).outcome, outcome, why)
      t.same(await admins(), after(user.id), why)
    }
  }
  const user = await stored({ role: 'admin' })
  await setAdmins(user.id)
  t.equal((await save({ ...user, version: 3 }, { role: 'user' })).outcome, 'refused', 'the last one, but of another version')
})

t.test('who becomes an active admin is in the set, with the admin who made them one', async t => {
  const { id: adminId } = await stored({ role: 'admin' })
  for (const [before, changes] of [[{}, { role: 'admin' }], [{ role: 'admin', status: 'SUSPENDED' }, { status: 'ACTIVE' }]] as const) {
    for (const by of [OWN, { adminId }]) {
      const user = await stored(before)
      await setAdmins()
      t.equal((await save(user, changes, by)).outcome, 'written')
      t.same(await itemAt('admins'), { userId: 'admins', kind: 'admins', ids: new Set(by.adminId === undefined ? [user.id] : [user.id, adminId]) })
    }
  }
})

t.test('another address is claimed for good, and the one before for as long as it can be had back', async t => {
  const [email, far, open, over] = ['new', 'far', 'open', 'over'].map(name => `${name}-${randomUUID()}@example.com`) as [string, string, string, string]
  const former = (email: string, until: number) => ({ email, until, challengeId: 'c' })
  const user = await stored({ formerAddresses: [former(far, SECOND + 5), former(open, SECOND + 9), former(over, SECOND)] })
  const { outcome, next } = await save(user, { email, formerAddresses: [former(open, SECOND + 9), former(user.email, SECOND + 7)] })
  t.equal(outcome, 'written')
  t.same(await claims(email, user.email, open, far), [[user.id, undefined], [user.id, SECOND + 7], [user.id, SECOND + 9], undefined])
  t.same(await claims(over), [[user.id, SECOND]], 'one whose time is over is left to the TTL')

  const back = await save(next, { email: open, formerAddresses: [] })
  t.equal(back.outcome, 'written', 'to one of its own')
  t.same(await claims(open, email, user.email), [[user.id, undefined], undefined, undefined])
})

t.test('an address that another account has claimed is not taken, unless the claim expires now', async t => {
  const owner = randomUUID()
  for (const [expiresAt, outcome] of [[undefined, 'refused'], [SECOND + 1, 'refused'], [SECOND, 'written']] as const) {
    const user = await stored()
    const email = `new-${randomUUID()}@example.com`
    await put(claimItem(email, owner, expiresAt))
    t.equal((await save(user, { email })).outcome, outcome)
    t.same(await claims(email, user.email), outcome === 'refused' ? [[owner, expiresAt], [user.id, undefined]] : [[user.id, undefined], undefined])
  }
  const user = await stored()
  await put(claimItem(user.email, owner, undefined))
  for (const formerAddresses of [[], [{ email: user.email, until: SECOND + 9, challengeId: 'c' }]]) {
    t.equal((await save(user, { email: `new-${randomUUID()}@example.com`, formerAddresses })).outcome, 'refused', 'one that has lost its own')
    t.same(await claims(user.email), [[owner, undefined]])
  }
})

t.test('a pending account that has claimed the address is erased in the same write, if it is as it was read', async t => {
  for (const isCurrent of [true, false]) {
    const user = await stored()
    const pending = await stored({ status: 'PENDING_VERIFICATION', expiresAt: SECOND + 60 })
    await put({ userId: `proposals#${pending.id}`, kind: 'proposals', expiresAt: SECOND + 60 })
    const entry = entryOf('user.deleted', pending, { userId: pending.id, userVersion: 5, email: pending.email })
    const { outcome } = await save(user, { email: pending.email }, OWN, { displaced: { user: isCurrent ? pending : { ...pending, version: 3 }, entry } })
    t.equal(outcome, isCurrent ? 'written' : 'refused')
    t.same(await claims(pending.email, user.email), isCurrent ? [[user.id, undefined], undefined] : [[pending.id, SECOND + 60], [user.id, undefined]])
    t.equal(await isAnnounced(entry), isCurrent)
    t.equal(await itemAt(pending.id) === undefined, isCurrent)
    t.equal(await itemAt(`proposals#${pending.id}`) === undefined, isCurrent)
    t.equal((await itemAt(`erased#${nameless(pending.id)}`))?.['kind'], isCurrent ? 'erased' : undefined)
  }
})

t.test('an account that is confirmed keeps its address, and no proposals', async t => {
  for (const hasProposals of [undefined, true, false]) {
    const user = await stored({ status: 'PENDING_VERIFICATION', expiresAt: SECOND + 60 })
    await put({ userId: `proposals#${user.id}`, kind: 'proposals', expiresAt: SECOND + 60 })
    const writes = await writesOf(async () => t.equal((await save(user, { status: 'ACTIVE' }, OWN, hasProposals === undefined ? undefined : { hasProposals })).outcome, 'written'))
    t.same(await claims(user.email), [[user.id, undefined]])
    t.same(await itemAt(`proposals#${user.id}`) === undefined, hasProposals !== false)
    t.equal(writes.length, hasProposals === false ? 3 : 4)
  }
  const user = await stored({ status: 'PENDING_VERIFICATION', expiresAt: SECOND + 60 })
  await put(claimItem(user.email, randomUUID(), undefined))
  t.equal((await save(user, { status: 'ACTIVE' })).outcome, 'refused', 'one that has lost its claim')
})
