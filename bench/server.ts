import { PutCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from '../local/aws.ts'
import { completeEnv, engineEnv } from '../local/env.ts'
import { freePort } from '../local/ports.ts'
import { findRedis, startRedis } from '../local/redis.ts'
import { checkAnswer } from './lib/answers.ts'
import { BenchError, isSelected, type Benchmark, type Context, type Table } from './lib/bench.ts'
import { buildServerPeer } from './lib/build.ts'
import { cpuTime } from './lib/cpu-time.ts'
import { startBenchEngines, type BenchEngines } from './lib/engines.ts'
import type { LoadDone, LoadOrder } from './lib/load-order.ts'
import { BENCH, BUILD, ROOT } from './lib/paths.ts'
import { pinned, PINNING, pinnedNode } from './lib/pinning.ts'
import { median, pairedRatio, shuffled } from './lib/stats.ts'
import { peerBearer, peerTasks, serviceBearer, serviceTasks, USER_ITEM, type Task } from './lib/work.ts'

const CONNECTIONS = 64

/** A figure that was not measured on this system is left out. */
const optional = (value: number) => Number.isNaN(value) ? undefined : value

type Kind = 'static' | 'me'

/** The common way to write the service with Fastify: its plugins, as their READMEs register them, with the log on. */
const NAIVE = 'naive'
const PEERS: { name: string, title: string, kinds: Kind[], file: string, env?: Record<string, string> }[] = [
  { name: 'node-http', title: 'node:http', kinds: ['static'], file: 'node-http' },
  { name: 'fastify', title: 'Fastify', kinds: ['static', 'me'], file: 'fastify' },
  { name: 'hono', title: 'Hono', kinds: ['static', 'me'], file: 'hono' },
  { name: 'nest', title: 'Nest on Fastify', kinds: ['static', 'me'], file: 'nest' },
  { name: 'express', title: 'Express', kinds: ['static', 'me'], file: 'express' },
  { name: 'naive-silent', title: 'naive plugin stack, no log', kinds: ['static', 'me'], file: 'naive' },
  { name: NAIVE, title: 'naive plugin stack', kinds: ['static', 'me'], file: 'naive', env: { BENCH_LOG: 'true' } }
]
const BASES: Record<Kind, string> = { static: 'node-http', me: NAIVE }
const isChosen = (context: Context, name: string) => isSelected(context, name, 'node-http') || name === NAIVE

interface Server {
  name: string
  title: string
  pid: number
  origin: string
  tasks: Partial<Record<Kind, Task>>
  /** the values of Authorization for the profile */
  bearers: string[]
}

/** A server meets the tokens of many sessions, so that what it remembers of one token is worth no more than with users. */
const TOKENS = 500
const bearersOf = (make: () => string) => Array.from({ length: TOKENS }, make)

interface Sample { rate: number, cpu: number | undefined }

/** Starts a server on the first core, and waits until it answers. Its log goes through a pipe to a reader on the second core, as in a container. */
async function startServer ({ title, args, env, path, teardown }: { title: string, args: string[], env: Record<string, string>, path: string, teardown: Context['teardown'] }): Promise<{ pid: number, origin: string }> {
  const port = await freePort()
  const child = spawn(...pinnedNode(0, args), { cwd: BUILD, env: { PATH: process.env['PATH'], ...env, PORT: String(port) } as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] })
  const reader = spawn(...pinned(1, 'sh', ['-c', 'exec cat > /dev/null']), { stdio: [child.stdout!, 'ignore', 'ignore'] })
  child.stdout!.destroy()
  let errors = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => { errors = (errors + text).slice(-2000) })
  let isGone = false
  child.once('close', () => { isGone = true }).once('error', () => { isGone = true })
  teardown(() => { child.kill('SIGKILL'); reader.kill('SIGKILL') })
  const origin = `http://127.0.0.1:${port}`
  for (const deadline = Date.now() + 30_000; ;) {
    const response = await fetch(`${origin}${path}`).catch(() => undefined)
    await response?.text()
    if (response?.ok === true) return { pid: child.pid!, origin }
    if (isGone || Date.now() > deadline) throw new BenchError(`${title} does not start: ${errors.trim().split('\n').find(line => /Error\b/.test(line)) ?? errors.trim().split('\n').at(-1)}`)
    await sleep(50)
  }
}

