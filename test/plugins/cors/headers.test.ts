import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import type { App } from '../../../src/app.ts'
import correlation from '../../../src/plugins/correlation.ts'
import cors from '../../../src/plugins/cors.ts'
import errors from '../../../src/plugins/errors/index.ts'

// The plugin alone, header by header.

const PAGE = 'https://app.example.com'

async function build (t: Test, origins: string[] | undefined) {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorate('config', { CORS_ORIGIN: origins } as App['config'])
  await app.register(fp(async () => {}, { name: 'config' }))
  await app.register(correlation)
  await app.register(errors)
  await app.register(cors)
  app.get('/thing', async () => 'thing')
  return async (method: 'GET' | 'OPTIONS', headers: Record<string, string>) => {
    const answer = await app.inject({ method, url: '/thing', headers })
    return { status: answer.statusCode, headers: Object.fromEntries(Object.entries(answer.headers).filter(([name]) => /^access-control-|^vary$|^allow$/.test(name))) }
  }
}

const COMMON = { 'access-control-allow-origin': PAGE, 'access-control-allow-credentials': 'true', vary: 'Origin' }
const EXPOSED = { 'access-control-expose-headers': 'accept-patch, allow, deprecation, etag, idempotent-replayed, link, location, ratelimit, ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset, retry-after, sunset, www-authenticate, x-correlation-id' }

t.test('a page of a configured origin may send and read all that the service has for it', async t => {
  const ask = await build(t, ['https://other.example.com', PAGE])
  t.strictSame(await ask('GET', { origin: PAGE }), { status: 200, headers: { ...COMMON, ...EXPOSED } })
  t.strictSame(await ask('OPTIONS', { origin: PAGE, 'access-control-request-method': 'DELETE' }), {
    status: 204,
    headers: {
      ...COMMON,
      ...EXPOSED,
      'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key, if-match, if-none-match, x-api-key, x-correlation-id',
      'access-control-max-age': '600'
    }
  })
})

t.test('an OPTIONS of a page that is no preflight is a method like any other, and can be read', async t => {
  const ask = await build(t, [PAGE])
  t.strictSame(await ask('OPTIONS', { origin: PAGE }), { status: 405, headers: { ...COMMON, ...EXPOSED, allow: 'GET, HEAD' } })
  for (const headers of [{}, { 'access-control-request-method': 'DELETE' }]) t.match(await ask('OPTIONS', headers), { status: 405, headers: { allow: 'GET, HEAD' } })
})

t.test('without origins there are no such headers, and no preflights', async t => {
  const ask = await build(t, undefined)
  t.strictSame(await ask('GET', { origin: PAGE }), { status: 200, headers: {} })
  t.strictSame(await ask('OPTIONS', { origin: PAGE, 'access-control-request-method': 'DELETE' }), { status: 405, headers: { allow: 'GET, HEAD' } })
})

t.test('it does not start without what it needs', async t => {
  const needed = ['config', 'errors']
  for (const missing of needed) {
    const app = Fastify()
    for (const name of needed) if (name !== missing) await app.register(fp(async () => {}, { name }))
    await t.rejects(async () => await app.register(cors), { message: `The dependency '${missing}' of plugin 'cors' is not registered` })
  }
})
