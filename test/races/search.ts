import fc from 'fast-check'
import { createSchedule, type Actor, type Choice, type Fate, type Schedule } from './schedule.ts'
import type { Plant, World } from './world.ts'

/** A race: what its actors do, in every order that the search can find, and what must hold. */
export interface Race<S> {
  name: string
  /** what differs between two interleavings besides the order */
  scenario: fc.Arbitrary<S>
  /** Wrong services, by what is wrong with them, which the search must find. */
  plants: Record<string, Plant>
  /** Plays one interleaving from the race's beginning. Throws a Violation when something does not hold that must. */
  play (scenario: S, run: Run): Promise<void>
}

/** One interleaving. */
export interface Run {
  /**
   * Runs actors together until each has ended. What is not chosen is released in the order of the actors. The next call goes on with the
   * remaining choices.
   *
   * @param afterEach called after each step
   */
  together (add: (schedule: Schedule) => void, afterEach?: (step: number, actor: Actor) => void): Promise<Actor[]>
  /** whether any call met a fate other than `done` */
  readonly hadFaults: boolean
}

class Violation extends Error {
  override name = 'Violation'
}

/** Fails an interleaving. */
export function demand (holds: boolean, message: () => string): void {
  if (!holds) throw new Violation(message())
}

/** Calls of an interleaving whose fate is chosen. The rest is released in the order of the actors. */
const LENGTH = 80

/** Of a hundred calls. Small numbers are tried first when a failure is made smaller. */
const FATES: [below: number, fate: Fate][] = [[86, 'done'], [91, 'lost'], [94, 'lagging'], [96, 'conflict'], [98, 'stopped before'], [100, 'stopped after']]
const fateOf = (n: number): Fate => FATES.find(([below]) => n < below)![1]

/** Without faults in every second interleaving: most races need none, and a fault ends many before they begin. */
const choicesOf = (withFaults: boolean) => fc.array(fc.tuple(fc.nat(11), fc.nat(withFaults ? 99 : 85)).map(([pick, n]): Choice => ({ pick, fate: fateOf(n) })), { maxLength: LENGTH, size: 'max' })
const CHOICES = fc.oneof(choicesOf(false), choicesOf(true))

function createRun (choices: readonly Choice[]) {
  const traces: string[][] = []
  let left = [...choices]
  return {
    traces,
    get hadFaults () { return traces.some(trace => trace.some(line => line.endsWith(']'))) },
    async together (add: (schedule: Schedule) => void, afterEach: (step: number, actor: Actor) => void = () => {}) {
      const schedule = createSchedule(left, afterEach)
      traces.push(schedule.trace)
      add(schedule)
      await schedule.run()
      left = left.slice(schedule.step)
      return schedule.actors
    }
  }
}

export interface Found {
  /** interleavings that were played, and how many of them differ */
  runs: number
  distinct: number
  calls: number
  /** what went wrong, smallest first; how to see it again; and the interleaving */
  violation?: { message: string, replay: string, trace: string[] }
}

/** `RACE_SEED=sessions:-1234:12:0:1`, as a failure prints it: plays that interleaving of that race alone. */
const [replayed, seed, ...path] = (process.env['RACE_SEED'] ?? '').split(':')

/** Whether this race is to be searched: every one, unless one is played again. */
export const isWanted = ({ name }: Pick<Race<never>, 'name'>): boolean => replayed === '' || replayed === name

/** Searches interleavings of a race for one that breaks its rules. `plant` makes the service a wrong one. `isBrief`: without making a failure smaller. */
export async function search<S> (world: World, race: Race<S>, { runs, plant, isBrief = false }: { runs: number, plant?: Plant, isBrief?: boolean }): Promise<Found> {
  const seen = new Set<string>()
  let calls = 0

  async function play (scenario: S, choices: readonly Choice[]) {
    const run = createRun(choices)
    world.hooks.plant = plant
    try {
      await race.play(scenario, run)
    } finally {
      world.hooks.plant = undefined
      world.hooks.onCall = () => {}
      const steps = run.traces.flat().filter(line => /^\d/.test(line))
      calls += steps.length
      seen.add(JSON.stringify(scenario) + steps.map(line => /^\d+\. (.*?:|$).*?(\[.*\])?$/.exec(line)?.slice(1).join('')).join())
    }
    return run
  }

  const property = fc.asyncProperty(race.scenario, CHOICES, async (scenario, choices) => { await play(scenario, choices) })
  const again = plant === undefined && replayed === race.name
  const details = await fc.check(property, { numRuns: runs, endOnFailure: isBrief, ...(again ? { seed: Number(seed), ...(path.length === 0 ? {} : { path: path.join(':') }) } : {}) })
  const found = { runs: details.numRuns, distinct: seen.size, calls }
  if (!details.failed) return found

  const [scenario, choices] = details.counterexample!
  const { message } = details.errorInstance as Error
  const trace: string[] = [JSON.stringify(scenario)]
  const played = createRun(choices)
  world.hooks.plant = plant
  await race.play(scenario, played).catch((error: Error) => { if (error.message !== message) trace.push(`played again it failed otherwise: ${error.message}`) })
  world.hooks.plant = undefined
  trace.push(...played.traces.flat())
  return { ...found, violation: { message, replay: `RACE_SEED=${race.name}:${details.seed}:${details.counterexamplePath}`, trace } }
}
