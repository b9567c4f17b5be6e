import t from 'tap'
import { png } from './pictures.ts'
import type { Caller } from './support.ts'
import { startUploads } from './uploads-support.ts'

const { app, admin, form, send, remove, me, keysOf, bytes, notify, newCaller, settle, keyOf, upload } = await startUploads(t)

t.test('an upload that was requested earlier does not replace a newer one, whatever the order of uploads and checks', async t => {
  const caller = await newCaller()
  const [old, newer] = [png('old'), png('newer')]
  const first = await form(caller, old)
  const second = await form(caller, newer)
  await send(second, newer)
  await settle()
  const { avatarUrl, version } = await me(caller)
  await send(first, old)
  await settle()
  t.match(await me(caller), { avatarUrl, version })
  t.equal((await keysOf(caller.user.id)).length, 1, 'the late one is deleted')
  t.strictSame(await bytes((await keysOf(caller.user.id))[0]!), newer)

  // Both wait, and the newer one is checked first.
  const third = await form(caller, old)
  const fourth = await form(caller, newer)
  await send(third, old)
  await send(fourth, newer)
  await notify(keyOf(fourth))
  await notify(keyOf(third))
  await settle()
  t.strictSame(await bytes((await keysOf(caller.user.id))[0]!), newer)
  t.equal((await keysOf(caller.user.id)).length, 1)
})

t.test('a notification may come again, at the same time and after another picture', async t => {
  const caller = await newCaller()
  const [one, other] = [png('one'), png('other')]
  const asked = await form(caller, one)
  await send(asked, one)
  await Promise.allSettled([notify(keyOf(asked)), notify(keyOf(asked)), notify(keyOf(asked))])
  await notify(keyOf(asked))
  await settle()
  const { avatarUrl, version } = await me(caller)
  t.equal(version, caller.user.version + 1, 'one change')
  t.equal((await keysOf(caller.user.id)).length, 1)

  // The form is still valid. What is sent with it again replaces nothing.
  await send(asked, png('two'))
  await settle()
  t.match(await me(caller), { avatarUrl, version })
  t.strictSame(await bytes((await keysOf(caller.user.id))[0]!), one)

  await upload(caller, other)
  await notify(keyOf(asked))
  await settle()
  t.strictSame(await bytes((await keysOf(caller.user.id))[0]!), other)
})

t.test('no avatar is shown for an account that was suspended or deleted while it was checked', async t => {
  for (const change of [
    (caller: Caller) => app.users.update(admin, caller.user.id, { status: 'SUSPENDED' }, 'x'),
    (caller: Caller) => app.users.remove(admin, caller.user.id, 'x')
  ]) {
    for (const when of ['before', 'during']) {
      const caller = await newCaller()
      const asked = await form(caller, png())
      await send(asked, png())
      if (when === 'before') await change(caller)
      const { setAvatar } = app.users
      if (when === 'during') app.users.setAvatar = async (...args) => { await change(caller); return await setAvatar(...args) }
      await notify(keyOf(asked)).finally(() => { app.users.setAvatar = setAvatar })
      await settle()
      t.notOk((await app.users.getFresh(caller.user.id))?.avatarUrl, when)
      t.strictSame(await keysOf(caller.user.id), [])
    }
  }
})

t.test('a check that ends halfway is repeated from where it ended, and leaves nothing', async t => {
  const caller = await newCaller()
  const file = png('halfway')
  const { setAvatar, getFresh } = app.users
  const asked = await form(caller, file)
  await send(asked, file)
  app.users.setAvatar = async () => { throw new Error('the table fails') }
  await t.rejects(notify(keyOf(asked)), { message: '1 uploads could not be checked' })
  t.equal((await keysOf(caller.user.id)).length, 2, 'the copy, and the object to check again')
  app.users.setAvatar = setAvatar
  await notify(keyOf(asked))
  await settle()
  t.equal((await keysOf(caller.user.id)).length, 1)
  t.ok((await me(caller)).avatarUrl)

  // Copied, and not wanted any more when it is repeated.
  const second = await form(caller, file)
  await send(second, file)
  app.users.setAvatar = async () => { throw new Error('the table fails') }
  await t.rejects(notify(keyOf(second)))
  app.users.setAvatar = setAvatar
  await remove(caller)
  await notify(keyOf(second))
  await settle()
  t.strictSame(await keysOf(caller.user.id), [])
  t.equal(app.users.getFresh, getFresh)
})

t.test('the clock of another instance may be ahead: the order of requests of an account only grows', async t => {
  const caller = await newCaller()
  const ahead = new Date(Date.now() + 60_000)
  await app.users.removeAvatar({ userId: caller.user.id }, ahead, 'x')
  t.ok(await upload(caller), 'requested after the removal')
})

t.test('the same operation makes the same key again', async t => {
  const caller = await newCaller()
  const request = async () => await app.uploads.requestAvatar({ userId: caller.user.id }, { contentType: 'image/png', size: 10 }, { id: '7f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60', startedAt: new Date(1_795_000_000_000) }, 'x')
  t.equal((await request()).fields['key'], (await request()).fields['key'])
  t.not((await form(caller, { length: 10 })).fields['key'], (await form(caller, { length: 10 })).fields['key'])
})

t.test('with an Idempotency-Key, a repeated request gets the first form again', async t => {
  const { accessToken } = await newCaller()
  const request = async (size: number) => await app.inject({ method: 'POST', url: '/v2/users/me/avatar', headers: { authorization: `Bearer ${accessToken}`, 'idempotency-key': 'once' }, payload: { contentType: 'image/png', size } })
  const first = await request(10)
  t.equal(first.statusCode, 201)
  t.equal((await request(10)).body, first.body)
  t.equal((await request(11)).statusCode, 422)
})
