import { createSimulation, type Process } from '../lib/simulation.ts'
import { SETTINGS, WORKER_CALLS } from './assumptions.ts'
import type { Measured } from './measured.ts'

/** A burst of registrations, and the system that receives it. */
export interface Pipeline {
  /** registrations that come at once */
  count: number
  /** ms of a call, drawn */
  call: () => number
  /** ms of a mail, drawn */
  mail: () => number
  /** one engine for all calls, which takes one at a time */
  isLocal: boolean
  /** requests under way at once */
  clients: number
  /** calls of a request, of its two entries and of its mail */
  calls: { request: number, entry: number, mail: number }
  /** batches of entries at once */
  relays: number
  mailSlots: number
  /** mails a second that the provider accepts */
  mailRate: number
}

/** Milliseconds until the last registration is accepted, and until 99 of 100 mails and the last one are sent. */
export function simulateBurst ({ count, call, mail, isLocal, clients, calls, relays, mailSlots, mailRate }: Pipeline): { accepted: number, mails99: number, lastMail: number } {
  const simulation = createSimulation()
  const engine = simulation.resource(isLocal ? 1 : Infinity)
  const provider = simulation.resource(1)
  const entries = simulation.store<undefined>()
  const messages = simulation.store<undefined>()
  let left = count
  let accepted = 0
  const mails: number[] = []

  function * callsOf (number: number): Process {
    for (let n = 0; n < number; n++) yield * engine.use(call())
  }
  /** Does the work of a batch in so many lanes, and goes on when all is done. */
  function * together (batch: undefined[], lanes: number, work: () => Process): Process {
    let open = batch.length
    let running = Math.min(lanes, open)
    let onDone = () => {}
    function * lane (): Process {
      for (; open > 0;) {
        open--
        yield * work()
      }
      if (--running === 0) onDone()
    }
    for (let n = 0; n < Math.min(lanes, batch.length); n++) simulation.start(lane())
    yield resume => { onDone = resume }
  }
  function * client (): Process {
    while (left > 0) {
      left--
      yield * callsOf(calls.request)
      accepted = Math.max(accepted, simulation.now)
      entries.put(undefined)
    }
  }
  function * relay (): Process {
    for (;;) {
      const batch: undefined[] = []
      yield * entries.take(SETTINGS.streamBatch, batch)
      yield * together(batch, SETTINGS.lanes, function * () {
        yield * callsOf(calls.entry)
        messages.put(undefined)
      })
    }
  }
  function * worker (): Process {
    for (;;) {
      const batch: undefined[] = []
      yield * messages.take(SETTINGS.mailBatch, batch)
      yield * together(batch, SETTINGS.mailBatch, function * () {
        yield * callsOf(calls.mail)
        yield * provider.use(1000 / mailRate)
        yield mail()
        mails.push(simulation.now)
      })
    }
  }
  for (let n = 0; n < clients; n++) simulation.start(client())
  for (let n = 0; n < relays; n++) simulation.start(relay())
  for (let n = 0; n < mailSlots; n++) simulation.start(worker())
  simulation.run()
  return { accepted, mails99: mails[Math.ceil(count * 0.99) - 1]!, lastMail: mails.at(-1)! }
}

/** Calls of a registration, v2: to accept it, to handle its two entries, and to send its mail. */
export function callsOf ({ figure }: Measured): Pipeline['calls'] {
  const unit = (key: string) => figure('pipeline', 'pipeline-units', 'registration, v2', key)
  return { request: unit('calls'), entry: unit('laterCalls') - WORKER_CALLS, mail: WORKER_CALLS }
}
