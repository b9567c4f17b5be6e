import { spawn } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

export interface Run {
  /** `passed`: it noticed nothing. `failed`: it did. `timeout`: it did not end, which is noticed too. */
  result: 'passed' | 'failed' | 'timeout'
  /** mutants whose code has run; of an active mutant, itself */
  reached: string[]
  ms: number
  output: string
}

/** The longest time for a test file, in milliseconds. Endless loops end long before it. */
const TIMEOUT = 240_000

/** The environment of tests in the copy. They wait less long for a condition than those of `npm test`: with a mutant it may never be met. */
export const envOf = (copy: string, temporary: string, env: Record<string, string>) => ({ ...process.env, ...env, TEST_WAIT_MS: '10000', TMPDIR: temporary, NODE_COMPILE_CACHE: join(copy, '../compiled') })

/** Runs a test file in the copy with one mutant active, or with none. Everything that it starts has ended afterwards. */
export async function runTest (copy: string, test: string, mutant = '', { timeoutMs = TIMEOUT, signal }: { timeoutMs?: number, signal?: AbortSignal } = {}): Promise<Run> {
  const state = join(copy, '.mutant')
  for (const file of globSync('reached*', { cwd: state })) rmSync(join(state, file))
  writeFileSync(join(state, 'active'), mutant)
  const temporary = mkdtempSync(join(tmpdir(), 'user-service-mutant-'))
  mkdirSync(join(copy, '../compiled'), { recursive: true })
  const start = performance.now()
  // A group of processes of its own, because a test that ends at its first failure does not stop its engines.
  const child = spawn(process.execPath, [test], {
    cwd: copy,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: envOf(copy, temporary, { TAP_BAIL: '1', TAP_TIMEOUT: String(timeoutMs / 1000) })
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-20_000) })
  const end = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended with all it had started.
    }
  }
  let isLate = false
  const timer = setTimeout(() => { isLate = true; end() }, timeoutMs)
  signal?.addEventListener('abort', end)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', resolve)
    })
    end()
    signal?.throwIfAborted()
    const reached = new Set(globSync('reached*', { cwd: state }).flatMap(file => readFileSync(join(state, file), 'utf8').split('\n').filter(id => id !== '')))
    return { result: isLate ? 'timeout' : code === 0 ? 'passed' : 'failed', reached: [...reached], ms: Math.round(performance.now() - start), output }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
  }
}
