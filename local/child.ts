import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from './start-error.ts'

/** A server process that this process has started. */
export interface Child {
  /** Stops it, by force after three seconds; resolves when it has ended. */
  stop (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Resolves when it has ended, for any reason. */
  readonly ended: Promise<void>
}

export interface ChildOptions {
  /** its name in messages */
  name: string
  command: string
  args: string[]
  cwd?: string
  /** checks whether it answers; called until it does */
  isReady: () => Promise<boolean>
  /** milliseconds until it must be ready */
  timeout?: number
  /** the file for its process group, so that the next start can end processes left by a crash */
  pidFile?: string | undefined
}

// The child's parent is this shell. The shell's input is a pipe from this process, and nothing is ever written to it.
// When this process ends, even by kill -9, the kernel closes the pipe and the watcher ends the child.
const GUARD = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r _ <&3; kill -9 $child 2>/dev/null; } &
watcher=$!
trap 'kill $child 2>/dev/null' TERM
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
kill $watcher 2>/dev/null
wait $watcher 2>/dev/null
exit $code`

/** Ends the process group of an earlier run that is in a pid file, if it still runs the same command. */
function endStale (pidFile: string, command: string): void {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'))
    // Process ids are reused, so only end a guard that was started for this command.
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(command)) process.kill(-pid, 'SIGKILL')
  } catch {
    // No file, no such process, or no /proc: there is nothing to end.
  }
  rmSync(pidFile, { force: true })
}

const exitOf = (child: ChildProcess) => child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve()

/**
 * Starts a server process that ends with this one, and waits until it answers.
 *
 * @throws {StartError} when it ends or does not answer in time; the message is one line with the last line of its output
 */
export async function startChild ({ name, command, args, cwd, isReady, timeout = 10_000, pidFile }: ChildOptions): Promise<Child> {
  if (pidFile !== undefined) endStale(pidFile, command)
  // Detached into its own group, so that Ctrl-C in the terminal reaches only this process, which stops the parts in order.
  const child = spawn('sh', ['-c', GUARD, 'sh', command, ...args], { cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  const listen = (chunk: Buffer) => { said = (said + String(chunk)).slice(-2000) }
  child.stdout.on('data', listen)
  child.stderr.on('data', listen)
  child.stdin.on('error', () => {}) // it ended first
  const ended = new Promise<void>(resolve => { child.once('exit', () => resolve()).once('error', () => resolve()) })
  const group = child.pid
  if (group === undefined) throw new StartError(`${name} cannot start: there is no sh`)
  if (pidFile !== undefined) writeFileSync(pidFile, String(group))

  async function stop (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') {
    // The guard ends by itself, so that it reaps the child and no zombie remains.
    if (signal === 'SIGTERM') child.kill('SIGTERM')
    else child.stdin.destroy()
    const late = setTimeout(() => { child.stdin.destroy() }, 3000)
    await exitOf(child)
    clearTimeout(late)
    if (pidFile !== undefined) rmSync(pidFile, { force: true })
  }

  const deadline = Date.now() + timeout
  while (!await isReady().catch(() => false)) {
    const isGone = child.exitCode !== null || child.signalCode !== null
    if (isGone || Date.now() > deadline) {
      await stop('SIGKILL')
      const lastLine = said.trim().split('\n').at(-1) ?? ''
      throw new StartError(`${name} ${isGone ? 'cannot start' : `did not answer within ${timeout / 1000} s`}${lastLine === '' ? '' : `: ${lastLine}`}`)
    }
    await sleep(20)
  }
  return { stop, ended }
}
