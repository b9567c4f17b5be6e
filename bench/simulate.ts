import { BenchError, type Benchmark, type Row, type Table } from './lib/bench.ts'
import { PRICES } from './lib/prices.ts'
import { createRandom, logNormal } from './lib/random.ts'
import { readResults, type Results } from './lib/results.ts'
import { createSimulation, simulateFunction, type FunctionLoad, type Process } from './lib/simulation.ts'

// What 100,000 requests a second need. Calls and units are measured (bench/results.json); the rest is assumed here, as data.

/** Requests a second that the page is about. */
const TARGET = 100_000

/** Shares of the requests. A registration and a sign-in are two requests each: the code is requested, and exchanged. */
const MIX = {
  read: 0.93,
  refresh: 0.03,
  'sign-in request': 0.015,
  'code exchange, known user': 0.015,
  'registration, v1': 0.001,
  'registration, v2': 0.004,
  'code exchange, new user': 0.005
}
type Operation = keyof typeof MIX

const ASSUMED = {
  /** of reads that the cache answers */
  cached: 0.9,
  /** units of Valkey for a cached read: docs/cost.md */
  cacheUnits: 2,
  /** ms of a call to DynamoDB or SQS from a function in the region: median and 99th percentile */
  call: { median: 4, p99: 20 },
  /** ms of a read from the cache in the same network */
  cacheCall: 1,
  /** ms between two invocations of an instance: Lambda's runtime interface */
  invocation: 1,
  /** 99th percentile of a request, as a multiple of its median */
  tail: 4,
  /** vCPU of a function of 512 MB: one for 1,769 MB, https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
  cpuShare: 512 / 1769,
  memoryGb: 0.5,
  /** ms until a new instance starts this code: firecracker, network, download. Starts have a whole vCPU. */
  placement: 150,
  /** ms that SES takes for a mail: docs/capacity.md */
  mail: { median: 120, p99: 600 },
  /** bytes of log lines for a request, of the app and of the gateway: docs/cost.md */
  logBytes: 750,
  secondsPerMonth: 2_628_000
}

/** As template.yaml sets them by default. */
const SETTINGS = { throttle: 200, postThrottle: 20, tokenThrottle: 50, reservedConcurrency: 100, parallelization: 4, streamBatch: 25, lanes: 16, mailSlots: 2, mailBatch: 10, outboxPartitions: 16 }

/** AWS's defaults in us-east-1, November 2026, by account and region. */
const QUOTAS = {
  /** https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html */
  gatewayRequests: 10_000,
  /** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
  concurrency: 1000,
  /** requests a second for each unit of concurrency, of the account and of a reservation: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html */
  requestsPerInstance: 10,
  /** new instances of a function: https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html */
  scaling: { burst: 1000, perSecond: 100 },
  /** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html */
  tableUnits: 40_000,
  /** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html */
  partitionWrites: 1000,
  /** writes a second of a new table on demand: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html */
  newTableWrites: 4000,
  /** mails a second after the sandbox: https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html */
  mails: 14,
  /** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html */
  events: 10_000,
  /** of the cache, as template.yaml limits it: docs/capacity.md */
  cacheUnits: 20_000
}

/** Calls of the worker to DynamoDB for a mail. */
const WORKER_CALLS = 3

// ── What was measured ────────────────────────────────────────────────────────────────────────────────────────────────

interface Measured {
  /** a figure of a row; throws when it is missing */
  figure (benchmark: string, table: string, row: string, key: string): number
  /** tables and indexes with write units */
  places: string[]
}

function measuredIn (results: Results): Measured {
  const tableOf = (benchmark: string, id: string): Table => {
    const table = results[benchmark]?.tables.find(table => table.id === id)
    if (table === undefined) throw new BenchError(`bench/results.json has no ${id}: npm run bench -- ${benchmark}`)
    return table
  }
  return {
    figure (benchmark, id, name, key) {
      const value = tableOf(benchmark, id).rows.find(row => row.name === name)?.values[key]
      if (value === undefined) throw new BenchError(`bench/results.json has no ${key} of "${name}" in ${id}: npm run bench -- ${benchmark}`)
      return value
    },
    places: tableOf('pipeline', 'pipeline-places').columns.map(({ key }) => key)
  }
}

// ── What a request uses, on average ──────────────────────────────────────────────────────────────────────────────────

