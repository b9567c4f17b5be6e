import { LRUCache } from 'lru-cache'
import fp from 'fastify-plugin'
import type { FastifyBaseLogger } from 'fastify'

/** What may be cached: a record that says which version of itself it is. */
export interface Versioned { version: number }

/**
 * Where entries live. An entry is text: `version@expiry:JSON`, the expiry in milliseconds since the epoch; nothing after
 * the colon says "deleted".
 * No method rejects, and none makes the caller wait for a store that does not answer.
 */
interface Store {
  /** `isKnown` is false when the store did not answer: what another instance has written is not known then. */
  get (key: string): Promise<{ isKnown: boolean, entry?: string }>
  /** Keeps the newer of what it has and what it is given: for what was only read. */
  fill (key: string, version: number, entry: string, ttl: number): Promise<void>
  /** As `fill`, for what was written: once this resolves, `get` never gives anything older. */
  put (key: string, version: number, entry: string, ttl: number): Promise<void>
  drop (key: string): Promise<void>
  /** Milliseconds of a round trip, or `undefined` when the store does not answer. */
  ping (): Promise<number | undefined>
  close (): void
}

export interface Cache {
  /** Whether a shared store (Redis) is behind it. */
  readonly shared: boolean
  /** Reads through the cache. Concurrent readers of one key share one load. Rejects only when `load` does. */
  read<T extends Versioned> (key: string, load: () => Promise<T | undefined>, isValid: (value: unknown) => value is T): Promise<T | undefined>
  /** To be awaited after a write and before it is acknowledged: no read after that gives an older version. */
  write (key: string, value: Versioned): Promise<void>
  /** As `write`, for a record that was deleted; `version` is one more than the last. */
  remove (key: string, version: number): Promise<void>
  ping (): Promise<number | undefined>
}

/** A user's record is under 1 KB; what is larger was not written by us and is not parsed. */
const MAX_ENTRY = 16_384

/** Entries of the in-process store: at 1 KB each, 10 MB. */
const MAX_ENTRIES = 10_000

/** Entries whose parsed form is kept: those that are read often. */
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

// One round trip, atomic: two instances that write the same key in the wrong order leave the newer one, which is given
// back. What is not a text of ours, whatever its type, is replaced, and so is what has expired or claims to expire later
// than any of ours could (between ARGV[4] and ARGV[5]), and the one text that was looked at (ARGV[6]).
const PUT_IF_NEWER = `
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and held ~= ARGV[6] then
  local version, expiry = string.match(held, '^(%d+)@(%d+):')
  version, expiry = tonumber(version), tonumber(expiry)
  if version and version >= tonumber(ARGV[1]) and expiry > tonumber(ARGV[4]) and expiry <= tonumber(ARGV[5]) then return held end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false`

/** Versions that one record may be ahead of what is just being written: each is a write to the table of its own. */
const MAX_AHEAD = 100

/** Milliseconds Redis has for an answer. It takes less than one; reading from the table takes five. */
const DEADLINE = 50

