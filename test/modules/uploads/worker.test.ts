import t from 'tap'
import { UUID } from '../../../src/shared/ids.ts'
import { waiting } from '../../outbox.ts'
import { NOW, startChecks } from './checks-support.ts'
import { jpeg, png, webp } from './pictures.ts'

const { app, put, newUser, upload, keysOf, announce, callsOf, failing, logged } = await startChecks(t)
const avatarOf = async ({ id }: { id: string }) => await app.users.getAvatar(id)

t.test('a good picture is shown, counted, and announced under the id of its request', async t => {
  for (const [type, file] of [['image/png', png()], ['image/jpeg', jpeg()], ['image/webp', webp()]] as const) {
    const user = await newUser()
    const { key, path, copy } = await upload(user, file, { type, metadata: { 'correlation-id': 'corr-7' } })
    const lines = await logged(() => announce({ key }))
    t.same(await avatarOf(user), { path, order: NOW })
    t.same(await keysOf(user), [copy])
    t.equal(lines.filter(line => line['AvatarsChanged'] === 1).length, 1)
    t.match((await waiting(app, 'UsersTable')).find(({ subject }) => subject === user.id), { type: 'user.updated', correlationId: 'corr-7' })
    t.match(await logged(() => announce({ key })), [{ msg: 'an upload is gone' }], 'once more')
  }
  for (const metadata of [{}, { 'correlation-id': 'no id' }, { 'correlation-id': 'x'.repeat(65) }]) {
    const user = await newUser()
    await announce(await upload(user, png(), { metadata }))
    t.match((await waiting(app, 'UsersTable')).find(({ subject }) => subject === user.id), { correlationId: UUID }, JSON.stringify(metadata))
  }
})

t.test('what is not the declared picture is deleted, and the log says why and by which request', async t => {
  const user = await newUser()
  const file = png()
  for (const [reason, options] of [
    ['another size than declared', { size: file.length + 1 }], ['another type than declared', { contentType: 'text/html' }], ['not a picture of the declared type', { type: 'image/jpeg' }]
  ] as const) {
    const { key } = await upload(user, file, { ...options, metadata: { 'correlation-id': 'corr-8' } })
    const lines = await logged(() => announce({ key }))
    t.match(lines.find(({ msg }) => msg === 'an upload was refused'), { level: 'warn', reason, correlationId: 'corr-8' })
    t.equal(lines.filter(line => line['AvatarsRefused'] === 1).length, 1, reason)
    t.same(await keysOf(user), [], reason)
  }
  const key = `incoming/${user.id}/mine.png`
  await put(key, file)
  t.match((await logged(() => announce({ key }))).find(({ msg }) => msg === 'an upload was refused'), { reason: 'not a key of this service' })
  t.same([await keysOf(user), await avatarOf(user)], [[], undefined])
})

t.test('of a large object that is not as declared no more is read than its start', async t => {
  const { key } = await upload(await newUser(), png('x'.repeat(1000)), { size: 10 })
  t.equal(await callsOf(() => announce({ key }), 'GetObjectCommand'), 1)
})

t.test('nothing is copied for an account that is not active, or has decided on something newer', async t => {
  for (const [why, changes] of [
    ['pending', { status: 'PENDING_VERIFICATION' }], ['suspended', { status: 'SUSPENDED' }], ['a newer one', { avatar: { path: '/avatars/x', order: NOW + 1 } }],
    ['removed later', { avatar: { order: NOW + 1 } }], ['removed at the same time', { avatar: { order: NOW } }]
  ] as const) {
    const user = await newUser(changes)
    const { key, copy } = await upload(user, png())
    await put(copy, png())
    t.equal(await callsOf(() => announce({ key })), 0, why)
    t.same(await keysOf(user), [], `${why}: a copy of an earlier attempt is deleted`)
    t.same(await avatarOf(user), 'avatar' in changes ? changes.avatar : undefined)
  }
  const { key } = await upload({ ...await newUser(), id: crypto.randomUUID() }, png())
  t.equal(await callsOf(() => announce({ key })), 0, 'of no account')
  const user = await newUser({ avatar: { path: '/avatars/x', order: NOW - 1 } })
  t.equal(await callsOf(async () => { await announce(await upload(user, png())) }), 1, 'an older one is replaced')
})

t.test('a picture that is shown already is not copied again', async t => {
  const user = await newUser()
  const { key, path, copy } = await upload(user, png())
  await announce({ key })
  await put(key, png('x'))
  t.equal(await callsOf(() => announce({ key })), 0)
  t.match([await avatarOf(user), await keysOf(user)], [{ path }, [copy]])
})

t.test('only new objects among the uploads are looked at', async t => {
  const user = await newUser()
  const { key } = await upload(user, Buffer.from('<svg/>'))
  const other = `avatars/${user.id}/x`
  await put(other, png())
  await announce({ key, eventName: 'ObjectRemoved:Delete' }, { key: other })
  t.same((await keysOf(user)).sort(), [other, key].sort())
})

t.test('a check that fails is logged, and does not stop the others', async t => {
  const user = await newUser()
  const [first, second] = [await upload(user, png(), { order: NOW }), await upload(user, png(), { order: NOW + 1 })]
  const stop = failing('CopyObjectCommand')
  const lines = await logged(() => t.rejects(announce(first, second), { message: '2 uploads could not be checked', errors: [{ message: 'S3 is down' }, { message: 'S3 is down' }] }))
  stop()
  t.match(lines.filter(({ level }) => level === 'error'), [{ msg: 'an upload could not be checked', err: { message: 'S3 is down' } }, { msg: 'an upload could not be checked' }])
  await announce(first, second)
  t.match([await avatarOf(user), await keysOf(user)], [{ path: second.path }, [first.copy, second.copy]])
})