const operations = Object.keys(MIX) as Operation[]
const average = (of: (operation: Operation) => number) => operations.reduce((sum, operation) => sum + MIX[operation] * of(operation), 0)

interface Usage {
  /** ms of a request in a warm instance */
  duration: number
  /** write units by table and index */
  writes: Record<string, number>
  readUnits: number
  entries: number
  mails: number
  events: number
  messages: number
  cacheUnits: number
  /** ms that instances are busy with entries and mails */
  entryTime: number
  mailTime: number
}

/** Of one request of the mix. */
function usageOf ({ figure, places }: Measured): Usage {
  const unit = (operation: Operation, key: string) => operation === 'read' ? 0 : figure('pipeline', 'pipeline-units', operation, key)
  const cpu = (operation: Operation) => figure('warm', operation === 'read' ? 'warm-me' : 'warm-post', 'this service', 'cpu') / 1000 / ASSUMED.cpuShare
  const uncached = 1 - ASSUMED.cached
  const calls = (operation: Operation) => operation === 'read' ? uncached : unit(operation, 'calls')
  const entries = average(operation => unit(operation, 'entries'))
  const mails = average(operation => unit(operation, 'mails'))
  // The worker makes some of the later calls, the outbox the others.
  const laterCalls = average(operation => unit(operation, 'laterCalls') - WORKER_CALLS * unit(operation, 'mails'))
  // A batch of entries takes as many rounds of calls as its lanes allow.
  const rounds = Math.ceil(SETTINGS.streamBatch / SETTINGS.lanes) / SETTINGS.streamBatch
  return {
    duration: ASSUMED.invocation + MIX.read * ASSUMED.cacheCall + average(operation => cpu(operation) + calls(operation) * ASSUMED.call.median),
    writes: Object.fromEntries(places.map(place => [place, average(operation => operation === 'read' ? 0 : figure('pipeline', 'pipeline-places', operation, place))])),
    readUnits: average(operation => operation === 'read' ? uncached : unit(operation, 'reads') + unit(operation, 'laterReads')),
    entries,
    mails,
    events: average(operation => unit(operation, 'events')),
    messages: mails,
    cacheUnits: MIX.read * ASSUMED.cacheUnits,
    entryTime: laterCalls * ASSUMED.call.median * rounds,
    // The mails of a batch are sent at once: it takes as long as its slowest.
    mailTime: mails / SETTINGS.mailBatch * (slowestOf(SETTINGS.mailBatch) + WORKER_CALLS * ASSUMED.call.median)
  }
}

/** ms of the slowest of so many mails, on average. */
function slowestOf (count: number): number {
  const draw = logNormal(createRandom(1), ASSUMED.mail.median, ASSUMED.mail.p99)
  const rounds = 2000
  let sum = 0
  for (let round = 0; round < rounds; round++) sum += Math.max(...Array.from({ length: count }, draw))
  return sum / rounds
}

// ── Which limit comes first ──────────────────────────────────────────────────────────────────────────────────────────

interface Limit {
  name: string
  /** a second, or at once */
  value: number
  /** of it, for each request a second */
  used: number
  then: string
}

const isIndex = (place: string) => place.includes('.')

