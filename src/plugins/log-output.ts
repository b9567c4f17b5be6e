import { writeSync } from 'node:fs'
import type { DestinationStream } from 'pino'

/** Maximum characters that wait for a reader: about 4,000 lines. */
const MAX_HELD = 1024 * 1024

/** Milliseconds after which a write that found no space is tried again. */
const RETRY = 20

/** Milliseconds that the process waits for a reader when it exits. */
const LAST = 500

export interface LogOutput extends DestinationStream {
  /** called with the number of lines that were dropped, once lines can be written again */
  onDropped: (lines: number) => void
}

const isFull = (error: unknown) => ['EAGAIN', 'EBUSY'].includes((error as { code: string }).code)
const linesIn = (text: Buffer) => text.toString().split('\n').length - 1

/**
 * Writes the lines of one turn of the event loop in one call, after the turn's requests, and never waits for a reader. What a
 * slow reader leaves is held and tried again; above a bound, new lines are dropped and counted. When the process exits,
 * by itself, by `process.exit` or by an uncaught exception, all held lines are written first, for half a second at most.
 * Only a signal without a handler (SIGKILL) loses the lines of its turn.
 *
 * @param fd a file, or a pipe, socket or terminal that does not block
 */
export function createLogOutput (fd: number): LogOutput {
  let held = ''
  /** what is left of a text that was written in part */
  let rest: Buffer | undefined
  let dropped = 0
  let isScheduled = false

  /** Writes what is held, as far as there is space. Returns whether it could. */
  function write (): boolean {
    try {
      for (;;) {
        if (rest === undefined) {
          if (held === '') return true
          rest = Buffer.from(held)
          held = ''
        }
        while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest))
        rest = undefined
      }
    } catch (error) {
      // Otherwise the reader has gone, or the disk is full.
      if (!isFull(error)) {
        dropped += linesIn(rest!)
        rest = undefined
      }
      return false
    }
  }

  function flush (): void {
    isScheduled = false
    const isWritten = write()
    if (rest !== undefined) schedule(() => setTimeout(flush, RETRY).unref())
    // Not after an error: the report would be dropped too, and reported.
    if (!isWritten || dropped === 0) return
    const lines = dropped
    dropped = 0
    output.onDropped(lines)
  }

  function schedule (later: () => unknown): void {
    if (isScheduled) return
    isScheduled = true
    later()
  }

  process.once('exit', () => {
    const clock = new Int32Array(new SharedArrayBuffer(4))
    for (const deadline = Date.now() + LAST; !write() && rest !== undefined && Date.now() < deadline;) Atomics.wait(clock, 0, 0, RETRY)
  })

  const output: LogOutput = {
    write (line) {
      if (held.length + (rest?.length ?? 0) > MAX_HELD) {
        dropped++
        return
      }
      held += line
      schedule(() => setImmediate(flush))
    },
    onDropped () {}
  }
  return output
}
