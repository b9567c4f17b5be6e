import { networkOf } from '../../shared/network.ts'

export interface Count {
  /** how many there were in this window, this one included */
  current: number
  /** milliseconds until the window ends */
  ttl: number
}

/** Counts in the process, by key and window; bounded: when it is full, the key that came first is forgotten. */
export interface Counters {
  count (key: string): Count
  has (key: string): boolean
}

/**
 * All keys share one window, which begins with the first count after the last one has ended: at its end everything is
 * forgotten at once, so that no entry needs a date of its own.
 */
export function createCounters ({ windowMs, capacity, onForget }: { windowMs: number, capacity: number, onForget?: (key: string | undefined) => void }): Counters {
  const counts = new Map<string, number>()
  let end = 0
  function current (): number {
    const now = performance.now()
    if (now >= end) {
      counts.clear()
      onForget?.(undefined)
      end = now + windowMs
    }
    return end - now
  }
  return {
    count (key) {
      const ttl = current()
      const before = counts.get(key)
      if (before === undefined && counts.size >= capacity) {
        const [oldest] = counts.keys()
        counts.delete(oldest!)
        onForget?.(oldest)
      }
      counts.set(key, (before ?? 0) + 1)
      return { current: (before ?? 0) + 1, ttl }
    },
    has (key) {
      current()
      return counts.has(key)
    }
  }
}

/** Clients remembered at once, for each class of routes: about 4 MB. */
const CLIENTS = 32_768

/**
 * IPv6 networks that are clients of their own inside a larger block; those that come after them share one count for the
 * whole block. A site is given a /48 to a /64, a network operator a /32 or more: without these bounds the holder of one
 * block has a limit for each of its /64, and pushes all others out of the memory. A mobile network has many users in one
 * block, hence not less.
 */
const BLOCKS = [{ bits: 48, networks: 64 }, { bits: 32, networks: 4096 }, { bits: 24, networks: 8192 }] as const

/** Counts by client: an IPv4 address, an IPv6 /64, or the block that has had its share of them. */
export function createClientCounters (windowMs: number, capacity: number = CLIENTS): { count (address: string): Count } {
  // How many clients a block has in the counters, by its prefix.
  const blocks = new Map<string, number>()
  const isBlock = (client: string) => !client.endsWith('/64')
  function change (client: string, by: 1 | -1): void {
    if (isBlock(client)) return
    for (const { bits } of BLOCKS) {
      const block = networkOf(client.slice(0, -'/64'.length), bits)
      const count = (blocks.get(block) ?? 0) + by
      if (count > 0) blocks.set(block, count)
      else blocks.delete(block)
    }
  }
  const counters = createCounters({
    windowMs,
    capacity,
    onForget (client) {
      if (client === undefined) blocks.clear()
      else change(client, -1)
    }
  })

  return {
    count (address) {
      let client = networkOf(address)
      if (client.includes(':') && !counters.has(client)) {
        const full = BLOCKS.find(({ bits, networks }) => (blocks.get(networkOf(address, bits)) ?? 0) >= networks)
        if (full !== undefined) client = networkOf(address, full.bits)
        else change(client, 1)
      }
      return counters.count(client)
    }
  }
}
