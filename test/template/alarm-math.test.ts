import t from 'tap'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'
import { calculate, everRed, redAfter, statistic, type Series } from './metric-math.ts'

// The alarms on shares of requests, on data: quiet and healthy hours, and outages of several sizes.

const template = evaluate(loadTemplate())

interface Minute { requests: number, failed?: number, slow?: number }

/** What API Gateway and Lambda report of traffic in each minute. Slow answers take nine seconds, others 50 ms. */
function seriesOf (minutes: Minute[]): Series {
  const each = (of: (minute: Minute) => number[]) => minutes.map(of)
  const failures = each(({ requests, failed = 0 }) => Array.from({ length: requests }, (_, i) => i < failed ? 1 : 0))
  const durations = each(({ requests, slow = 0 }) => Array.from({ length: requests }, (_, i) => i < slow ? 9000 : 50))
  return {
    'AWS/ApiGateway Count': each(({ requests }) => Array.from({ length: requests }, () => 1)),
    'AWS/ApiGateway 5XXError': failures,
    'AWS/ApiGateway 5xx': failures,
    'AWS/ApiGateway Latency': durations,
    'AWS/Lambda Duration': durations,
    'AWS/Lambda Invocations': each(({ requests }) => Array.from({ length: requests }, () => 1)),
    'AWS/Lambda Errors': each(({ requests }) => Array.from({ length: requests }, () => 0))
  }
}

const minutes = (length: number, of: (minute: number) => Minute): Minute[] => Array.from({ length }, (_, minute) => of(minute))

/** One request every three minutes. */
const quiet = (change: (minute: number) => Partial<Minute>) => seriesOf(minutes(60, minute => ({ requests: minute % 3 === 0 ? 1 : 0, ...change(minute) })))

t.test('one failed and one slow call of a quiet hour are no alarm', async t => {
  t.strictSame(everRed(template, quiet(minute => minute === 30 ? { failed: 1 } : minute === 42 ? { slow: 1 } : {})).filter(id => !id.endsWith('ShortAlarm')), [])
  t.strictSame(everRed(template, quiet(minute => minute === 30 ? { failed: 1, slow: 1 } : {})).filter(id => !id.endsWith('ShortAlarm')), [], 'nor is one that is both')
})

/** The template without what the alarms count besides the share. */
function unguarded (): Template {
  const copy = structuredClone(template)
  for (const [, { Properties }] of resourcesOf(copy, 'AWS::CloudWatch::Alarm')) {
    for (const query of (Properties['Metrics'] ?? []) as { Expression?: string }[]) {
      if (typeof query.Expression === 'string') query.Expression = query.Expression.replace(/^IF\((?:failed|slow) >= [\d.]+, (.+), 0\)$/, '$1')
    }
  }
  return copy
}

t.test('without the count, that hour pages, and would roll a release back', async t => {
  const red = everRed(unguarded(), quiet(minute => minute === 30 ? { failed: 1 } : minute === 42 ? { slow: 1 } : {}))
  for (const id of ['FastBurnAlarm', 'SlowBurnAlarm', 'ServiceImpairedAlarm', 'ApiDurationAlarm', 'ApiCanaryDurationAlarm']) t.ok(red.includes(id), id)
})

t.test('four hours at the objective are no alarm, whatever the traffic', async t => {
  // A seeded generator: the same hours each time.
  let state = 7
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31
  for (const perMinute of [1, 30, 200]) {
    const hours = seriesOf(minutes(240, () => {
      const calls = Array.from({ length: perMinute }, () => ({ failed: random() < 0.001, slow: random() < 0.001 }))
      return { requests: perMinute, failed: calls.filter(({ failed }) => failed).length, slow: calls.filter(({ slow }) => slow).length }
    }))
    // The short windows of the burn rates page only together with the long ones.
    const paging = ['Api5xxAlarm', 'ApiLatencyAlarm', 'ApiDurationAlarm', 'FastBurnAlarm', 'SlowBurnAlarm']
    t.strictSame(paging.filter(id => redAfter(template, id, hours) !== undefined), [], `${perMinute} requests a minute`)
  }
})

/** Traffic of an hour, in which a share of the requests fails or is slow from minute 30. */
const outage = (perMinute: (minute: number) => number, of: { failed?: number, slow?: number }) => seriesOf(minutes(90, minute => {
  const requests = perMinute(minute)
  return minute < 30 ? { requests } : { requests, failed: Math.round(requests * (of.failed ?? 0)), slow: Math.round(requests * (of.slow ?? 0)) }
}))

