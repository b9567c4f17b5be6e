import t from 'tap'
import { report, workload } from '../../promise.ts'
import { jpeg, png } from './pictures.ts'
import { startUploads } from './uploads-support.ts'

const { bus, app, admin, ask, form, send, remove, me, show, keysOf, put, newCaller, settle, upload } = await startUploads(t)

t.test('removing an avatar removes its URL at once, its picture, and what was requested before', async t => {
  const caller = await newCaller()
  const avatarUrl = await upload(caller)
  const late = await form(caller, png())
  t.equal((await remove(caller)).statusCode, 204)
  t.notOk('avatarUrl' in await me(caller))
  t.equal((await show(avatarUrl!)).statusCode, 404)
  t.match((await show(avatarUrl!)).json(), { code: 'AVATARS_NOT_FOUND' })
  await settle()
  t.strictSame(await keysOf(caller.user.id), [])
  t.notOk('avatarUrl' in bus.eventsOf(caller.user.id).at(-1)!.data)
  t.equal((await remove(caller)).statusCode, 204, 'again')

  await send(late, png())
  await settle()
  t.notOk('avatarUrl' in await me(caller))
  t.strictSame(await keysOf(caller.user.id), [])
  t.ok(await upload(caller), 'a new one is shown')
})

t.test('an earlier avatar, another user\'s and made-up ones are not found', async t => {
  const [caller, stranger] = [await newCaller(), await newCaller()]
  const earlier = await upload(caller)
  const current = await upload(caller, jpeg(), 'image/jpeg')
  t.equal((await show(earlier!)).statusCode, 404)
  t.equal((await show(current!)).statusCode, 302)
  t.equal((await show(current!.replace(caller.user.id, stranger.user.id))).statusCode, 404)
  for (const path of ['x/y', `${caller.user.id}/..%2f..%2fincoming`, `${caller.user.id}/undefined`, `${caller.user.id}/1`]) {
    t.equal((await show(`${app.config.PUBLIC_URL}/avatars/${path}`)).statusCode, 404, path)
  }
})

t.test('deleting an account deletes every object of it, unfinished uploads included', async t => {
  const [caller, other] = [await newCaller(), await newCaller()]
  await upload(other)
  const avatarUrl = await upload(caller)
  // More than one page of a list, and more than one call deletes.
  const left = Array.from({ length: 1001 }, (_, i) => `incoming/${caller.user.id}/${i}`)
  while (left.length > 0) await Promise.all(left.splice(0, 40).map(key => put(key, png())))
  const late = await form(caller, png())
  await app.users.remove({ userId: caller.user.id }, caller.user.id, 'x')
  t.equal((await show(avatarUrl!)).statusCode, 404, 'at once')
  await settle()
  t.strictSame(await keysOf(caller.user.id), [])
  await send(late, png())
  await settle()
  t.strictSame(await keysOf(caller.user.id), [], 'what arrives later is deleted')
  t.equal((await keysOf(other.user.id)).length, 1, 'another account keeps its own')
})

t.test('of a deleted account no picture is left or shown', async t => {
  const accounts = workload({ short: 3, full: 50 })
  let left = 0
  let shown = 0
  for (let i = 0; i < accounts; i++) {
    const caller = await newCaller()
    const avatarUrls = [await upload(caller), await upload(caller, jpeg(), 'image/jpeg')]
    await form(caller, png()).then(async asked => { await send(asked, png()) })
    await app.users.remove({ userId: caller.user.id }, caller.user.id, 'x')
    await settle()
    left += (await keysOf(caller.user.id)).length
    for (const url of avatarUrls) if ((await show(url!)).statusCode !== 404) shown++
  }
  report(t, { promise: 12, part: 'pictures', figure: `${accounts} accounts with two pictures and an unfinished upload: ${left} objects left, ${shown} shown`, holds: left === 0 && shown === 0 })
})

t.test('a suspended user can neither request nor remove an avatar', async t => {
  const caller = await newCaller()
  await app.users.update(admin, caller.user.id, { status: 'SUSPENDED' }, 'x')
  t.equal((await ask(caller, { contentType: 'image/png', size: 10 })).statusCode, 401)
  t.equal((await remove(caller)).statusCode, 401)
})
