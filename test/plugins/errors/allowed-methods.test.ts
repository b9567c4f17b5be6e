import Fastify, { type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'

/** An app with a few routes, and what it says of a method that a path does not take: its status and `Allow`. */
async function build (t: Test, options: FastifyServerOptions = {}) {
  const app = Fastify({ exposeHeadRoutes: false, ...options })
  t.teardown(() => app.close())
  await app.register(correlation)
  await app.register(errors)
  // As @fastify/cors registers it for preflights.
  app.options('*', async () => 'a preflight')
  app.route({ method: ['POST', 'GET'], url: '/things/:id', handler: async () => 'a thing' })
  for (const host of ['a.example', 'b.example']) app.delete('/things/:id', { constraints: { host } }, async () => 'gone')
  app.get('/files/*', async () => 'a file')
  return async (method: string, url: string, body?: string) => {
    const { statusCode, headers } = await app.inject({ method: method as 'PUT', url, ...(body === undefined ? {} : { payload: body, headers: { 'content-type': 'application/json' } }) })
    return [statusCode, headers['allow']]
  }
}

t.test('Allow names each method of a path once, in order, and none of another path', async t => {
  const ask = await build(t)
  t.same(await ask('PUT', '/things/7'), [405, 'DELETE, GET, POST'])
  t.same(await ask('PATCH', '/things/7?x=/files/y'), [405, 'DELETE, GET, POST'])
  t.same(await ask('POST', '/files/a/b'), [405, 'GET'])
  t.same(await ask('PUT', '/things'), [404, undefined])
  t.same(await ask('PUT', '/elsewhere'), [404, undefined], 'a route for preflights of all paths is none of a path')
  t.same(await ask('GET', '/things/7'), [200, undefined])
})

t.test('a method or a path without a route is refused before the body is read, whatever the body is', async t => {
  const ask = await build(t)
  t.same(await ask('PUT', '/things/7', '{'), [405, 'DELETE, GET, POST'])
  t.same(await ask('POST', '/elsewhere', '{'), [404, undefined])
  t.same(await ask('POST', '/things/7', '{'), [400, undefined])
})

t.test('a parameter may be as long for Allow as it may be for the route', async t => {
  const usual = await build(t)
  t.same([await usual('GET', `/things/${'x'.repeat(100)}`), await usual('PUT', `/things/${'x'.repeat(100)}`)], [[200, undefined], [405, 'DELETE, GET, POST']])
  t.same([await usual('GET', `/things/${'x'.repeat(101)}`), await usual('PUT', `/things/${'x'.repeat(101)}`)], [[414, undefined], [404, undefined]])
  const longer = await build(t, { routerOptions: { maxParamLength: 300 } })
  t.same(await longer('PUT', `/things/${'x'.repeat(300)}`), [405, 'DELETE, GET, POST'])
  t.same(await longer('PUT', `/things/${'x'.repeat(301)}`), [404, undefined])
})

t.test('it does not start without the plugin for correlation ids', async t => {
  await t.rejects(async () => await Fastify().register(errors), { message: "The dependency 'correlation' of plugin 'errors' is not registered" })
})
