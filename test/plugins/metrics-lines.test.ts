import Fastify, { LogController } from 'fastify'
import t, { type Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import logging, { createLogger } from '../../src/plugins/logging.ts'
import metrics, { type MetricsOptions } from '../../src/plugins/metrics.ts'
import { until } from '../until.ts'

interface Line { [field: string]: unknown, _aws?: { Timestamp?: number } }

/** Metrics and the lines of answers alone, what they log, and what a scraper is given. */
async function buildMeasured (t: Test, { level = 'info', ...options }: MetricsOptions & { level?: string, isScraped?: boolean } = {}) {
  const loaded = loadConfig(completeEnv({ STAGE: 'staging', LOG_LEVEL: level }))
  const lines: Line[] = []
  const app = Fastify({
    loggerInstance: createLogger(loaded, { write: line => { lines.push(JSON.parse(line) as Line) } }),
    logController: new LogController({ disableRequestLogging: true })
  })
  t.teardown(() => app.close())
  await app.register(config, { config: loaded })
  await app.register(metrics, { metrics: options })
  await app.register(logging)
  app.get('/things/:id', async () => {
    // Answers that take no time show nothing.
    for (const end = performance.now() + 2; performance.now() < end;) { /* computes */ }
    for (let i = 0; i < 2; i++) app.metrics.countOften('CacheHits')
    return {}
  })
  app.get('/499', async (_request, reply) => { await reply.code(499).send({}) })
  app.get('/500', async (_request, reply) => { await reply.code(500).send({}) })
  await app.ready()
  lines.length = 0
  /** The lines so far, without what is different each time. */
  const taken = () => lines.splice(0).map(({ time, pid, hostname, _aws, ...line }) => {
    if (_aws === undefined) return line
    const { Timestamp, ...rest } = _aws
    t.ok(Math.abs(Date.now() - Timestamp!) < 60_000, 'milliseconds since the epoch')
    return { ...line, _aws: rest }
  })
  return { app, lines, taken }
}

function startScraper () {
  const given: unknown[][] = []
  const take = (kind: string) => (...args: unknown[]) => { given.push([kind, ...args]) }
  return { given, scraped: { count: take('count'), observe: take('observe'), show: take('show') } }
}

const BASE = { level: 'info', service: 'user-service', environment: 'staging' }
const embedded = (metrics: [name: string, unit: string][], dimensions: string[] = []) => ({
  _aws: { CloudWatchMetrics: [{ Namespace: 'UserService', Dimensions: [['service', 'environment', ...dimensions]], Metrics: metrics.map(([Name, Unit]) => ({ Name, Unit })) }] }
})

for (const isScraped of [true, false]) {
  t.test(`each count, duration and change of a state is a line${isScraped ? ', and goes to the scraper' : ' where nothing is scraped'}`, async t => {
    const { given, scraped } = startScraper()
    const { app: { metrics }, taken } = await buildMeasured(t, isScraped ? { scraped } : {})
    metrics.count('SignIns')
    metrics.count('MailsSent', 3)
    metrics.countOften('CacheHits')
    metrics.measure('QueueLagSeconds', 1.5, { source: 'orders' })
    const states = [['orders', 0], ['orders', 1], ['orders', 1], ['mail', 1], ['orders', 0], ['orders', 0]] as const
    for (const [dependency, value] of states) metrics.show('BreakerOpen', dependency, value)
    const state = (dependency: string, value: number) => ({ ...BASE, dependency, BreakerOpen: value, ...embedded([['BreakerOpen', 'Count']], ['dependency']) })
    t.same(taken(), [
      { ...BASE, SignIns: 1, ...embedded([['SignIns', 'Count']]) },
      { ...BASE, MailsSent: 3, ...embedded([['MailsSent', 'Count']]) },
      { ...BASE, source: 'orders', QueueLagSeconds: 1.5, ...embedded([['QueueLagSeconds', 'Seconds']]) },
      state('orders', 1),
      state('mail', 1),
      state('orders', 0)
    ])
    t.same(given, isScraped
      ? [
          ['count', 'SignIns', 1],
          ['count', 'MailsSent', 3],
          ['count', 'CacheHits', 1],
          ['observe', 'QueueLagSeconds', 1.5, { source: 'orders' }],
          ...states.map(([dependency, value]) => ['show', 'BreakerOpen', value, { dependency }])
        ]
      : [])
  })
}

t.test('answers are measured by route and class of status, and in CloudWatch their lines carry what was counted for them', async t => {
  const { given, scraped } = startScraper()
  for (const inAnswers of [true, undefined]) {
    const { app, lines, taken } = await buildMeasured(t, { scraped, inAnswers })
    for (const url of ['/things/1', '/499', '/500', '/secret']) await app.inject(url)
    await until(() => lines.length === 4)
    const observed = given.splice(0).filter(([kind]) => kind === 'observe')
    const labels = (route: string, status: string, method = 'GET') => ({ method, route, status })
    t.same(observed.map(([, name,, labels]) => [name, labels]), [labels('/things/:id', '2xx'), labels('/499', '4xx'), labels('/500', '5xx'), labels('none', '4xx', 'none')].map(one => ['RequestSeconds', one]))
    const answers = taken() as { durationMs: number, RequestSeconds?: number }[]
    for (const [i, { durationMs, RequestSeconds, ...line }] of answers.entries()) {
      const seconds = observed[i]![2] as number
      t.ok((i > 0 || seconds >= 0.001) && Math.abs(seconds * 1000 - durationMs) < 0.5, `${seconds} s, ${durationMs} ms`)
      if (inAnswers === true) t.equal(RequestSeconds, seconds)
      const counted = i === 0 ? { CacheHits: 2 } : {}
      const metrics = { ...embedded([['RequestSeconds', 'Seconds'], ...Object.keys(counted).map((name): [string, string] => [name, 'Count'])]), ...counted }
      const known = { ...BASE, reqId: `req-${i + 1}`, msg: 'answered', method: 'GET', statusCode: [200, 499, 500, 404][i], ...(i === 3 ? {} : { route: ['/things/:id', '/499', '/500'][i] }) }
      t.same(line, inAnswers === true ? { ...known, ...metrics } : known)
    }
  }
})

t.test('without a word about metrics an answer is measured nowhere', async t => {
  const loaded = loadConfig(completeEnv())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loaded })
  await app.register(metrics, {})
  app.get('/', async (request, reply) => ({ isMeasured: app.metrics.answered(request, reply) !== undefined }))
  t.same((await app.inject('/')).json(), { isMeasured: false })
})

t.test('counts are written at every level but silent: alarms are made of them', async t => {
  for (const [level, count] of [['error', 1], ['fatal', 1], ['silent', 0]] as const) {
    const { app, lines } = await buildMeasured(t, { level })
    app.log.info('not written')
    app.metrics.count('SignIns')
    t.equal(lines.length, count, level)
  }
})
