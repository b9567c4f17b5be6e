import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from '../local/aws.ts'
import { OUTBOX_INDEX } from '../src/plugins/outbox/store.ts'
import { adminOf, bearerOf, signIn } from '../test/accounts.ts'
import { buildTestApp } from '../test/app.ts'
import { startEngines } from '../test/engines.ts'
import { startEventBus } from '../test/event-bus.ts'
import { pump } from '../test/pump.ts'
import { BenchError, type Benchmark, type Context, type Row, type Table } from './lib/bench.ts'
import { createFlows, type FlowOptions, type Request } from './lib/flows.ts'
import { startLocalSystem, type LocalSystem } from './lib/local-system.ts'
import { total, type Usage } from './lib/meter.ts'
import { PRICES } from './lib/prices.ts'
import { cpuTimeOfTree, residentMemory } from './lib/processes.ts'

// ── What each flow costs ─────────────────────────────────────────────────────────────────────────────────────────────

/** What a flow used, both parts together. */
function sumOf (...parts: (Record<string, number> | undefined)[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const part of parts) for (const [key, count] of Object.entries(part ?? {})) sum[key] = (sum[key] ?? 0) + count
  return sum
}

export interface Cost { name: string, answer: Usage, later: Usage, mails: number, events: number }

/** Each kind of flow once, on the test's engines, one after the other: what is counted is exact. */
export async function measureFlows ({ say, teardown }: Pick<Context, 'say' | 'teardown'>, { hasBatch = true } = {}): Promise<Cost[]> {
  const engines = await startEngines({ teardown })
  const bus = await startEventBus({ teardown })
  const app = await buildTestApp({ teardown }, engines, { env: { LOG_LEVEL: 'warn', ...bus.env } })
  const email = 'ada@example.com'
  const { accessToken, refreshToken } = await signIn(app, engines, email)
  const authorization = `Bearer ${accessToken}`
  const admin = await bearerOf(app, (await adminOf(app)).userId)
  await pump(app, engines)
  const flows = createFlows(app, engines)
  const costs: Cost[] = []

  async function measure<T> (name: string, request: Request, options: FlowOptions = {}): Promise<T> {
    say(name)
    const [mails, events] = [engines.mails.length, bus.events.length]
    const { body, answer, later } = await flows.measure<T>(request, options)
    costs.push({ name, answer, later: later!, mails: engines.mails.length - mails, events: bus.events.length - events })
    return body
  }
  const exchange = ({ challengeId }: { challengeId: string }): Request => ({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) } })

  await measure('registration, v1', { method: 'POST', url: '/v1/users', payload: { email: 'grace@example.com', name: 'Grace' } }, { status: 201 })
  const registered = await measure<{ challengeId: string }>('registration, v2', { method: 'POST', url: '/v2/users', payload: { email: 'lin@example.com', name: 'Lin' } }, { status: 202 })
  await measure('code exchange, new user', exchange(registered))
  const requested = await measure<{ challengeId: string }>('sign-in request', { method: 'POST', url: '/v2/auth/challenges', payload: { email } }, { status: 202 })
  await measure('code exchange, known user', exchange(requested))
  await measure('refresh', { method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken } })
  const moved = await measure<{ challengeId: string }>('e-mail change, request', { method: 'POST', url: '/v2/users/me/email', headers: { authorization }, payload: { email: 'ada@example.org' } }, { status: 202 })
  // It ends the other sessions.
  const renewed = await measure<{ accessToken: string }>('e-mail change, confirmation', exchange(moved))
  await measure('deletion', { method: 'DELETE', url: '/v2/users/me', headers: { authorization: `Bearer ${renewed.accessToken}` } }, { status: 204 })
  if (hasBatch) {
    await measure('batch of 100 registrations', {
      method: 'POST',
      url: '/v2/users/batch',
      headers: { ...admin, 'idempotency-key': randomUUID() },
      payload: { users: Array.from({ length: 100 }, (_, n) => ({ email: `batch-${n}@example.com`, name: 'Many' })) }
    })
  }
  flows.stop()
  return costs
}