// docs/runbook.md says these minutes.
const DETECTED: [what: string, series: Series, alarm: string, within: number][] = [
  ['everything fails at 1,000 requests a minute', outage(() => 1000, { failed: 1 }), 'Api5xxAlarm', 2],
  ['a twentieth fails at 1,000 requests a minute', outage(() => 1000, { failed: 0.05 }), 'Api5xxAlarm', 2],
  ['everything fails at five requests a minute', outage(() => 5, { failed: 1 }), 'Api5xxAlarm', 2],
  ['everything fails at one request a minute', outage(() => 1, { failed: 1 }), 'FastBurnAlarm', 5],
  ['everything fails at twelve requests an hour', outage(minute => minute % 5 === 0 ? 1 : 0, { failed: 1 }), 'FastBurnAlarm', 25],
  ['everything is slow at 1,000 requests a minute', outage(() => 1000, { slow: 1 }), 'ApiLatencyAlarm', 15],
  ['a fiftieth is slow at 1,000 requests a minute', outage(() => 1000, { slow: 0.02 }), 'ApiLatencyAlarm', 15],
  ['everything is slow at one request a minute', outage(() => 1, { slow: 1 }), 'ApiLatencyAlarm', 15],
  ['every invocation comes close to its timeout, at one a minute', outage(() => 1, { slow: 1 }), 'ApiDurationAlarm', 5]
]
for (const [what, series, alarm, within] of DETECTED) {
  t.test(`${what}: ${alarm} within ${within} minutes`, async t => {
    const after = redAfter(template, alarm, series)
    t.ok(after !== undefined && after > 30, `red after minute ${after ?? 'never'}, and not before the outage`)
    t.ok(after! - 30 <= within, `${after! - 30} minutes`)
    const { ServiceImpairedAlarm } = template.Resources
    if (String(ServiceImpairedAlarm!.Properties['AlarmRule']['Fn::Sub']).includes(alarm)) t.ok(redAfter(template, 'ServiceImpairedAlarm', series)! - 30 <= within, 'and says that users are affected')
  })
}

t.test('the alarms of an HTTP API are as quick and as quiet', async t => {
  const http = evaluate(loadTemplate(), { ApiType: 'http' })
  t.equal(redAfter(http, 'Api5xxAlarm', outage(() => 5, { failed: 1 })), 32)
  t.equal(redAfter(http, 'FastBurnAlarm', outage(() => 1, { failed: 1 })), 35)
  t.equal(redAfter(http, 'ApiLatencyAlarm', outage(() => 1, { slow: 1 }))! <= 45, true)
  t.strictSame(everRed(http, quiet(minute => minute === 30 ? { failed: 1, slow: 1 } : {})).filter(id => !id.endsWith('ShortAlarm')), [])
})

/** Hours in which requests come and users register and sign in as often as is given, spread over the hour. */
const business = (hours: { requests: number, registrations?: number, signIns?: number }[]): Series => {
  const of = (key: 'requests' | 'registrations' | 'signIns') => hours.flatMap(hour => Array.from({ length: 60 }, (_, minute) => {
    const count = hour[key] ?? 0
    // The metrics come without a value where nothing was counted.
    return Array.from({ length: Math.floor((minute + 1) * count / 60) - Math.floor(minute * count / 60) }, () => 1)
  }))
  return { 'AWS/ApiGateway Count': of('requests'), 'UserService RegistrationsRequested': of('registrations'), 'UserService SignIns': of('signIns') }
}

t.test('sign-ins that fall to none while requests go on are an alarm, and a quiet night is none', async t => {
  const busy = { requests: 12_000, registrations: 4, signIns: 30 }
  t.equal(redAfter(template, 'SignInsMissingAlarm', business([busy, busy, busy])), undefined)
  for (const gone of [{ signIns: 0 }, { registrations: 0 }, { signIns: 0, registrations: 0 }]) {
    const after = redAfter(template, 'SignInsMissingAlarm', business([busy, { ...busy, ...gone }, { ...busy, ...gone }]))
    t.ok(after !== undefined && after > 60 && after <= 125, `${JSON.stringify(gone)}: within an hour and five minutes, ${String(after! - 60)}`)
  }
  t.equal(redAfter(template, 'SignInsMissingAlarm', business([busy, { requests: 2000 }, { requests: 2000 }])), undefined, 'few requests prove nothing')
})

