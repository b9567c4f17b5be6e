import { randomUUID } from 'node:crypto'
import { LOCAL_AWS } from '../local/aws.ts'
import { completeEnv, engineEnv } from '../local/env.ts'
import { startSqs } from '../local/sqs.ts'
import { readTemplate } from '../local/template.ts'
import { buildApp, type App } from '../src/app.ts'
import { createDirectoryRepository } from '../src/modules/users/directory-repository.ts'
import { loadConfig } from '../src/plugins/config.ts'
import { createLogger } from '../src/plugins/logging.ts'
import type { Benchmark, Context, Row, Table } from './lib/bench.ts'
import { residentMemory } from './lib/processes.ts'
import { median, pairedRatio, shuffled } from './lib/stats.ts'
import { bearersOf, call, operationsOf, registration, validate, type Operation } from './scale/operations.ts'
import { named, startPlace, type Place } from './scale/place.ts'

/** Users in the tables. Each figure is compared with that of the first size. */
const SIZES = [1000, 10_000, 100_000]
/** The largest size of a run without --users. A million takes six minutes more to load, and 2.2 GB of disk. */
export const DEFAULT_USERS = 100_000
const SMALL = [1000, 4000]
/** Users of a batch. */
const BATCH = 100

/** Milliseconds of a call. */
async function timeOf (work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Milliseconds of rounds, by what was measured and the size of its table. */
function createSeries () {
  const series = new Map<string, number[]>()
  return (name: string, { size }: Pick<Place, 'size'>): number[] => {
    const key = `${name} ${size}`
    if (!series.has(key)) series.set(key, [])
    return series.get(key)!
  }
}

interface Started { places: Place[], app: App, seriesOf: ReturnType<typeof createSeries> }

/** Starts a place for each size, and an app with the keys of their servers. */
async function start (context: Context, sizes: readonly number[]): Promise<Started> {
  const { say, teardown } = context
  const template = readTemplate()
  say('starting the queue')
  const sqs = await startSqs({ queues: template.queues, buckets: template.buckets })
  teardown(() => sqs.stop())
  const env = (dynamodb: string) => completeEnv({
    ...engineEnv({ template, dynamodb, sqs: sqs.endpoint, smtp: 'smtp://127.0.0.1:1' }),
    AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey,
    NODE_ENV: 'production',
    LOG_LEVEL: 'error',
    RATE_LIMIT_MAX: '1000000',
    CACHE_TTL_SECONDS: '0'
  })
  const places: Place[] = []
  for (const size of sizes) places.push(await startPlace(context, size, env))

  const config = loadConfig({ ...env('http://127.0.0.1:1'), LOG_LEVEL: 'silent' })
  const app = await buildApp({ config, logger: createLogger(config), docs: { source: 'routes' } })
  teardown(() => app.close())
  await app.ready()
  // The list ends with the month of the first account, which is noted when its registration is handled.
  for (const { dynamodb } of places) await createDirectoryRepository({ dynamodb, table: config.USERS_TABLE, publicUrl: config.PUBLIC_URL, now: () => new Date() }).noteListed(new Date(Date.now() - 365 * 24 * 3_600_000).toISOString())
  await validate(places, app)
  return { places, app, seriesOf: createSeries() }
}

/** Times each operation; a round's figure is the median of its requests. */
async function measureOperations ({ places, seriesOf }: Started, operations: readonly Operation[], { say, small }: Context): Promise<void> {
  const rounds = small ? 6 : 30
  // The first rounds are not counted: connections are opened, and code is compiled.
  for (let round = -1; round <= rounds; round++) {
    say(round < 1 ? 'warming up' : `round ${round} of ${rounds}`)
    for (const operation of operations) {
      const times = new Map<Place, number[]>(places.map(place => [place, []]))
      // In turn, request by request: what slows the machine down affects all sizes.
      for (let n = 0; n < operation.count; n++) for (const place of shuffled(places)) times.get(place)!.push(await timeOf(await operation.prepare(place)))
      if (round > 0) for (const place of places) seriesOf(operation.name, place).push(median(times.get(place)!))
    }
  }
}

/** Times a batch, and as many single registrations. */
async function measureBatches ({ places, app, seriesOf }: Started, { say, small }: Context): Promise<void> {
  const batches = small ? 4 : 9
  const headers = await bearersOf(app).admin()
  const registrations = () => Array.from({ length: BATCH }, registration)
  for (let round = 0; round <= batches; round++) {
    say(`a batch of ${BATCH} and ${BATCH} single registrations, round ${round} of ${batches}`)
    for (const place of shuffled(places)) {
      const batch = await timeOf(() => call(place.origin, 'POST', '/v2/users/batch', 200, { headers: { ...headers, 'idempotency-key': randomUUID() }, body: { users: registrations() } }))
      const singles = await timeOf(async () => { for (const body of registrations()) await call(place.origin, 'POST', '/v1/users', 201, { body }) })
      if (round > 0) {
        seriesOf('batch', place).push(batch)
        seriesOf('singles', place).push(singles)
      }
    }
  }
}

function tablesOf ({ places, seriesOf }: Started, operations: readonly Operation[]): Table[] {
  const [base] = places as [Place]
  const largest = places.at(-1)!
  const ratioOf = (name: string, place: Place) => pairedRatio(seriesOf(name, place), seriesOf(name, base))
  const rows: Row[] = operations.map(({ name }) => ({
    name,
    values: {
      ...Object.fromEntries(places.map(place => [`ms${place.size}`, median(seriesOf(name, place))])),
      ...Object.fromEntries(places.slice(1, -1).map(place => [`ratio${place.size}`, ratioOf(name, place).ratio])),
      ...ratioOf(name, largest)
    }
  }))
  return [
    {
      id: 'scale-requests',
      title: `Requests with ${named(largest.size)} against ${named(base.size)}`,
      note: 'A server and an engine for each size, all open at once; requests take turns, one at a time over HTTP. The figures are medians in ms. The ratio is to the smallest size in the same round. Tables have no streams here: nothing would read them. Nothing is cached.',
      better: 'lower',
      hasPeers: false,
      columns: [
        ...places.map(({ size }) => ({ key: `ms${size}`, title: `${size.toLocaleString('en')}, ms`, digits: 1 })),
        ...places.slice(1, -1).map(({ size }) => ({ key: `ratio${size}`, title: `${size.toLocaleString('en')} ÷ ${base.size.toLocaleString('en')}`, digits: 2 })),
        { key: 'ratio', title: `${largest.size.toLocaleString('en')} ÷ ${base.size.toLocaleString('en')}`, digits: 2 }
      ],
      rows
    },
    {
      id: 'scale-batch',
      title: `A batch of ${BATCH} against ${BATCH} single registrations`,
      note: 'One request that registers a hundred users, and a hundred requests one after the other, on the same server in the same round.',
      better: 'lower',
      hasPeers: false,
      columns: [{ key: 'batch', title: 'batch, ms' }, { key: 'singles', title: 'singles, ms' }, { key: 'ratio', title: 'batch ÷ singles', digits: 2 }],
      rows: places.map(place => ({ name: named(place.size), values: { batch: median(seriesOf('batch', place)), singles: median(seriesOf('singles', place)), ...pairedRatio(seriesOf('batch', place), seriesOf('singles', place)) } }))
    },
    {
      id: 'scale-memory',
      title: 'Memory of the server',
      note: 'Resident memory of the server after the same requests, and what the engine holds: users with a claim and a session each, written through the repositories into files that the engine imports.',
      better: 'lower',
      hasPeers: false,
      columns: [{ key: 'rss', title: 'RSS MiB' }, { key: 'ratio', title: `÷ ${base.size.toLocaleString('en')} users`, digits: 2 }, { key: 'data', title: 'data, MiB' }, { key: 'load', title: 'loaded in s' }],
      rows: places.map(({ size, pid, data, load }) => {
        const [rss, smallest] = [residentMemory(pid), residentMemory(base.pid)]
        return { name: named(size), values: { rss, ratio: rss === undefined || smallest === undefined ? undefined : rss / smallest, data, load } }
      })
    }
  ]
}

async function run (context: Context): Promise<Table[]> {
  const { small, users = DEFAULT_USERS } = context
  const started = await start(context, small ? SMALL : [...SIZES.filter(size => size < users), users])
  const operations = operationsOf(started.app)
  await measureOperations(started, operations, context)
  await measureBatches(started, context)
  return tablesOf(started, operations)
}

export const scale: Benchmark = {
  summary: 'requests, batches and memory with 1,000 to 100,000 users, or more: --users 1000000',
  needsPackages: () => false,
  run
}
