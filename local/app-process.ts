import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { AppPlan, LocalApp } from './app.ts'
import type { Invocation } from './mapping-loop.ts'

/** What this process sends to the app's. Times are durations, because a call may wait for the next start of the app. */
export type ToApp =
  | { type: 'start', plan: AppPlan }
  | { type: 'call', id: number, call: Call }
  | { type: 'stop' }
export type Call =
  | { name: 'deliver', event: { Records: unknown }, timeout: number }
  | { name: 'sweep', options: Parameters<LocalApp['sweep']>[0] }
export type FromApp =
  | { type: 'ready' }
  | { type: 'result', id: number, result?: unknown, error?: string }

/** Milliseconds for an orderly stop. It ends running requests; only a batch can take longer, and is then delivered again. */
const STOP = 3000

export interface AppProcessOptions {
  /** address for a debugger, as in `--inspect=127.0.0.1:9229` */
  inspect?: string | undefined
  /** called before the next start when the app did not end in order */
  onCrash: () => Promise<unknown>
}

export interface AppProcess extends LocalApp {
  /** Starts the app again from its sources. Resolves to whether it runs; if not, its output says why. */
  restart (): Promise<boolean>
}

/** Starts the app in a process of its own. Calls that arrive while it does not run wait until it does, and calls that it did not answer are repeated. */
export async function startAppProcess (plan: AppPlan, { inspect, onCrash }: AppProcessOptions): Promise<AppProcess> {
  const waiting = new Map<number, { call: Call, resolve: (result: unknown) => void, reject: (error: Error) => void }>()
  let lastId = 0
  let app: ChildProcess | undefined
  let isReady = false
  let hasCrashed = false
  let isOver = false
  let isStopping = false

  const send = (message: ToApp) => app!.send(message, () => {}) // an app that has just ended is noticed by its exit

  function onMessage (message: FromApp): void {
    if (message.type === 'ready') {
      isReady = true
      for (const [id, { call }] of waiting) send({ type: 'call', id, call })
      return
    }
    const { id, result, error } = message
    const caller = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) caller?.resolve(result)
    else caller?.reject(new Error(error))
  }

  async function stopApp (): Promise<void> {
    if (app === undefined) return
    isStopping = true
    const { exitCode, signalCode } = app
    const ended = exitCode === null && signalCode === null ? once(app, 'exit') : undefined
    const timer = setTimeout(() => app?.kill('SIGKILL'), STOP)
    send({ type: 'stop' })
    await ended
    clearTimeout(timer)
    isStopping = false
  }

  async function start (): Promise<boolean> {
    await stopApp()
    if (isOver) return false
    if (hasCrashed) await onCrash()
    hasCrashed = false
    const child = fork(join(import.meta.dirname, 'app-child.ts'), { execArgv: inspect === undefined ? [] : [`--inspect=${inspect}`] })
    app = child
    child.on('message', message => onMessage(message as FromApp))
    const ended = once(child, 'exit').then(([code]) => {
      app = undefined
      isReady = false
      hasCrashed = code !== 0
      if (!isStopping) console.error('The app has ended. It starts again after the next change.')
    })
    send({ type: 'start', plan })
    await Promise.race([ended, new Promise<void>(resolve => { child.on('message', () => { if (isReady) resolve() }) })])
    return isReady
  }

  async function call (call: Call): Promise<unknown> {
    if (isOver) throw new Error('The app has stopped')
    const id = ++lastId
    return await new Promise((resolve, reject) => {
      waiting.set(id, { call, resolve, reject })
      if (isReady) send({ type: 'call', id, call })
    })
  }

  let last = start()
  await last
  return {
    deliver: (event, { deadline }: Invocation) => call({ name: 'deliver', event, timeout: deadline - Date.now() }),
    async sweep (options) { await call({ name: 'sweep', options }) },
    restart () {
      // One start after the other: each takes the sources as they are by then.
      last = last.then(start)
      return last
    },
    giveUp () {
      isOver = true
      if (isReady) return
      for (const { reject } of waiting.values()) reject(new Error('The app has stopped'))
      waiting.clear()
    },
    async close () {
      isOver = true
      await last
      await stopApp()
    }
  }
}
