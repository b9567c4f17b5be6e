import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { transactionConflict } from '../faults.ts'

// A scheduler that owns the order of every call to DynamoDB, SQS and the mail server. A call waits until it is released;
// one is released at a time, and the next one when nothing runs any more. So a list of choices is one interleaving, and
// the same list is the same interleaving again.

/**
 * What becomes of a call. `lost`: it is carried out and its answer is lost, so the SDK sends it again. `conflict`: DynamoDB
 * refuses it because of another transaction. `stopped`: its process ends, after the call was carried out or before.
 * `lagging`: a read that is not strongly consistent misses the last writes.
 */
export type Fate = 'done' | 'lost' | 'conflict' | 'stopped after' | 'stopped before' | 'lagging'

/** Which of the waiting calls is released, by its position modulo their number, and its fate. */
export interface Choice { pick: number, fate: Fate }

export interface Call {
  /** for the trace: `GetCommand user#1` */
  label: string
  /** carries it out; `lag` is how many writes ago a read that is not strongly consistent looks */
  execute: (lag: number) => unknown
  /** whether another transaction may stand in its way */
  canConflict?: boolean
  /** whether a client repeats it when its answer is lost */
  isRepeated?: boolean
}

/** A process, or one request in it. */
export interface Actor {
  name: string
  position: number
  state: 'running' | 'fulfilled' | 'rejected' | 'stopped'
  value?: unknown
  error?: Error & { code?: string, statusCode?: number }
  /** the steps in which it began and ended, counted from 1; the end of what is not over is `Infinity` */
  start: number
  end: number
  /** it begins when this one has ended, however it did */
  after: Actor | undefined
}

interface Waiting extends Call {
  actor: Actor
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
  attempt: number
}

/** Writes that an eventually consistent read may miss. */
const LAG = 3

/** Turns of the event loop, and then milliseconds, that an actor may take between two calls. */
const TURNS = 20
const PATIENCE = 2000

/** The first call of an actor. */
const START = 'begins'

const current = new AsyncLocalStorage<{ schedule: Schedule, actor: Actor }>()

/** Makes a call: at once outside an interleaving, and in one when it is released. */
export async function call<T> (call: Omit<Call, 'execute'> & { execute: (lag: number) => T }): Promise<T> {
  const at = current.getStore()
  return at === undefined ? call.execute(0) : await at.schedule.wait(at.actor, call) as T
}

export type Schedule = ReturnType<typeof createSchedule>

/** @param afterEach called after each step, with the actor whose call was carried out; what it throws ends the interleaving */
export function createSchedule (choices: readonly Choice[], afterEach: (step: number, actor: Actor) => void) {
  const actors: Actor[] = []
  const waiting: Waiting[] = []
  const trace: string[] = []
  let step = 0
  let released: Actor | undefined

  /** @returns the actor whose call it was */
  function release (): Actor {
    const { pick, fate } = choices[step++] ?? { pick: 0, fate: 'done' }
    // In the order of the actors: always the first one is one actor after the other.
    const ready = waiting.filter(({ actor: { after } }) => after?.state !== 'running').sort((a, b) => a.actor.position - b.actor.position)
    const next = ready[pick % ready.length]!
    waiting.splice(waiting.indexOf(next), 1)
    const { actor, label, execute, resolve, reject, attempt, canConflict = false, isRepeated = false } = next
    released = actor
    const isStart = label === START
    if (isStart) actor.start = step
    const happens = isStart || (fate === 'conflict' && !canConflict) || (fate === 'lost' && (!isRepeated || attempt > 1)) ? 'done' : fate
    trace.push(`${step}. ${actor.name}: ${label}${happens === 'done' ? '' : ` [${happens}]`}`)
    if (happens === 'conflict') {
      reject(transactionConflict())
      return actor
    }
    if (happens === 'stopped before' || happens === 'stopped after') {
      if (happens === 'stopped after') try { execute(0) } catch {} // what it would have been answered
      actor.state = 'stopped'
      actor.end = step
      for (let i = waiting.length - 1; i >= 0; i--) if (waiting[i]!.actor === actor) waiting.splice(i, 1)
      return actor
    }
    let answer: { value: unknown } | { error: unknown }
    try { answer = { value: execute(happens === 'lagging' ? LAG : 0) } } catch (error) { answer = { error } }
    if (happens === 'lost') waiting.push({ ...next, attempt: attempt + 1 })
    else if ('error' in answer) reject(answer.error)
    else resolve(answer.value)
    return actor
  }

  const isBusy = (actor: Actor) => actor.state === 'running' && !waiting.some(call => call.actor === actor)

  /** Waits until each actor has ended or waits for a call. */
  async function settle (): Promise<void> {
    await turn()
    for (let i = 0; actors.some(isBusy); i++) {
      if (i < TURNS) await turn()
      else if (i < TURNS + PATIENCE) await sleep(1)
      else throw new Error(`neither ends nor makes a call: ${actors.filter(isBusy).map(({ name }) => name).join(', ')}`)
    }
  }

  const schedule = {
    actors,
    trace,
    /** the step that is played, counted from 1 */
    get step () { return step },
    /** the actor whose call it is */
    get released () { return released },

    wait: (actor: Actor, call: Call) => new Promise((resolve, reject) => {
      // A process that has stopped makes no call.
      if (actor.state !== 'stopped') waiting.push({ ...call, actor, resolve, reject, attempt: 1 })
    }),

    /** Adds an actor, which begins when its turn comes, and not before another one has ended. */
    add (name: string, work: () => Promise<unknown>, after?: Actor): Actor {
      const actor: Actor = { name, position: actors.length, state: 'running', start: Infinity, end: Infinity, after }
      actors.push(actor)
      const end = (state: 'fulfilled' | 'rejected', result: Partial<Actor>) => {
        if (actor.state === 'running') Object.assign(actor, { state, end: step, ...result })
      }
      void current.run({ schedule, actor }, () => schedule.wait(actor, { label: START, execute: () => {} }).then(work).then(
        value => { end('fulfilled', { value }) },
        error => { end('rejected', { error }) }))
      return actor
    },

    /** Releases one call after the other until every actor has ended. */
    async run (): Promise<void> {
      await settle()
      while (waiting.length > 0) {
        const running = actors.filter(({ state }) => state === 'running')
        const actor = release()
        await settle()
        for (const { name, state, error } of running) if (state !== 'running') trace.push(`   ${name} ${state}${error === undefined ? '' : `: ${error.code ?? error.message}`}`)
        afterEach(step, actor)
      }
    }
  }
  return schedule
}
