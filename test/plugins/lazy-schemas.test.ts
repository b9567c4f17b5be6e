import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const engines = await startEngines(t)

t.test('a schema is compiled with the first request that needs it, and with no other', async t => {
  const app = await buildTestApp(t, engines, {
    beforeReady (app) {
      app.post('/broken', { schema: { body: { type: 'nothing that JSON Schema knows' } } }, async () => 'ok')
      app.post('/whole', { schema: { body: { type: 'object', properties: { n: { type: 'integer' } } }, response: { 200: { type: 'object', properties: { n: { type: 'integer' } } } } } }, async ({ body }) => body)
    }
  })
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })
  for (let i = 0; i < 2; i++) {
    t.same((await post('/whole', { n: 1, more: 2 })).json(), { n: 1 }, 'validated and serialized')
    t.match((await post('/whole', { n: 'x' })).json(), { status: 400, errors: [{ pointer: '/n' }] })
    t.equal((await post('/broken', {})).statusCode, 500)
  }
})

t.test('answers to many invalid requests at once are each about their own', async t => {
  const app = await buildTestApp(t, engines)
  const fields = await Promise.all(['name', 'email'].flatMap(field => Array.from({ length: 10 }, async () => {
    const payload = { email: 'ada@example.com', name: 'Ada Lovelace', [field]: 1 }
    return [field, (await app.inject({ method: 'POST', url: '/v2/users', payload })).json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)]
  })))
  for (const [field, pointers] of fields) t.same(pointers, [`/${String(field)}`])
})
