import { LRUCache } from 'lru-cache'
import fp from 'fastify-plugin'
import type { FastifyBaseLogger } from 'fastify'
import type { Count } from './metrics.ts'

/** A record that can be cached: it contains its own version. */
export interface Versioned { version: number }

/**
 * The store of entries. An entry is text: `version@expiry:JSON`, with the expiry in milliseconds since the epoch. An entry
 * without JSON means "deleted".
 * No method rejects, and none waits long for a store that does not answer.
 */
interface Store {
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

/** Maximum length of an entry. A user's record is under 1 KB; a larger entry was not written by this service and is not parsed. */
const MAX_ENTRY = 16_384

/** Maximum entries of the in-process store: at 1 KB each, 10 MB. */
const MAX_ENTRIES = 10_000

/** Maximum entries whose parsed form is kept: those that are read often. */
const CHECKED_ENTRIES = 1000

function memoryStore (): Store {
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
const noStore: Store = {
  async get () { return { isKnown: true } },
  async fill () {},
  async put () {},
  async drop () {},
  async ping () { return undefined },
  close () {}
}

// One atomic round trip: when two instances write the same key in the wrong order, the newer entry stays and is returned.
// A value that is not a valid entry is replaced, whatever its type. So is an entry that has expired or expires later than
// the TTL allows (the valid range is ARGV[4] to ARGV[5]), and the one text that was found to be invalid (ARGV[6]).
const PUT_IF_NEWER = `
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and held ~= ARGV[6] then
  local version, expiry = string.match(held, '^(%d+)@(%d+):')
  version, expiry = tonumber(version), tonumber(expiry)
  if version and version >= tonumber(ARGV[1]) and expiry > tonumber(ARGV[4]) and expiry <= tonumber(ARGV[5]) then return held end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false`

/** How many versions a cached record may be ahead of the one being written: each version is a separate write to the table. */
const MAX_AHEAD = 100

/** Milliseconds to wait for an answer of Redis. It takes less than one; a read from the table takes five. */
const DEADLINE = 50

// The client's own timeout starts when it sends a command, and it does not send while an earlier pipeline waits.
function inTime<T> (answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Redis did not answer in time')), DEADLINE)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

async function redisStore (url: string, maxTtl: number, log: FastifyBaseLogger, count: Count): Promise<Store> {
  // Loaded only when configured, because the client and the breaker cost a cold start about 35 ms.
  const [{ Redis }, { BrokenCircuitError, circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen }] = await Promise.all([import('ioredis'), import('cockatiel')])
  const redis = new Redis(url, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 200,
    commandTimeout: DEADLINE,
    socketTimeout: 1000, // drops a connection that does not answer, and not only its commands
    retryStrategy: attempt => Math.min(attempt * 100, 1000)
  })
  // Opens after five failures in a row, then tries once a second, so that reads are cached again within seconds.
  // A server that rejects a command does answer, so that is not a failure.
  const breaker = circuitBreaker(handleWhen(error => (error as Error).name !== 'ReplyError'), { halfOpenAfter: 1000, breaker: new ConsecutiveBreaker(5) })
  breaker.onBreak(() => {
    count('CacheUnavailable')
    log.warn('cache: Redis does not answer, reading without it')
  })
  breaker.onReset(() => log.info('cache: Redis answers again'))
  redis.on('error', error => log.debug({ code: (error as { code?: string }).code }, 'cache: connection error'))

  // Writes that did not reach Redis. Until such a write is repeated, Redis holds an older version than the acknowledged one.
  const missed = new LRUCache<string, { version: number, entry: string }>({ max: MAX_ENTRIES, ttl: 3_600_000 })

  async function attempt<T> (command: () => Promise<T>): Promise<{ ok: true, value: T } | { ok: false }> {
    // The breaker would make all callers wait for the result of its one trial.
    if (breaker.state === CircuitState.HalfOpen) return { ok: false }
    try {
      return { ok: true, value: await breaker.execute(() => inTime(command())) }
    } catch (error) {
      if (!(error instanceof BrokenCircuitError)) log.debug({ code: (error as { code?: string }).code }, 'cache: command failed')
      return { ok: false }
    }
  }

  async function fill (key: string, version: number, entry: string, ttl: number): Promise<{ ok: boolean }> {
    const putOver = (replaceable: string) => attempt(() => redis.eval(PUT_IF_NEWER, 1, key, version, entry, ttl, Date.now(), Date.now() + maxTtl + CLOCK_SKEW, replaceable))
    const answer = await putOver('')
    const held = answer.ok ? answer.value : undefined
    // A newer version may stay. An entry that only claims to be newer would hide this version, so it is overwritten.
    return typeof held === 'string' && held !== entry && !isNewer(held, version, maxTtl) ? await putOver(held) : answer
  }

  async function put (key: string, version: number, entry: string, ttl: number) {
    const { ok } = await fill(key, version, entry, ttl)
    const late = missed.get(key)
    if (late !== undefined && late.version > version) return
    if (ok) missed.delete(key)
    else missed.set(key, { version, entry }, { ttl })
  }

  return {
    async get (key) {
      const late = missed.get(key)
      if (late !== undefined) {
        await put(key, late.version, late.entry, Math.ceil(missed.getRemainingTTL(key)))
        return { isKnown: false }
      }
      const got = await attempt(() => redis.get(key))
      return got.ok ? { isKnown: true, ...(got.value === null ? {} : { entry: got.value }) } : { isKnown: false }
    },
    async fill (key, version, entry, ttl) { await fill(key, version, entry, ttl) },
    put,
    async drop (key) { await attempt(() => redis.del(key)) },
    async ping () {
      const start = performance.now()
      const { ok } = await attempt(() => redis.ping())
      return ok ? performance.now() - start : undefined
    },
    close () { redis.disconnect() }
  }
}

/** Milliseconds by which the clock of another instance may be ahead. */
const CLOCK_SKEW = 5_000

/**
 * Parses an entry; `undefined` when it is invalid or has expired. The version in front must equal the record's own. The
 * expiry is checked here too, because an entry that was planted in the store may never expire there.
 */
function parseEntry (entry: string, maxTtl: number): { version: number, expiry: number, value: unknown } | undefined {
  if (entry.length > MAX_ENTRY) return undefined
  const prefix = /^(\d{1,15})@(\d{1,15}):/.exec(entry)
  if (prefix === null) return undefined
  const [version, expiry] = prefix.slice(1).map(Number) as [number, number]
  if (expiry <= Date.now() || expiry > Date.now() + maxTtl + CLOCK_SKEW) return undefined
  const json = entry.slice(prefix[0].length)
  if (json === '') return { version, expiry, value: undefined }
  try {
    const value = JSON.parse(json) as Versioned | null
    return value?.version === version ? { version, expiry, value } : undefined
  } catch {
    return undefined
  }
}

/** Whether an entry appears to be a later version of the record. */
function isNewer (entry: string, version: number, maxTtl: number): boolean {
  const parsed = parseEntry(entry, maxTtl)
  return parsed !== undefined && parsed.version > version && parsed.version - version <= MAX_AHEAD
}

function createCache (store: Store, shared: boolean, ttlSeconds: number): Cache {
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
  // Up to a tenth shorter, so that entries cached at the same time do not expire at the same time.
  const ttl = () => Math.round(ttlSeconds * 1000 * (1 - Math.random() / 10))

  /** The remaining arguments of a call that stores an entry. */
  function entryOf (version: number, value: Versioned | undefined): [version: number, entry: string, ttl: number] {
    const lifetime = ttl()
    return [version, `${version}@${Date.now() + lifetime}:${value === undefined ? '' : JSON.stringify(value)}`, lifetime]
  }

  async function put (key: string, version: number, value: Versioned | undefined) {
    flights.delete(key) // later readers must not join a load that started before this write
    if (value === undefined) checked.delete(key) // nothing of a deleted record stays in memory
    if (ttlSeconds > 0) await store.put(key, ...entryOf(version, value))
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
        if (known !== undefined) return known.value as T | undefined
        await store.drop(key)
      }

      async function fly (): Promise<T | undefined> {
        const flight: Flight = { value: load(), began: ++count, next: undefined }
        flights.set(key, flight)
        try {
          const value = await flight.value
          // Not awaited, because the reader has its record already. A flight that a write has dropped is older than that write.
          if (value !== undefined && ttlSeconds > 0 && flights.get(key) === flight) void store.fill(key, ...entryOf(value.version, value))
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

declare module './metrics.ts' {
  interface MetricNames {
    /** each time an instance stops asking a cache that does not answer: about once a second while it is used */
    CacheUnavailable: true
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    cache: Cache
  }
}

/**
 * The read cache. It uses Redis if `REDIS_URL` is set, else a bounded store in this process. That is correct only when a
 * single process serves the tables, so it must be turned on in the configuration. Failures of the cache never reach callers.
 */
export default fp(async function cache (app) {
  const { REDIS_URL, CACHE_TTL_SECONDS } = app.config
  const store = REDIS_URL === undefined ? (CACHE_TTL_SECONDS > 0 ? memoryStore() : noStore) : await redisStore(REDIS_URL, CACHE_TTL_SECONDS * 1000, app.log, app.metrics.count)
  app.decorate('cache', createCache(store, REDIS_URL !== undefined, CACHE_TTL_SECONDS))
  app.addHook('onClose', async () => { store.close() })
}, { name: 'cache', dependencies: ['config', 'metrics'] })
