import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from './start-error.ts'

/** A server process of ours. */
export interface Child {
  /** Ends it, after three seconds in any case; resolves when it is gone. */
  stop (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Resolves when it has ended, by whatever cause. */
  readonly ended: Promise<void>
}

export interface ChildOptions {
  /** what to call it in messages */
  name: string
  command: string
  args: string[]
  cwd?: string
  /** whether it answers; asked until it does */
  isReady: () => Promise<boolean>
  /** milliseconds until it must be ready */
  timeout?: number
  /** where its process group is noted, so that the next start can end what a crash has left */
  pidFile?: string | undefined
}

// The child's parent is this shell. The shell's input is a pipe from us that nothing is ever written to: however we end,
// kill -9 included, the kernel closes it and the watcher ends the child.
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

/** Ends what is left of an earlier run: the process group in a pid file, if it still runs the same command. */
function endStale (pidFile: string, command: string): void {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'))
    // Process ids are used again: only a guard that was started for this very command is ours.
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(command)) process.kill(-pid, 'SIGKILL')
  } catch {
    // No file, no such process, or no /proc: nothing is left.
  }
  rmSync(pidFile, { force: true })
}

const exitOf = (child: ChildProcess) => child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve()

/**
 * Starts a server process that cannot outlive this one, and waits until it answers.
 *
 * @throws {StartError} when it ends or does not answer in time; the message is one line with the last thing it said
 */
export async function startChild ({ name, command, args, cwd, isReady, timeout = 10_000, pidFile }: ChildOptions): Promise<Child> {
  if (pidFile !== undefined) endStale(pidFile, command)
  // Detached: a group of its own, so that Ctrl-C in the terminal reaches us alone and we end things in order.
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
    // The guard is left to end by itself, so that it takes leave of the child and no zombie remains.
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
