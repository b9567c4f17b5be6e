import t from 'tap'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { startTcpProxy } from '../../tcp-proxy.ts'
import { png } from './pictures.ts'
import { avatarsOf } from './support.ts'

const engines = await startEngines(t)
const proxy = await startTcpProxy(t, Number(new URL(engines.s3Endpoint).port))
// Only the service's own connection to S3 fails. The tests and their clients reach the engine directly.
const app = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` } })
const { form, send, remove, me, show, keysOf, notify } = avatarsOf(t, app, engines)

t.test('with S3 down, requests are answered, and what had to be done in S3 is done when it is back', async t => {
  const caller = await signIn(app, engines, 'ada@example.com')
  const direct = async (file: Buffer) => {
    const asked = await form(caller, file)
    await send({ ...asked, url: asked.url.replace(String(proxy.port), new URL(engines.s3Endpoint).port) }, file)
    return asked.fields['key']!
  }
  await direct(png('first'))
  await pump(app, engines)
  t.ok((await me(caller)).avatarUrl)

  for (const line of ['silent', 'reset'] as const) {
    const { avatarUrl } = await me(caller)
    proxy.set(line)
    const key = await direct(png(line))
    t.equal((await show(avatarUrl!)).statusCode, 302, 'a link is signed without a call')
    const began = performance.now()
    await t.rejects(notify(key), /could not be checked/, `${line}: AWS repeats the notification`)
    t.ok(performance.now() - began < 9000, 'before the function times out')
    t.equal((await me(caller)).avatarUrl, avatarUrl, 'nothing has changed')
    if (line === 'silent') {
      proxy.set('clear')
      await pump(app, engines)
      t.not((await me(caller)).avatarUrl, avatarUrl, 'the repetition shows it')
    }
  }

  t.equal((await remove(caller)).statusCode, 204, 'a removal needs the table only')
  t.notOk('avatarUrl' in await me(caller))
  t.equal((await waiting(app, 'UsersTable')).length, 1)
  await t.rejects(app.outbox.sweep({ minAge: 0 }), /1 outbox entries could not be handled/)
  t.equal((await keysOf(caller.user.id)).length, 2, 'the picture and the unchecked upload')
  proxy.set('clear')
  await pump(app, engines)
  t.strictSame(await keysOf(caller.user.id), [])
  t.same(await waiting(app, 'UsersTable'), [])
})
