import { LRUCache } from 'lru-cache'
import type { Metrics } from '../metrics.ts'
import { entryOf, parseEntry, type Versioned } from './entry.ts'
import type { Store } from './store.ts'

export interface Cache {
  /** Whether the store is shared (Redis). */
  readonly shared: boolean
  /** Reads through the cache. Concurrent readers of a key share one load. Rejects only when `load` rejects. */
  read<T extends Versioned> (key: string, load: () => Promise<T | undefined>, isValid: (value: unknown) => value is T): Promise<T | undefined>
  /** Await it after a write and before acknowledging it: no read after that returns an older version. */
  write (key: string, value: Versioned): Promise<void>
  /** Like `write`, for a deleted record; `version` is one more than the last version. */
  remove (key: string, version: number): Promise<void>
  ping (): Promise<number | undefined>
}

/** Maximum entries whose parsed form is kept: those that are read often. */
const CHECKED_ENTRIES = 1000

/** The cache over a store of entries. `ttlSeconds` 0 turns it off. */
export function createCache (store: Store, shared: boolean, ttlSeconds: number, countOften: Metrics['countOften']): Cache {
  interface Flight {
    value: Promise<Versioned | undefined>
    /** its start, in terms of `count` */
    began: number
    /** the next load, which starts when this one ends, if readers wait for it */
    next: Promise<Versioned | undefined> | undefined
  }
  const flights = new Map<string, Flight>()
  /** orders the starts of reads and loads */
  let count = 0
  // The last entry of a key that was parsed and checked. Most reads meet the same text again.
  const checked = new LRUCache<string, { entry: string, expiry: number, value: unknown }>({ max: CHECKED_ENTRIES })

  /** What a valid entry holds. Frozen: readers share it. */
  function valueIn (key: string, entry: string, isValid: (value: unknown) => boolean): { value: unknown } | undefined {
    const known = checked.get(key)
    if (known !== undefined && known.entry === entry && known.expiry > Date.now()) return known
    const parsed = parseEntry(entry, ttlSeconds * 1000)
    if (parsed === undefined || (parsed.value !== undefined && !isValid(parsed.value))) return undefined
    const { expiry, value } = parsed
    checked.set(key, { entry, expiry, value: Object.freeze(value) })
    return { value }
  }

  /** The remaining arguments of a call that stores a record; `undefined` is a deleted one. */
  function storing (version: number, value: Versioned | undefined): [version: number, entry: string, ttl: number] {
    // Up to a tenth shorter, so that entries cached at the same time do not expire at the same time.
    const ttl = Math.round(ttlSeconds * 1000 * (1 - Math.random() / 10))
    return [version, entryOf(version, value, ttl), ttl]
  }

  async function put (key: string, version: number, value: Versioned | undefined) {
    flights.delete(key) // later readers must not join a load that started before this write
    if (value === undefined) checked.delete(key) // nothing of a deleted record stays in memory
    if (ttlSeconds > 0) await store.put(key, ...storing(version, value))
  }

  return {
    shared,
    async read<T extends Versioned> (key: string, load: () => Promise<T | undefined>, isValid: (value: unknown) => value is T) {
      // Every reader reads the store itself. Only loads are shared: a write in this process drops them, and a write in
      // another process shows in the store.
      const arrived = ++count
      const { isKnown, entry } = ttlSeconds > 0 ? await store.get(key) : { isKnown: false, entry: undefined }
      if (entry !== undefined) {
        const known = valueIn(key, entry, isValid)
        if (known !== undefined) {
          countOften('CacheHits')
          return known.value as T | undefined
        }
        await store.drop(key)
      }
      if (ttlSeconds > 0) countOften('CacheMisses')

      async function fly (): Promise<T | undefined> {
        const flight: Flight = { value: load(), began: ++count, next: undefined }
        flights.set(key, flight)
        try {
          const value = await flight.value
          // Not awaited, because the reader has its record already. A flight that a write has dropped is older than that write.
          if (value !== undefined && ttlSeconds > 0 && flights.get(key) === flight) void store.fill(key, ...storing(value.version, value))
          return value as T | undefined
        } finally {
          if (flights.get(key) === flight) flights.delete(key)
        }
      }
      const running = flights.get(key)
      if (running === undefined) return await fly()
      // Safe to use: the store has no write that the load has missed, or the load started after this read.
      if (isKnown || running.began > arrived) return await running.value as T | undefined
      // Another instance may have acknowledged a write meanwhile, so load again. All waiting readers share the next load.
      running.next ??= running.value.then(fly, fly)
      return await running.next as T | undefined
    },
    write: (key, value) => put(key, value.version, value),
    remove: (key, version) => put(key, version, undefined),
    ping: () => store.ping()
  }
}