/** The environment of this service's server: everything on, a limit that is never reached, and the cache on. */
async function serviceEnv (engines: BenchEngines): Promise<Record<string, string>> {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: engines.dynamodb }), { marshallOptions: { removeUndefinedValues: true } })
  const env = completeEnv({
    ...engines.env,
    ...engineEnv({ template: engines.template, dynamodb: engines.dynamodb, sqs: engines.sqs.endpoint, smtp: 'smtp://127.0.0.1:1' }),
    JWT_SECRET: engines.secret,
    RATE_LIMIT_MAX: '1000000000',
    CACHE_TTL_SECONDS: '3600',
    CORS_ORIGIN: 'https://app.example.com'
  })
  await client.send(new PutCommand({ TableName: env['USERS_TABLE'], Item: USER_ITEM }))
  client.destroy()
  return env
}

async function prepare (context: Context): Promise<Server[]> {
  const { say, teardown } = context
  const engines = await startBenchEngines(context)
  const servers: Server[] = []
  const tasks = peerTasks(engines.secret)
  const bearers = bearersOf(peerBearer(engines.secret))
  for (const { name, title, kinds, file, env = {} } of PEERS) {
    if (!isChosen(context, name)) continue
    say(`starting ${title}`)
    const built = await buildServerPeer(file)
    servers.push({ name, title, bearers, tasks: Object.fromEntries(kinds.map(kind => [kind, tasks[kind]])), ...await startServer({ title, args: [built], env: { ...engines.env, ...env }, path: '/health', teardown }) })
  }
  if (isChosen(context, 'service')) {
    const env = await serviceEnv(engines)
    const issuer = env['JWT_ISSUER'] ?? 'user-service'
    const tasks = serviceTasks(engines.secret, issuer)
    const bearers = bearersOf(serviceBearer(engines.secret, issuer))
    const add = async (title: string, env: Record<string, string>, kinds: Partial<Record<Kind, Task>>) => {
      say(`starting ${title}`)
      servers.push({ name: title, title, bearers, tasks: kinds, ...await startServer({ title, args: ['-r', join(ROOT, 'scripts/require-node.cjs'), join(ROOT, 'scripts/serve.ts')], env, path: '/health/live', teardown }) })
    }
    await add('this service', env, { static: tasks.static, me: tasks.me })
    if (findRedis() === undefined) {
      say('this service with Redis is left out: no Redis is installed')
    } else {
      const redis = await startRedis()
      teardown(() => redis.stop('SIGKILL'))
      await add('this service, cache in Redis', { ...env, REDIS_URL: redis.url }, { me: tasks.me })
    }
  }
  return servers
}

async function validate (servers: Server[], { say }: Context): Promise<void> {
  for (const { title, origin, tasks } of servers) {
    say(`checking the answers of ${title}`)
    for (const { call, expected } of Object.values(tasks)) {
      const response = await fetch(`${origin}${call.path}`, { headers: call.headers ?? {} })
      checkAnswer(title, call, { statusCode: response.status, body: await response.text() }, expected)
    }
    if (tasks.me === undefined) continue
    const response = await fetch(`${origin}${tasks.me.call.path}`, { headers: { authorization: `${tasks.me.call.headers!['authorization']!.slice(0, -4)}AAAA` } })
    await response.text()
    if (response.status !== 401) throw new BenchError(`${title} answers ${response.status} to a forged token`)
  }
}

interface Generator { load (order: LoadOrder): Promise<LoadDone> }

