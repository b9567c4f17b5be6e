import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseEnv } from 'node:util'
import { BenchError, type Context } from './bench.ts'
import { lastLine, tailOf } from './children.ts'
import { ROOT } from './paths.ts'

export interface LocalSystem {
  api: string
  pid: number
  /** what it has written to `env` in its data directory */
  env: Record<string, string | undefined>
  /** milliseconds until it was ready */
  readyMs: number
  /** when each mail arrived, by performance.now() */
  mails: number[]
  /** lines of its log: what failed and is tried again */
  warnings: string[]
  /** the reason, when the system has ended */
  ended (): string | undefined
  stop (): Promise<void>
}

/**
 * Starts `npm start` in a process of its own, on free ports, with this data directory.
 *
 * @throws {BenchError} when it does not start
 */
export async function startLocalSystem (dir: string, teardown: Context['teardown']): Promise<LocalSystem> {
  const began = performance.now()
  const child = spawn(process.execPath, ['-r', join(ROOT, 'scripts/require-node.cjs'), join(ROOT, 'scripts/start.ts')], {
    cwd: ROOT,
    // With npm's variable it ends when its parent has ended, also by a kill.
    env: { PATH: process.env['PATH'], npm_lifecycle_event: 'bench', PORT: '0', INBOX_PORT: '0', LOCAL_DATA_DIR: dir, LOG_LEVEL: 'warn', RATE_LIMIT_MAX: '1000000' } as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exit = once(child, 'exit')
  let isEnded = false
  void exit.then(() => { isEnded = true })
  async function stop () {
    if (isEnded) return
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exit
    clearTimeout(late)
  }
  teardown(stop)
  const errors = tailOf(child.stderr)
  const mails: number[] = []
  const warnings: string[] = []
  const ended = () => isEnded ? `the local system has ended: ${lastLine(errors())}` : undefined
  const api = await new Promise<string>((resolve, reject) => {
    let found = ''
    createInterface(child.stdout).on('line', line => {
      if (line.startsWith('mail to ')) mails.push(performance.now())
      if (/\bWARN\b|\bERROR\b/.test(line)) warnings.push(line)
      const [, url] = /^ {2}API +(\S+)$/.exec(line) ?? []
      found = url ?? found
      if (line.includes('Ctrl-C stops everything')) resolve(found)
    })
    child.once('exit', () => reject(new BenchError(`the local system does not start: ${lastLine(errors())}`)))
  })
  const readyMs = performance.now() - began
  return { api, pid: child.pid!, env: parseEnv(await readFile(join(dir, 'env'), 'utf8')), readyMs, mails, warnings, ended, stop }
}
