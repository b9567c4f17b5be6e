import { readFileSync } from 'node:fs'
import t from 'tap'
import { createRandom, exponential, logNormal } from '../../bench/lib/random.ts'
import { withSimulation } from '../../bench/lib/report.ts'
import { readResults } from '../../bench/lib/results.ts'
import { createSimulation } from '../../bench/lib/simulation.ts'
import { simulateFunction, type FunctionLoad } from '../../bench/simulate/function.ts'
import { quantile } from '../../bench/lib/stats.ts'
import { simulationOf } from '../../bench/simulate.ts'

const PAGE = readFileSync(new URL('../../docs/capacity.md', import.meta.url), 'utf8')
const results = readResults()
const tables = simulationOf(results)

t.test('the page of capacity has the current simulation', async t => {
  t.equal(PAGE, withSimulation(PAGE, tables), 'npm run bench -- simulate writes it')
  const changed = structuredClone(results)
  changed['pipeline']!.tables.find(({ id }) => id === 'pipeline-units')!.rows[1]!.values['mails'] = 2
  t.not(PAGE, withSimulation(PAGE, simulationOf(changed)), 'other results make another page')
  t.throws(() => withSimulation('# Capacity\n', tables), { message: /docs\/capacity\.md has lost the lines/ })
})

t.test('limits come in the order in which growing traffic meets them', async t => {
  const { rows } = tables.find(({ id }) => id === 'simulate-limits')!
  const reached = rows.map(({ values }) => values['reached']!)
  t.same(reached, reached.toSorted((a, b) => a - b))
  const at = (name: string) => rows.find(row => row.name === name)!.values['reached']
  t.equal(at('stage, requests'), 200)
  t.equal(at('API Gateway, account'), 10_000)
})

t.test('the generators have the distributions they are named after, and the same numbers for the same seed', async t => {
  const draw = (seed: number) => { const random = createRandom(seed); return Array.from({ length: 20_000 }, random) }
  t.same(draw(7), draw(7))
  t.not(draw(7)[0], draw(8)[0])
  const near = (value: number, expected: number, name: string) => t.ok(Math.abs(value / expected - 1) < 0.05, `${name}: ${value}, expected ${expected}`)
  near(draw(1).reduce((sum, value) => sum + value, 0) / 20_000, 0.5, 'mean')
  const lengths = Array.from({ length: 20_000 }, logNormal(createRandom(2), 10, 40))
  near(quantile(lengths, 0.5), 10, 'median')
  near(quantile(lengths, 0.99), 40, '99th percentile')
  const gaps = Array.from({ length: 20_000 }, exponential(createRandom(3), 4))
  near(gaps.reduce((sum, gap) => sum + gap, 0) / 20_000, 1 / 4, 'time between arrivals')
})

t.test('a resource is used in the order of arrival, and a store hands out what is there', async t => {
  const simulation = createSimulation()
  const resource = simulation.resource(2)
  const done: [name: string, at: number][] = []
  for (const name of ['a', 'b', 'c']) {
    simulation.start((function * () {
      yield * resource.use(10)
      done.push([name, simulation.now])
    })())
  }
  const store = simulation.store<number>()
  const taken: number[][] = []
  simulation.start((function * () {
    for (let n = 0; n < 2; n++) {
      const batch: number[] = []
      yield * store.take(2, batch)
      taken.push(batch)
    }
  })())
  simulation.start((function * () {
    yield 5
    for (const n of [1, 2, 3]) store.put(n)
  })())
  simulation.run()
  t.same(done, [['a', 10], ['b', 10], ['c', 20]])
  t.same(taken, [[1, 2], [3]])
})

const LOAD: FunctionLoad = { seed: 1, phases: [{ rate: 1000, seconds: 20 }], duration: { median: 20, p99: 20.0001 }, coldStart: 0, warm: 0, concurrency: 1000, scaling: { burst: 1000, perSecond: 100 }, requestsPerInstance: 10 }

t.test('a function keeps as many instances busy as Little’s law says, and refuses what is above its limits', async t => {
  // 1,000 a second for 20 ms: 20 on average. The most of a Poisson distribution lies a few roots above it.
  const steady = simulateFunction(LOAD)
  t.ok(steady.peak > 20 && steady.peak < 50, `${steady.peak} busy at most`)
  t.equal(steady.throttled, 0)
  t.ok(Math.abs(steady.requests / 20_000 - 1) < 0.03, `${steady.requests} requests`)
  const share = (changes: Partial<FunctionLoad>) => simulateFunction({ ...LOAD, ...changes }).throttled
  const near = (value: number, expected: number, name: string) => t.ok(Math.abs(value - expected) < 0.05, `${name}: ${value}`)
  near(share({ concurrency: 50 }), 0.5, 'ten requests a second for each instance: 500 of 1,000')
  near(share({ concurrency: 50, requestsPerInstance: 1000 }), 0, 'without that limit its instances are enough')
  // Erlang's loss formula for 20 erlangs on 15 places: 0.32.
  near(share({ concurrency: 15, requestsPerInstance: 1000 }), 0.32, 'too few instances')
  near(share({ duration: { median: 1000, p99: 1000.001 }, scaling: { burst: 100, perSecond: 10 }, phases: [{ rate: 1000, seconds: 1 }], requestsPerInstance: 1000 }), 0.89, 'new instances come no faster than they may')
})
