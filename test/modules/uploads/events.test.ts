import t from 'tap'
import { avatarIdOf, avatarKey, pathOf } from '../../../src/modules/uploads/keys.ts'
import { publicUser } from '../../../src/modules/users/account-state.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { outboxEntry, type OutboxEntry } from '../../../src/shared/outbox.ts'
import { deliver, entryRecord, leaveBehind } from '../../outbox.ts'
import { NOW, startChecks } from './checks-support.ts'
import { png } from './pictures.ts'

const { app, put, newUser, keysOf, callsOf } = await startChecks(t)

/** Announces an entry as the table's stream does. @returns what failed */
async function announce (entry: OutboxEntry): Promise<string[]> {
  await leaveBehind(app, entry)
  return await deliver(app, entryRecord(entry))
}
const updated = async (user: StoredUser, changed: string[]) => await announce(outboxEntry('user.updated', { subject: user.id, correlationId: 'c', now: new Date(), data: { user: publicUser(user), changed } }))

t.test('of the pictures of an account those stay that are shown, or newer than what it decided on', async t => {
  const part = 'b'.repeat(8) + '-0000-4000-8000-000000000000'
  const [older, same, shown, newer] = [avatarIdOf(NOW - 1, part), avatarIdOf(NOW, part.replaceAll('b', 'a')), avatarIdOf(NOW, part), avatarIdOf(NOW + 1, part)]
  for (const [what, avatar, left] of [
    ['a picture', (id: string) => ({ path: pathOf(id, shown), order: NOW }), [shown, newer]], ['none by now', () => ({ order: NOW }), [newer]], ['never one', () => undefined, []]
  ] as const) {
    const stored = await newUser()
    const avatarNow = avatar(stored.id)
    const user = avatarNow === undefined ? stored : await newUser({ id: stored.id, avatar: avatarNow })
    const other = await newUser()
    for (const { id } of [user, other]) for (const avatarId of [older, same, shown, newer]) await put(avatarKey(id, avatarId), png())
    t.equal(await callsOf(async () => { t.same(await updated(user, ['name', 'mail']), []) }, 'ListObjectsV2Command'), 0, 'another change asks S3 for nothing')
    t.equal((await keysOf(user)).length, 4)
    t.same(await updated(user, ['name', 'avatarUrl']), [])
    t.same((await keysOf(user)).sort(), left.map(avatarId => avatarKey(user.id, avatarId)), what)
    t.equal((await keysOf(other)).length, 4, 'another account keeps its own')
  }
})

t.test('a deleted account leaves neither pictures nor uploads', async t => {
  const [user, other] = [await newUser(), await newUser()]
  for (const { id } of [user, other]) for (const key of [avatarKey(id, 'x'), `incoming/${id}/y`, `incoming/${id}/z`]) await put(key, png())
  const entry = outboxEntry('user.deleted', { subject: user.id, correlationId: 'c', now: new Date(), data: { userId: user.id, userVersion: 2, email: user.email } })
  t.same(await announce(entry), [])
  t.same([await keysOf(user), (await keysOf(other)).length], [[], 3])
})
