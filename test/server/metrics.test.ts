import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { loadConfig } from '../../src/plugins/config.ts'
import type { MetricsOptions } from '../../src/plugins/metrics.ts'
import { startMetrics } from '../../src/server/metrics.ts'
import { declared, declaredNames } from '../metric-names.ts'
import { parseExposition, type Sample } from './exposition.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)
const metrics = (await startMetrics(loadConfig({ ...engines.env, METRICS_PORT: '0', STAGE: 'staging' })))!
t.teardown(() => metrics.close())

/** What a scraper reads, parsed. */
async function scrape (url = metrics.url): Promise<Sample[]> {
  const answer = await fetch(url)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  return parseExposition(await answer.text())
}

const isOfProcess = (name: string) => /^(process|nodejs)_/.test(name)
/** The metrics that have been used: counts begin with 0. */
const scrapedNames = (samples: Sample[]) => [...new Set(samples.filter(({ type, value }) => type !== 'counter' || value > 0).map(({ name }) => name))].filter(name => !isOfProcess(name)).sort()

/** The metrics that CloudWatch takes from log lines. */
const loggedNames = (lines: Record<string, unknown>[]) => [...new Set(lines.flatMap(line => (line['_aws'] as { CloudWatchMetrics: { Metrics: { Name: string }[] }[] } | undefined)?.CloudWatchMetrics[0]!.Metrics.map(({ Name }) => Name) ?? []))].sort()

/** Uses each declared metric once, by its kind, and answers one request, which carries what is frequent. */
async function useAll (app: TestApp): Promise<void> {
  const { count, countOften, measure, show } = app.metrics
  const uses: Record<string, (name: never) => void> = { count, countOften, seconds: name => measure(name, 1.5, { source: 'orders' }), state: name => show(name, 'orders', 1) }
  for (const [name, kind] of declared) if (name !== 'RequestSeconds') uses[kind === 'frequent' ? 'countOften' : kind]!(name as never)
  await app.inject('/v2/users/me')
  await until(() => app.logLines.some(({ msg }) => msg === 'answered'))
}

/** The differences between the two presentations and what is declared. */
async function missing (options: MetricsOptions): Promise<string[]> {
  const app = await buildTestApp(t, engines, { metrics: { inAnswers: true, ...options } })
  await useAll(app)
  const [scraped, logged] = [scrapedNames(await scrape()), loggedNames(app.logLines)]
  const names = [...new Set([...declaredNames, ...scraped, ...logged])]
  return names.flatMap(name => [...(scraped.includes(name) ? [] : [`${name} is not at /metrics`]), ...(logged.includes(name) ? [] : [`${name} is not in the log`]), ...(declaredNames.includes(name) ? [] : [`${name} is not declared`])])
}

t.test('a metric that only one presentation shows is found', async t => {
  const { scraped } = metrics.options
  t.same(await missing({ scraped: { ...scraped!, count: (name, value) => { if (name !== 'MailsSent') scraped!.count(name, value) } } }), ['MailsSent is not at /metrics'])
  t.same(await missing({ ...metrics.options, inAnswers: false }), ['CacheHits', 'CacheMisses', 'RequestSeconds'].map(name => `${name} is not in the log`))
})

t.test('each declared metric is in the log for CloudWatch and at /metrics, under one name', async t => {
  t.same(await missing(metrics.options), [])
})

t.test('before the first event each count is 0, so that its first increase is seen, and each metric says what it is', async t => {
  const own = (await startMetrics(loadConfig({ ...engines.env, METRICS_PORT: '0' })))!
  t.teardown(() => own.close())
  const counts = [...declared].filter(([, kind]) => kind === 'count' || kind === 'frequent').map(([name]) => name).sort()
  const before = (await scrape(own.url)).filter(({ name }) => !isOfProcess(name))
  t.ok(counts.length > 20, `${counts.length} counts`)
  t.same(before.map(({ name, type, value, labels }) => [name, type, value, labels]), counts.map(name => [name, 'counter', 0, { service: 'user-service', environment: 'local' }]))

  const app = await buildTestApp(t, engines, { metrics: own.options })
  await useAll(app)
  const after = await scrape(own.url)
  t.equal(after.find(({ name }) => name === 'MailsSent')!.value, 1, 'the same series goes on')
  t.equal(after.find(({ name }) => name === 'MailsSent')!.help, 'mails that the mail server accepted')
  t.equal(after.find(({ name }) => name === 'RequestSeconds')!.help, 'time from the arrival of a request to its answer, in seconds')
  t.same(after.filter(({ help = '' }) => help.length < 10).map(({ name }) => name), [], 'each has a text')
})

