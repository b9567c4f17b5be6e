import type { Benchmark, Context, Table } from './lib/bench.ts'
import { burstTable } from './pipeline/burst.ts'
import { flowTables, measureFlows } from './pipeline/flows.ts'

/** The smaller burst is what bench/simulate takes its durations from, to foretell the larger one. */
const BURSTS = { small: [100], full: [200, 2000] }

async function run (context: Context): Promise<Table[]> {
  const costs = await measureFlows(context)
  const { answer, later } = costs.find(({ name }) => name === 'registration, v2')!
  return [
    await burstTable(context, context.small ? BURSTS.small : BURSTS.full, answer.entries + later.entries),
    ...flowTables(costs)
  ]
}

export const pipeline: Benchmark = {
  summary: 'from registration to mail: rates of a burst, and what each flow costs',
  needsPackages: () => false,
  run
}