t.test('spill-over rings when it lasts, and not in a rush that the scaling follows', async t => {
  const prod = evaluate(loadTemplate(), { Stage: 'prod' })
  const spilling = (share: (minute: number) => number): Series => ({
    'AWS/Lambda Invocations': Array.from({ length: 40 }, () => [100]),
    'AWS/Lambda ProvisionedConcurrencySpilloverInvocations': Array.from({ length: 40 }, (_, minute) => [Math.round(100 * share(minute))])
  })
  t.equal(redAfter(prod, 'ApiSpilloverAlarm', spilling(minute => minute >= 10 && minute < 16 ? 0.9 : 0)), undefined, 'six minutes')
  t.equal(redAfter(prod, 'ApiSpilloverAlarm', spilling(() => 0.02)), undefined)
  t.ok(redAfter(prod, 'ApiSpilloverAlarm', spilling(minute => minute < 10 ? 0 : 0.3))! <= 25)
})

t.test('a version whose invocations fail is rolled back within five minutes at one a minute, and not for one failure', async t => {
  const errors = (of: (minute: number) => number): Series => ({ 'AWS/Lambda Errors': Array.from({ length: 20 }, (_, minute) => [of(minute)]) })
  t.ok(redAfter(template, 'ApiCanaryErrorsAlarm', errors(() => 1))! <= 5)
  t.equal(redAfter(template, 'ApiCanaryErrorsAlarm', errors(minute => minute % 9 === 0 ? 1 : 0)), undefined)
})

/** Probability of `least` events or more where `mean` are expected (Poisson). */
function tail (least: number, mean: number): number {
  let term = Math.exp(-mean)
  let below = 0
  for (let k = 0; k < least; k++) {
    below += term
    term *= mean / (k + 1)
  }
  return 1 - below
}

t.test('the numbers of failures are such that a service at its objective rings less than once a year by chance', async t => {
  const OBJECTIVE = 0.001
  for (const id of ['Api5xxAlarm', 'FastBurnLongAlarm', 'SlowBurnLongAlarm', 'ApiLatencyAlarm']) {
    const { Metrics, EvaluationPeriods: n, DatapointsToAlarm: m, Threshold } = template.Resources[id]!.Properties as { Metrics: { Expression?: string, MetricStat?: { Period: number } }[], EvaluationPeriods: number, DatapointsToAlarm: number, Threshold: number }
    const least = Math.ceil(Number(/>= ([\d.]+)/.exec(Metrics.find(({ Expression }) => Expression?.startsWith('IF'))!.Expression!)![1]))
    // At this traffic the count alone keeps the alarm quiet; with more, the share does, and chance matters less.
    const mean = OBJECTIVE * least / (Threshold / 100)
    const one = tail(least, mean)
    const choose = (a: number, b: number): number => b === 0 ? 1 : a * choose(a - 1, b - 1) / b
    const chance = choose(n, m) * one ** m
    const windows = 365 * 86_400 / Metrics.find(({ MetricStat }) => MetricStat !== undefined)!.MetricStat!.Period
    t.comment(`${id}: ${least} failures, ${one.toExponential(1)} a window, ${(chance * windows).toExponential(1)} a year`)
    t.ok(chance * windows < 1, id)
    // A count of two would ring more often.
    t.ok(choose(n, m) * tail(2, OBJECTIVE * 2 / (Threshold / 100)) ** m * windows > chance * windows)
  }
})

t.test('the evaluator knows what it calculates', async t => {
  t.equal(calculate('IF(a >= 5, 100 * a / b, 0)', { a: 5, b: 50 }), 10)
  t.equal(calculate('IF(a >= 5, 100 * a / b, 0)', { a: 4, b: 50 }), 0)
  t.equal(calculate('IF(a >= 5, 100 * a / b, 0)', { a: undefined, b: 50 }), undefined, 'no data, no result')
  t.equal(calculate('a / b', { a: 1, b: 0 }), undefined)
  t.equal(calculate('SUM([a, FILL(b, 2)])', { a: 1, b: undefined }), 3)
  t.equal(calculate('(100 - a) * b / 100', { a: 75, b: 8 }), 2)
  t.equal(calculate('a > 1 AND (b == 0 OR c < 3)', { a: 2, b: 1, c: 2 }), 1)
  t.throws(() => calculate('RATE(a)', { a: 1 }), SyntaxError)
  t.throws(() => calculate('a 2', { a: 1 }), SyntaxError)
  t.equal(statistic('PR(:1000)', [1000, 1001, 5, 5]), 75)
  t.equal(statistic('p99', [1, 9, 5]), 9)
  t.equal(statistic('Sum', []), undefined)
  t.throws(() => statistic('tm90', [1]))
})
