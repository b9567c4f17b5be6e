import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './plugins/config.ts'
import { listenProblem } from './shared/listen-error.ts'
import { createProxyTrust } from './shared/network.ts'

/** Milliseconds a stopping server goes on answering, each answer the last of its connection: until nobody is connected, and long enough for a load balancer to see the red readiness. */
const DRAIN = { least: 2000, most: 5000 }

/** Milliseconds after which it is gone, whatever still runs: orchestrators kill after ten seconds or more. */
const GRACE = 9000

const connections = (server: Server) => new Promise<number>((resolve) => { server.getConnections((_error, count) => resolve(count)) })

async function main () {
  const config = loadConfig(process.env)
  const app = await buildApp({
    config,
    docs: { source: 'routes' },
    server: {
      // Some proxies write the client's port behind its address, and their own.
      trustProxy: config.TRUST_PROXY === undefined ? false : createProxyTrust(config.TRUST_PROXY),
      // Fastify turns Node's own limit off. A client that drips bytes is closed after ten seconds at the most.
      requestTimeout: 9_000,
      http: { headersTimeout: 8_000, connectionsCheckingInterval: 1_000 },
      // What arrives while the last connections end is still answered.
      return503OnClosing: false,
      forceCloseConnections: 'idle'
    }
  })

  let stopping = false
  app.server.prependListener('request', (_request, response) => {
    if (stopping) response.setHeader('connection', 'close')
  })
  async function stop (signal: NodeJS.Signals) {
    if (stopping) process.exit(1) // asked twice: now
    stopping = true
    app.log.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), GRACE).unref()
    // Readiness turns red first; whoever still holds a connection learns with its next answer that it ends.
    app.health.drain()
    const start = Date.now()
    const drained = async () => Date.now() > start + DRAIN.most || (Date.now() > start + DRAIN.least && await connections(app.server) === 0)
    while (signal === 'SIGTERM' && !await drained()) await sleep(50)
    await app.close()
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)

  try {
    await app.listen({ host: config.HOST, port: config.PORT })
  } catch (error) {
    const problem = listenProblem(error, { host: config.HOST, port: config.PORT })
    if (problem === undefined) throw error
    console.error(problem)
    process.exit(1)
  }
}

main().catch((error: unknown) => {
  // A bad configuration is one line for a person; everything else comes with its stack.
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
})
