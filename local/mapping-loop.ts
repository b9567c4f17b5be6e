import { setTimeout as sleep } from 'node:timers/promises'

// What the mappings of streams, queues and buckets share.

/** The deadline of an invocation, in milliseconds since the epoch: its start plus the function's timeout. */
export interface Invocation { deadline: number }

/** Milliseconds between two looks at the version of a database. */
const LOOK_INTERVAL = 100

/** Milliseconds after which is read although nothing was written: an iterator may have expired. */
const LONGEST_REST = 5000

/**
 * Waits for a write to a database since it had a version. A look costs 4 µs; a read of a stream is two calls of 1 to 2 ms,
 * which at every interval made 7 % of a core at rest.
 */
export async function written ({ version, seen, signal }: { version: () => number, seen: number, signal: AbortSignal }): Promise<void> {
  let rest = LONGEST_REST
  do {
    await sleep(LOOK_INTERVAL, undefined, { signal })
    rest -= LOOK_INTERVAL
  } while (rest > 0 && version() === seen)
}

/** The part of a logger that reports failures in the background. */
export interface Reporter {
  warn (details: object, message: string): void
}

export interface Mapping {
  /** Stops accepting new batches. Resolves when the current batch is done or has been put back. */
  stop (): Promise<void>
}

/** Repeats `step` until stopped. An error of the engine is reported once, and `step` is retried until the engine answers. */
export function runLoop (name: string, log: Reporter, step: (signal: AbortSignal) => Promise<void>): Mapping {
  const stopping = new AbortController()
  const { signal } = stopping
  const running = (async () => {
    let isFailing = false
    while (!signal.aborted) {
      try {
        await step(signal)
        isFailing = false
      } catch (error) {
        if (signal.aborted) return
        if (!isFailing) log.warn({ err: error }, `${name}: interrupted, continues when the engine answers`)
        isFailing = true
        await sleep(500, undefined, { signal }).catch(() => {})
      }
    }
  })()
  return {
    async stop () {
      stopping.abort()
      await running
    }
  }
}

/** Half a second, doubled with each retry, up to half a minute. AWS does not publish its own figures. */
export const defaultBackOff = (retry: number) => Math.min(30_000, 250 * 2 ** retry)
