import { createRandom, exponential, logNormal } from './random.ts'

// Discrete-event simulation, deterministic. Times are milliseconds.

/** A priority queue of numbers, the smallest first. */
function createHeap<T> () {
  const items: { at: number, order: number, value: T }[] = []
  let order = 0
  const isBefore = (a: number, b: number) => items[a]!.at < items[b]!.at || (items[a]!.at === items[b]!.at && items[a]!.order < items[b]!.order)
  function swap (a: number, b: number) {
    const held = items[a]!
    items[a] = items[b]!
    items[b] = held
  }
  return {
    get first () { return items[0] },
    push (at: number, value: T) {
      items.push({ at, order: order++, value })
      for (let place = items.length - 1; place > 0;) {
        const parent = (place - 1) >> 1
        if (!isBefore(place, parent)) break
        swap(place, parent)
        place = parent
      }
    },
    pop () {
      const [first] = items
      const last = items.pop()!
      if (items.length > 0) {
        items[0] = last
        for (let place = 0; ;) {
          const [left, right] = [2 * place + 1, 2 * place + 2]
          let least = place
          if (left < items.length && isBefore(left, least)) least = left
          if (right < items.length && isBefore(right, least)) least = right
          if (least === place) break
          swap(place, least)
          place = least
        }
      }
      return first
    }
  }
}

/** What a process does until it goes on: it waits so many milliseconds, or until it is resumed. */
type Step = number | ((resume: () => void) => void)
export type Process = Generator<Step, void, void>

export interface Resource {
  /** Holds one of the places for so long, first come, first served. */
  use (duration: number): Process
}

export interface Store<T> {
  put (item: T): void
  /** Waits for an item, and takes up to `max` that are there. */
  take (max: number, into: T[]): Process
}

/** Processes that wait, use resources and pass items on. */
export function createSimulation () {
  const events = createHeap<Process>()
  let now = 0

  function run (process: Process): void {
    const { done, value } = process.next()
    if (done === true) return
    if (typeof value === 'number') events.push(now + value, process)
    else value(() => events.push(now, process))
  }

  return {
    get now () { return now },
    start (process: Process) { events.push(now, process) },
    /** Until nothing happens any more. */
    run () {
      for (let event = events.pop(); event !== undefined; event = events.pop()) {
        now = event.at
        run(event.value)
      }
    },
    resource (places: number): Resource {
      let free = places
      const waiting: (() => void)[] = []
      return {
        * use (duration) {
          if (free > 0) free--
          else yield resume => { waiting.push(resume) }
          yield duration
          const next = waiting.shift()
          if (next === undefined) free++
          else next()
        }
      }
    },
    store<T> (): Store<T> {
      const items: T[] = []
      const waiting: (() => void)[] = []
      return {
        put (item) {
          items.push(item)
          waiting.shift()?.()
        },
        * take (max, into) {
          while (items.length === 0) yield resume => { waiting.push(resume) }
          into.push(...items.splice(0, max))
          if (items.length > 0) waiting.shift()?.()
        }
      }
    }
  }
}

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
