/** How often a change is applied again after another writer was faster. */
const ATTEMPTS = 5

/**
 * Optimistic locking: repeats `attempt` (read, decide, write) until no other writer was faster. `attempt` resolves to
 * `undefined` when its write was refused because the item has changed since it was read.
 *
 * @throws a `Refused` when every write was refused
 */
export async function untilUncontended<T> (Refused: new () => Error, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let i = 1; i <= ATTEMPTS; i++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new Refused()
}
