import t from 'tap'
import { createProbes, type Checks } from '../../../src/modules/health/probes.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { intercept } from '../../faults.ts'
import { until } from '../../until.ts'

const engines = await startEngines(t)

const DOWN = { dynamodb: 'GetItemCommand', sqs: 'GetQueueAttributesCommand' }

/** An app for which some dependencies fail, and what it logs about them. */
async function appWithout (t: Test, ...dependencies: (keyof typeof DOWN)[]) {
  const app = await buildTestApp(t, engines)
  for (const dependency of dependencies) intercept(dependency === 'sqs' ? app.sqs : app.dynamodb, { command: DOWN[dependency], onTheLine: false }, async () => { throw new Error(`${dependency} is down`) })
  return { app, warnings: () => app.logLines.filter(({ msg }) => msg === 'health: a dependency does not answer').sort((a, b) => String(a['dependency']) < String(b['dependency']) ? -1 : 1) }
}

t.test('each dependency is asked for as little as it can be, and the report says how long it took', async t => {
  const app = await buildTestApp(t, engines)
  const asked: unknown[] = []
  for (const client of [app.dynamodb, app.sqs]) {
    intercept(client, { onTheLine: false }, async ({ command, input, send }) => {
      asked.push([command, input])
      const answer = await send()
      const start = performance.now()
      await until(() => performance.now() - start > 25)
      return answer
    })
  }
  const before = Date.now()
  const { status, checks, timestamp } = await app.health.readiness()
  t.equal(status, 'healthy')
  t.match(asked.sort(), [['GetItemCommand', { TableName: 'UsersTable', Key: { userId: 'health' } }], ['GetQueueAttributesCommand', { QueueUrl: app.config.EMAIL_QUEUE_URL, AttributeNames: ['QueueArn'] }]])
  t.match(checks, { dynamodb: { status: 'healthy', breaker: 'closed' }, sqs: { status: 'healthy' } })
  t.strictSame(checks.redis, { status: 'disabled', latencyMs: 0 })
  t.strictSame([Object.keys(checks), Object.keys(checks.sqs)], [['dynamodb', 'sqs', 'redis'], ['status', 'latencyMs']])
  for (const { latencyMs } of [checks.dynamodb, checks.sqs]) {
    t.ok(latencyMs >= 24 && latencyMs < 1000, String(latencyMs))
    t.match(String(latencyMs), /^\d+(?:\.\d)?$/, 'in tenths of a millisecond')
  }
  t.ok(Date.parse(timestamp) >= before && Date.parse(timestamp) <= Date.now())
})

t.test('what does not answer is named in the report and in the log, and version 1 answers 503', async t => {
  for (const [down, status] of [[[], 'healthy'], [['sqs'], 'degraded'], [['dynamodb'], 'unhealthy'], [['dynamodb', 'sqs'], 'unhealthy']] as const) {
    const { app, warnings } = await appWithout(t, ...down)
    const of = (dependency: keyof typeof DOWN) => ({ status: down.some(one => one === dependency) ? 'unhealthy' : 'healthy' })
    const ready = await app.inject('/health/ready')
    t.match(ready.json(), { status, checks: { dynamodb: of('dynamodb'), sqs: of('sqs') } }, down.join())
    t.equal(ready.statusCode, status === 'unhealthy' ? 503 : 200)
    const v1 = await app.inject('/v1/health')
    t.same([v1.statusCode, v1.headers['retry-after']], down.length === 0 ? [200, undefined] : [503, '5'])
    t.strictSame(v1.json(), { dynamodb: of('dynamodb'), sqs: of('sqs'), timestamp: ready.json<{ timestamp: string }>().timestamp })
    t.match(warnings().map(({ level, dependency, err }) => ({ level, dependency, err })), down.map(dependency => ({ level: 'warn', dependency, err: { message: `${dependency} is down` } })))
    t.equal(warnings().length, down.length)
  }
})

t.test('a Redis that does not answer is reported with its breaker', async t => {
  const app = await buildTestApp(t, engines, { env: { REDIS_URL: 'redis://127.0.0.1:1' } })
  const { status, checks } = await app.health.readiness()
  t.equal(status, 'degraded')
  t.match(checks.redis, { status: 'unhealthy', breaker: /^(?:open|closed|half-open)$/ })
  t.match(app.logLines.find(({ dependency, err }) => dependency === 'redis' && err !== undefined), { level: 'warn', err: { message: 'Redis does not answer' } })
})

t.test('the mail server is in a report while its breaker is not closed', async t => {
  const app = await buildTestApp(t, engines)
  const failures: string[] = []
  let state: 'closed' | 'open' | 'half-open' | undefined
  const report = () => createProbes({
    dynamodb: app.dynamodb,
    sqs: app.sqs,
    cache: app.cache,
    table: app.config.USERS_TABLE,
    queueUrl: app.config.EMAIL_QUEUE_URL,
    onFailure: dependency => failures.push(dependency),
    breakers: { stateOf: name => name === 'mail' ? state : name === 'dynamodb' ? 'half-open' : undefined }
  })()
  for (state of [undefined, 'closed', 'open', 'half-open'] as const) {
    const { checks } = await report()
    t.strictSame(checks.mail, state === 'open' || state === 'half-open' ? { status: 'unhealthy', latencyMs: 0, breaker: state } : undefined, String(state))
    t.equal('mail' in checks, checks.mail !== undefined)
    t.equal((checks as Required<Checks>).dynamodb.breaker, 'half-open')
    t.notOk('breaker' in checks.redis)
  }
  t.same(failures, [])
})

t.test('a report is shared, and made again a second later', async t => {
  const app = await buildTestApp(t, engines)
  const [one, two] = await Promise.all([app.health.readiness(), app.health.check()])
  t.equal(one.timestamp, two.timestamp)
  t.equal((await app.health.readiness()).timestamp, one.timestamp)
  await until(async () => (await app.health.readiness()).timestamp !== one.timestamp, { timeoutMs: 5000 })
})
