import { createHeap } from '../lib/heap.ts'
import { createRandom, exponential, logNormal } from '../lib/random.ts'

export interface FunctionLoad {
  seed: number
  /** requests a second, each for some seconds */
  phases: { rate: number, seconds: number }[]
  /** of a request, in a warm instance */
  duration: { median: number, p99: number }
  /** that a cold start adds */
  coldStart: number
  /** instances that exist from the start */
  warm: number
  concurrency: number
  /** new instances: so many at once, and refilled so many a second */
  scaling: { burst: number, perSecond: number }
  /** requests a second for each instance that the concurrency allows */
  requestsPerInstance: number
}

export interface FunctionResult {
  requests: number
  /** shares of the requests */
  cold: number
  throttled: number
  /** most instances busy at once */
  peak: number
  p50: number
  p99: number
}

/** A function under load: each instance takes one request at a time, and a request that finds none is refused. */
export function simulateFunction ({ seed, phases, duration, coldStart, warm, concurrency, scaling, requestsPerInstance }: FunctionLoad): FunctionResult {
  const random = createRandom(seed)
  const length = logNormal(random, duration.median, duration.p99)
  const busy = createHeap<undefined>()
  let [now, idle, count, peak] = [0, warm, 0, 0]
  let [requests, cold, throttled] = [0, 0, 0]
  let scalingTokens = scaling.burst
  const requestLimit = requestsPerInstance * concurrency // a second
  let requestTokens = requestLimit
  const times: number[] = []
  for (const { rate, seconds } of phases) {
    const gap = exponential(random, rate / 1000)
    const end = now + seconds * 1000
    for (;;) {
      const passed = gap()
      if (now + passed > end) break
      now += passed
      scalingTokens = Math.min(scaling.burst, scalingTokens + scaling.perSecond * passed / 1000)
      requestTokens = Math.min(requestLimit, requestTokens + requestLimit * passed / 1000)
      while (busy.first !== undefined && busy.first.at <= now) {
        busy.pop()
        count--
        idle++
      }
      requests++
      let start = 0
      if (requestTokens < 1) {
        throttled++
        continue
      }
      if (idle > 0) idle--
      else if (count < concurrency && scalingTokens >= 1) {
        scalingTokens--
        cold++
        start = coldStart
      } else {
        throttled++
        continue
      }
      requestTokens--
      const time = start + length()
      times.push(time)
      busy.push(now + time, undefined)
      peak = Math.max(peak, ++count)
    }
    now = end
  }
  const sorted = Float64Array.from(times).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { requests, cold: cold / requests, throttled: throttled / requests, peak, p50: at(0.5), p99: at(0.99) }
}