// The client's own time-out begins when it sends a command, and it sends none while a pipeline before it is waiting.
function inTime<T> (answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Redis did not answer in time')), DEADLINE)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

async function redisStore (url: string, maxTtl: number, log: FastifyBaseLogger): Promise<Store> {
  // Loaded only where it is configured: the client and the breaker cost a cold start about 35 ms.
  const [{ Redis }, { BrokenCircuitError, circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen }] = await Promise.all([import('ioredis'), import('cockatiel')])
  const redis = new Redis(url, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 200,
    commandTimeout: DEADLINE,
    socketTimeout: 1000, // a connection that swallows what it is sent is given up, not only its commands
    retryStrategy: attempt => Math.min(attempt * 100, 1000)
  })
  // Opens after five failures in a row; one trial a second after that, so that reads are cached again within seconds.
  // A server that refuses a command does answer.
  const breaker = circuitBreaker(handleWhen(error => (error as Error).name !== 'ReplyError'), { halfOpenAfter: 1000, breaker: new ConsecutiveBreaker(5) })
  breaker.onBreak(() => log.warn('cache: Redis does not answer, reading without it'))
  breaker.onReset(() => log.info('cache: Redis answers again'))
  redis.on('error', error => log.debug({ code: (error as { code?: string }).code }, 'cache: connection error'))

  // Writes that Redis did not take. Until one is repeated, what Redis holds under its key is older than what was acknowledged.
  const missed = new LRUCache<string, { version: number, entry: string }>({ max: MAX_ENTRIES, ttl: 3_600_000 })

  async function attempt<T> (command: () => Promise<T>): Promise<{ ok: true, value: T } | { ok: false }> {
    // The breaker would make everybody wait for the outcome of the one trial.
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
    // A newer version is right; an entry that only claims to be one would hide this version.
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

/** Milliseconds by which the clock of another instance may be ahead of ours. */
const CLOCK_SKEW = 5_000

/**
 * What an entry says, or `undefined` when it is not one of ours or has expired. The version in front must be the
 * record's own; and its expiry counts, because what others have planted need not expire in the store.
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

/** Whether an entry is a later version of the record, as far as that can be seen. */
function isNewer (entry: string, version: number, maxTtl: number): boolean {
  const parsed = parseEntry(entry, maxTtl)
  return parsed !== undefined && parsed.version > version && parsed.version - version <= MAX_AHEAD
}

function createCache (store: Store, shared: boolean, ttlSeconds: number): Cache {
  interface Flight {
    value: Promise<Versioned | undefined>
    /** when it began, by `count` */
    began: number
    /** the one that begins when this one ends, where readers wait for it */
    next: Promise<Versioned | undefined> | undefined
  }
  const flights = new Map<string, Flight>()
  /** orders the beginnings of reads and loads */
  let count = 0
  // The text of a key that was checked last, and what it holds: most reads meet the same text again. Parsing and checking
  // it each time was a tenth of a cached read.
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
  // Up to a tenth shorter, so that what was cached together does not expire together.
  const ttl = () => Math.round(ttlSeconds * 1000 * (1 - Math.random() / 10))

  /** The rest of the arguments that store an entry. */
  function entryOf (version: number, value: Versioned | undefined): [version: number, entry: string, ttl: number] {
    const lifetime = ttl()
    return [version, `${version}@${Date.now() + lifetime}:${value === undefined ? '' : JSON.stringify(value)}`, lifetime]
  }

  async function put (key: string, version: number, value: Versioned | undefined) {
    flights.delete(key) // a load that began before this write may not be joined after it
    if (ttlSeconds > 0) await store.put(key, ...entryOf(version, value))
  }

  return {
    shared,
    async read<T extends Versioned> (key: string, load: () => Promise<T | undefined>, isValid: (value: unknown) => value is T) {
      // Every reader asks the store itself: only a load may be shared, because a write drops it, and a write in
      // another process is seen in the store.
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
          // Not awaited: the reader has what it came for. A flight that a write has dropped is older than that write.
          if (value !== undefined && ttlSeconds > 0 && flights.get(key) === flight) void store.fill(key, ...entryOf(value.version, value))
          return value as T | undefined
        } finally {
          if (flights.get(key) === flight) flights.delete(key)
        }
      }
      const running = flights.get(key)
      if (running === undefined) return await fly()
      // The store knows of no write that the load has missed, or the load began after this read.
      if (isKnown || running.began > arrived) return await running.value as T | undefined
      // Another instance may have acknowledged one meanwhile. The next load is shared by all that wait for it.
      running.next ??= running.value.then(fly, fly)
      return await running.next as T | undefined
    },
    write: (key, value) => put(key, value.version, value),
    remove: (key, version) => put(key, version, undefined),
    ping: () => store.ping()
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    cache: Cache
  }
}

/**
 * The read cache: Redis where `REDIS_URL` is set, else a bounded store in this process, which is right only where one
 * process serves the tables: the configuration turns it on there. A fault in it is never the caller's.
 */
export default fp(async function cache (app) {
  const { REDIS_URL, CACHE_TTL_SECONDS } = app.config
  const store = REDIS_URL === undefined ? memoryStore() : await redisStore(REDIS_URL, CACHE_TTL_SECONDS * 1000, app.log)
  app.decorate('cache', createCache(store, REDIS_URL !== undefined, CACHE_TTL_SECONDS))
  app.addHook('onClose', async () => { store.close() })
}, { name: 'cache', dependencies: ['config'] })
