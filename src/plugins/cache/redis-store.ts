import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import { BreakerOpen, type Breaker } from '../../shared/breaker.ts'
import { CLOCK_SKEW, isNewer } from './entry.ts'
import { MAX_ENTRIES, type Store } from './store.ts'

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

/** Milliseconds to wait for an answer of Redis. It takes less than one; a read from the table takes five. */
const DEADLINE = 50

// The client's own timeout starts when it sends a command, and it does not send while an earlier pipeline waits.
function inTime<T> (answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Redis did not answer in time')), DEADLINE)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** An error of Redis begins with its code. The rest may repeat the command, which holds personal data. */
const reasonOf = ({ name, message }: Error) => name === 'ReplyError' ? message.split(' ', 1)[0] : message

/** Keeps entries in Redis, for all instances. `maxTtl`: milliseconds that an entry lives at most. */
export async function createRedisStore (url: string, maxTtl: number, log: FastifyBaseLogger, breaker: Breaker): Promise<Store> {
  // Loaded only when configured, because the client costs a cold start about 32 ms.
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 200,
    commandTimeout: DEADLINE,
    socketTimeout: 1000, // drops a connection that does not answer, and not only its commands
    retryStrategy: attempt => Math.min(attempt * 100, 1000)
  })
  redis.on('error', error => log.debug({ code: (error as { code?: string }).code }, 'cache: connection error'))

  // Writes that did not reach Redis. Until such a write is repeated, Redis holds an older version than the acknowledged one.
  const missed = new LRUCache<string, { version: number, entry: string }>({ max: MAX_ENTRIES, ttl: 3_600_000 })

  async function attempt<T> (command: () => Promise<T>): Promise<{ ok: true, value: T } | { ok: false }> {
    try {
      return { ok: true, value: await breaker.run(() => inTime(command())) }
    } catch (error) {
      if (!(error instanceof BreakerOpen)) log.debug({ reason: reasonOf(error as Error) }, 'cache: command failed')
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