t.test('a scrape shows what has happened, by route and class of status, and nothing about users', async t => {
  const own = (await startMetrics(loadConfig({ ...engines.env, METRICS_PORT: '0', STAGE: 'staging' })))!
  t.teardown(() => own.close())
  const app = await buildTestApp(t, engines, { metrics: own.options })
  const { accessToken, user } = await signIn(app, engines, 'scraped@example.com', 'Ada Scraped')
  const headers = { authorization: `Bearer ${accessToken}` }
  for (let i = 0; i < 3; i++) await app.inject({ url: '/v2/users/me', headers })
  await app.inject({ url: `/v2/users/${user.id}`, headers })
  await until(() => app.logLines.some(({ route }) => route === '/v2/users/:id'))
  await app.inject({ url: '/v2/users/me' })
  await app.inject({ url: '/wp-login.php', method: 'POST' })
  // DynamoDB Local shows a write in its stream a little later.
  await until(async () => { await pump(app, engines); return (await scrape(own.url)).some(({ name, labels }) => name === 'StreamLagSeconds' && labels['source'] === 'UsersTable') })

  const samples = await scrape(own.url)
  const one = (name: string, labels: Record<string, string> = {}) => samples.find(sample => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
  for (const name of ['RegistrationsRequested', 'UsersRegistered', 'MailsQueued', 'MailsSent', 'SignIns']) t.equal(one(name)?.value, 1, name)
  t.equal(one('CacheHits')?.value, 4)
  t.equal(one('RequestSeconds', { method: 'POST', route: '/v2/users', status: '2xx' })?.count, 1)
  t.equal(one('RequestSeconds', { method: 'GET', route: '/v2/users/me', status: '2xx' })?.count, 3)
  t.equal(one('RequestSeconds', { method: 'GET', route: '/v2/users/me', status: '4xx' })?.count, 1)
  t.equal(one('RequestSeconds', { method: 'none', route: 'none', status: '4xx' })?.count, 1, 'the paths that scanners try are one series')
  const { buckets, count, value: sum, labels } = one('RequestSeconds', { route: '/v2/users' })!
  t.equal(buckets!['+Inf'], count)
  t.ok(sum > 0 && sum < 10, `${sum} s`)
  t.match(labels, { service: 'user-service', environment: 'staging' }, 'the dimensions that CloudWatch has')
  t.ok(one('QueueLagSeconds', { source: 'EmailQueue' })!.count! >= 1)
  t.ok(one('StreamLagSeconds', { source: 'UsersTable' })!.count! >= 1)
  for (const dependency of ['dynamodb', 'mail']) t.equal(one('BreakerOpen', { dependency })?.value, 0, dependency)
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds', 'nodejs_heap_size_used_bytes', 'nodejs_eventloop_lag_p99_seconds']) t.ok(one(name)!.value > 0, name)

  const text = await (await fetch(own.url)).text()
  t.notMatch(text, /scraped@|Ada Scraped|wp-login|[0-9a-f]{8}-[0-9a-f]{4}-/)
  t.notOk(app.logLines.some(line => line['msg'] === 'answered' && '_aws' in line), 'the lines of answers are as they were')
})

t.test('on Lambda the line of an answer carries the metrics of its request', async t => {
  const { accessToken } = await signIn(await buildTestApp(t, engines), engines, 'logged@example.com')
  const app = await buildTestApp(t, engines, { metrics: { inAnswers: true } })
  for (let i = 0; i < 2; i++) await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })
  const [first, second] = await until(() => {
    const answers = app.logLines.filter(({ msg }) => msg === 'answered')
    return answers.length === 2 ? answers : undefined
  })
  for (const line of [first!, second!]) {
    t.match(line, { _aws: { CloudWatchMetrics: [{ Namespace: 'UserService', Dimensions: [['service', 'environment']] }] }, service: 'user-service', environment: 'local', route: '/v2/users/me' })
    t.ok(Math.abs(Number(line['RequestSeconds']) * 1000 - Number(line['durationMs'])) < 0.01, 'in seconds')
  }
  t.same([first, second].map(line => [line!['CacheHits'], line!['CacheMisses']]), [[undefined, 1], [1, undefined]])
  t.match(second, { _aws: { CloudWatchMetrics: [{ Metrics: [{ Name: 'RequestSeconds', Unit: 'Seconds' }, { Name: 'CacheHits', Unit: 'Count' }] }] } })
})

