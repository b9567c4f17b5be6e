import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { envOf } from './run.ts'

// Runs test files in a process that has done so before, see worker.ts: a tenth of the cost of a process for each.

/** What instrumented code reads and writes. */
export interface Stryker {
  activeMutant: string
  hitCount: number
  hitLimit: number
  currentTestId: string
  mutantCoverage: { static: Record<string, number>, perTest: Record<string, Record<string, number>> }
}

export interface Subtest {
  index: number
  name: string
  cpuMs: number
  /** mutants whose code has run */
  reached: string[]
}

/** A test file to run with one mutant active, or with none: then what is reached is in the answer. */
export interface Order {
  number: number
  file: string
  mutant: string
  /** indices of subtests; all without it */
  wanted?: number[]
}

export interface Answer {
  number: number
  isPassed: boolean
  failure?: { text: string, subtest?: number }
  /** whether the code of the active mutant has run */
  isReached: boolean
  cpuMs: number
  subtests: Subtest[]
  /** what is reached outside of the subtests, and by loading modules */
  top: string[]
  static: string[]
  rssMb: number
}

export type Message = { isReady: true } | { number: number, failure: NonNullable<Answer['failure']> } | { number: number, answer: Answer }

export interface HotRun {
  result: 'passed' | 'failed' | 'timeout'
  failure?: Answer['failure']
  /** of a run that came to its end */
  answer?: Answer
  wallMs: number
}

/** After its first failure a run may take so long to clean up. Starting a process anew costs about as much. */
const CLEANING_MS = 5_000
/** A run that computes for so long, and so many times as long as without a mutant, does not end. */
const CPU_SLACK_MS = 8_000
const CPU_TIMES = 4
/** A run that has not computed for so long waits for what does not come. */
const IDLE_MS = 20_000
const IDLE_CPU_MS = 200
/** Where the time of a process cannot be read, a run may take so long. */
const WALL_MS = 120_000
const POLL_MS = 500
/** Modules of earlier runs stay in memory. */
const MAX_RSS_MB = 900

/** User and system time of a process in milliseconds; Linux counts it in hundredths of a second. */
function cpuOf (pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}

export interface Hot {
  run (order: Omit<Order, 'number'>, expectedCpuMs?: number): Promise<HotRun>
  /** Ends the process; the next run starts another. */
  stop (): void
}

export function createHot (copy: string, signal: AbortSignal): Hot {
  let child: ChildProcess | undefined
  let temporary: string | undefined
  let number = 0
  function stop () {
    const { pid } = child ?? {}
    child?.removeAllListeners()
    child?.on('error', () => {})
    child = undefined
    try {
      // A group of its own: with it end the engines of a test that was stopped.
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended with all it had started.
    }
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
    temporary = undefined
  }
  signal.addEventListener('abort', stop)

  async function start (): Promise<ChildProcess> {
    temporary = mkdtempSync(join(tmpdir(), 'user-service-mutants-'))
    mkdirSync(join(copy, '../compiled'), { recursive: true })
    const started = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'worker.ts')], {
      cwd: copy,
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Without a timeout: what tap gives its own process would end this one.
      env: envOf(copy, temporary, { TAP_TIMEOUT: '0' })
    })
    child = started
    await new Promise<void>((resolve, reject) => {
      started.once('error', reject)
      started.once('exit', code => reject(new Error(`the process that runs tests ended at once, with ${code}`)))
      started.on('message', (message: Message) => { if ('isReady' in message) resolve() })
    })
    started.removeAllListeners('exit')
    return started
  }

  async function run (order: Omit<Order, 'number'>, expectedCpuMs = WALL_MS): Promise<HotRun> {
    signal.throwIfAborted()
    const worker = child ?? await start()
    const id = ++number
    const begin = performance.now()
    const wallMs = () => Math.round(performance.now() - begin)
    const cpuAtStart = cpuOf(worker.pid!)
    return await new Promise<HotRun>((resolve, reject) => {
      let failure: Answer['failure']
      let active = { at: begin, cpu: cpuAtStart ?? 0 }
      const done = (run: Omit<HotRun, 'wallMs'>, isWorkerGone: boolean) => {
        clearInterval(timer)
        worker.removeAllListeners('exit').removeAllListeners('message')
        signal.removeEventListener('abort', abort)
        if (isWorkerGone) stop()
        resolve({ ...run, wallMs: wallMs() })
      }
      const abort = () => {
        clearInterval(timer)
        reject(new Error((signal.reason as Error).message))
      }
      signal.addEventListener('abort', abort)
      let failedAt: number | undefined
      const timer = setInterval(() => {
        const now = performance.now()
        if (failedAt !== undefined && now - failedAt > CLEANING_MS) return done({ result: 'failed', failure }, true)
        const cpu = cpuOf(worker.pid!)
        if (cpu === undefined) {
          if (now - begin > WALL_MS) done({ result: 'timeout' }, true)
          return
        }
        if (cpu - active.cpu > IDLE_CPU_MS) active = { at: now, cpu }
        if (now - active.at > IDLE_MS || cpu - cpuAtStart! > CPU_SLACK_MS + CPU_TIMES * expectedCpuMs) done({ result: 'timeout' }, true)
      }, POLL_MS)
      worker.on('message', (message: Message) => {
        if (!('number' in message) || message.number !== id) return
        if ('answer' in message) {
          const { answer } = message
          done({ result: answer.isPassed ? 'passed' : 'failed', failure: answer.failure, answer }, answer.rssMb > MAX_RSS_MB)
        } else {
          failure = message.failure
          failedAt ??= performance.now()
        }
      })
      worker.once('exit', code => done({ result: 'failed', failure: failure ?? { text: `the process ended with ${code}` } }, true))
      worker.send({ ...order, number: id } satisfies Order, error => { if (error !== null) done({ result: 'failed', failure: { text: error.message } }, true) })
    })
  }
  return { run, stop }
}
