import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from '../local/aws.ts'
import { createTables, startDynamodb } from '../local/dynamodb.ts'
import { fileIn } from '../local/dynoxide-file.ts'
import { completeEnv, engineEnv } from '../local/env.ts'
import { freePort } from '../local/ports.ts'
import { startSqs } from '../local/sqs.ts'
import { readTemplate } from '../local/template.ts'
import { buildApp, type App } from '../src/app.ts'
import { createRepository as createAuthRepository } from '../src/modules/auth/repository.ts'
import { createDirectoryRepository } from '../src/modules/users/directory-repository.ts'
import { loadConfig } from '../src/plugins/config.ts'
import { createLogger } from '../src/plugins/logging.ts'
import { BenchError, type Benchmark, type Context, type Row, type Table } from './lib/bench.ts'
import { BUILD, ROOT } from './lib/paths.ts'
import { populate, userOf, type BenchUser } from './lib/population.ts'
import { residentMemory } from './lib/processes.ts'
import { median, pairedRatio, shuffled } from './lib/stats.ts'

const SIZES = [1000, 10_000, 100_000]
/** The largest size of a run without --users. A million takes six minutes more to load, and 2.2 GB of disk. */
export const DEFAULT_USERS = 100_000
const SMALL = [1000, 4000]
/** Each figure is compared with that of the first size. */
const BATCH = 100

const named = (size: number) => `${size.toLocaleString('en')} users`

/** A service over a table of some size: a server of its own, with an engine of its own. */
interface Place {
  size: number
  origin: string
  pid: number
  /** seconds that it took to load, and MiB of data */
  load: number
  data: number
  dynamodb: DynamoDBDocumentClient
  /** A user who was not used before. */
  next (): BenchUser
}

/** Requests with a JSON body; the answer must have the status. */
async function call (origin: string, method: string, path: string, status: number, { body, headers = {} }: { body?: object, headers?: Record<string, string> } = {}): Promise<unknown> {
  const response = await fetch(`${origin}${path}`, { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const text = await response.text()
  if (response.status !== status) throw new BenchError(`${method} ${path} answers ${response.status}: ${text.slice(0, 200)}`)
  return text === '' ? undefined : JSON.parse(text)
}

async function startServer (env: Record<string, string>, teardown: Context['teardown']): Promise<{ origin: string, pid: number }> {
  const port = await freePort()
  const child = spawn(process.execPath, ['-r', join(ROOT, 'scripts/require-node.cjs'), join(ROOT, 'scripts/serve.ts')], { cwd: BUILD, env: { PATH: process.env['PATH'], ...env, PORT: String(port) } as NodeJS.ProcessEnv, stdio: ['ignore', 'ignore', 'pipe'] })
  const exit = once(child, 'exit')
  teardown(async () => { child.kill('SIGKILL'); await exit })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors = (errors + text).slice(-2000) })
  const origin = `http://127.0.0.1:${port}`
  for (const deadline = Date.now() + 30_000; ;) {
    const response = await fetch(`${origin}/health/live`).catch(() => undefined)
    await response?.text()
    if (response?.ok === true) return { origin, pid: child.pid! }
    if (child.exitCode !== null || Date.now() > deadline) throw new BenchError(`the server does not start: ${errors.trim().split('\n').at(-1)}`)
    await sleep(50)
  }
}

/** Loads an engine, and starts a server that uses it. */
async function startPlace ({ say, teardown }: Context, size: number, env: (dynamodb: string) => Record<string, string>): Promise<Place> {
  const template = readTemplate()
  const dataDir = await mkdtemp(join(tmpdir(), 'user-service-scale-'))
  teardown(() => rm(dataDir, { recursive: true, force: true }))
  const began = performance.now()
  await populate({ dataDir, template, tables: { users: 'UsersTable', auth: 'AuthTable' }, count: size, say, teardown })
  const load = (performance.now() - began) / 1000
  say(`${named(size)}: starting the server`)
  const engine = await startDynamodb({ kind: 'dynoxide', dataDir })
  teardown(() => engine.stop('SIGKILL'))
  await createTables(engine.endpoint, Object.fromEntries(Object.entries(template.tables).map(([name, { StreamSpecification: _, ...table }]) => [name, table])))
  const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint: engine.endpoint })
  teardown(() => client.destroy())
  const server = await startServer(env(engine.endpoint), teardown)
  let used = 0
  return {
    ...server,
    size,
    load,
    data: (await stat(fileIn(dataDir))).size / 2 ** 20,
    dynamodb: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
    // A prime, so that all users come before the first one comes again, from everywhere in the table. The first is the admin.
    next: () => userOf(1 + (++used * 7919) % (size - 1))
  }
}

interface Operation {
  name: string
  /** requests of each size in a round */
  count: number
  /** prepares what is not measured, and returns what is */
  prepare (place: Place): Promise<() => Promise<unknown>>
}