t.test('a breaker is a line when it changes, and 1 at /metrics while it is open', async t => {
  const own = (await startMetrics(loadConfig({ ...engines.env, METRICS_PORT: '0' })))!
  t.teardown(() => own.close())
  const app = await buildTestApp(t, engines, { metrics: own.options })
  const shown = async () => (await scrape(own.url)).find(({ name, labels }) => name === 'BreakerOpen' && labels['dependency'] === 'orders')!.value
  let isDown = true
  const breaker = app.breakers.add('orders', { isFailure: () => true, now: () => isDown ? 0 : 5000, onOpen () {}, onClose () {} })
  t.equal(await shown(), 0)
  for (let i = 0; i < 5; i++) await breaker.run(() => Promise.reject(new Error('down'))).catch(() => {})
  t.equal(await shown(), 1)
  isDown = false
  await breaker.run(async () => {})
  t.equal(await shown(), 0)
  const lines = app.logLines.filter(line => 'BreakerOpen' in line)
  t.match(lines, [{ BreakerOpen: 1, dependency: 'orders' }, { BreakerOpen: 0, dependency: 'orders' }])
  t.equal(lines.length, 2)
  t.match(lines[0], { _aws: { CloudWatchMetrics: [{ Dimensions: [['service', 'environment', 'dependency']] }] } })
})

t.test('the plain server shows metrics on their own port only, and only if it is set', async t => {
  async function run (env: Record<string, string>) {
    const child = spawn(process.execPath, ['src/server.ts'], {
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...engines.env, LOG_LEVEL: 'info', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    t.teardown(() => child.kill('SIGKILL'))
    let log = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => { log += String(text) })
    const exited = once(child, 'exit')
    return { exited, log: () => log, api: () => /Server listening at (http:[^"]+)/.exec(log)?.[1] }
  }
  const server = await run({ METRICS_PORT: '0' })
  const api = await until(server.api, { timeoutMs: 30_000 })
  const url = /"url":"(http:[^"]+\/metrics)"/.exec(server.log())![1]!
  await fetch(`${api}/health/live`)
  await until(async () => scrapedNames(await scrape(url)).includes('RequestSeconds'))
  t.equal((await fetch(`${api}/metrics`)).status, 404, 'not on the port of the API')
  t.equal((await fetch(new URL('/', url))).status, 404)
  t.equal((await fetch(url, { method: 'POST' })).status, 405)

  const taken = await run({ METRICS_PORT: new URL(url).port })
  t.strictSame(await taken.exited, [1, null])
  t.equal(taken.log().trim(), `METRICS_PORT: port ${new URL(url).port} is in use, set METRICS_PORT to another port, or to 0 for a free one`)
  t.equal(await startMetrics(loadConfig(engines.env)), undefined, 'off by default')
})

t.test('a message that comes again after its mail was sent is counted', async t => {
  const app = await buildTestApp(t, engines)
  // Each batch twice, as SQS may.
  const twice = {
    consumers: {
      async deliver (event: { Records: unknown }) {
        await app.consumers.deliver(event)
        return await app.consumers.deliver(event)
      }
    }
  }
  await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'twice@example.com', name: 'Ada' } })
  await pump(app, engines, twice)
  t.equal(engines.mailsTo('twice@example.com').length, 1)
  t.equal(app.logLines.filter(line => 'MailsDuplicated' in line).length, 1)
})
