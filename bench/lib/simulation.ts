import { createHeap } from './heap.ts'

// Discrete-event simulation, deterministic. Times are milliseconds.

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
