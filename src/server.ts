import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './plugins/config.ts'
import { createServerLogger } from './plugins/logging.ts'
import { trackConnections } from './server/connections.ts'
import { startMetrics } from './server/metrics.ts'
import { startTracing } from './server/tracing.ts'
import { inBatches } from './shared/batches.ts'
import { listenProblem } from './shared/listen-error.ts'
import { createProxyTrust } from './shared/network.ts'

/** Milliseconds for which a stopping server still answers, closing each connection with its answer. Long enough for a load balancer to see the failing readiness. It ends earlier when no client is connected. */
const DRAIN = { least: 2000, most: 5000 }

/** Requests that run at once, and milliseconds that the event loop is late, before further ones get 503. See docs/adr/0167-requests-are-rejected-before-the-server-is-too-slow.md. */
const LOAD_LIMITS = { maxRunning: 1000, maxLate: 200, maxRunningLate: 250 }

/**
 * Connections at once; further ones are closed. An idle one takes some 20 KB, so all of them less than 100 MB.
 */
const MAX_CONNECTIONS = 4096

/** Milliseconds that running requests have after that; no request takes longer. */
const LAST_REQUESTS = 2500

/** Milliseconds after which the process exits, whatever still runs. Orchestrators kill after ten seconds or more. */
const GRACE = 9000

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
    server: {
      // Some proxies append the port to the client's address and to their own.
      trustProxy: config.TRUST_PROXY === undefined ? false : createProxyTrust(config.TRUST_PROXY),
      // Fastify turns Node's own limit off. A client that sends its request too slowly is closed after ten seconds at most.
      requestTimeout: 9_000,
      http: { headersTimeout: 8_000, connectionsCheckingInterval: 1_000 },
      // A client that does not read its answer is closed after twenty seconds without progress. No request takes that long.
      connectionTimeout: 20_000,
      // Requests that arrive while the last connections end are still answered.
      return503OnClosing: false,
      forceCloseConnections: 'idle'
    }
  })

  app.server.off('request', app.routing).on('request', inBatches(app.routing))
  app.server.maxConnections = MAX_CONNECTIONS
  const connections = trackConnections(app.server)
  let stopping = false
  let exitCode = 0
  app.server.prependListener('request', (_request, response) => {
    if (stopping) response.setHeader('connection', 'close')
  })
  async function stop (signal: NodeJS.Signals) {
    if (stopping) process.exit(1) // a second signal ends the process at once
    stopping = true
    app.log.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), GRACE).unref()
    // Readiness fails first. Clients with an open connection get `Connection: close` with their next answer.
    app.health.drain()
    const start = Date.now()
    const drained = () => Date.now() > start + DRAIN.most || (Date.now() > start + DRAIN.least && connections.used() === 0)
    while (signal === 'SIGTERM' && !drained()) await sleep(50)
    const closed = app.close()
    // Repeated, because a connection that was accepted last appears late.
    const idle = setInterval(() => connections.closeIdle(), 20)
    setTimeout(() => app.server.closeAllConnections(), LAST_REQUESTS).unref()
    await closed
    clearInterval(idle)
    metrics?.close()
    await tracing?.close()
    process.exit(exitCode)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(signal).catch((err: unknown) => {
        app.log.fatal({ err }, 'stopping failed')
        process.exit(1)
      })
    })
  }

  // An error outside of any request, a promise that nothing awaits included. The state is unknown, so the process ends; but
  // requests that run have nothing to do with it. Lambda's runtime ends its process by itself.
  process.on('uncaughtException', (err: unknown) => {
    app.log.fatal({ err }, 'an error outside of any request; stopping')
    exitCode = 1
    if (!stopping) void stop('SIGTERM').catch(() => process.exit(1))
  })

  const address = { host: config.HOST, port: config.PORT }
  await app.listen(address).catch((error: unknown) => { throw refused(error, address) })
}

main().catch((error: unknown) => {
  // A bad configuration is reported in one line; every other error with its stack.
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
})
