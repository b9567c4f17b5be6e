import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { buildLambda } from '../scripts/build/lambda.ts'
import { zipDirectory } from '../scripts/build/zip.ts'
import { addCodeCache } from '../scripts/code-cache.ts'
import { checkAnswer, type Answer } from './lib/answers.ts'
import { BenchError, isSelected, type Benchmark, type Context, type Row, type Table } from './lib/bench.ts'
import { buildLoader, buildPeer, codeSize } from './lib/build.ts'
import { errorLine, tailOf } from './lib/children.ts'
import { startBenchEngines, type BenchEngines } from './lib/engines.ts'
import { restEvent } from './lib/events.ts'
import { functionEnv } from './lib/function-env.ts'
import { BUILD } from './lib/paths.ts'
import { median, pairedRatio, shuffled } from './lib/stats.ts'
import { peerTasks, refusedTask, serviceTasks, type Task } from './lib/work.ts'

/** The contenders, and which of them need more than the project's own packages. */
const PEERS: { name: string, title: string, packages: boolean }[] = [
  { name: 'article', title: "the article's handler", packages: false },
  { name: 'hono', title: 'Hono', packages: true },
  { name: 'express', title: 'Express + serverless-http', packages: true },
  { name: 'middy', title: 'middy', packages: true },
  { name: 'fastify', title: 'Fastify + @fastify/aws-lambda', packages: false },
  { name: 'nest', title: 'Nest + serverless-express', packages: true },
  { name: 'naive', title: 'Fastify, every plugin, loaded naively', packages: true }
]
const BASE = 'article'
const SERVICE = 'service'

interface Sample { cpuMs: number, rssMiB: number }

/** One kind of cold start: a bundle and its first request. */
interface Start {
  key: string
  title: string
  /** in which table, and against which start */
  table: 'post' | 'static'
  directory: string
  env: Record<string, string>
  /** makes the first request; undefined = an empty process */
  task?: () => Task
}

export interface Loaded extends Sample { answers: Partial<Answer>[] }

/**
 * Loads a bundle in a new process and hands it events.
 *
 * @throws {BenchError} when the process fails
 */
