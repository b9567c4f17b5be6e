import type { Benchmark, Row, Table } from './lib/bench.ts'
import { createRandom, logNormal } from './lib/random.ts'
import { readResults, type Results } from './lib/results.ts'
import { ASSUMED, MIX, QUOTAS, SETTINGS, TARGET } from './simulate/assumptions.ts'
import { callsOf, simulateBurst, type Pipeline } from './simulate/burst.ts'
import { comparison } from './simulate/comparison.ts'
import { costOf } from './simulate/cost.ts'
import { functionLoads } from './simulate/function-loads.ts'
import { simulateFunction } from './simulate/function.ts'
import { isIndex, limitsOf } from './simulate/limits.ts'
import { measuredIn } from './simulate/measured.ts'
import { operations, usageOf } from './simulate/usage.ts'

// What 100,000 requests a second need, calculated from what was measured and what is assumed.

const thousand = (value: number) => value.toLocaleString('en')

/** What the simulation says, given what was measured. The same results give the same tables. */
export function simulationOf (results: Results): Table[] {
  const measured = measuredIn(results)
  const usage = usageOf(measured)
  // The start's CPU time was measured with a core; Lambda gives starts one as well.
  const coldStart = ASSUMED.placement + measured.figure('cold', 'cold-post', 'this service, POST /v2/users', 'cpuMs')
  const onAws = (changes: Partial<Pipeline>): Pipeline => {
    const random = createRandom(20)
    return {
      count: 2000,
      call: logNormal(random, ASSUMED.call.median, ASSUMED.call.p99),
      mail: logNormal(random, ASSUMED.mail.median, ASSUMED.mail.p99),
      isLocal: false,
      clients: SETTINGS.reservedConcurrency,
      calls: callsOf(measured),
      relays: QUOTAS.newTableWrites / QUOTAS.partitionWrites * SETTINGS.parallelization,
      mailSlots: SETTINGS.mailSlots,
      mailRate: QUOTAS.mails,
      ...changes
    }
  }
  const burst = (name: string, changes: Partial<Pipeline>): Row => {
    const { accepted, lastMail } = simulateBurst(onAws(changes))
    return { name, values: { accepted: accepted / 1000, lastMail: lastMail / 1000 } }
  }
  const costs = [1000, 10_000, TARGET].map(rate => ({ rate, cost: costOf(usage, rate) }))
  const shared = { isCompared: false as const }
  return [
    {
      ...shared,
      id: 'simulate-limits',
      title: 'Which limit comes first',
      note: `In the order in which growing traffic meets them, with the template's defaults and AWS's quotas. The mix: ${operations.map(operation => `${operation} ${Number((MIX[operation] * 100).toPrecision(3))} %`).join(', ')}; the cache answers ${ASSUMED.cached * 100} % of the reads. Units and calls are measured by \`npm run bench -- pipeline\`; a request takes ${usage.duration.toFixed(1)} ms: the CPU time of \`npm run bench -- warm\` at the share of a core that 512 MB have, ${ASSUMED.call.median} ms for a call, ${ASSUMED.cacheCall} ms for the cache, and ${ASSUMED.invocation} ms between two invocations.`,
      columns: [{ key: 'value', title: 'limit' }, { key: 'reached', title: 'reached at, requests a second' }, { key: 'needed', title: `needed at ${thousand(TARGET)}` }],
      rows: limitsOf(usage).map(({ name, value, used, then }) => ({ name, values: { value, reached: Number((value / used).toPrecision(3)), needed: Number((used * TARGET).toPrecision(3)) }, note: then }))
    },
    {
      ...shared,
      id: 'simulate-writes',
      title: `Writes at ${thousand(TARGET)} requests a second`,
      note: 'Write units a second by table and index, and the share of the busiest key. A key takes 1,000.',
      columns: [{ key: 'writes', title: 'write units' }, { key: 'hottest', title: 'busiest key' }],
      rows: Object.entries(usage.writes).map(([place, units]) => ({
        name: place.replace('.', ', index '),
        values: { writes: units * TARGET, hottest: place.endsWith('.outbox') ? units * TARGET / SETTINGS.outboxPartitions : isIndex(place) ? units * TARGET : undefined },
        note: place.endsWith('.outbox') ? `${SETTINGS.outboxPartitions} keys, by the entry's id` : isIndex(place) ? 'one key a month' : 'keys are ids and pseudonyms: no key has more than a few writes a second'
      }))
    },
    {
      ...shared,
      id: 'simulate-function',
      title: 'Instances of the API function in bursts',
      note: `Requests arrive at random and independently, durations are log-normal with this median and a 99th percentile of ${ASSUMED.tail} times it, and a cold start adds ${Math.round(coldStart)} ms (${ASSUMED.placement} and the CPU time of \`npm run bench -- cold\`). A request is refused when the reservation or its ten requests a second for each instance are used up, or when it needs a new instance and 1,000 have started in ten seconds.`,
      columns: [{ key: 'peak', title: 'busy at most' }, { key: 'cold', title: 'cold, %', digits: 2 }, { key: 'throttled', title: 'refused, %', digits: 2 }, { key: 'p50', title: 'median, ms', digits: 1 }, { key: 'p99', title: '99 %, ms' }],
      rows: functionLoads(usage, coldStart).map(({ name, load }) => {
        const { peak, cold, throttled, p50, p99 } = simulateFunction(load)
        return { name, values: { peak, cold: cold * 100, throttled: throttled * 100, p50, p99 } }
      })
    },
    {
      ...shared,
      id: 'simulate-burst',
      title: 'A burst of 2,000 registrations on AWS',
      note: `Once the stage lets them in: seconds until all are accepted by ${SETTINGS.reservedConcurrency} instances, and until the last mail is sent.`,
      columns: [{ key: 'accepted', title: 'accepted, s', digits: 1 }, { key: 'lastMail', title: 'last mail, s', digits: 1 }],
      rows: [
        burst('defaults: SES 14 a second, 2 batches of mails', {}),
        burst('SES 500 a second, 2 batches of mails', { mailRate: 500 }),
        burst('SES 500 a second, 10 batches of mails', { mailRate: 500, mailSlots: 10 })
      ]
    },
    {
      ...shared,
      id: 'simulate-cost',
      title: 'Cost a month',
      note: 'Dollars, list prices, REST API, without the fixed cost and the cache.',
      columns: [{ key: 'gateway', title: 'API Gateway' }, { key: 'lambda', title: 'Lambda' }, { key: 'dynamodb', title: 'DynamoDB' }, { key: 'mails', title: 'mails' }, { key: 'other', title: 'SQS, events, logs' }, { key: 'sum', title: 'sum' }],
      rows: costs.map(({ rate, cost }) => {
        const rounded = Object.fromEntries(Object.entries(cost).map(([part, dollars]) => [part, Number(dollars.toPrecision(3))]))
        return { name: `${thousand(rate)} requests a second`, values: { ...rounded, sum: Number(Object.values(cost).reduce((sum, dollars) => sum + dollars, 0).toPrecision(3)) } }
      })
    },
    {
      ...shared,
      id: 'simulate-compared',
      title: 'Simulated and measured',
      note: 'The burst of 2,000 on the local system: the same model with one engine that takes one call at a time; its time for a call is fitted to the measured burst of 200. The server: a core that is never idle, with the measured CPU time of a request. What else the machine does, and what grows with use, is what the simulation does not have.',
      columns: [{ key: 'simulated', title: 'simulated' }, { key: 'measured', title: 'measured' }, { key: 'ratio', title: 'simulated ÷ measured', digits: 2 }],
      rows: comparison(measured)
    }
  ]
}

async function run (): Promise<Table[]> {
  return simulationOf(readResults())
}

export const simulate: Benchmark = {
  summary: `${thousand(TARGET)} requests a second: what they need and what breaks first, calculated from the results`,
  isDerived: true,
  needsPackages: () => false,
  run
}
