import type { Context } from 'aws-lambda'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { httpEvent, overLambda } from '../lambda/transports.ts'
import { report, workload } from '../promise.ts'

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

t.test('hostile ids: each replaced, no header split, every log line valid JSON, none of it in a log', async t => {
  // Text with bytes of all kinds around a word that must turn up nowhere.
  const hostile = Array.from({ length: workload({ short: 200, full: 1000 }) }, (_, i) => {
    const nasty = ['\r\nset-cookie: a=b', '\n{"level":"fatal"}', '"', '\\', '\u0000', '\u001b[31m', '<script>', '%0d%0a', '$'.concat('{jndi:ldap://x}'), '\u2028', '\u{1F4A3}', '\u212a', ' ', ',', ';', '/', '../..', '\u007f', '\u0085', ':']
    return `${nasty[i % nasty.length]}hush${i}${'x'.repeat(i % 80)}`
  })
  app.logLines.length = 0
  const invoke = createDispatch(app)
  const overEvent = overLambda(event => invoke(event, {} as Context), httpEvent)
  const kept: string[] = []
  for (const [i, id] of hostile.entries()) {
    // No client can send a line break in a header, but an event can hold one.
    const { headers, status } = i % 2 === 0
      ? await overEvent({ method: 'GET', target: '/nowhere', headers: [['x-correlation-id', id]] })
      : await app.inject({ url: '/nowhere', headers: { 'x-correlation-id': id } }).then(({ headers, statusCode }) => ({ headers, status: statusCode }))
    const values = JSON.stringify(headers)
    if (status !== 404 || !UUID.test(String(headers['x-correlation-id'])) || 'set-cookie' in headers || /hush|\\r|\\n/.test(values)) kept.push(id)
  }
  t.same(kept.slice(0, 5), [])
  // The helper parses each line as it is written: one that is no JSON would have thrown there.
  const lines = app.logLines.filter(line => line['msg'] === 'answered').length
  const named = JSON.stringify(app.logLines).match(/hush/g)?.length ?? 0
  report(t, {
    promise: 24,
    part: 'correlation ids',
    figure: `${hostile.length} hostile ids: ${kept.length} kept or in a header, ${lines} log lines valid JSON, ${named} with a word of them`,
    holds: kept.length === 0 && lines === hostile.length && named === 0
  })
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
