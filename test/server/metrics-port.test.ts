import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Config } from '../../src/plugins/config.ts'
import { startMetrics } from '../../src/server/metrics.ts'
import type { createPrometheus } from '../../src/server/prometheus.ts'
import { until } from '../until.ts'

const CONFIG = { SERVICE_NAME: 'orders', STAGE: 'staging', HOST: '127.0.0.1', METRICS_PORT: 0 } as Config

async function start (t: Test, config: Partial<Config> = {}) {
  const metrics = (await startMetrics({ ...CONFIG, ...config } as Config))!
  t.teardown(() => metrics.close())
  const ask = async (method: string, path: string) => {
    const sent = request(new URL(metrics.url).origin, { method, path, agent: false }).end()
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
  }
  return { metrics, ask }
}

t.test('metrics are at /metrics alone, to be read only, and not to be kept', async t => {
  const { metrics, ask } = await start(t)
  t.match(metrics.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  metrics.options.scraped!.count('MailsSent' as never, 3)
  for (const path of ['/metrics', '/metrics?name=a', '/metrics?']) {
    const { status, headers, body } = await ask('GET', path)
    t.equal(status, 200, path)
    t.match(headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
    t.match(body, 'MailsSent{service="orders",environment="staging"} 3\n')
  }
  t.match(await ask('HEAD', '/metrics'), { status: 200, body: '' })
  for (const method of ['POST', 'DELETE', 'OPTIONS']) t.match(await ask(method, '/metrics'), { status: 405, headers: { allow: 'GET, HEAD' }, body: '' }, method)
  for (const path of ['/', '/metrics/', '/metric', '/a?/metrics', '*']) t.match(await ask('GET', path), { status: 404, body: '' }, path)
})

t.test('without a port there are none, and an address of IPv6 is written in brackets', async t => {
  t.equal(await startMetrics({ ...CONFIG, METRICS_PORT: undefined } as unknown as Config), undefined)
  const { metrics, ask } = await start(t, { HOST: '::1' })
  t.match(metrics.url, /^http:\/\/\[::1\]:\d+\/metrics$/)
  t.equal((await ask('GET', '/metrics')).status, 200)
})

t.test('a port that is taken is an error of the start', async t => {
  const { metrics } = await start(t)
  await t.rejects(startMetrics({ ...CONFIG, METRICS_PORT: Number(new URL(metrics.url).port) }), { code: 'EADDRINUSE' })
})

t.test('closing ends the connections too', async t => {
  const { metrics } = await start(t)
  const { hostname, port } = new URL(metrics.url)
  const open = connect(Number(port), hostname)
  open.on('error', () => {})
  await once(open, 'connect')
  const closed = once(open, 'close')
  metrics.close()
  await closed
  await t.rejects(once(connect(Number(port), hostname), 'connect'), { code: 'ECONNREFUSED' })

  const { text } = metrics.options.scraped as ReturnType<typeof createPrometheus>
  text()
  await sleep(60)
  const [, lag] = /^nodejs_eventloop_lag_p99_seconds\{.*\} (\S+)$/m.exec(text())!
  t.ok(Number(lag) < 0.001, 'nor is the event loop watched any longer')
})

t.test('a client that does not end its request is closed after some six seconds', async t => {
  const { metrics } = await start(t)
  const { hostname, port } = new URL(metrics.url)
  const slow = connect(Number(port), hostname)
  slow.on('error', () => {}).resume()
  slow.write('GET /metrics HTTP/1.1\r\nHost: x\r\n')
  let isClosed = false
  slow.once('close', () => { isClosed = true })
  await until(() => isClosed, { timeoutMs: 9000 })
})
