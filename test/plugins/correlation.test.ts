import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { buildTestApp, pump, startEngines } from '../helper.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('a harmless correlation id is the request’s own from then on', async t => {
  for (const id of ['a', 'A-b_c.9', 'x'.repeat(64), '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '1-67891233-abcdef012345678912345678']) {
    const { headers } = await app.inject({ url: '/health/live', headers: { 'x-correlation-id': id } })
    t.equal(headers['x-correlation-id'], id)
  }
})

t.test('without one, each request gets a new UUID', async t => {
  const ids = new Set<unknown>()
  for (let i = 0; i < 100; i++) ids.add((await app.inject('/health/live')).headers['x-correlation-id'])
  t.equal(ids.size, 100)
  for (const id of ids) t.match(id, UUID)
})

t.test('1,000 hostile ids: each replaced, no header split, every log line valid JSON, none of it in a log', async t => {
  // Text with bytes of all kinds around a word that must turn up nowhere.
  const hostile = Array.from({ length: 1000 }, (_, i) => {
    const nasty = ['\r\nset-cookie: a=b', '\n{"level":"fatal"}', '"', '\\', '\u0000', '\u001b[31m', '<script>', '%0d%0a', '$'.concat('{jndi:ldap://x}'), '\u2028', '\u{1F4A3}', '\u212a', ' ', ',', ';', '/', '../..', '\u007f', '\u0085', ':']
    return `${nasty[i % nasty.length]}hush${i}${'x'.repeat(i % 80)}`
  })
  app.logLines.length = 0
  for (const id of hostile) {
    const { headers, statusCode } = await app.inject({ url: '/nowhere', headers: { 'x-correlation-id': id } })
    if (statusCode !== 404 || !UUID.test(String(headers['x-correlation-id'])) || 'set-cookie' in headers) t.fail(JSON.stringify(id))
  }
  // The helper parses each line as it is written: one that is no JSON would have thrown there.
  t.equal(app.logLines.filter(line => line['msg'] === 'answered').length, 1000)
  t.notMatch(JSON.stringify(app.logLines), /hush/)
})

t.test('two of them in one request are none', async t => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const answer = await new Promise<string>((resolve, reject) => {
    request({ port: (app.server.address() as AddressInfo).port, path: '/health/live', headers: { 'x-correlation-id': ['first', 'second'] }, agent: false }, response => {
      response.resume()
      resolve(String(response.headers['x-correlation-id']))
    }).once('error', reject).end()
  })
  t.match(answer, UUID)
})

t.test('it goes all the way: answer, logs, outbox, queue and mail', async t => {
  app.logLines.length = 0
  const { headers } = await app.inject({ method: 'POST', url: '/v2/users', headers: { 'x-correlation-id': 'all-the-way' }, payload: { email: 'way@example.com', name: 'Ada' } })
  t.equal(headers['x-correlation-id'], 'all-the-way')
  await pump(app, engines)
  t.equal(engines.mails.at(-1)?.headers.get('x-correlation-id'), 'all-the-way')
  const lines = app.logLines.filter(line => line['correlationId'] === 'all-the-way').map(line => line['msg'])
  for (const step of ['answered', 'handled', 'mail sent']) t.ok(lines.includes(step), `${step}, among ${lines.join(', ')}`)
})
