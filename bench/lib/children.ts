import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from './bench.ts'

// Processes that a benchmark starts.

/** Collects the end of what a process writes. */
export function tailOf (...streams: (Readable | null)[]): () => string {
  let tail = ''
  for (const stream of streams) stream!.setEncoding('utf8').on('data', (text: string) => { tail = (tail + text).slice(-2000) })
  return () => tail.trim()
}

export const lastLine = (text: string): string => text.split('\n').at(-1)!

/** The line that names an error, or the last one. */
export const errorLine = (text: string): string => text.split('\n').find(line => /Error\b/.test(line)) ?? lastLine(text)

/**
 * Waits until a server answers.
 *
 * @throws {BenchError} when its process has ended, or half a minute has passed
 */
export async function untilAnswering (url: string, { title, child, errors }: { title: string, child: ChildProcess, errors: () => string }): Promise<void> {
  let isGone = false
  child.once('close', () => { isGone = true }).once('error', () => { isGone = true })
  for (const deadline = Date.now() + 30_000; ;) {
    const response = await fetch(url).catch(() => undefined)
    await response?.text()
    if (response?.ok === true) return
    if (isGone || Date.now() > deadline) throw new BenchError(`${title} does not start: ${errorLine(errors())}`)
    await sleep(50)
  }
}

/**
 * The next message that a process sends.
 *
 * @param reason why there will be none, when the process has ended
 */
export function nextMessage<T> (child: ChildProcess, reason: (code: number | null) => string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new BenchError(reason(code)))
    child.once('exit', onExit)
    child.once('message', message => {
      child.off('exit', onExit)
      resolve(message as T)
    })
  })
}
