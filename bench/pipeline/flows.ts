import { randomUUID } from 'node:crypto'
import { adminOf, bearerOf, signIn } from '../../test/accounts.ts'
import { buildTestApp } from '../../test/app.ts'
import { startEngines } from '../../test/engines.ts'
import { startEventBus } from '../../test/event-bus.ts'
import { pump } from '../../test/pump.ts'
import type { Context, Table } from '../lib/bench.ts'
import { createFlows, type FlowOptions, type Request } from '../lib/flows.ts'
import { total, type Usage } from '../lib/meter.ts'
import { PRICES } from '../lib/prices.ts'

// What each flow costs.

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
