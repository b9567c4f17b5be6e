import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from '../../local/aws.ts'
import { inParallel } from '../../scripts/in-parallel.ts'
import { OUTBOX_INDEX } from '../../src/plugins/outbox/store.ts'
import { BenchError, type Context, type Row, type Table } from '../lib/bench.ts'
import { startLocalSystem, type LocalSystem } from '../lib/local-system.ts'
import { cpuTimeOfTree, residentMemory } from '../lib/processes.ts'

// How fast a burst of registrations becomes mails.

/** Requests that are under way at once. */
const CONNECTIONS = 32
/** Registrations before the burst. */
const WARM_UP = 30
/** Milliseconds in which something must arrive: longer than the queue takes to deliver a mail again that failed. */
const PATIENCE = 330_000

interface BurstSystem extends LocalSystem {
  /** whether the outbox of a table has an entry */
  isWaiting (table: string): Promise<boolean>
}

/** A local system with new data. */
async function startBurstSystem (teardown: Context['teardown']): Promise<BurstSystem> {
  const dir = await mkdtemp(join(tmpdir(), 'user-service-bench-'))
  teardown(() => rm(dir, { recursive: true, force: true }))
  const system = await startLocalSystem(dir, teardown)
  const dynamodb = new DynamoDBClient({ ...LOCAL_AWS, endpoint: system.env['AWS_ENDPOINT_URL_DYNAMODB']!, maxAttempts: 1 })
  teardown(() => dynamodb.destroy())
  return {
    ...system,
    async isWaiting (table) {
      const { Count = 0 } = await dynamodb.send(new ScanCommand({ TableName: system.env[table]!, IndexName: OUTBOX_INDEX, Limit: 1, Select: 'COUNT' }))
      return Count > 0
    }
  }
}

interface Times {
  /** seconds from the first request to the last registration accepted, the last entry handled, the first and the last mail */
  accepted: number
  relayed: number
  firstMail: number
  /** 99 of 100 mails: one that fails is delivered again after half a minute or more */
  mails99: number
  lastMail: number
  /** answers 503, each repeated */
  refused: number
  /** warnings in the log */
  warnings: number
}

/** Registers users at once and waits for the last mail and the last entry. */
async function register (system: BurstSystem, name: string, count: number, say: (text: string) => void): Promise<Times> {
  let accepted = 0
  let refused = 0
  system.mails.length = 0
  system.warnings.length = 0

  async function post (n: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(`${system.api}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: `${name}-${n}@example.com`, name: 'Grace Hopper' }) })
        .catch((error: Error) => { throw new BenchError(system.ended() ?? `a registration got no answer: ${error.message}`) })
      const text = await response.text()
      if (response.status === 202) break
      // The engine was busy. A client tries again.
      if (response.status !== 503 || attempt === 5) throw new BenchError(`a registration was answered ${response.status}: ${text.slice(0, 200)}`)
      refused++
      await sleep(100 * attempt)
    }
    if (++accepted % 100 === 0) say(`${accepted} accepted, ${system.mails.length} mails`)
  }

  const began = performance.now()
  const accepting = inParallel(Array.from({ length: count }, (_, n) => n), post, CONNECTIONS).then(() => performance.now())
  /** when the outboxes were first seen empty after the last registration was accepted */
  let relayed: number | undefined
  let seen = 0
  for (let last = performance.now(); system.mails.length < count || relayed === undefined;) {
    await Promise.race([sleep(250), ...(accepted < count ? [accepting.then(() => sleep(50))] : [])])
    const broken = system.ended()
    if (broken !== undefined) throw new BenchError(broken)
    const now = performance.now()
    if (accepted === count && relayed === undefined && !await system.isWaiting('AUTH_TABLE') && !await system.isWaiting('USERS_TABLE')) relayed = now
    const arrived = accepted + system.mails.length
    if (arrived > seen) [seen, last] = [arrived, now]
    if (accepted === count) say(`all accepted, ${system.mails.length} mails`)
    if (now - last > PATIENCE) throw new BenchError(`nothing has arrived for ${PATIENCE / 1000} s: ${accepted} of ${count} registrations were accepted, ${system.mails.length} mails sent. ${system.warnings.at(-1) ?? ''}`.trim())
  }
  const seconds = (until: number) => (until - began) / 1000
  return { accepted: seconds(await accepting), relayed: seconds(relayed), firstMail: seconds(system.mails[0]!), mails99: seconds(system.mails[Math.ceil(count * 0.99) - 1]!), lastMail: seconds(system.mails[count - 1]!), refused, warnings: system.warnings.length }
}

/** Starts a local system, and measures a burst there. */
async function burst ({ say, teardown }: Context, count: number, entriesEach: number): Promise<Row> {
  const name = `a burst of ${count.toLocaleString('en')}`
  say(`${name}: starting the local system`)
  const system = await startBurstSystem(teardown)
  // Code is compiled, templates are read, connections are opened.
  await register(system, 'first', WARM_UP, text => say(`${name}, warming up: ${text}`))
  const cpuBefore = cpuTimeOfTree(system.pid)
  const { accepted, relayed, firstMail, mails99, lastMail, refused, warnings } = await register(system, 'burst', count, text => say(`${name}: ${text}`))
  const cpuAfter = cpuTimeOfTree(system.pid)
  const rss = residentMemory(system.pid)
  await system.stop()
  return {
    name,
    values: {
      accepted: count / accepted,
      relayed: count * entriesEach / relayed,
      mails: 0.99 * count / mails99,
      firstMail,
      mails99,
      lastMail,
      cpu: cpuBefore === undefined || cpuAfter === undefined ? undefined : (cpuAfter - cpuBefore) / 1000 / count,
      rss,
      refused,
      warnings
    }
  }
}

/** Measures bursts of so many registrations, each of which writes some outbox entries. */
export async function burstTable (context: Context, counts: readonly number[], entriesEach: number): Promise<Table> {
  const rows: Row[] = []
  for (const count of counts) rows.push(await burst(context, count, entriesEach))
  return {
    id: 'pipeline-burst',
    title: 'From registration to mail, on the local system',
    note: `\`npm start\` in a process of its own, with new data and ${WARM_UP} registrations behind it, receives registrations (\`POST /v2/users\`) as fast as it accepts them over ${CONNECTIONS} connections. Rates are from the first request to the last registration accepted, the last outbox entry handled and 99 % of the mails in the inbox: a mail that fails is sent again after half a minute or more, and may be the last. CPU is of the system with its engine, for each registration. The figures are of this machine and its local engine: they are not compared, and AWS has others.`,
    isCompared: false,
    columns: [
      { key: 'accepted', title: 'accepted a second' }, { key: 'relayed', title: 'entries a second' }, { key: 'mails', title: 'mails a second' },
      { key: 'firstMail', title: 'first mail, s', digits: 1 }, { key: 'mails99', title: '99 % of mails, s', digits: 1 }, { key: 'lastMail', title: 'last mail, s', digits: 1 },
      { key: 'cpu', title: 'CPU ms', digits: 1 }, { key: 'rss', title: 'RSS MiB' }, { key: 'refused', title: 'answers 503' }, { key: 'warnings', title: 'warnings' }
    ],
    rows
  }
}
