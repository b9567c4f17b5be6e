import type { Row } from '../lib/bench.ts'
import { callsOf, simulateBurst, type Pipeline } from './burst.ts'
import type { Measured } from './measured.ts'

/** Milliseconds of the local engine for a call, with which a burst takes as long as was measured. */
function fittedCall (burst: (call: number) => Pipeline, mails99: number): number {
  let [low, high] = [0.001, 100]
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    if (simulateBurst(burst(middle)).mails99 < mails99) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** ms that the local inbox takes for a mail; the engine takes much longer for the calls around it. */
const LOCAL_MAIL = 3
/** Loops that read the queue in the local system: local/queue-mapping.ts. */
const LOCAL_SLOTS = 5
/** Requests under way at once: bench/pipeline/burst.ts. */
const LOCAL_CLIENTS = 32

/** Two figures that can be measured here, as the simulation foretells them. */
export function comparison (measured: Measured): Row[] {
  const { figure } = measured
  const local = (count: number, call: number): Pipeline => ({
    count, call: () => call, mail: () => LOCAL_MAIL, isLocal: true, clients: LOCAL_CLIENTS, calls: callsOf(measured), relays: 1, mailSlots: LOCAL_SLOTS, mailRate: Infinity
  })
  const mails = (count: string) => figure('pipeline', 'pipeline-burst', `a burst of ${count}`, 'mails99')
  const call = fittedCall(call => local(200, call), mails('200') * 1000)
  const row = (name: string, simulated: number, actual: number): Row => ({ name, values: { simulated, measured: actual, ratio: simulated / actual } })
  /** A server that always has a waiting connection works all the time. */
  const rate = (table: string) => 1e6 / figure('server', table, 'this service', 'cpu')
  return [
    row('99 % of the mails of a burst of 2,000, s', simulateBurst(local(2000, call)).mails99 / 1000, mails('2,000')),
    row('`GET /health/live`, 64 connections, a second', rate('server-static'), figure('server', 'server-static', 'this service', 'rate')),
    row('`GET /v2/users/me`, 64 connections, a second', rate('server-me'), figure('server', 'server-me', 'this service', 'rate'))
  ]
}
