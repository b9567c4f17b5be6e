import { LRUCache } from 'lru-cache'

/**
 * Where entries are kept; entry.ts has their form. Times to live are in milliseconds.
 * No method rejects, and none waits long for a store that does not answer.
 */
export interface Store {
  /** `isKnown` is false when the store did not answer, so that writes of other instances are unknown. */
  get (key: string): Promise<{ isKnown: boolean, entry?: string }>
  /** Stores an entry that was read from the table, unless the store has a newer one. */
  fill (key: string, version: number, entry: string, ttl: number): Promise<void>
  /** Like `fill`, for an entry that was written: once this resolves, `get` never returns an older one. */
  put (key: string, version: number, entry: string, ttl: number): Promise<void>
  drop (key: string): Promise<void>
  /** Milliseconds of a round trip; `undefined` when the store does not answer. */
  ping (): Promise<number | undefined>
  close (): void
}

/** Maximum entries of the in-process store, and of the writes that Redis missed: at 1 KB each, 10 MB. */
export const MAX_ENTRIES = 10_000

/** Keeps entries in this process. */
export function createMemoryStore (): Store {
  const entries = new LRUCache<string, { version: number, entry: string }>({ max: MAX_ENTRIES })
  async function put (key: string, version: number, entry: string, ttl: number) {
    const held = entries.get(key)
    if (held === undefined || held.version < version) entries.set(key, { version, entry }, { ttl })
  }
  return {
    async get (key) {
      const held = entries.get(key)
      return held === undefined ? { isKnown: true } : { isKnown: true, entry: held.entry }
    },
    fill: put,
    put,
    async drop (key) { entries.delete(key) },
    async ping () { return undefined },
    close () {}
  }
}

/** Holds nothing: the cache is off. A memory store would allocate its entries, 1.2 ms of a cold start. */
export const noStore: Store = {
  async get () { return { isKnown: true } },
  async fill () {},
  async put () {},
  async drop () {},
  async ping () { return undefined },
  close () {}
}
