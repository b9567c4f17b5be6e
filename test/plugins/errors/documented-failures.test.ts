import Fastify from 'fastify'
import t from 'tap'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'
import { Failure } from '../../../src/shared/envelope.ts'
import { Problem } from '../../../src/shared/problem.ts'

t.test('failures of a route are documented and not compiled; what it answers otherwise, and its other settings, stay', async t => {
  const compiled: (string | undefined)[] = []
  const app = Fastify({
    schemaController: {
      compilersFactory: {
        buildSerializer: (() => ({ httpStatus }: { httpStatus?: string }) => {
          compiled.push(httpStatus)
          return JSON.stringify
        }) as never
      }
    }
  })
  t.teardown(() => app.close())
  await app.register(correlation)
  await app.register(errors)
  const routes: Record<string, { config: object, schema: { response?: object, querystring?: object } | undefined }> = {}
  app.addHook('onRoute', ({ url, method, config, schema }) => { if (method === 'GET') routes[url] = structuredClone({ config: config ?? {}, schema: schema as never }) })
  const ok = { $id: 'Ok', type: 'object' }
  const querystring = { type: 'object' }
  app.get('/all', { config: { note: 'kept' } as object, schema: { querystring, response: { 200: ok, 204: { type: 'null' }, 400: { ...Failure, description: 'v1' }, 404: { ...Problem, description: 'v2' } } } }, async () => ({}))
  app.get('/without', { schema: { querystring } }, async () => ({}))
  app.get('/bare', async () => ({}))
  await app.ready()
  t.same(routes['/all']!.config, structuredClone({ note: 'kept', failures: { 400: { ...Failure, description: 'v1' }, 404: { ...Problem, description: 'v2' } } }))
  t.same(routes['/all']!.schema, { querystring, response: { 200: ok, 204: { type: 'null' } } })
  t.same(routes['/without'], { config: {}, schema: { querystring } })
  t.same(routes['/bare'], { config: {}, schema: undefined })
  t.same([...new Set(compiled)].toSorted(), ['200', '204'], 'a serializer is made of nothing else')
})