export async function load ({ loader, directory, env, events, teardown = () => {} }: { loader: string, directory: string, env: Record<string, string>, events: object[], teardown?: Context['teardown'] }): Promise<Loaded> {
  const child = spawn(process.execPath, [loader, directory, JSON.stringify(events)], { cwd: directory === '' ? BUILD : directory, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
  teardown(() => child.kill('SIGKILL'))
  let result = ''
  const output = child.stdio[3] as Readable
  output.setEncoding('utf8').on('data', (text: string) => { result += text })
  const errors = tailOf(child.stderr)
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000)
  const [code] = await once(child, 'close') as [number | null]
  clearTimeout(late)
  if (code !== 0 || result === '') {
    throw new BenchError(`${directory === '' ? 'an empty process' : basename(directory)} fails to start (exit code ${code}): ${errorLine(errors()).trim().slice(0, 300)}`)
  }
  return JSON.parse(result) as Loaded
}

/** The starts that are compared. Every request is made anew, because an address is registered once. */
async function prepare (context: Context, engines: BenchEngines): Promise<{ starts: Start[], sizes: Map<string, { codeKiB: number, zipKiB: number }> }> {
  const { say } = context
  const starts: Start[] = [{ key: 'empty', title: 'an empty process', table: 'post', directory: '', env: engines.env }]
  const sizes = new Map<string, { codeKiB: number, zipKiB: number }>()
  const measure = async (key: string, directory: string) => {
    sizes.set(key, { codeKiB: await codeSize(directory), zipKiB: (await zipDirectory(directory)).length / 1024 })
  }
  const tasks = peerTasks(engines.secret)
  const addPeer = async (name: string, title: string, directory: string) => {
    await measure(name, directory)
    // A small run takes only the base and this service over the static route.
    for (const table of context.small && name !== BASE ? ['post'] as const : ['post', 'static'] as const) starts.push({ key: `${name} ${table}`, title, table, directory, env: engines.env, task: () => tasks[table] })
  }
  for (const { name, title } of PEERS) {
    if (!isSelected(context, name, BASE)) continue
    say(`building ${title}`)
    const directory = await buildPeer(name)
    await addPeer(name, title, directory)
    // Filled when its answers are checked.
    if (name === BASE && !context.small) starts.push({ key: 'article post cached', title: `${title}, with Node’s compile cache`, table: 'post', directory, env: { ...engines.env, NODE_COMPILE_CACHE: join(BUILD, 'compile-cache') }, task: () => tasks.post })
  }
  for (const bundle of context.bundles) {
    const directory = resolve(bundle)
    if (!existsSync(join(directory, 'index.mjs'))) throw new BenchError(`${bundle} has no index.mjs`)
    await addPeer(directory, basename(directory), directory)
  }
  if (isSelected(context, SERVICE, BASE)) {
    say('building this service')
    const directory = join(BUILD, 'service')
    await buildLambda(directory)
    await measure(SERVICE, directory)
    const bare = join(BUILD, 'service-without-cache')
    await cp(directory, bare, { recursive: true })
    await addCodeCache(directory)
    const variables = functionEnv(engines.sqs.queueUrl)
    const env: Record<string, string> = { ...engines.env, ...variables, AWS_ENDPOINT_URL_S3: engines.sqs.endpoint }
    // Both secrets come from Secrets Manager, as deployed.
    delete env['JWT_SECRET']
    const make = (which: 'postV1' | 'post' | 'static') => () => serviceTasks(engines.secret, variables['JWT_ISSUER']!, `grace-${randomUUID()}@example.com`)[which]
    starts.push(
      { key: 'service post v1', title: 'this service, POST /v1/users', table: 'post', directory, env, task: make('postV1') },
      { key: 'service post v1 bare', title: 'the same without its code cache', table: 'post', directory: bare, env, task: make('postV1') },
      { key: 'service post v2', title: 'this service, POST /v2/users', table: 'post', directory, env, task: make('post') },
      { key: 'service static', title: 'this service, GET /health/live', table: 'static', directory, env, task: make('static') }
    )
  }
  return { starts, sizes }
}

const eventsOf = (tasks: Task[]) => tasks.map(({ call }) => restEvent(call))

/** Every contender answers correctly, and rejects what must be rejected, before anything is timed. */
async function validate (starts: Start[], loader: string, { say, teardown }: Context): Promise<void> {
  for (const { title, directory, env, task } of starts) {
    if (task === undefined) continue
    say(`checking the answers of ${title}`)
    const first = task()
    const tasks = first.call.method === 'POST' ? [first, refusedTask(first.call.path)] : [first]
    const { answers } = await load({ loader, directory, env, events: eventsOf(tasks), teardown })
    tasks.forEach(({ call, expected }, index) => checkAnswer(title, call, answers[index], expected))
  }
}

const NOTES: Record<Start['table'], string> = {
  post: 'CPU time (user and system, all threads) of a new process from its start to the answer of its first registration, and its resident memory then. Peers write one item and send one message; this service writes once, and its outbox sends. The ratio is to the article’s handler in the same round; half of the rounds lie between the two figures behind it. Code and zip count everything in the bundle’s directory, lazily loaded files included, and no code cache. This service has the code cache that its deployment adds; what one would bring the article’s handler is in the second row.',
  static: 'The same with a static route as first request, divided by the same route of the article’s handler. This service reads its secrets first, as deployed.'
}

async function run (context: Context): Promise<Table[]> {
  const engines = await startBenchEngines(context)
  const loader = await buildLoader('cold-loader')
  const { starts, sizes } = await prepare(context, engines)
  await validate(starts, loader, context)

  const rounds = context.small ? 2 : 11
  const samples = new Map<string, Sample[]>(starts.map(({ key }) => [key, []]))
  for (let round = 1; round <= rounds; round++) {
    context.say(`round ${round} of ${rounds}, ${starts.length} cold starts each`)
    for (const { key, title, directory, env, task } of shuffled(starts)) {
      const first = task?.()
      const { cpuMs, rssMiB, answers } = await load({ loader, directory, env, events: first === undefined ? [] : eventsOf([first]), teardown: context.teardown })
      if (first !== undefined) checkAnswer(title, first.call, answers[0], first.expected)
      samples.get(key)!.push({ cpuMs, rssMiB })
    }
  }

  const series = (key: string, figure: keyof Sample) => samples.get(key)!.map(sample => sample[figure])
  return (['post', 'static'] as const).map(table => {
    const base = `${BASE} ${table}`
    const rows: Row[] = starts.filter(start => start.table === table).map(({ key, title }) => {
      const size = sizes.get(key.split(/ (?=post|static)/)[0]!)
      return {
        name: title,
        values: {
          codeKiB: size?.codeKiB ?? 0,
          zipKiB: size?.zipKiB ?? 0,
          cpuMs: median(series(key, 'cpuMs')),
          rssMiB: median(series(key, 'rssMiB')),
          ...pairedRatio(series(key, 'cpuMs'), series(base, 'cpuMs')),
          rssRatio: pairedRatio(series(key, 'rssMiB'), series(base, 'rssMiB')).ratio
        }
      }
    })
    return {
      id: `cold-${table}`,
      title: table === 'post' ? 'Cold start: to the first registration' : 'Cold start: to the first static answer',
      note: NOTES[table],
      better: 'lower' as const,
      columns: [
        { key: 'codeKiB', title: 'code KiB' }, { key: 'zipKiB', title: 'zip KiB' }, { key: 'cpuMs', title: 'CPU ms' }, { key: 'rssMiB', title: 'RSS MiB' },
        { key: 'ratio', title: 'CPU ÷ article', digits: 2 }, { key: 'rssRatio', title: 'RSS ÷ article', digits: 2 }
      ],
      rows
    }
  })
}

export const cold: Benchmark = {
  summary: 'a new process to its first answer: CPU, memory, size of the bundle',
  contenders: [...PEERS.map(({ name }) => name), SERVICE],
  needsPackages: context => PEERS.some(({ name, packages }) => packages && isSelected(context, name, BASE)),
  run
}
