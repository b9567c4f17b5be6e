import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { buildLambda } from '../scripts/build/lambda.ts'
import { checkAnswer, type Answer } from './lib/answers.ts'
import { BenchError, isSelected, type Benchmark, type Context, type Table } from './lib/bench.ts'
import { buildLoader, buildPeer, stubbedAws } from './lib/build.ts'
import { errorLine, nextMessage, tailOf } from './lib/children.ts'
import { peerEnv } from './lib/engines.ts'
import { restEvent } from './lib/events.ts'
import { functionEnv } from './lib/function-env.ts'
import { BUILD } from './lib/paths.ts'
import { median, pairedRatio, shuffled } from './lib/stats.ts'
import type { Done, Order } from './lib/warm-loader.ts'
import { peerTasks, refusedTask, serviceTasks, USER_ITEM, type Task, type Tasks } from './lib/work.ts'

const KINDS = ['static', 'me', 'post'] as const
type Kind = typeof KINDS[number]

const PEERS: { name: string, title: string, packages: boolean, kinds: readonly Kind[] }[] = [
  { name: 'article', title: "the article's handler", packages: false, kinds: ['static', 'post'] },
  { name: 'hono', title: 'Hono', packages: true, kinds: KINDS },
  { name: 'express', title: 'Express + serverless-http', packages: true, kinds: KINDS },
  { name: 'middy', title: 'middy', packages: true, kinds: KINDS },
  { name: 'fastify', title: 'Fastify + @fastify/aws-lambda', packages: false, kinds: KINDS },
  { name: 'nest', title: 'Nest + serverless-express', packages: true, kinds: KINDS },
  { name: 'naive', title: 'Fastify, every plugin, loaded naively', packages: true, kinds: KINDS }
]
const BASE = 'fastify'

interface Contender {
  name: string
  title: string
  tasks: Partial<Tasks>
  process: WarmProcess
}

interface WarmProcess { run (order: Order): Promise<Done> }

