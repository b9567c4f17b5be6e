import { Interruption, reportFailure } from './command.ts'

/** Signals that end a script, and the exit codes that a shell expects of it. */
const SIGNALS = [['SIGINT', 130], ['SIGTERM', 143]] as const

/**
 * Ends the script at Ctrl-C or SIGTERM, between two turns of the event loop: files that are written in one turn are written
 * as a whole or not at all.
 */
export function endOnSignals (): void {
  for (const [name, code] of SIGNALS) process.on(name, () => process.exit(code))
}

/**
 * A signal that the first Ctrl-C or SIGTERM aborts, with an `Interruption` as its reason, for work that ends in order. A second one
 * ends the script at once.
 */
export function abortOnSignals (message = 'Interrupted'): AbortSignal {
  const aborter = new AbortController()
  for (const [name, code] of SIGNALS) {
    process.on(name, () => {
      if (aborter.signal.aborted) process.exit(code)
      aborter.abort(new Interruption(message, code))
    })
  }
  return aborter.signal
}

/** Runs work that has something to clean up: Ctrl-C or SIGTERM aborts its signal, and the script ends when the work has. */
export async function interruptible<T> (work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = abortOnSignals()
  try {
    return await work(signal)
  } finally {
    if (signal.aborted) {
      // An error of interrupted work is not of interest.
      reportFailure(signal.reason)
      process.exit()
    }
  }
}
