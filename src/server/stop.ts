import type { FastifyBaseLogger } from 'fastify'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { trackConnections } from './connections.ts'

/** Milliseconds. */
export interface StopTimes {
  /** for which a stopping server still answers, closing each connection with its answer; it is over earlier when no client is connected */
  drain: { least: number, most: number }
  /** that running requests have after that */
  lastRequests: number
  /** after which the process exits, whatever still runs */
  grace: number
}

/** A load balancer sees the failing readiness while the server drains, no request takes longer than the last ones have, and orchestrators kill after ten seconds or more. */
const TIMES: StopTimes = { drain: { least: 2000, most: 5000 }, lastRequests: 2500, grace: 9000 }

/** The parts of the app that a stop needs. */
interface Stopped {
  server: Server
  log: Pick<FastifyBaseLogger, 'info' | 'fatal'>
  close (): Promise<unknown>
}

interface StopOptions {
  /** what is done first, for load balancers */
  turnUnready: () => void
  /** what is closed after the app */
  last: () => Promise<void>
  exit?: (code: number) => void
  times?: StopTimes
}

/** Stops a server without losing a request: it waits for requests, and not for connections. See docs/adr/0049-a-stopping-server.md. */
export function createStop (app: Stopped, { turnUnready, last, exit = process.exit, times: { drain, lastRequests, grace } = TIMES }: StopOptions) {
  const connections = trackConnections(app.server)
  let isStopping = false
  let exitCode = 0
  app.server.prependListener('request', (_request, response) => {
    if (isStopping) response.setHeader('connection', 'close')
  })

  async function stop (signal: NodeJS.Signals): Promise<void> {
    isStopping = true
    app.log.info({ signal }, 'stopping')
    setTimeout(() => exit(1), grace).unref()
    // Readiness fails first. Clients with an open connection get `Connection: close` with their next answer.
    turnUnready()
    const start = Date.now()
    const isDrained = () => Date.now() > start + drain.most || (Date.now() > start + drain.least && connections.used() === 0)
    while (signal === 'SIGTERM' && !isDrained()) await sleep(50)
    const closed = app.close()
    // Repeated, because a connection that was accepted last appears late.
    setInterval(() => connections.closeIdle(), 20).unref()
    setTimeout(() => app.server.closeAllConnections(), lastRequests).unref()
    await closed
    await last()
    exit(exitCode)
  }

  function begin (signal: NodeJS.Signals): void {
    stop(signal).catch((err: unknown) => {
      app.log.fatal({ err }, 'stopping failed')
      exit(1)
    })
  }

  return {
    /** A second signal ends the process at once. */
    onSignal (signal: NodeJS.Signals) {
      if (isStopping) exit(1)
      else begin(signal)
    },
    /**
     * An error outside of any request, a promise that nothing awaits included. The state is unknown, so the process ends; but
     * requests that run have nothing to do with it. Lambda's runtime ends its process by itself.
     */
    onError (err: unknown) {
      app.log.fatal({ err }, 'an error outside of any request; stopping')
      exitCode = 1
      if (!isStopping) begin('SIGTERM')
    }
  }
}
