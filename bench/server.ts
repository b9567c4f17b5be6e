import { join } from 'node:path'
import { findRedis, startRedis } from '../local/redis.ts'
import { checkAnswer } from './lib/answers.ts'
import { BenchError, isSelected, type Benchmark, type Context, type Table } from './lib/bench.ts'
import { buildServerPeer } from './lib/build.ts'
import { cpuTime } from './lib/cpu-time.ts'
import { startBenchEngines } from './lib/engines.ts'
import type { LoadDone, LoadOrder } from './lib/load-order.ts'
import { ROOT } from './lib/paths.ts'
import { PINNING } from './lib/pinning.ts'
import { serviceEnv, startGenerator, startServer, type Generator } from './lib/servers.ts'
import { median, optional, pairedRatio, shuffled } from './lib/stats.ts'
import { bearersOf, peerBearer, peerTasks, serviceBearer, serviceTasks, type Task } from './lib/work.ts'

const CONNECTIONS = 64

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

interface Sample { rate: number, cpu: number | undefined }

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

async function measure (generator: Generator<LoadOrder, LoadDone>, { title, pid, origin, tasks, bearers }: Server, kind: Kind, seconds: number): Promise<Sample> {
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
  const generator = await startGenerator<LoadOrder, LoadDone>('peers/load.ts', context.teardown)
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
  contenders: [...PEERS.map(({ name }) => name), 'service'],
  needsPackages: () => true, // the load generator's
  run
}
