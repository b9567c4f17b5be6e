import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import t from 'tap'
import { completeEnv } from '../../../local/env.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import { serveSchemas } from '../../../src/plugins/docs/serve-schemas.ts'

const EVENT = { type: 'order.placed', description: 'An order was placed', data: Type.Object({}) }
const info = { title: 'Orders', version: '1.0.0', description: 'What happens to orders', contact: { name: 'Us' }, license: { name: 'MIT' } }

t.test('the schemas, their list and the AsyncAPI document have their types, may be kept, and are in no document', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ PUBLIC_URL: 'https://orders.example.com' })) })
  const hidden = new Map<string, unknown>()
  app.addHook('onRoute', ({ url, schema }) => { hidden.set(url, schema?.hide) })
  serveSchemas(app, { events: [EVENT], queues: [], info })
  t.strictSame([...hidden], ['/schemas', '/schemas/', '/asyncapi.json', '/schemas/:file'].map(path => [path, true]))

  const url = 'https://orders.example.com/schemas/order.placed.v1.json'
  const list = { schemas: [{ type: 'order.placed', version: 1, description: 'An order was placed', url }], asyncapi: 'https://orders.example.com/asyncapi.json' }
  const served: [path: string, type: string, body: object][] = [
    ['/schemas', 'application/json', list],
    ['/schemas/', 'application/json', list],
    ['/asyncapi.json', 'application/json', { asyncapi: '3.0.0', info, channels: { events: {} } }],
    ['/schemas/order.placed.v1.json', 'application/schema+json', { $id: url, title: 'order.placed' }]
  ]
  for (const [path, type, body] of served) {
    const { statusCode, headers, json } = await app.inject(path)
    t.strictSame([statusCode, headers['content-type'], headers['cache-control']], [200, `${type}; charset=utf-8`, 'public, max-age=300'], path)
    t.match(json(), body, path)
  }
  t.match((await app.inject('/schemas/order.paid.v1.json')).json(), { statusCode: 404, code: 'NOT_FOUND' })
})
