import { ASSUMED, QUOTAS, SETTINGS, TARGET } from './assumptions.ts'
import type { FunctionLoad } from './function.ts'
import type { Usage } from './usage.ts'

/** The loads of the API function that are simulated. */
export function functionLoads (usage: Usage, coldStart: number): { name: string, load: FunctionLoad }[] {
  const common = { seed: 10, duration: { median: usage.duration, p99: usage.duration * ASSUMED.tail }, coldStart, scaling: QUOTAS.scaling, requestsPerInstance: QUOTAS.requestsPerInstance }
  return [
    { name: '200 a second, steady, the defaults of prod', load: { ...common, phases: [{ rate: 200, seconds: 60 }], warm: 2, concurrency: SETTINGS.reservedConcurrency } },
    { name: '1,000 a second, steady, reservation 100', load: { ...common, phases: [{ rate: 1000, seconds: 30 }], warm: 2, concurrency: 100 } },
    { name: '200, then 2,000 a second, reservation 100', load: { ...common, phases: [{ rate: 200, seconds: 20 }, { rate: 2000, seconds: 20 }], warm: 2, concurrency: 100 } },
    { name: '200, then 2,000 a second, reservation 300', load: { ...common, phases: [{ rate: 200, seconds: 20 }, { rate: 2000, seconds: 20 }], warm: 2, concurrency: 300 } },
    { name: '100,000 a second at once, quota 12,000', load: { ...common, phases: [{ rate: TARGET, seconds: 5 }], warm: 2, concurrency: 12_000 } },
    { name: '100,000 a second at once, 1,500 provisioned', load: { ...common, phases: [{ rate: TARGET, seconds: 5 }], warm: 1500, concurrency: 12_000 } }
  ]
}
