import { join } from 'node:path'
import type { Benchmark, Context, Table } from './lib/bench.ts'
import { startBenchEngines } from './lib/engines.ts'
import type { LoadDone, LoadOrder, OpenLoadDone, OpenLoadOrder } from './lib/load-order.ts'
import { BENCH, ROOT } from './lib/paths.ts'
import { PINNING } from './lib/pinning.ts'
import { serviceEnv, startGenerator, startServer } from './lib/servers.ts'
import { median, optional, quantile, shuffled } from './lib/stats.ts'
import { bearersOf, serviceBearer, serviceTasks } from './lib/work.ts'

/** Milliseconds for which a client waits, as the browsers' users and most gateways' callers do at least. */
const PATIENCE_MS = 1000
/** Connections that are open before, as those of load balancers are. */
const CONNECTIONS = 3000
/** Requests, in multiples of what the server answers to 64 clients that wait for each answer. */
const FACTORS = [1, 2, 3]

const WAYS: { title: string, env: Record<string, string> }[] = [
  { title: 'no limit', env: {} },
  { title: '1,000 requests at once', env: { BENCH_LIMITS: '{"maxRunning":1000,"maxLate":1e9,"maxRunningLate":0}' } },
  { title: 'this service: 250 while its event loop is 200 ms late', env: { BENCH_LIMITS: '{"maxRunning":1000,"maxLate":200,"maxRunningLate":250}' } },
  { title: '@fastify/under-pressure: event loop 500 ms late', env: { BENCH_DELAY: '500' } }
]

async function run (context: Context): Promise<Table[]> {
  const { say, teardown, small } = context
  const engines = await startBenchEngines(context)
  // Each request reads the table: what is answered from memory ends in the turn in which it arrives.
  const env: Record<string, string> = { ...await serviceEnv(engines), CACHE_TTL_SECONDS: '0' }
  const issuer = env['JWT_ISSUER'] ?? 'user-service'
  const { call: { path } } = serviceTasks(engines.secret, issuer).me
  const headers = bearersOf(serviceBearer(engines.secret, issuer)).map(authorization => ({ authorization }))
  const closed = await startGenerator<LoadOrder, LoadDone>('peers/load.ts', teardown)
  const open = await startGenerator<OpenLoadOrder, OpenLoadDone>('peers/open-load.ts', teardown)
  const servers: (Awaited<ReturnType<typeof startServer>> & { title: string, samples: Map<number, OpenLoadDone[]> })[] = []
  for (const { title, env: limits } of WAYS) {
    say(`starting: ${title}`)
    const server = await startServer({ title, args: ['-r', join(ROOT, 'scripts/require-node.cjs'), join(BENCH, 'peers/overloaded.ts')], env: { ...env, ...limits }, path: '/health/live', teardown })
    servers.push({ ...server, title, samples: new Map(FACTORS.map(factor => [factor, []])) })
  }
  const { warmUp, seconds, rounds } = small ? { warmUp: 1, seconds: 1, rounds: 1 } : { warmUp: 4, seconds: 4, rounds: 3 }
  const rates: number[] = []
  for (const { title, origin } of servers) {
    say(`warming up: ${title}`)
    const { answered, seconds } = await closed.load({ url: `${origin}${path}`, headers, seconds: warmUp, connections: 64 })
    rates.push(answered / seconds)
  }
  // What all of them can answer: none has its limit reached yet.
  const capacity = Math.max(...rates)
  for (let round = 1; round <= rounds; round++) {
    say(`overload, round ${round} of ${rounds}`)
    for (const { origin, samples } of shuffled(servers)) {
      for (const factor of FACTORS) samples.get(factor)!.push(await open.load({ url: `${origin}${path}`, headers, seconds, rate: factor * capacity, patienceMs: PATIENCE_MS, connections: CONNECTIONS }))
    }
  }
  const last = FACTORS.at(-1)!
  return [{
    id: 'overload',
    title: 'Plain server: more requests than it can answer',
    note: `\`GET /v2/users/me\`, read from the table, by clients that leave after a second and do not wait for each other. Good answers, as a share of what the servers answer to 64 clients that wait for each answer. ${PINNING} Each request that is not rejected computes for a further millisecond, so that the load generator and the engine can send more than the server answers.`,
    isCompared: false,
    columns: [
      ...FACTORS.map(factor => ({ key: `good${factor}`, title: `good at ${factor} ×`, digits: 2 })),
      { key: 'p99', title: `p99 of the good at ${last} ×, ms`, digits: 0 },
      { key: 'rejected', title: `503 at ${last} ×`, digits: 2 },
      { key: 'late', title: `clients that left at ${last} ×`, digits: 2 }
    ],
    rows: servers.map(({ title, samples }) => ({
      name: title,
      values: {
        ...Object.fromEntries(FACTORS.map(factor => [`good${factor}`, median(samples.get(factor)!.map(({ good, seconds }) => good / seconds / capacity))])),
        p99: optional(quantile(samples.get(last)!.flatMap(({ waits }) => waits), 0.99)),
        rejected: median(samples.get(last)!.map(({ rejected, sent }) => rejected / sent)),
        late: median(samples.get(last)!.map(({ late, failed, sent }) => (late + failed) / sent))
      }
    }))
  }]
}

export const overload: Benchmark = {
  summary: 'the plain server with two and three times the requests that it can answer: good answers',
  needsPackages: () => true, // @fastify/under-pressure
  run
}
