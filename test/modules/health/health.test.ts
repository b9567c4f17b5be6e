import { createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import packageJson from '../../../package.json' with { type: 'json' }
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept } from '../../faults.ts'
import { until } from '../../until.ts'

interface Report { status: string, checks: Record<'dynamodb' | 'sqs' | 'redis', { status: string, latencyMs: number }>, timestamp: string, version: string }

const engines = await startEngines(t, { redis: true })

async function ready (app: TestApp) {
  const response = await app.inject('/health/ready')
  return { statusCode: response.statusCode, headers: response.headers, ...response.json<Report>() }
}
const statuses = ({ checks }: Report) => Object.fromEntries(Object.entries(checks).map(([name, { status }]) => [name, status]))

/** Counts what an app sends to DynamoDB and SQS. */
function countCalls (app: TestApp) {
  const calls = { GetItemCommand: 0, GetQueueAttributesCommand: 0 } as Record<string, number>
  for (const client of [app.dynamodb, app.sqs]) {
    intercept(client, { onTheLine: false }, async ({ command, send }) => {
      calls[command] = (calls[command] ?? 0) + 1
      return await send()
    })
  }
  return calls
}

t.test('with every dependency there, the service is ready and says how long each took', async t => {
  const app = await buildTestApp(t, engines)
  // The connection to Redis comes a moment after the app.
  const report = await until(async () => { const report = await ready(app); return report.checks.redis.status === 'healthy' ? report : undefined })
  t.equal(report.statusCode, 200)
  t.equal(report.status, 'healthy')
  t.same(statuses(report), { dynamodb: 'healthy', sqs: 'healthy', redis: 'healthy' })
  for (const { latencyMs } of Object.values(report.checks)) t.ok(latencyMs > 0 && latencyMs < 1000)
  t.equal(report.version, packageJson.version)
  t.ok(Math.abs(Date.now() - Date.parse(report.timestamp)) < 2000)
})

t.test('without a shared cache, Redis is reported as disabled', async t => {
  const app = await buildTestApp(t, engines, { env: { REDIS_URL: undefined } })
  const report = await ready(app)
  t.equal(report.statusCode, 200)
  t.same(report.checks.redis, { status: 'disabled', latencyMs: 0 })
})

t.test('with Redis down the service is degraded, and stays ready', async t => {
  const app = await buildTestApp(t, engines)
  await engines.faults.redis!.stop()
  const report = await until(async () => {
    const report = await ready(app)
    return report.checks.redis.status === 'unhealthy' ? report : undefined
  })
  t.equal(report.statusCode, 200)
  t.equal(report.status, 'degraded')
  await engines.faults.redis!.start()
})

t.test('without DynamoDB the service is not ready, lives on, and is ready again once DynamoDB is back', async t => {
  const app = await buildTestApp(t, engines)
  await engines.faults.dynamodb.stop()
  const down = await until(async () => {
    const report = await ready(app)
    return report.statusCode === 503 ? report : undefined
  })
  t.match(statuses(down), { dynamodb: 'unhealthy', sqs: 'healthy' })
  t.equal(down.status, 'unhealthy')
  t.equal(down.headers['retry-after'], '5')
  t.notMatch(JSON.stringify(down), /UsersTable|ECONN|127\.0\.0\.1/, 'no detail of the inside')
  t.equal((await app.inject('/health/live')).statusCode, 200)

  const v1 = await app.inject('/v1/health')
  t.equal(v1.statusCode, 503)
  t.match(v1.json(), { dynamodb: { status: 'unhealthy' }, sqs: { status: 'healthy' } })
  t.equal(v1.headers['retry-after'], '5')

  await engines.faults.dynamodb.start()
  t.equal((await until(async () => { const report = await ready(app); return report.statusCode === 200 ? report : undefined })).checks.dynamodb.status, 'healthy')
})