function limitsOf (usage: Usage): Limit[] {
  const { writes } = usage
  const tables = Object.keys(writes).filter(place => !isIndex(place))
  const posts = MIX['registration, v1'] + MIX['registration, v2']
  const tokens = MIX.refresh + MIX['code exchange, known user'] + MIX['code exchange, new user']
  const busy = (usage.duration + usage.entryTime + usage.mailTime) / 1000
  const partition = (place: string, count: number, name: string, then: string): Limit => ({ name, value: QUOTAS.partitionWrites, used: (writes[place] ?? 0) / count, then })
  return [
    { name: 'stage, requests', value: SETTINGS.throttle, used: 1, then: '`ThrottleRate`' },
    { name: 'stage, `POST` to users', value: SETTINGS.postThrottle, used: posts, then: 'MethodSettings in `template.yaml`' },
    { name: 'stage, `POST` to challenges', value: SETTINGS.postThrottle, used: MIX['sign-in request'], then: 'MethodSettings in `template.yaml`' },
    { name: 'stage, `POST` to tokens', value: SETTINGS.tokenThrottle, used: tokens, then: 'MethodSettings in `template.yaml`' },
    { name: 'API Gateway, account', value: QUOTAS.gatewayRequests, used: 1, then: 'ask for more; above, a load balancer or several regions' },
    { name: 'Lambda, reservation, requests', value: SETTINGS.reservedConcurrency * QUOTAS.requestsPerInstance, used: 1, then: '`ReservedConcurrency`: a tenth of the requests a second' },
    { name: 'Lambda, reservation, instances', value: SETTINGS.reservedConcurrency, used: busy, then: '`ReservedConcurrency`' },
    { name: 'Lambda, account, requests', value: QUOTAS.concurrency * QUOTAS.requestsPerInstance, used: 1, then: 'ask for a tenth of the requests a second as concurrency' },
    { name: 'Lambda, account, instances', value: QUOTAS.concurrency, used: busy, then: 'ask for more' },
    ...tables.map(table => ({ name: `DynamoDB, ${table}, write units`, value: QUOTAS.tableUnits, used: writes[table]!, then: 'ask for more, and warm the table before' })),
    { name: 'DynamoDB, read units, all tables', value: QUOTAS.tableUnits, used: usage.readUnits, then: 'ask for more' },
    partition('UsersTable.list', 1, 'DynamoDB, the month’s partition of `list`', 'shards of a month (ADR 70)'),
    partition('UsersTable.status', 1, 'DynamoDB, the month’s partition of `status`', 'shards of a month (ADR 70)'),
    partition('UsersTable.outbox', SETTINGS.outboxPartitions, 'DynamoDB, a partition of the users’ `outbox`', 'more shards in `store.ts`'),
    partition('AuthTable.outbox', SETTINGS.outboxPartitions, 'DynamoDB, a partition of the codes’ `outbox`', 'more shards in `store.ts`'),
    { name: 'streams of a new table, batches at once', value: QUOTAS.newTableWrites / QUOTAS.partitionWrites * SETTINGS.parallelization, used: usage.entryTime / 1000, then: 'grows with the table’s partitions; ParallelizationFactor 10' },
    { name: 'e-mail worker, batches at once', value: SETTINGS.mailSlots, used: usage.mailTime / 1000, then: '`EmailMaximumConcurrency`' },
    { name: 'SES, mails', value: QUOTAS.mails, used: usage.mails, then: 'ask for more, weeks before' },
    { name: 'EventBridge, events', value: QUOTAS.events, used: usage.events, then: 'ask for more' },
    { name: 'Valkey, units', value: QUOTAS.cacheUnits, used: usage.cacheUnits, then: 'CacheUsageLimits' }
  ].filter(({ used }) => used > 0).sort((a, b) => a.value / a.used - b.value / b.used)
}

// ── Cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Dollars a month at so many requests a second, by part. */
function costOf (usage: Usage, rate: number): Record<string, number> {
  const month = rate * ASSUMED.secondsPerMonth
  const writes = Object.values(usage.writes).reduce((sum, units) => sum + units, 0)
  const busy = (usage.duration + usage.entryTime + usage.mailTime) / 1000
  const invocations = 1 + usage.entries / SETTINGS.streamBatch + usage.mails / SETTINGS.mailBatch
  return {
    gateway: month * PRICES.restRequest,
    lambda: month * (invocations * PRICES.invocation + busy * ASSUMED.memoryGb * PRICES.gbSecond),
    dynamodb: month * (writes * PRICES.writeUnit + usage.readUnits * PRICES.readUnit),
    mails: month * usage.mails * PRICES.mail,
    other: month * (usage.messages * 3 * PRICES.sqsCall + usage.events * PRICES.event + ASSUMED.logBytes / 1e9 * PRICES.logGb)
  }
}

// ── Bursts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function functionLoads (usage: Usage, coldStart: number): { name: string, load: FunctionLoad }[] {
  const common = { seed: 10, duration: { median: usage.duration, p99: usage.duration * ASSUMED.tail }, coldStart, scaling: QUOTAS.scaling, requestsPerInstance: QUOTAS.requestsPerInstance }
  return [
    { name: '200 a second, steady, the defaults of prod', load: { ...common, phases: [{ rate: 200, seconds: 60 }], warm: 2, concurrency: SETTINGS.reservedConcurrency } },
    { name: '1,000 a second, steady, reservation 100', load: { ...common, phases: [{ rate: 1000, seconds: 30 }], warm: 2, concurrency: 100 } },
    { name: '200, then 2,000 a second, reservation 100', load: { ...common, phases: [{ rate: 200, seconds: 20 }, { rate: 2000, seconds: 20 }], warm: 2, concurrency: 100 } },
    { name: '200, then 2,000 a second, reservation 300', load: { ...common, phases: [{ rate: 200, seconds: 20 }, { rate: 2000, seconds: 20 }], warm: 2, concurrency: 300 } },
    { name: '100,000 a second at once, quota 12,000', load: { ...common, phases: [{ rate: TARGET, seconds: 5 }], warm: 2, concurrency: 12_000 } },
    { name: '100,000 a second at once, 1,500 provisioned', load: { ...common, phases: [{ rate: TARGET, seconds: 5 }], warm: 1500, concurrency: 12_000 } }
  ]
}

