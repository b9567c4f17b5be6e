import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './plugins/config.ts'
import { createServerLogger } from './plugins/logging.ts'
import { startMetrics } from './server/metrics.ts'
import { serverOptions } from './server/options.ts'
import { createStop } from './server/stop.ts'
import { startTracing } from './server/tracing.ts'
import { inBatches } from './shared/batches.ts'
import { listenProblem } from './shared/listen-error.ts'

/** Requests that run at once, and milliseconds that the event loop is late, before further ones get 503. See docs/adr/0167-requests-are-rejected-before-the-server-is-too-slow.md. */
const LOAD_LIMITS = { maxRunning: 1000, maxLate: 200, maxRunningLate: 250 }

/**
 * Connections at once; further ones are closed. An idle one takes some 20 KB, so all of them less than 100 MB.
 */
const MAX_CONNECTIONS = 4096

/** The error of a server that cannot listen: one line where the user can change something. */
function refused (error: unknown, target: Parameters<typeof listenProblem>[1]): unknown {
  const problem = listenProblem(error, target)
  return problem === undefined ? error : new ConfigError(problem)
}

async function main () {
  const config = loadConfig(process.env)
  const logger = createServerLogger(config)
  const metrics = await startMetrics(config).catch((error: unknown) => { throw refused(error, { host: config.HOST, port: config.METRICS_PORT!, variable: 'METRICS_PORT' }) })
  if (metrics !== undefined) logger.info({ url: metrics.url }, 'metrics are shown')
  const tracing = await startTracing(config)
  const app = await buildApp({
    config,
    docs: { source: 'routes' },
    logger,
    metrics: metrics?.options,
    tracer: tracing?.tracer,
    loadLimits: LOAD_LIMITS,
    server: serverOptions(config)
  })

  app.server.off('request', app.routing).on('request', inBatches(app.routing))
  app.server.maxConnections = MAX_CONNECTIONS
  const { onSignal, onError } = createStop(app, {
    turnUnready () { app.health.drain() },
    async last () {
      metrics?.close()
      await tracing?.close()
    }
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal)
  process.on('uncaughtException', onError)

  const address = { host: config.HOST, port: config.PORT }
  await app.listen(address).catch((error: unknown) => { throw refused(error, address) })
}

main().catch((error: unknown) => {
  // A bad configuration is reported in one line; every other error with its stack.
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
})
