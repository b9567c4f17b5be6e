/** How often a change is applied again after another writer was faster. */
const ATTEMPTS = 5

/**
 * Optimistic locking: repeats `attempt` (read, decide, write) until no other writer was faster. `attempt` resolves to
 * `undefined` when its write was refused because the item has changed since it was read.
 *
 * @returns the result of `attempt`, or `undefined` when every write was refused
 */
export async function untilUncontended<T> (attempt: () => Promise<T | undefined>): Promise<T | undefined> {
  for (let i = 1; i <= ATTEMPTS; i++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  return undefined
}
