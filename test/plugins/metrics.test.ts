import { readFileSync } from 'node:fs'
import t from 'tap'
import { METRICS_NAMESPACE } from '../../src/plugins/metrics.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'
import { declaredIn, makeMetricList, METRIC_LIST } from '../../scripts/metric-list.ts'
import { countedIn, countedNames, declared, declaredNames } from '../metric-names.ts'

const engines = await startEngines(t)

interface EmfLine {
  _aws: { Timestamp: number, CloudWatchMetrics: { Namespace: string, Dimensions: string[][], Metrics: { Name: string, Unit: string }[] }[] }
  [field: string]: unknown
}

const counted = (lines: Record<string, unknown>[], metric: string) => lines.filter(line => line['_aws'] !== undefined && metric in line) as unknown as EmfLine[]

t.test('a count is one log line in the embedded metric format, complete in itself', async t => {
  const app = await buildTestApp(t, engines, { env: { STAGE: 'staging' } })
  for (const [metric, kind] of declared) {
    if (kind !== 'count') continue
    app.metrics.count(metric as Parameters<typeof app.metrics.count>[0], 3)
    const [line] = counted(app.logLines, metric)
    t.ok(line, metric)
    t.ok(Math.abs(Date.now() - line!._aws.Timestamp) < 5000, 'milliseconds since the epoch')
    t.same(line!._aws.CloudWatchMetrics, [{ Namespace: METRICS_NAMESPACE, Dimensions: [['service', 'environment']], Metrics: [{ Name: metric, Unit: 'Count' }] }])
    // CloudWatch takes the values from the line itself.
    t.match(line, { [metric]: 3, service: 'user-service', environment: 'staging' })
  }
})

t.test('what modules declare is what is counted', async t => {
  t.same(countedNames, declaredNames)
  t.ok(countedNames.length > 5, `${countedNames.length} names`)
  t.same(countedIn("metrics.count(a === undefined ? 'B' : 'C')\ncount('D', 3)\ndiscount('E')"), ['B', 'C', 'D'])
  t.same(declaredIn("interface MetricNames {\n    /** orders that were placed */\n    OrdersPlaced: true\n    OrderSeconds: 'seconds'\n  }"), [{ name: 'OrdersPlaced', kind: 'count', help: 'orders that were placed' }, { name: 'OrderSeconds', kind: 'seconds', help: undefined }])
})

t.test('what /metrics says of each metric is what its declaration says', async t => {
  const made = makeMetricList()
  t.ok(readFileSync(METRIC_LIST, 'utf8') === made, 'npm run openapi was run')
  for (const name of declaredNames) t.match(made, `  ${name}: ['`)
  t.match(makeMetricList(["interface MetricNames {\n    /** a customer's orders */\n    OrdersPlaced: true\n  }"]), "  OrdersPlaced: ['count', 'a customer\\'s orders']\n}")
  t.throws(() => makeMetricList(['interface MetricNames {\n    OrdersPlaced: true\n  }']), { message: 'OrdersPlaced in MetricNames needs a comment of one line above it: /metrics shows it' })
})

t.test('counts are written at every log level but silent: alarms are made of them', async t => {
  for (const level of ['warn', 'error', 'fatal']) {
    const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: level } })
    app.log.info('not written')
    app.metrics.count('SignIns')
    t.equal(app.logLines.length, 1, level)
    t.match(app.logLines[0], { SignIns: 1, environment: 'local' })
  }
  const silent = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'silent' } })
  silent.metrics.count('SignIns')
  t.same(silent.logLines, [])
})

t.test('a registration counts what it was', async t => {
  const app = await buildTestApp(t, engines)
  await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'counted@example.com', name: 'Ada' } })
  await pump(app, engines)
  await until(() => engines.mails.length === 1)
  for (const metric of ['RegistrationsRequested', 'UsersRegistered', 'MailsQueued', 'MailsSent']) t.equal(counted(app.logLines, metric).length, 1, metric)
})
