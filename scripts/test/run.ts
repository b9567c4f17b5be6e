import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Parser, type Result } from 'tap-parser'
import { readTap, tally, type Node } from './tap.ts'

/** Seconds after which a file that has not ended by its timeout is ended. Its own timeout says which test hung. */
const GRACE = 15

/** Loaded before a file with a process of its own. */
const PRELOAD = join(import.meta.dirname, 'without-hook.ts')

/** Runs the other files. */
const WORKER = join(import.meta.dirname, 'worker.ts')

/** Seconds that each file took when it last ran: the longest are started first, so that none is left to run alone. */
const TIMES = '.cache/test-seconds.json'

export const isSlow = (file: string): boolean => /\.slow\.test\.ts$/.test(file)

interface Outcome {
  file: string
  node: Node
  /** a report of each failure */
  failures: string[]
  seconds: number
}

function readTimes (): Record<string, number> {
  try {
    return JSON.parse(readFileSync(TIMES, 'utf8')) as Record<string, number>
  } catch {
    return {}
  }
}

type End = [code: number | null, signal: string | null]
const ended = (child: ChildProcess) => new Promise<End>(resolve => { child.once('close', (code, signal) => resolve([code, signal])) })
const reasonOf = ([code, signal]: End) => signal !== null ? `ended by ${signal}` : code === 0 ? 'its output is not TAP, or incomplete' : `ended with exit code ${code}`

/** What became of a file. A reason to fail counts where no test of it has failed. */
function outcomeOf (file: string, { node, failures }: ReturnType<typeof readTap>, reason: string | undefined): Omit<Outcome, 'seconds'> {
  if (reason !== undefined && tally(node).failed === 0) {
    node.isOk = false
    failures.push(`✖ ${file}: ${reason}`)
  }
  return { file, node, failures }
}

/** A comment with which a file asks for a process of its own, and says why. */
const ALONE = /^\/\/ A process of its own: /m

/** Runs files. Those that ask for it have a process of their own, and the others share one, which is started again when it has crashed. */
function createRunner (env: NodeJS.ProcessEnv, timeout: number, shares: boolean) {
  let alone: ChildProcess | undefined
  let worker: ReturnType<typeof startWorker> | undefined
  let last: Outcome | undefined

  const start = (args: string[], stdin: 'pipe' | 'ignore') => {
    const child = spawn(process.execPath, args, { env, stdio: [stdin, 'pipe', 'inherit'] })
    const parser = new Parser()
    child.stdout!.pipe(parser)
    return { child, parser }
  }

  /** Waits for the end of a file, and ends its process when it is late. */
  async function inTime<T> (child: ChildProcess, end: Promise<T>): Promise<T> {
    const late = setTimeout(() => { child.kill('SIGKILL') }, (timeout + GRACE) * 1000)
    return await end.finally(() => { clearTimeout(late) })
  }

  async function runAlone (file: string): Promise<Omit<Outcome, 'seconds'>> {
    const { child, parser } = start(['--import', PRELOAD, file], 'ignore')
    alone = child
    const read = readTap(file, parser)
    const end = await inTime(child, ended(child))
    return outcomeOf(file, read, end[0] === 0 && parser.ok ? undefined : reasonOf(end))
  }

  function startWorker () {
    const { child, parser } = start([WORKER], 'pipe')
    child.stdin!.on('error', () => {}) // it has crashed, which its end says
    const started = {
      child,
      crash: ended(child),
      // For the file that runs. They are called while the output is read, which may hold several lines at once.
      onBegin: (_: Parser): void => {},
      onResult: (_: Result): void => {}
    }
    void started.crash.then(() => { if (worker === started) worker = undefined })
    parser.once('child', (files: Parser) => {
      files.on('child', (own: Parser) => { started.onBegin(own) })
      files.on('assert', (result: Result) => { if (result.closingTestPoint) started.onResult(result) })
    })
    return started
  }

  /** Runs a file in the shared process. `undefined`: that process ended before the file began. */
  async function runShared (file: string): Promise<Omit<Outcome, 'seconds'> | undefined> {
    const shared = worker ??= startWorker()
    let read: ReturnType<typeof readTap> | undefined
    shared.onBegin = own => { read = readTap(file, own) }
    const result = new Promise<Result>(resolve => { shared.onResult = resolve })
    shared.child.stdin!.write(`${file}\n`)
    const end = await inTime(shared.child, Promise.race([result, shared.crash]))
    if (read === undefined) return undefined
    return outcomeOf(file, read, Array.isArray(end) ? reasonOf(end) : end.ok ? undefined : 'failed')
  }

  return {
    async run (file: string): Promise<Outcome> {
      const began = performance.now()
      const isShared = shares && !isSlow(file) && !ALONE.test(readFileSync(file, 'utf8'))
      const outcome = isShared ? await runShared(file) : await runAlone(file)
      if (outcome === undefined && last !== undefined) {
        last.node.isOk = false
        last.failures.push(`✖ ${last.file}: something that it left behind ended its process`)
      }
      const seconds = (performance.now() - began) / 1000
      last = { ...(outcome ?? await runAlone(file)), seconds }
      return last
    },
    /** Lets the shared process end. */
    close: () => { worker?.child.stdin!.end() },
    kill: () => { for (const child of [alone, worker?.child]) child?.kill('SIGKILL') }
  }
}

export interface Run {
  files: string[]
  /** whether files share processes */
  shares: boolean
  env: NodeJS.ProcessEnv
  jobs: number
  timeout: number
  bail: boolean
  /** ends all files */
  signal: AbortSignal
}

/** Runs files, several at once, with a line for each that is done and on a terminal one for those that run. */
export async function run ({ files, shares, env, jobs, timeout, bail, signal }: Run): Promise<Outcome[]> {
  const times = readTimes()
  const waiting = files.toSorted((a, b) => (times[b] ?? Infinity) - (times[a] ?? Infinity) || 0)
  const outcomes: Outcome[] = []
  const current = new Set<string>()
  const runners = Array.from({ length: Math.min(jobs, files.length) }, () => createRunner(env, timeout, shares))
  const isTerminal = process.stdout.isTTY
  const status = () => {
    if (isTerminal) process.stdout.write(`\r\x1b[K${outcomes.length} of ${files.length}${current.size === 0 ? '' : `: ${[...current].join(' ')}`}`.slice(0, (process.stdout.columns ?? 80) + 4))
  }
  const say = (line: string) => { process.stdout.write(`${isTerminal ? '\r\x1b[K' : ''}${line}\n`) }
  // What the files had started ends with them.
  const stop = () => {
    waiting.length = 0
    for (const runner of runners) runner.kill()
  }
  signal.addEventListener('abort', stop)
  await Promise.all(runners.map(async runner => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      current.add(file)
      status()
      const outcome = await runner.run(file)
      current.delete(file)
      if (signal.aborted) break
      outcomes.push(outcome)
      const isOk = tally(outcome.node).failed === 0
      say(`${isOk ? 'ok    ' : 'FAILED'} ${file} (${outcome.seconds.toFixed(1)} s)`)
      status()
      if (!isOk && bail) waiting.length = 0
    }
    runner.close()
  }))
  signal.removeEventListener('abort', stop)
  if (isTerminal) process.stdout.write('\r\x1b[K')
  mkdirSync(dirname(TIMES), { recursive: true })
  writeFileSync(TIMES, JSON.stringify({ ...readTimes(), ...Object.fromEntries(outcomes.map(({ file, seconds }) => [file, Math.round(seconds * 10) / 10])) }))
  return outcomes
}