interface Pipeline {
  /** registrations that come at once */
  count: number
  /** ms of a call, drawn */
  call: () => number
  /** ms of a mail, drawn */
  mail: () => number
  /** one engine for all calls, which takes one at a time */
  isLocal: boolean
  /** requests under way at once */
  clients: number
  /** calls of a request, of its two entries and of its mail */
  calls: { request: number, entry: number, mail: number }
  /** batches of entries at once */
  relays: number
  mailSlots: number
  /** mails a second that the provider accepts */
  mailRate: number
}

/** Milliseconds until the last registration is accepted, and until 99 of 100 mails and the last one are sent. */
function simulateBurst ({ count, call, mail, isLocal, clients, calls, relays, mailSlots, mailRate }: Pipeline): { accepted: number, mails99: number, lastMail: number } {
  const simulation = createSimulation()
  const engine = simulation.resource(isLocal ? 1 : Infinity)
  const provider = simulation.resource(1)
  const entries = simulation.store<undefined>()
  const messages = simulation.store<undefined>()
  let left = count
  let accepted = 0
  const mails: number[] = []

  function * callsOf (number: number): Process {
    for (let n = 0; n < number; n++) yield * engine.use(call())
  }
  /** Does the work of a batch in so many lanes, and goes on when all is done. */
  function * together (batch: undefined[], lanes: number, work: () => Process): Process {
    let open = batch.length
    let running = Math.min(lanes, open)
    let onDone = () => {}
    function * lane (): Process {
      for (; open > 0;) {
        open--
        yield * work()
      }
      if (--running === 0) onDone()
    }
    for (let n = 0; n < Math.min(lanes, batch.length); n++) simulation.start(lane())
    yield resume => { onDone = resume }
  }
  function * client (): Process {
    while (left > 0) {
      left--
      yield * callsOf(calls.request)
      accepted = Math.max(accepted, simulation.now)
      entries.put(undefined)
    }
  }
  function * relay (): Process {
    for (;;) {
      const batch: undefined[] = []
      yield * entries.take(SETTINGS.streamBatch, batch)
      yield * together(batch, SETTINGS.lanes, function * () {
        yield * callsOf(calls.entry)
        messages.put(undefined)
      })
    }
  }
  function * worker (): Process {
    for (;;) {
      const batch: undefined[] = []
      yield * messages.take(SETTINGS.mailBatch, batch)
      yield * together(batch, SETTINGS.mailBatch, function * () {
        yield * callsOf(calls.mail)
        yield * provider.use(1000 / mailRate)
        yield mail()
        mails.push(simulation.now)
      })
    }
  }
  for (let n = 0; n < clients; n++) simulation.start(client())
  for (let n = 0; n < relays; n++) simulation.start(relay())
  for (let n = 0; n < mailSlots; n++) simulation.start(worker())
  simulation.run()
  return { accepted, mails99: mails[Math.ceil(count * 0.99) - 1]!, lastMail: mails.at(-1)! }
}

/** Calls of a registration, v2: to accept it, to handle its two entries, and to send its mail. */
function callsOf ({ figure }: Measured): Pipeline['calls'] {
  const unit = (key: string) => figure('pipeline', 'pipeline-units', 'registration, v2', key)
  return { request: unit('calls'), entry: unit('laterCalls') - WORKER_CALLS, mail: WORKER_CALLS }
}