t.test('dependencies that never answer are reported within the deadline', async t => {
  const sockets = new Set<Socket>()
  const hole = createServer(socket => { sockets.add(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await until(() => hole.listening)
  t.teardown(() => { for (const socket of sockets) socket.destroy(); hole.close() })
  const url = `http://127.0.0.1:${(hole.address() as AddressInfo).port}`
  const app = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: url, AWS_ENDPOINT_URL_SQS: url, EMAIL_QUEUE_URL: `${url}/queue` } })
  const start = performance.now()
  const report = await ready(app)
  const took = performance.now() - start
  t.equal(report.statusCode, 503)
  t.match(statuses(report), { dynamodb: 'unhealthy', sqs: 'unhealthy' })
  t.ok(took < 1500, `answered after ${Math.round(took)} ms`)
})

t.test('with SQS down the service is degraded, and stays ready; version 1 answers 503', async t => {
  const app = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:1', EMAIL_QUEUE_URL: 'http://127.0.0.1:1/queue', REDIS_URL: undefined } })
  const report = await ready(app)
  t.equal(report.statusCode, 200)
  t.equal(report.status, 'degraded')
  t.same(statuses(report), { dynamodb: 'healthy', sqs: 'unhealthy', redis: 'disabled' })
  t.equal(report.headers['retry-after'], undefined)
  const v1 = await app.inject('/v1/health')
  t.equal(v1.statusCode, 503)
  t.match(v1.json(), { dynamodb: { status: 'healthy' }, sqs: { status: 'unhealthy' } })
  app.health.drain()
  t.equal((await ready(app)).status, 'unhealthy')
})

t.test('liveness touches no dependency', async t => {
  const app = await buildTestApp(t, engines)
  const calls = countCalls(app)
  const response = await app.inject('/health/live')
  t.equal(response.statusCode, 200)
  t.same(response.json(), { status: 'healthy' })
  t.same(calls, { GetItemCommand: 0, GetQueueAttributesCommand: 0 })
})

t.test('five hundred checks at once ask each dependency once, and a second later once more', async t => {
  const app = await buildTestApp(t, engines)
  const calls = countCalls(app)
  const reports = await Promise.all(Array.from({ length: 500 }, (_, i) => i % 2 === 0 ? app.inject('/health/ready') : app.inject('/v1/health')))
  t.ok(reports.every(({ statusCode }) => statusCode === 200))
  t.same(calls, { GetItemCommand: 1, GetQueueAttributesCommand: 1 })
  await until(async () => { await ready(app); return calls['GetItemCommand'] === 2 })
  t.same(calls, { GetItemCommand: 2, GetQueueAttributesCommand: 2 })
})

t.test('a server that stops is no longer ready, although everything answers', async t => {
  const app = await buildTestApp(t, engines)
  t.equal((await ready(app)).statusCode, 200)
  app.health.drain()
  const report = await ready(app)
  t.equal(report.statusCode, 503)
  t.equal(report.status, 'unhealthy')
  t.match(statuses(report), { dynamodb: 'healthy', sqs: 'healthy' })
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

t.test('version 1 answers as the article has it: bare, with both dependencies', async t => {
  const app = await buildTestApp(t, engines)
  const response = await app.inject('/v1/health')
  t.equal(response.statusCode, 200)
  t.same(Object.keys(response.json()), ['dynamodb', 'sqs', 'timestamp'])
  t.match(response.json(), { dynamodb: { status: 'healthy' }, sqs: { status: 'healthy' } })
  t.ok(response.headers['deprecation'])
  t.ok(response.headers['sunset'])
})

t.test('health checks are neither limited nor worth a log line each', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '1' } })
  for (const path of ['/health/live', '/health/ready', '/v1/health']) {
    for (let i = 0; i < 3; i++) {
      const response = await app.inject(path)
      t.equal(response.statusCode, 200)
      t.notHas(response.headers, { ratelimit: /./ })
    }
  }
  t.same(app.logLines.filter(({ msg }) => msg === 'answered'), [])
})
