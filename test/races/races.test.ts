import t from 'tap'
import { report, SIZE, workload } from '../promise.ts'
import { createEmailChangeRace } from './email-change.ts'
import { createOutboxRace } from './outbox.ts'
import { createRegisterRace } from './register.ts'
import { isWanted, search, type Race } from './search.ts'
import { createSessionsRace } from './sessions.ts'
import { createWorkerRace } from './worker.ts'
import { createWorld } from './world.ts'

// Races by search and not by luck, see docs/adr/0163-races-are-searched.md. A failure prints a line that plays it again:
// RACE_SEED=sessions:-1234:12:0:1 npm test -- test/races/races.test.ts

if (SIZE !== 'short') t.setTimeout(600_000)

const RUNS = workload({ short: 100, full: 10_000 })
/** The size at which a planted fault must be found. */
const MAX_RUNS = 400

const world = await createWorld(t)
const begin = world.snapshot()

for (const create of [createRegisterRace, createSessionsRace, createEmailChangeRace, createOutboxRace, createWorkerRace]) {
  begin()
  const race = await create(world) as Race<unknown>
  if (!isWanted(race)) continue

  await t.test(`${race.name}: no order of calls breaks its rules`, async t => {
    const { runs, distinct, calls, violation } = await search(world, race, { runs: RUNS })
    report(t, { promise: 38, part: race.name, figure: `${runs} interleavings (${distinct} different ones, ${calls} calls), ${violation === undefined ? 0 : 1} violations`, holds: violation === undefined })
    if (violation !== undefined) t.comment([violation.message, `To see it again: ${violation.replay} npm test -- test/races/races.test.ts`, ...violation.trace].join('\n'))
  })

  await t.test(`${race.name}: the search finds planted faults`, async t => {
    const found: string[] = []
    for (const [what, plant] of Object.entries(race.plants)) {
      const { runs, violation } = await search(world, race, { runs: MAX_RUNS, plant, isBrief: true })
      t.ok(violation, `${what}: found in interleaving ${runs}`)
      found.push(`${what}: ${runs}`)
    }
    t.comment(`planted, and in which interleaving it was found: ${found.join('; ')}`)
  })
}
