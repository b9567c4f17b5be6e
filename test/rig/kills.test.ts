import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createRandom } from '../../bench/lib/random.ts'
import type { Restartable } from '../faults.ts'
import { report, SIZE, workload } from '../promise.ts'
import { until } from '../until.ts'
import { duplicateUsers, halfWritten, lostMails, lostUsers } from './checks.ts'
import { startRig, type Rig } from './system.ts'

const CLIENTS = 16

/** Without a new mail for so many milliseconds, no further one is expected: a mail that could not be sent is tried again after 120 s at most. */
const PATIENCE = 200_000

interface Load {
  acknowledged: Set<string>
  /** the statuses of the others; 0 for none */
  refused: Record<number, number>
}

/** Registers users, in both versions, while a part is killed again and again: at points of the seed, evenly over the load. */
async function registerAndKill (t: Test, rig: Rig, { name, part, kills, count }: { name: string, part: Restartable, kills: number, count: number }): Promise<Load> {
  const seed = Number(process.env['RIG_SEED'] ?? randomInt(2 ** 31))
  t.comment(`RIG_SEED=${seed}`)
  const random = createRandom(seed)
  const load: Load = { acknowledged: new Set(), refused: {} }
  let next = 0
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (load.acknowledged.size < count) {
      const n = next++
      const email = `${name}-${n}@example.com`
      const status = await fetch(`${rig.urls[0]}/v${n % 2 + 1}/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email, name: 'Kept' }) }).then(answer => { void answer.body?.cancel(); return answer.status }, () => 0)
      if (status === 201 || status === 202) load.acknowledged.add(email)
      else {
        load.refused[status] = (load.refused[status] ?? 0) + 1
        await sleep(5) // a client that backs off, if only a little
      }
    }
  })
  for (let kill = 1; kill <= kills; kill++) {
    const at = count * (kill - random() * 0.9) / (kills + 1)
    await until(() => load.acknowledged.size >= at, { timeoutMs: 120_000 })
    await sleep(random() * 50)
    await part.stop('SIGKILL')
    await part.start()
  }
  await Promise.all(clients)
  return load
}

/** Waits for the mails of the acknowledged, for as long as some still come. @returns the addresses without one */
async function missingMails (rig: Rig, acknowledged: Set<string>): Promise<string[]> {
  let [before, since] = [-1, Date.now()]
  for (;;) {
    const missing = lostMails(acknowledged, rig.mails)
    if (missing.length === 0 || Date.now() - since > PATIENCE) return missing
    if (rig.mails.length !== before) [before, since] = [rig.mails.length, Date.now()]
    await sleep(100)
  }
}

const rig = await startRig(t)

const LONG = SIZE === 'short' ? {} : { timeout: 900_000 }

t.test('the database engine is killed under load: nothing acknowledged is lost, half-written or there twice, and every mail is sent', LONG, async t => {
  const kills = workload({ short: 2, full: 20 })
  const { acknowledged, refused } = await registerAndKill(t, rig, { name: 'engine', part: rig.dynamodb, kills, count: workload({ short: 60, full: 10_000 }) })
  const unmailed = await missingMails(rig, acknowledged)
  const items = await rig.scan('UsersTable')
  const found = { lost: lostUsers(acknowledged, items), half: halfWritten(items), twice: duplicateUsers(items), unmailed }
  t.strictSame(found, { lost: [], half: [], twice: [], unmailed: [] })
  t.comment(`not acknowledged: ${JSON.stringify(refused)}`)
  report(t, {
    promise: 1,
    figure: `${acknowledged.size} registrations acknowledged, ${kills} kills: ${found.lost.length} users lost, ${found.half.length} half-written, ${found.twice.length} duplicate accounts, ${unmailed.length} without a mail`,
    holds: Object.values(found).every(({ length }) => length === 0)
  })
})

t.test('the API process is killed at random points: no acknowledged user is without a mail', LONG, async t => {
  const kills = workload({ short: 1, full: 50 })
  const { acknowledged, refused } = await registerAndKill(t, rig, { name: 'api', part: rig.instances[0]!, kills, count: workload({ short: 60, full: 2500 }) })
  const unmailed = await missingMails(rig, acknowledged)
  const lost = lostUsers(acknowledged, await rig.scan('UsersTable'))
  t.strictSame({ lost, unmailed }, { lost: [], unmailed: [] })
  t.comment(`not acknowledged: ${JSON.stringify(refused)}`)
  report(t, {
    promise: 4,
    figure: `${kills} kills, ${acknowledged.size} registrations acknowledged: ${lost.length} users lost, ${unmailed.length} without a mail`,
    holds: lost.length + unmailed.length === 0
  })
})
