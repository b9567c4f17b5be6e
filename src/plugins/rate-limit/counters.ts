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
  // One iterator for as long as a window lasts: a new one would pass over all that has been deleted, each time.
  let oldest = counts.keys()
  let end = 0
  function current (): number {
    const now = performance.now()
    if (now >= end) {
      counts.clear()
      oldest = counts.keys()
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
        const forgotten = oldest.next().value!
        counts.delete(forgotten)
        onForget?.(forgotten)
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
 * IPv6 networks that are clients of their own in a /48, a /32 and a /24; those that come after them share one count for the
 * whole block. A site is given a /48 to a /64, a network operator a /32 or more: without these bounds the holder of one
 * block has a limit for each of its /64, and pushes all others out of the memory. A mobile network has many users in one
 * block, hence not less.
 */
const NETWORKS = [64, 4096, 8192] as const

/** The /48, /32 and /24 that an IPv6 /64 is in; none for other clients. */
function blocksOf (client: string): string[] {
  if (!client.endsWith('/64')) return []
  const [first = '', second = '', third = ''] = client.split(':', 3)
  return [`${first}:${second}:${third}::/48`, `${first}:${second}::/32`, `${first}:${(parseInt(second, 16) & 0xff00).toString(16)}::/24`]
}

/** Counts by client: an IPv4 address, an IPv6 /64, or the block that has had its share of them. */
export function createClientCounters (windowMs: number, capacity: number = CLIENTS): { count (address: string): Count } {
  // How many clients a block has in the counters, by its prefix.
  const blocks = new Map<string, number>()
  function change (client: string, by: 1 | -1): void {
    for (const block of blocksOf(client)) {
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
        const full = blocksOf(client).find((block, i) => (blocks.get(block) ?? 0) >= NETWORKS[i]!)
        if (full === undefined) change(client, 1)
        client = full ?? client
      }
      return counters.count(client)
    }
  }
}