/** What is measured. `app` has the servers' keys, so it can sign tokens and derive codes. */
function operationsOf (app: App): Operation[] {
  const bearer = async ({ id: sub, email, sid }: BenchUser, role: 'user' | 'admin' = 'user') => ({ authorization: `Bearer ${await app.accessTokens.sign({ sub, email, role, sid })}` })
  const admin = () => bearer(userOf(0), 'admin')
  const newEmail = () => `new-${randomUUID()}@example.com`
  return [
    {
      name: 'uncached read',
      count: 10,
      async prepare ({ origin, next }) {
        const headers = await bearer(next())
        return () => call(origin, 'GET', '/v2/users/me', 200, { headers })
      }
    },
    {
      name: 'list page of 20',
      count: 5,
      async prepare ({ origin }) {
        const headers = await admin()
        return () => call(origin, 'GET', '/v2/users?limit=20', 200, { headers })
      }
    },
    {
      name: 'lookup by address',
      count: 10,
      async prepare ({ origin, next }) {
        const headers = await admin()
        const { email } = next()
        return () => call(origin, 'GET', `/v2/users?email=${encodeURIComponent(email)}`, 200, { headers })
      }
    },
    { name: 'registration, v1', count: 5, prepare: async ({ origin }) => () => call(origin, 'POST', '/v1/users', 201, { body: { email: newEmail(), name: 'Grace Hopper' } }) },
    { name: 'registration, v2', count: 5, prepare: async ({ origin }) => () => call(origin, 'POST', '/v2/users', 202, { body: { email: newEmail(), name: 'Grace Hopper' } }) },
    {
      name: 'sign-in request',
      count: 5,
      async prepare ({ origin, next }) {
        const { email } = next()
        return () => call(origin, 'POST', '/v2/auth/challenges', 202, { body: { email } })
      }
    },
    {
      name: 'code exchange',
      count: 5,
      async prepare ({ origin, dynamodb, next }) {
        const { id: userId, email } = next()
        const challengeId = randomUUID()
        // As the handler of a requested code opens it.
        const repository = createAuthRepository({ dynamodb, outbox: { write: () => { throw new Error('nothing is announced') }, put: async () => {} }, table: app.config.AUTH_TABLE, now: () => new Date() })
        await repository.openChallenge({ challengeId, userId, address: app.keys.pseudonym(email), expiresAt: Math.floor(Date.now() / 1000) + 600 })
        const code = await app.keys.codeOf(challengeId)
        return () => call(origin, 'POST', '/v2/auth/tokens', 200, { body: { grantType: 'code', challengeId, code } })
      }
    }
  ]
}

/** Milliseconds of a call. */
async function timeOf (work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** The answers are right before anything is timed. */
async function validate (places: Place[], app: App): Promise<void> {
  for (const { origin, size, next } of places) {
    const { id: sub, email, sid } = next()
    const user = await call(origin, 'GET', '/v2/users/me', 200, { headers: { authorization: `Bearer ${await app.accessTokens.sign({ sub, email, role: 'user', sid })}` } }) as { id: string, email: string }
    const admin = userOf(0)
    const headers = { authorization: `Bearer ${await app.accessTokens.sign({ sub: admin.id, email: admin.email, role: 'admin', sid: admin.sid })}` }
    const found = await call(origin, 'GET', `/v2/users?email=${encodeURIComponent(email)}`, 200, { headers }) as { items: { id: string }[] }
    const page = await call(origin, 'GET', '/v2/users?limit=20', 200, { headers }) as { items: unknown[] }
    if (user.email !== email || found.items[0]?.id !== sub || page.items.length !== 20) throw new BenchError(`${named(size)}: a loaded user is not read, found by address, or listed`)
  }
}

async function run (context: Context): Promise<Table[]> {
  const { say, teardown, small, users = DEFAULT_USERS } = context
  const sizes = small ? SMALL : [...SIZES.filter(size => size < users), users]
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

  const operations = operationsOf(app)
  const rounds = small ? 6 : 30
  /** by operation and size: the median of each round */
  const series = new Map<string, number[]>()
  const seriesOf = (name: string, { size }: Place) => {
    const key = `${name} ${size}`
    if (!series.has(key)) series.set(key, [])
    return series.get(key)!
  }
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

  const batches = small ? 4 : 9
  const admin = userOf(0)
  const headers = { authorization: `Bearer ${await app.accessTokens.sign({ sub: admin.id, email: admin.email, role: 'admin', sid: admin.sid })}` }
  const registrations = () => Array.from({ length: BATCH }, () => ({ email: `new-${randomUUID()}@example.com`, name: 'Grace Hopper' }))
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

export const scale: Benchmark = {
  summary: 'requests, batches and memory with 1,000 to 100,000 users, or more: --users 1000000',
  needsPackages: () => false,
  run
}
