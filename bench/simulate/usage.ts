import { createRandom, logNormal } from '../lib/random.ts'
import { ASSUMED, MIX, SETTINGS, WORKER_CALLS, type Operation } from './assumptions.ts'
import type { Measured } from './measured.ts'

/** The kinds of requests. */
export const operations = Object.keys(MIX) as Operation[]
/** Of one request of the mix. */
const average = (of: (operation: Operation) => number) => operations.reduce((sum, operation) => sum + MIX[operation] * of(operation), 0)

/** What a request uses, on average. */
export interface Usage {
  /** ms of a request in a warm instance */
  duration: number
  /** write units by table and index */
  writes: Record<string, number>
  readUnits: number
  entries: number
  mails: number
  events: number
  messages: number
  cacheUnits: number
  /** ms that instances are busy with entries and mails */
  entryTime: number
  mailTime: number
  /** seconds that instances of all functions are busy */
  busy: number
}

export function usageOf ({ figure, places }: Measured): Usage {
  const unit = (operation: Operation, key: string) => operation === 'read' ? 0 : figure('pipeline', 'pipeline-units', operation, key)
  const cpu = (operation: Operation) => figure('warm', operation === 'read' ? 'warm-me' : 'warm-post', 'this service', 'cpu') / 1000 / ASSUMED.cpuShare
  const uncached = 1 - ASSUMED.cached
  const calls = (operation: Operation) => operation === 'read' ? uncached : unit(operation, 'calls')
  const entries = average(operation => unit(operation, 'entries'))
  const mails = average(operation => unit(operation, 'mails'))
  // The worker makes some of the later calls, the outbox the others.
  const laterCalls = average(operation => unit(operation, 'laterCalls') - WORKER_CALLS * unit(operation, 'mails'))
  // A batch of entries takes as many rounds of calls as its lanes allow.
  const rounds = Math.ceil(SETTINGS.streamBatch / SETTINGS.lanes) / SETTINGS.streamBatch
  const duration = ASSUMED.invocation + MIX.read * ASSUMED.cacheCall + average(operation => cpu(operation) + calls(operation) * ASSUMED.call.median)
  const entryTime = laterCalls * ASSUMED.call.median * rounds
  // The mails of a batch are sent at once: it takes as long as its slowest.
  const mailTime = mails / SETTINGS.mailBatch * (slowestOf(SETTINGS.mailBatch) + WORKER_CALLS * ASSUMED.call.median)
  return {
    duration,
    writes: Object.fromEntries(places.map(place => [place, average(operation => operation === 'read' ? 0 : figure('pipeline', 'pipeline-places', operation, place))])),
    readUnits: average(operation => operation === 'read' ? uncached : unit(operation, 'reads') + unit(operation, 'laterReads')),
    entries,
    mails,
    events: average(operation => unit(operation, 'events')),
    messages: mails,
    cacheUnits: MIX.read * ASSUMED.cacheUnits,
    entryTime,
    mailTime,
    busy: (duration + entryTime + mailTime) / 1000
  }
}

/** ms of the slowest of so many mails, on average. */
function slowestOf (count: number): number {
  const draw = logNormal(createRandom(1), ASSUMED.mail.median, ASSUMED.mail.p99)
  const rounds = 2000
  let sum = 0
  for (let round = 0; round < rounds; round++) sum += Math.max(...Array.from({ length: count }, draw))
  return sum / rounds
}
