import t from 'tap'
import { withAvatarUrl, type Avatar } from '../../../src/modules/users/avatar-url.ts'
import { newId } from '../../../src/shared/ids.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, stored, itemAt, entriesOf, before, callsOf } = await startUsers(t, { PUBLIC_URL: 'https://users.example.com' })
const users = usersAt(app, { now: new Date() })
const [path, url] = ['/avatars/a', 'https://users.example.com/avatars/a']

t.test('the place of the next avatar is the time, or after every one before it', async t => {
  for (const [avatar, order] of [[undefined, 1000], [{ order: 999 }, 1000], [{ order: 1000, path }, 1001], [{ order: 5000, path }, 5001]] as const) {
    const { id } = await stored(avatar === undefined ? {} : { avatar })
    t.equal(await users.orderAvatar({ userId: id }, new Date(1000)), order)
    t.strictSame(await users.getAvatar(id), avatar)
    t.strictSame(await users.shownAvatar(id), avatar !== undefined && 'path' in avatar ? path : undefined)
    await users.removeAvatar({ userId: id }, new Date(1000), 'corr')
    t.strictSame((await itemAt(id))!['avatar'], { order })
    t.strictSame(await users.shownAvatar(id), undefined)
    t.match(await entriesOf(id), [{ type: 'user.updated', correlationId: 'corr', data: { changed: ['avatarUrl'], user: { id, version: 6 } } }])
  }
  for (const read of [users.getAvatar, users.shownAvatar]) t.strictSame(await read(newId()), undefined)
})

t.test('an avatar is shown unless a newer one was asked for, or removed', async t => {
  for (const [avatar, order, isShown, isWritten] of [
    [undefined, 5, true, true],
    [{ order: 4, path: '/avatars/b' }, 5, true, true],
    [{ order: 4 }, 5, true, true],
    [{ order: 5, path }, 5, true, false],
    [{ order: 5, path: '/avatars/b' }, 5, false, false],
    [{ order: 6, path: '/avatars/b' }, 5, false, false],
    [{ order: 6 }, 5, false, false]
  ] as const) {
    const { id } = await stored(avatar === undefined ? {} : { avatar })
    t.strictSame(await users.setAvatar(id, { path, order }, 'corr'), isShown)
    t.match(await users.getFresh(id), { version: isWritten ? 6 : 5, ...(isShown ? { avatarUrl: url } : {}) })
    t.strictSame((await itemAt(id))!['avatar'], isWritten ? { path, order } : avatar)
    t.match(await entriesOf(id), isWritten ? [{ type: 'user.updated', correlationId: 'corr', data: { changed: ['avatarUrl'], user: { avatarUrl: url } } }] : [])
  }
})

t.test('only an active account shows an avatar, and only who may act orders or removes one', async t => {
  const [suspended, pending] = [await stored({ status: 'SUSPENDED' }), await stored({ status: 'PENDING_VERIFICATION' })]
  for (const id of [suspended.id, pending.id, newId()]) t.same(await callsOf(async () => { t.strictSame(await users.setAvatar(id, { path, order: 5 }, 'c'), false) }), ['GetItem'])
  for (const actor of [{ userId: suspended.id }, { userId: newId() }, { userId: pending.id, email: 'before@example.com' }]) {
    await t.rejects(users.orderAvatar(actor, new Date()), { code: 'AUTH_TOKEN_INVALID' })
    await t.rejects(users.removeAvatar(actor, new Date(), 'c'), { code: 'AUTH_TOKEN_INVALID' })
  }
})

t.test('an avatar, and its removal, meet another change of the account and lose nothing', async t => {
  for (const [act, after] of [
    [(id: string) => users.setAvatar(id, { path, order: 5 }, 'c'), { avatarUrl: url }],
    [(id: string) => users.removeAvatar({ userId: id }, new Date(), 'c'), { avatarUrl: undefined }]
  ] as const) {
    const { id } = await stored({ avatar: { path: '/avatars/b', order: 4 } })
    const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: id }, id, { name: 'Ada King' }, 'c'))
    await act(id)
    t.ok(isOvertaken())
    t.match(await users.getFresh(id), { name: 'Ada King', version: 7, ...after })
  }
})

t.test('the URL of an avatar is made of where the service is, and of nothing that was kept', async t => {
  const named: { name: string, avatar?: Avatar } = { name: 'Ada' }
  t.strictSame(withAvatarUrl(named, 'https://x'), named)
  t.strictSame(withAvatarUrl({ ...named, avatar: { order: 1 }, avatarUrl: 'https://y/a' }, 'https://x'), { name: 'Ada', avatar: { order: 1 } })
  t.strictSame(withAvatarUrl({ avatar: { order: 1, path }, avatarUrl: 'https://y/a' }, 'https://x'), { avatar: { order: 1, path }, avatarUrl: 'https://x/avatars/a' })
})