async function startGenerator (teardown: Context['teardown']): Promise<Generator> {
  const child: ChildProcess = spawn(...pinnedNode(1, [join(BENCH, 'peers/load.ts')]), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  teardown(() => child.kill('SIGKILL'))
  const next = () => new Promise<unknown>((resolve, reject) => {
    const onExit = () => reject(new BenchError('the load generator has ended'))
    child.once('exit', onExit)
    child.once('message', message => { child.off('exit', onExit); resolve(message) })
  })
  await next()
  return {
    async load (order) {
      const done = next()
      child.send(order)
      return await done as LoadDone
    }
  }
}

async function measure (generator: Generator, { title, pid, origin, tasks, bearers }: Server, kind: Kind, seconds: number): Promise<Sample> {
  const { call } = tasks[kind]!
  const before = cpuTime(pid)
  const { answered, failed, seconds: taken } = await generator.load({ url: `${origin}${call.path}`, headers: kind !== 'me' ? [call.headers ?? {}] : bearers.map(authorization => ({ ...call.headers, authorization })), seconds, connections: CONNECTIONS })
  const after = cpuTime(pid)
  if (failed > 0 || answered === 0) throw new BenchError(`${title} failed ${failed} of ${answered + failed} requests under load`)
  return { rate: answered / taken, cpu: before === undefined || after === undefined ? undefined : (after - before) / answered }
}

const TITLES: Record<Kind, [title: string, note: string]> = {
  static: ['Plain server: a static answer', '`GET /health`, of this service `GET /health/live` with limits, headers, CORS and the log on. The ratio is of requests a second, to node:http in the same round.'],
  me: ['Plain server: a signed-in user’s cached profile', '`GET /users/me` with one of 500 bearer tokens, of this service `GET /v2/users/me`. The naive stack is Fastify with its plugins for configuration, sensible errors, CORS, headers, limits, JWT, and documents. The ratio is of requests a second, to the naive stack with its log in the same round; CPU counts the server’s process.']
}

async function run (context: Context): Promise<Table[]> {
  const servers = await prepare(context)
  await validate(servers, context)
  const generator = await startGenerator(context.teardown)
  // Short slices in many rounds: what else the machine does then falls on all contenders alike.
  const { warmUp, seconds, rounds } = context.small ? { warmUp: 0.5, seconds: 0.3, rounds: 3 } : { warmUp: 2.5, seconds: 0.5, rounds: 15 }
  const tables: Table[] = []
  for (const kind of ['static', 'me'] as const) {
    const [title, note] = TITLES[kind]
    const running = servers.filter(({ tasks }) => tasks[kind] !== undefined)
    for (const server of running) {
      context.say(`warming up ${server.title}`)
      await measure(generator, server, kind, warmUp)
    }
    const samples = new Map<string, Sample[]>(running.map(({ name }) => [name, []]))
    for (let round = 1; round <= rounds; round++) {
      context.say(`${kind}, round ${round} of ${rounds}`)
      for (const server of shuffled(running)) samples.get(server.name)!.push(await measure(generator, server, kind, seconds))
    }
    const rates = (name: string) => samples.get(name)!.map(({ rate }) => rate)
    const cpus = (name: string) => samples.get(name)!.map(({ cpu }) => cpu ?? NaN)
    const rows = running.map(({ name, title }) => ({
      name: title,
      values: {
        rate: median(rates(name)),
        cpu: optional(median(cpus(name))),
        ...pairedRatio(rates(name), rates(BASES[kind])),
        cpuRatio: optional(pairedRatio(cpus(BASES[kind]), cpus(name)).ratio)
      }
    }))
    tables.push({
      id: `server-${kind}`,
      title,
      note: `${note} ${CONNECTIONS} connections. ${PINNING}`,
      better: 'higher',
      // CPU time depends less on what else the machine does.
      compared: rows.some(({ values }) => values.cpuRatio === undefined) ? 'ratio' : 'cpuRatio',
      columns: [{ key: 'rate', title: 'requests a second' }, { key: 'cpu', title: 'CPU µs a request' }, { key: 'ratio', title: kind === 'static' ? '÷ node:http' : '÷ naive stack', digits: 2 }, { key: 'cpuRatio', title: 'by CPU', digits: 2 }],
      rows
    })
  }
  return tables
}

export const server: Benchmark = {
  summary: 'the plain server under load: requests a second, CPU a request',
  needsPackages: () => true, // the load generator's
  run
}
