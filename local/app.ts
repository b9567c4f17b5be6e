import { Server } from 'node:http'
import { isIPv6 } from 'node:net'
import { buildApp } from '../src/app.ts'
import type { Config } from '../src/plugins/config.ts'
import { startMetrics } from '../src/server/metrics.ts'
import { startTracing } from '../src/server/tracing.ts'
import { CONTAINER_HOST } from './aws.ts'
import type { Invocation } from './mapping-loop.ts'
import { guard, onListen } from './guard.ts'
import { keptLogger } from './logger.ts'

export interface AppPlan {
  config: Config
  host: string
  port: number
  /** where the newest lines of the log are kept */
  logDirectory: string
}

/** What the parts around the app use of it, wherever it runs. */
export interface LocalApp {
  /** Passes a batch to its consumer, with the answer that the mapping of this kind of batch expects. */
  deliver (event: { Records: unknown }, invocation: Invocation): Promise<unknown>
  sweep (options: { timeout: number, minAge?: number }): Promise<void>
  /** Called first when the system stops: what waits for an app that does not run is rejected. */
  giveUp (): void
  close (): Promise<void>
}

/** Starts the app in this process, for requests from this machine. */
export async function startApp ({ config, host, port, logDirectory }: AppPlan): Promise<LocalApp> {
  const metrics = await onListen(server => { if (server instanceof Server) guard(server, { hosts: [host, CONTAINER_HOST], allowsAddresses: ['0.0.0.0', '::'].includes(host) }) }, () => startMetrics(config))
  const tracing = await startTracing(config)
  const app = await buildApp({ config, docs: { source: 'routes' }, logger: keptLogger(config, logDirectory), metrics: metrics?.options, tracer: tracing?.tracer, server: { forceCloseConnections: true } })
  const names = { hosts: [isIPv6(host) ? `[${host}]` : host, new URL(config.PUBLIC_URL).hostname], allowsAddresses: ['0.0.0.0', '::'].includes(host), allowsForeignOrigins: true }
  await onListen(server => { if (server instanceof Server) guard(server, names) }, () => app.listen({ host, port }))
  return {
    deliver: (event, invocation) => app.consumers.deliver(event, invocation),
    async sweep ({ timeout, ...options }) { await app.outbox.sweep({ deadline: Date.now() + timeout, ...options }) },
    giveUp () {},
    async close () {
      await app.close()
      metrics?.close()
      await tracing?.close()
    }
  }
}
