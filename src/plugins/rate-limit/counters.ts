import { networkOf } from '../../shared/network.ts'

export interface Count {
  /** the count in this window, including this use */
  current: number
  /** milliseconds until the window ends */
  ttl: number
}

/** In-process counts by key and window. When the memory is full, the oldest key is forgotten. */
export interface Counters {
  count (key: string): Count
  has (key: string): boolean
}

/**
 * All keys share one window. It starts with the first count after the last window has ended. At its end all counts are
 * dropped at once, so no entry needs its own expiry.
 */
export function createCounters ({ windowMs, capacity, onForget }: { windowMs: number, capacity: number, onForget?: (key: string | undefined) => void }): Counters {
  const counts = new Map<string, number>()
  // One iterator per window: a new one would skip all deleted entries again each time.
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

/** Maximum clients in memory per class of routes: about 4 MB. */
const CLIENTS = 32_768

/**
 * How many IPv6 networks in a /48, a /32 and a /24 are counted as separate clients; all further networks share one count
 * for the whole block. A site gets a /48 to a /64, a network operator a /32 or more. Without these bounds, the holder of
 * one block would have a separate limit for each of its /64 networks, and would push all others out of the memory. The
 * numbers are not lower, because a mobile network has many users in one block.
 */
const NETWORKS = [64, 4096, 8192] as const

/** The /48, /32 and /24 blocks of an IPv6 /64; an empty list for other clients. */
function blocksOf (client: string): string[] {
  if (!client.endsWith('/64')) return []
  const [first = '', second = '', third = ''] = client.split(':', 3)
  return [`${first}:${second}:${third}::/48`, `${first}:${second}::/32`, `${first}:${(parseInt(second, 16) & 0xff00).toString(16)}::/24`]
}

/** Counts by client: an IPv4 address, an IPv6 /64, or a block that has reached its number of networks. */
export function createClientCounters (windowMs: number, capacity: number = CLIENTS): { count (address: string): Count } {
  // The number of clients in the counters, by prefix of a block.
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
