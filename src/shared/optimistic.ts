/** Times a change is applied anew to what another writer has changed in between. */
const ATTEMPTS = 5

/**
 * Optimistic writing: reads, decides and writes again until no other writer has come between. `attempt` resolves to
 * `undefined` when its write was refused because what it had read is no longer so.
 *
 * @returns what `attempt` resolved to, or `undefined` when every write was refused
 */
export async function untilUncontended<T> (attempt: () => Promise<T | undefined>): Promise<T | undefined> {
  for (let i = 1; i <= ATTEMPTS; i++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  return undefined
}
