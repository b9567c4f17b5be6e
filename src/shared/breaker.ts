/** `half-open` while a trial runs. */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** What a call gets while the breaker is open. */
export class BreakerOpen extends Error {
  override name = 'BreakerOpen'
}

export interface BreakerOptions {
  /** Whether an error means that the dependency did not answer. An answer that rejects the call is an answer. */
  isFailure: (error: unknown) => boolean
  /** Whether callers wait for the result of a running trial; otherwise they are rejected. */
  awaitsTrial?: boolean
  onChange?: (state: BreakerState) => void
  /** the wall clock, because it continues while a process is frozen */
  now?: () => number
}

export interface Breaker {
  readonly state: BreakerState
  /** Runs a call, or rejects with BreakerOpen without running it. */
  run<T> (call: () => Promise<T>): Promise<T>
}

/** Failures in a row after which the breaker opens. A call that fails has been retried by its client, where that is safe. */
const FAILURES = 5

/** Milliseconds between two trials, so that a dependency that is back is used within about a second. */
const PAUSE = 1000

/**
 * A circuit breaker: after five failures in a row, calls are rejected at once, and one call a second tries whether the
 * dependency answers again. See docs/adr/0166-one-circuit-breaker.md.
 */
export function createBreaker ({ isFailure, awaitsTrial = false, onChange = () => {}, now = Date.now }: BreakerOptions): Breaker {
  let failures = 0
  /** when the last trial failed, or the breaker opened; `undefined` while it is closed */
  let openedAt: number | undefined
  /** ends with the running trial, and never rejects */
  let trial: Promise<void> | undefined

  function open () {
    failures = 0
    openedAt = now()
    onChange('open')
  }

  function close () {
    failures = 0
    if (openedAt === undefined) return
    openedAt = undefined
    onChange('closed')
  }

  async function attempt<T> (call: () => Promise<T>): Promise<T> {
    try {
      const result = await call()
      failures = 0
      return result
    } catch (error) {
      if (!isFailure(error)) failures = 0
      // Calls that began before the breaker opened do not open it again.
      else if (++failures >= FAILURES && openedAt === undefined) open()
      throw error
    }
  }

  async function tryOut<T> (call: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>()
    trial = promise
    onChange('half-open')
    try {
      const result = await call()
      close()
      return result
    } catch (error) {
      if (isFailure(error)) open()
      else close()
      throw error
    } finally {
      trial = undefined
      resolve()
    }
  }

  return {
    get state () { return openedAt === undefined ? 'closed' : trial === undefined ? 'open' : 'half-open' },
    async run (call) {
      if (openedAt === undefined) return await attempt(call)
      if (trial !== undefined && awaitsTrial) await trial
      if (openedAt === undefined) return await attempt(call)
      const since = now() - openedAt
      // A negative value means that the clock was set back.
      if (trial !== undefined || (since >= 0 && since < PAUSE)) throw new BreakerOpen('the dependency did not answer; it is tried once a second')
      return await tryOut(call)
    }
  }
}
