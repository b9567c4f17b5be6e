import { ProblemError } from './problem.ts'

export interface RetryOptions {
  /** attempts of one call in total; 1 switches retries off */
  attempts?: number | undefined
  /** milliseconds that one call may take with its retries; a longer `Retry-After` is thrown instead of waited for */
  totalMs?: number | undefined
}

/** Four attempts in thirty seconds: longer than a restart of the service takes, shorter than a user waits. */
export const RETRY = { attempts: 4, totalMs: 30_000 }

const BASE_DELAY_MS = 250

/** Methods that have the same effect once or twice (RFC 9110 §9.2.2). A POST joins them by its idempotency key. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Whether a second attempt can do no harm. */
export const isRepeatable = (method: string, key: string | undefined) => IDEMPOTENT.has(method) || key !== undefined

/** Whether a second attempt may succeed. A failure that is no problem is one of the network. */
function isTemporary (failure: unknown): boolean {
  if (!(failure instanceof ProblemError)) return true
  const { status, retryAfter } = failure
  // 409 with a delay: the first attempt with this idempotency key still runs.
  return status === 429 || status === 503 || (status === 409 && retryAfter !== undefined)
}

/**
 * Milliseconds to wait before the next attempt; `undefined` when there should be none.
 *
 * Without the header the delay grows with each attempt, and is random, so that many clients do not return together.
 */
export function delayBefore (failure: unknown, { attempt, attempts, leftMs }: { attempt: number, attempts: number, leftMs: number }): number | undefined {
  if (attempt >= attempts || !isTemporary(failure)) return undefined
  const seconds = failure instanceof ProblemError ? failure.retryAfter : undefined
  const delay = seconds === undefined ? BASE_DELAY_MS * 2 ** (attempt - 1) * (0.5 + Math.random()) : seconds * 1000
  return delay > leftMs ? undefined : delay
}

/** Waits, or rejects with the reason of the signal. */
export async function pause (ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await orAborted(new Promise<void>(resolve => { timer = setTimeout(resolve, ms) }), signal)
  } finally {
    clearTimeout(timer)
  }
}

/** The result of some work that others wait for too; the signal ends only this wait. */
export async function orAborted<T> (work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
