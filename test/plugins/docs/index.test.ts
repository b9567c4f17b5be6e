import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { API } from '../../../src/api.ts'
import docs from '../../../src/plugins/docs/index.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'

const engines = await startEngines(t)

interface Document { paths: Record<string, Record<string, { tags?: string[], responses: Record<string, object> }>>, tags: object[] }

t.test('what is started before what it needs says what is missing', async t => {
  const needs = ['config', 'errors', 'rate-limit']
  for (const missing of needs) {
    const app = Fastify()
    t.teardown(() => app.close())
    for (const name of needs) if (name !== missing) await app.register(fp(async () => {}, { name }))
    await t.rejects(async () => { await app.register(docs, { api: API, source: 'routes' }) }, { message: `The dependency '${missing}' of plugin 'docs' is not registered` }, missing)
  }
})

t.test('what is declared twice fails at start, and says what it is', async t => {
  const queue = { name: 'emailQueue', description: 'x', message: Type.Object({}), attributes: Type.Object({}) }
  await buildTestApp(t, engines, {
    beforeReady (app) {
      t.throws(() => { app.apiDocs.tag({ name: 'users', description: 'x' }) }, { message: 'the tag users is declared twice' })
      t.throws(() => { app.apiDocs.event({ type: 'user.registered', description: 'x', data: Type.Object({}) }) }, { message: 'the event user.registered is declared twice' })
      t.throws(() => { app.apiDocs.queue(queue) }, { message: 'the queue emailQueue is declared twice' })
    }
  })
})

t.test('a route of any kind is in the document of its version, unless it is hidden', async t => {
  const app = await buildTestApp(t, engines, {
    beforeReady (app) {
      app.apiDocs.tag({ name: 'orders', description: 'What is ordered' })
      app.apiDocs.tag({ name: 'unused', description: 'Nothing yet' })
      app.get('/plain', async () => 'ok')
      app.get('/v2/orders/:id', { schema: { tags: ['orders'] } }, async () => 'ok')
      app.get('/v1/orders', { schema: { tags: ['orders'] } }, async () => 'ok')
      app.get('/hidden', { schema: { hide: true } }, async () => 'ok')
    }
  })
  const [v1, v2] = await Promise.all(['v1', 'v2'].map(async version => (await app.inject(`/openapi/${version}.json`)).json<Document>()))
  t.strictSame(Object.keys(v2!.paths).filter(path => /plain|orders|hidden|docs|openapi|schemas/.test(path)).sort(), ['/plain', '/v2/orders/{id}'])
  t.strictSame(Object.keys(v1!.paths).filter(path => /plain|orders|hidden|docs|openapi|schemas/.test(path)), ['/v1/orders'])
  t.strictSame(v2!.paths['/v2/orders/{id}']!['get']!.tags, ['orders'])
  for (const { tags } of [v1!, v2!]) t.strictSame(tags.at(-1), { name: 'orders', description: 'What is ordered' })
})