/** Milliseconds of the local engine for a call, with which a burst takes as long as was measured. */
function fittedCall (burst: (call: number) => Pipeline, mails99: number): number {
  let [low, high] = [0.001, 100]
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    if (simulateBurst(burst(middle)).mails99 < mails99) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** ms that the local inbox takes for a mail; the engine takes much longer for the calls around it. */
const LOCAL_MAIL = 3
/** Loops that read the queue in the local system: local/queue-mapping.ts. */
const LOCAL_SLOTS = 5
/** Requests under way at once: bench/pipeline.ts. */
const LOCAL_CLIENTS = 32

/** Two figures that can be measured here, as the simulation foretells them. */
function comparison (measured: Measured): Row[] {
  const { figure } = measured
  const local = (count: number, call: number): Pipeline => ({
    count, call: () => call, mail: () => LOCAL_MAIL, isLocal: true, clients: LOCAL_CLIENTS, calls: callsOf(measured), relays: 1, mailSlots: LOCAL_SLOTS, mailRate: Infinity
  })
  const mails = (count: string) => figure('pipeline', 'pipeline-burst', `a burst of ${count}`, 'mails99')
  const call = fittedCall(call => local(200, call), mails('200') * 1000)
  const row = (name: string, simulated: number, actual: number): Row => ({ name, values: { simulated, measured: actual, ratio: simulated / actual } })
  /** A server that always has a waiting connection works all the time. */
  const rate = (table: string) => 1e6 / figure('server', table, 'this service', 'cpu')
  return [
    row('99 % of the mails of a burst of 2,000, s', simulateBurst(local(2000, call)).mails99 / 1000, mails('2,000')),
    row('`GET /health/live`, 64 connections, a second', rate('server-static'), figure('server', 'server-static', 'this service', 'rate')),
    row('`GET /v2/users/me`, 64 connections, a second', rate('server-me'), figure('server', 'server-me', 'this service', 'rate'))
  ]
}

// ── The tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

const thousand = (value: number) => value.toLocaleString('en')

/** What the simulation says, given what was measured. The same results give the same tables. */
export function simulationOf (results: Results): Table[] {
  const measured = measuredIn(results)
  const usage = usageOf(measured)
  // The start's CPU time was measured with a core; Lambda gives starts one as well.
  const coldStart = ASSUMED.placement + measured.figure('cold', 'cold-post', 'this service, POST /v2/users', 'cpuMs')
  const onAws = (changes: Partial<Pipeline>): Pipeline => {
    const random = createRandom(20)
    return {
      count: 2000,
      call: logNormal(random, ASSUMED.call.median, ASSUMED.call.p99),
      mail: logNormal(random, ASSUMED.mail.median, ASSUMED.mail.p99),
      isLocal: false,
      clients: SETTINGS.reservedConcurrency,
      calls: callsOf(measured),
      relays: QUOTAS.newTableWrites / QUOTAS.partitionWrites * SETTINGS.parallelization,
      mailSlots: SETTINGS.mailSlots,
      mailRate: QUOTAS.mails,
      ...changes
    }
  }
  const burst = (name: string, changes: Partial<Pipeline>): Row => {
    const { accepted, lastMail } = simulateBurst(onAws(changes))
    return { name, values: { accepted: accepted / 1000, lastMail: lastMail / 1000 } }
  }
  const costs = [1000, 10_000, TARGET].map(rate => ({ rate, cost: costOf(usage, rate) }))
  const shared = { isCompared: false as const }
  return [
    {
      ...shared,
      id: 'simulate-limits',
      title: 'Which limit comes first',
      note: `In the order in which growing traffic meets them, with the template's defaults and AWS's quotas. The mix: ${operations.map(operation => `${operation} ${Number((MIX[operation] * 100).toPrecision(3))} %`).join(', ')}; the cache answers ${ASSUMED.cached * 100} % of the reads. Units and calls are measured by \`npm run bench -- pipeline\`; a request takes ${usage.duration.toFixed(1)} ms: the CPU time of \`npm run bench -- warm\` at the share of a core that 512 MB have, ${ASSUMED.call.median} ms for a call, ${ASSUMED.cacheCall} ms for the cache, and ${ASSUMED.invocation} ms between two invocations.`,
      columns: [{ key: 'value', title: 'limit' }, { key: 'reached', title: 'reached at, requests a second' }, { key: 'needed', title: `needed at ${thousand(TARGET)}` }],
      rows: limitsOf(usage).map(({ name, value, used, then }) => ({ name, values: { value, reached: Number((value / used).toPrecision(3)), needed: Number((used * TARGET).toPrecision(3)) }, note: then }))
    },
    {
      ...shared,
      id: 'simulate-writes',
      title: `Writes at ${thousand(TARGET)} requests a second`,
      note: 'Write units a second by table and index, and the share of the busiest key. A key takes 1,000.',
      columns: [{ key: 'writes', title: 'write units' }, { key: 'hottest', title: 'busiest key' }],
      rows: Object.entries(usage.writes).map(([place, units]) => ({
        name: place.replace('.', ', index '),
        values: { writes: units * TARGET, hottest: place.endsWith('.outbox') ? units * TARGET / SETTINGS.outboxPartitions : isIndex(place) ? units * TARGET : undefined },
        note: place.endsWith('.outbox') ? `${SETTINGS.outboxPartitions} keys, by the entry's id` : isIndex(place) ? 'one key a month' : 'keys are ids and pseudonyms: no key has more than a few writes a second'
      }))
    },
    {
      ...shared,
      id: 'simulate-function',
      title: 'Instances of the API function in bursts',
      note: `Requests arrive at random and independently, durations are log-normal with this median and a 99th percentile of ${ASSUMED.tail} times it, and a cold start adds ${Math.round(coldStart)} ms (${ASSUMED.placement} and the CPU time of \`npm run bench -- cold\`). A request is refused when the reservation or its ten requests a second for each instance are used up, or when it needs a new instance and 1,000 have started in ten seconds.`,
      columns: [{ key: 'peak', title: 'busy at most' }, { key: 'cold', title: 'cold, %', digits: 2 }, { key: 'throttled', title: 'refused, %', digits: 2 }, { key: 'p50', title: 'median, ms', digits: 1 }, { key: 'p99', title: '99 %, ms' }],
      rows: functionLoads(usage, coldStart).map(({ name, load }) => {
        const { peak, cold, throttled, p50, p99 } = simulateFunction(load)
        return { name, values: { peak, cold: cold * 100, throttled: throttled * 100, p50, p99 } }
      })
    },
    {
      ...shared,
      id: 'simulate-burst',
      title: 'A burst of 2,000 registrations on AWS',
      note: `Once the stage lets them in: seconds until all are accepted by ${SETTINGS.reservedConcurrency} instances, and until the last mail is sent.`,
      columns: [{ key: 'accepted', title: 'accepted, s', digits: 1 }, { key: 'lastMail', title: 'last mail, s', digits: 1 }],
      rows: [
        burst('defaults: SES 14 a second, 2 batches of mails', {}),
        burst('SES 500 a second, 2 batches of mails', { mailRate: 500 }),
        burst('SES 500 a second, 10 batches of mails', { mailRate: 500, mailSlots: 10 })
      ]
    },
    {
      ...shared,
      id: 'simulate-cost',
      title: 'Cost a month',
      note: 'Dollars, list prices, REST API, without the fixed cost and the cache.',
      columns: [{ key: 'gateway', title: 'API Gateway' }, { key: 'lambda', title: 'Lambda' }, { key: 'dynamodb', title: 'DynamoDB' }, { key: 'mails', title: 'mails' }, { key: 'other', title: 'SQS, events, logs' }, { key: 'sum', title: 'sum' }],
      rows: costs.map(({ rate, cost }) => {
        const rounded = Object.fromEntries(Object.entries(cost).map(([part, dollars]) => [part, Number(dollars.toPrecision(3))]))
        return { name: `${thousand(rate)} requests a second`, values: { ...rounded, sum: Number(Object.values(cost).reduce((sum, dollars) => sum + dollars, 0).toPrecision(3)) } }
      })
    },
    {
      ...shared,
      id: 'simulate-compared',
      title: 'Simulated and measured',
      note: 'The burst of 2,000 on the local system: the same model with one engine that takes one call at a time; its time for a call is fitted to the measured burst of 200. The server: a core that is never idle, with the measured CPU time of a request. What else the machine does, and what grows with use, is what the simulation does not have.',
      columns: [{ key: 'simulated', title: 'simulated' }, { key: 'measured', title: 'measured' }, { key: 'ratio', title: 'simulated ÷ measured', digits: 2 }],
      rows: comparison(measured)
    }
  ]
}

async function run (): Promise<Table[]> {
  return simulationOf(readResults())
}

export const simulate: Benchmark = {
  summary: `${thousand(TARGET)} requests a second: what they need and what breaks first, calculated from the results`,
  isDerived: true,
  needsPackages: () => false,
  run
}
