import { setTimeout as sleep } from 'node:timers/promises'

/** How long a test waits for a condition. Long, because it costs nothing where the condition is met, and machines are busy. */
const WAIT_MS = Number(process.env['TEST_WAIT_MS'] ?? 30_000)

/** Polls until a condition is truthy, and resolves to what it was; fails with the condition's own text. */
export async function until<T> (condition: () => T | Promise<T>, { timeoutMs = WAIT_MS }: { timeoutMs?: number } = {}): Promise<Exclude<NonNullable<T>, false | 0 | ''>> {
  // A test may have stopped the clock that shows the date.
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  while (performance.now() < deadline) {
    try {
      const value = await condition()
      if (value) return value as Exclude<NonNullable<T>, false | 0 | ''>
      cause = undefined
    } catch (error) {
      cause = error
    }
    await sleep(20)
  }
  throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`, { cause })
}