/** Starts a process that has loaded the bundle. It ends with the benchmark. */
async function startWarm ({ title, loader, directory, env, teardown }: { title: string, loader: string, directory: string, env: Record<string, string>, teardown: Context['teardown'] }): Promise<WarmProcess> {
  const child: ChildProcess = fork(loader, [directory], { cwd: directory, env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const errors = tailOf(child.stderr)
  teardown(() => child.kill('SIGKILL'))
  const next = async () => await nextMessage<Done>(child, code => `${title} ended with exit code ${code}: ${errorLine(errors()).trim().slice(0, 300)}`)
  await next()
  return {
    run (order) {
      const answer = next()
      child.send(order)
      return answer
    }
  }
}

async function prepare (context: Context): Promise<Contender[]> {
  const { say, teardown } = context
  const loader = await buildLoader('warm-loader')
  const peer = peerEnv()
  const secret = peer['JWT_SECRET']!
  const stub = JSON.stringify({ item: USER_ITEM, secret })
  const contenders: Contender[] = []
  for (const { name, title, kinds } of PEERS) {
    if (!isSelected(context, name, BASE)) continue
    say(`building ${title}`)
    const directory = await buildPeer(name, { isStubbed: true })
    const tasks = peerTasks(secret)
    contenders.push({ name, title, tasks: Object.fromEntries(kinds.map(kind => [kind, tasks[kind]])), process: await startWarm({ title, loader, directory, env: { ...peer, BENCH_STUB: stub }, teardown }) })
  }
  if (isSelected(context, 'service', BASE)) {
    say('building this service')
    const directory = join(BUILD, 'stubbed/service')
    await buildLambda(directory, { plugins: [stubbedAws] })
    const variables = functionEnv(id => `http://127.0.0.1:1/000000000000/${id}`)
    const env: Record<string, string> = {
      ...peer,
      ...variables,
      BENCH_STUB: stub,
      // The same client calls all the time. Without Redis, one process may cache in memory.
      RATE_LIMIT_MAX: '1000000000',
      CACHE_TTL_SECONDS: '3600'
    }
    // Secrets are fetched once, and without the SDK's client, which the stub stands for: they are given instead.
    delete env['JWT_SECRET_ARN']
    delete env['CODE_SECRET_ARN']
    contenders.push({ name: 'service', title: 'this service', tasks: serviceTasks(secret, variables['JWT_ISSUER']!), process: await startWarm({ title: 'this service', loader, directory, env, teardown }) })
  }
  return contenders
}

async function validate (contenders: Contender[], { say }: Context): Promise<void> {
  for (const { title, tasks, process } of contenders) {
    say(`checking the answers of ${title}`)
    for (const kind of KINDS) {
      const task = tasks[kind]
      if (task === undefined) continue
      for (const { call, expected } of [task, ...(kind === 'post' ? [refusedTask(task.call.path)] : [])] satisfies Task[]) {
        const { answer, calls } = await process.run({ event: restEvent(call), count: 1 })
        checkAnswer(title, call, answer as Partial<Answer>, expected)
        if (kind === 'post' && expected.status < 300 && calls === 0) throw new BenchError(`${title} answers POST ${call.path} without a call to AWS`)
      }
    }
  }
}

const TITLES: Record<Kind, [title: string, note: string]> = {
  static: ['Warm invocation: a static answer', 'Time of one invocation in a warm process, µs: `GET /health`, of this service `GET /health/live`.'],
  me: ['Warm invocation: a signed-in user’s cached profile', 'Time of one invocation in a warm process, µs: a bearer token is verified and a cached profile returned. Nothing calls AWS.'],
  post: ['Warm invocation: a registration', 'Time of one invocation in a warm process, µs. A call to AWS is answered in the process by a stub in place of the SDK client’s `send`: peers make two calls, this service one.']
}

async function run (context: Context): Promise<Table[]> {
  const contenders = await prepare(context)
  await validate(contenders, context)
  // Invocations. V8 has optimised the hot code after some thousands.
  const [warmUp, count, rounds] = context.small ? [2000, 500, 3] : [6000, 1000, 11]
  const series = new Map<string, { time: number, cpu: number }[]>()
  const each = (kind: Kind) => contenders.filter(({ tasks }) => tasks[kind] !== undefined)
  for (const kind of KINDS) {
    for (const { title, tasks, process } of each(kind)) {
      context.say(`warming up ${title}`)
      await process.run({ event: restEvent(tasks[kind]!.call), count: warmUp })
    }
    for (let round = 1; round <= rounds; round++) {
      context.say(`${kind}, round ${round} of ${rounds}`)
      for (const { name, title, tasks, process } of shuffled(each(kind))) {
        const task = tasks[kind]!
        const { answer, time, cpu } = await process.run({ event: restEvent(task.call), count })
        checkAnswer(title, task.call, answer as Partial<Answer>, task.expected)
        const key = `${name} ${kind}`
        if (!series.has(key)) series.set(key, [])
        series.get(key)!.push({ time, cpu })
      }
    }
  }
  const figures = (name: string, kind: Kind, figure: 'time' | 'cpu') => series.get(`${name} ${kind}`)!.map(sample => sample[figure])
  return KINDS.map(kind => ({
    id: `warm-${kind}`,
    title: TITLES[kind][0],
    note: `${TITLES[kind][1]} The ratio is of CPU time (all threads), to Fastify with its adapter in the same round.`,
    better: 'lower' as const,
    columns: [{ key: 'best', title: 'best µs', digits: 1 }, { key: 'time', title: 'median µs', digits: 1 }, { key: 'cpu', title: 'CPU µs', digits: 1 }, { key: 'ratio', title: 'CPU ÷ Fastify + adapter', digits: 2 }],
    rows: each(kind).map(({ name, title }) => ({
      name: title,
      values: {
        best: Math.min(...figures(name, kind, 'time')),
        time: median(figures(name, kind, 'time')),
        cpu: median(figures(name, kind, 'cpu')),
        ...pairedRatio(figures(name, kind, 'cpu'), figures(BASE, kind, 'cpu'))
      }
    }))
  }))
}

export const warm: Benchmark = {
  summary: 'an invocation in a warm process, without the time of AWS',
  contenders: [...PEERS.map(({ name }) => name), 'service'],
  needsPackages: context => PEERS.some(({ name, packages }) => packages && isSelected(context, name, BASE)),
  run
}
