import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../../local/aws.ts'
import type { Upload } from '../../../src/modules/uploads/contract.ts'
import { buildTestApp } from '../../app.ts'
import { usesCompose } from '../../compose.ts'
import { jpeg, png, webp } from './pictures.ts'
import { startUploads } from './uploads-support.ts'

const { engines, bus, app, ask, form, send, me, show, keysOf, head, notify, newCaller, settle, keyOf, upload } = await startUploads(t)

t.test('a picture is asked for, uploaded, checked and shown', async t => {
  const caller = await newCaller()
  t.notOk('avatarUrl' in await me(caller))
  for (const [type, file] of [['image/png', png()], ['image/jpeg', jpeg()], ['image/webp', webp()]] as const) {
    const before = await me(caller)
    const avatarUrl = await upload(caller, file, type)
    t.match(avatarUrl, new RegExp(`^${app.config.PUBLIC_URL}/avatars/${caller.user.id}/\\d{13}-[0-9a-f-]{36}$`), type)
    t.equal((await me(caller)).version, before.version + 1, 'the change has a version, and so another ETag')

    const redirect = await show(avatarUrl!)
    t.equal(redirect.statusCode, 302)
    t.match(redirect.headers, { 'cache-control': 'public, max-age=240', 'cross-origin-resource-policy': 'cross-origin', 'x-content-type-options': 'nosniff' })
    const link = new URL(redirect.headers.location!)
    t.equal(link.searchParams.get('X-Amz-Expires'), '300', 'the link outlives the redirect in a cache')
    const picture = await fetch(link)
    t.equal(picture.status, 200)
    t.strictSame(Buffer.from(await picture.arrayBuffer()), file, 'the very bytes')
    t.match(Object.fromEntries(picture.headers), { 'content-type': type, 'content-disposition': 'inline' })
  }
  t.strictSame((await keysOf(caller.user.id)).map(key => key.split('/')[0]), ['avatars'], 'only the newest picture is left')
  t.same(bus.eventsOf(caller.user.id).filter(({ type }) => type === 'user.updated').map(({ data }) => (data as { changed: string[] }).changed), [['avatarUrl'], ['avatarUrl'], ['avatarUrl']])
  t.match(bus.eventsOf(caller.user.id).at(-1)!.data, { avatarUrl: (await me(caller)).avatarUrl })
  const v1 = await app.inject({ method: 'GET', url: `/v1/users/${caller.user.id}`, headers: { authorization: `Bearer ${caller.accessToken}` } })
  t.strictSame(Object.keys(v1.json<{ data: object }>().data), ['userId', 'email', 'name', 'status', 'createdAt', 'updatedAt'], 'version 1 is frozen')
  const named = await app.inject({ method: 'PATCH', url: '/v2/users/me', headers: { authorization: `Bearer ${caller.accessToken}` }, payload: { name: 'Another Name' } })
  t.equal(named.json<{ avatarUrl: string }>().avatarUrl, (await me(caller)).avatarUrl, 'other changes keep it')
})