/** Dollars for a million: DynamoDB, SQS, EventBridge and mails; requests, functions and logs are the same for all. */
function dollars ({ answer, later, mails, events }: Cost): number {
  const { writeUnit, readUnit, sqsCall, event, mail } = PRICES
  const messages = later.commands.filter(command => command === 'SendMessage').length
  return 1e6 * ((total(answer.writes) + total(later.writes)) * writeUnit + (total(answer.reads) + total(later.reads)) * readUnit +
    messages * 3 * sqsCall + events * event + mails * mail)
}

/** Tables and indexes in the order of the page, `UsersTable.list` and so on. */
const placesOf = (costs: Cost[]) => [...new Set(costs.flatMap(({ answer, later }) => [...Object.keys(answer.writes), ...Object.keys(later.writes)]))].sort()

export function flowTables (costs: Cost[]): Table[] {
  const places = placesOf(costs)
  return [
    {
      id: 'pipeline-units',
      title: 'What each flow costs',
      note: 'Exact, counted at the SDK’s clients on real engines: calls to DynamoDB and SQS, and DynamoDB’s write and read units by table and index as the engine reports them (a refused condition counts too). “Later” is what outbox and e-mail worker do for the request after its answer. A message costs three calls of SQS, of which the event source mapping makes two. The sum is for a million of each: units, messages, events and mails, without requests, functions and logs.',
      columns: [
        { key: 'calls', title: 'calls' }, { key: 'writes', title: 'write units' }, { key: 'reads', title: 'read units', digits: 1 },
        { key: 'laterCalls', title: 'calls, later' }, { key: 'laterWrites', title: 'write units, later' }, { key: 'laterReads', title: 'read units, later', digits: 1 },
        { key: 'entries', title: 'entries' }, { key: 'events', title: 'events' }, { key: 'mails', title: 'mails' }, { key: 'dollars', title: '$ a million', digits: 2 }
      ],
      rows: costs.map(cost => ({
        name: cost.name,
        values: {
          calls: cost.answer.commands.length,
          writes: total(cost.answer.writes),
          reads: total(cost.answer.reads),
          laterCalls: cost.later.commands.length,
          laterWrites: total(cost.later.writes),
          laterReads: total(cost.later.reads),
          entries: cost.answer.entries + cost.later.entries,
          events: cost.events,
          mails: cost.mails,
          dollars: dollars(cost)
        }
      }))
    },
    {
      id: 'pipeline-places',
      title: 'Write units by table and index',
      note: 'The write units of each flow, what follows included.',
      columns: places.map(key => ({ key, title: key.replace('Table', '').replace('.', ', index ').toLowerCase() })),
      rows: costs.map(({ name, answer, later }) => {
        const writes = sumOf(answer.writes, later.writes)
        return { name, values: Object.fromEntries(places.map(place => [place, writes[place] ?? 0])) }
      })
    }
  ]
}

// ── How fast a burst of registrations becomes mails ──────────────────────────────────────────────────────────────────

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

/** Calls `step` for 0 … count − 1, so many at once. */
async function inParallel (count: number, atOnce: number, step: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, async () => {
    while (next < count) await step(next++)
  }))
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
  const accepting = inParallel(count, CONNECTIONS, post).then(() => performance.now())
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

// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The smaller burst is what bench/simulate.ts takes its durations from, to foretell the larger one. */
const BURSTS = { small: [100], full: [200, 2000] }

async function run (context: Context): Promise<Table[]> {
  const costs = await measureFlows(context)
  const { answer, later } = costs.find(({ name }) => name === 'registration, v2')!
  const rows: Row[] = []
  for (const count of context.small ? BURSTS.small : BURSTS.full) rows.push(await burst(context, count, answer.entries + later.entries))
  return [
    {
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
    },
    ...flowTables(costs)
  ]
}

export const pipeline: Benchmark = {
  summary: 'from registration to mail: rates of a burst, and what each flow costs',
  needsPackages: () => false,
  run
}