t.test('the policy of the form allows one key, one type and one size, for ten minutes', async t => {
  const caller = await newCaller()
  const asked = Date.now()
  const { url, fields, expiresAt } = await form(caller, { length: 4711 }, 'image/webp')
  t.equal(url, `${engines.s3Endpoint}/${app.config.UPLOADS_BUCKET}`)
  t.match(keyOf({ url, fields, expiresAt }), new RegExp(`^incoming/${caller.user.id}/\\d{13}-[0-9a-f-]{36}\\.4711\\.webp$`))
  const { Policy, 'X-Amz-Signature': signature, ...signed } = fields
  t.match(signature, /^[0-9a-f]{64}$/)
  const policy = JSON.parse(Buffer.from(Policy!, 'base64').toString()) as { expiration: string, conditions: unknown[] }
  for (const condition of policy.conditions) t.ok(Array.isArray(condition) || Object.values(condition as object).every(value => typeof value === 'string'), 'no condition is open')
  t.same(policy.conditions.filter(Array.isArray), [['content-length-range', 4711, 4711]], 'the only range is exact')
  t.same(Object.assign({}, ...policy.conditions.filter(condition => !Array.isArray(condition))), signed, 'every field of the form must be as it is')
  t.match(signed, { bucket: app.config.UPLOADS_BUCKET, 'Content-Type': 'image/webp', 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': new RegExp(`^${LOCAL_AWS.credentials.accessKeyId}/\\d{8}/us-east-1/s3/aws4_request$`) })
  const seconds = (time: string) => (Date.parse(time) - asked) / 1000
  t.ok(seconds(policy.expiration) > 595 && seconds(policy.expiration) < 610, 'the policy ends after ten minutes')
  t.ok(Math.abs(seconds(expiresAt) - seconds(policy.expiration)) < 2, 'as the answer says')
})

t.test('another type or size is refused, by the name of its field', async t => {
  const caller = await newCaller()
  for (const [pointer, body] of [
    ['/contentType', { contentType: 'image/svg+xml', size: 10 }],
    ['/contentType', { contentType: 'image/gif', size: 10 }],
    ['/contentType', { contentType: 'IMAGE/PNG', size: 10 }],
    ['/contentType', { size: 10 }],
    ['/size', { contentType: 'image/png' }],
    ['/size', { contentType: 'image/png', size: 0 }],
    ['/size', { contentType: 'image/png', size: 5 * 1024 * 1024 + 1 }],
    ['/size', { contentType: 'image/png', size: 1.5 }],
    ['/size', { contentType: 'image/png', size: '10' }],
    ['/key', { contentType: 'image/png', size: 10, key: 'incoming/mine' }]
  ] as const) {
    const answer = await ask(caller, body)
    t.equal(answer.statusCode, 400, JSON.stringify(body))
    t.match(answer.json(), { code: 'VALIDATION_FAILED', errors: [{ pointer }] })
  }
  t.equal((await ask(caller, { contentType: 'image/png', size: 5 * 1024 * 1024 })).statusCode, 201)
  t.equal((await app.inject({ method: 'POST', url: '/v2/users/me/avatar', payload: { contentType: 'image/png', size: 10 } })).statusCode, 401)
  t.equal((await app.inject({ method: 'DELETE', url: '/v2/users/me/avatar' })).statusCode, 401)
})

t.test('what is not the declared picture is deleted and never shown', async t => {
  const caller = await newCaller()
  const html = Buffer.from('<!doctype html><script>alert(1)</script>')
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')
  const whole = png('a comment that is longer than the file without it')
  const riff = Buffer.concat([webp(), Buffer.from('<script>')])
  const cases: [why: string, type: string, file: Buffer, declared?: number | undefined, changes?: Record<string, string>][] = [
    ['HTML named png', 'image/png', html],
    ['SVG', 'image/png', svg],
    ['a JPEG declared as PNG', 'image/png', jpeg()],
    ['a PNG declared as WebP', 'image/webp', png()],
    ['cut off, as declared', 'image/png', whole.subarray(0, -20)],
    ['cut off, but declared whole', 'image/png', whole.subarray(0, -20), whole.length],
    ['a JPEG without its end', 'image/jpeg', jpeg().subarray(0, -2)],
    ['larger than declared', 'image/png', whole, whole.length - 1],
    ['much larger than allowed', 'image/png', Buffer.concat([png(), Buffer.alloc(6 * 1024 * 1024)]), 100],
    ['a picture and a page in one file', 'image/png', Buffer.concat([png(), html])],
    ['a JPEG and an archive in one file', 'image/jpeg', Buffer.concat([jpeg(), Buffer.from('PK\x03\x04')])],
    ['a WebP with something after it', 'image/webp', riff],
    ['only the signature', 'image/png', Buffer.from('89504e470d0a1a0a', 'hex')],
    ['empty', 'image/png', Buffer.alloc(0), 1],
    ['one byte', 'image/jpeg', Buffer.from([0xff])],
    ['a picture that calls itself a page', 'image/png', png(), undefined, { 'Content-Type': 'text/html' }],
    ['a picture under a key of its own', 'image/png', png(), undefined, { key: `incoming/${caller.user.id}/mine.png` }]
  ]
  for (const [why, type, file, declared, changes] of cases) {
    await send(await form(caller, { length: declared ?? file.length }, type), file, changes)
    t.equal((await keysOf(caller.user.id)).length, 1, `${why}: the engine takes it`)
    await settle()
    t.notOk('avatarUrl' in await me(caller), why)
    t.strictSame(await keysOf(caller.user.id), [], `${why}: deleted`)
  }
  const refused = app.logLines.filter(({ msg }) => msg === 'an upload was refused')
  t.equal(refused.length, cases.length, 'each is logged')
  t.notMatch(JSON.stringify(refused), caller.user.id)
  t.equal(app.logLines.filter(line => 'AvatarsRefused' in line).length, cases.length, 'and counted')
})

t.test('metadata of the uploader is not kept, and the correlation id is that of the request', { skip: usesCompose() && 'S3Mock stores no metadata of a form' }, async t => {
  const caller = await newCaller()
  const answer = await app.inject({ method: 'POST', url: '/v2/users/me/avatar', headers: { authorization: `Bearer ${caller.accessToken}`, 'x-correlation-id': 'corr-avatar' }, payload: { contentType: 'image/png', size: png().length } })
  await send(answer.json<Upload>(), png(), { 'Cache-Control': 'no-store', 'Content-Disposition': 'attachment', 'x-amz-meta-mine': 'x' })
  await settle()
  const { Metadata, CacheControl, ContentDisposition, ContentType } = await head((await keysOf(caller.user.id))[0]!)
  t.strictSame({ Metadata, CacheControl, ContentDisposition, ContentType }, { Metadata: {}, CacheControl: 'private, max-age=86400, immutable', ContentDisposition: 'inline', ContentType: 'image/png' })
  t.equal(bus.eventsOf(caller.user.id).at(-1)!.correlationId, 'corr-avatar')
})

t.test('what is not an upload is not touched', async t => {
  const caller = await newCaller()
  await upload(caller)
  const [key] = await keysOf(caller.user.id)
  await notify(key!)
  t.strictSame(await keysOf(caller.user.id), [key])
  await t.rejects(app.consumers.deliver({ Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', s3: { bucket: { name: 'another' }, object: { key: 'incoming/x' } } }] }), /unknown source/)
})

t.test('without a bucket the routes say so, and the service starts', async (t: Test) => {
  const without = await buildTestApp(t, engines, { env: { ...bus.env, UPLOADS_BUCKET: undefined } })
  const caller = await newCaller()
  const headers = { authorization: `Bearer ${caller.accessToken}` }
  for (const answer of [
    await without.inject({ method: 'POST', url: '/v2/users/me/avatar', headers, payload: { contentType: 'image/png', size: 10 } }),
    await without.inject({ method: 'DELETE', url: '/v2/users/me/avatar', headers }),
    await without.inject({ method: 'GET', url: `/avatars/${caller.user.id}/x` })
  ]) {
    t.equal(answer.statusCode, 404)
    t.match(answer.json(), { code: 'UPLOADS_DISABLED' })
  }
  await without.users.remove({ userId: caller.user.id }, caller.user.id, 'x')
  await without.outbox.sweep({ minAge: 0 })
  t.equal(bus.eventsOf(caller.user.id).at(-1)?.type, 'user.deleted', 'an account ends without pictures to delete')
})
