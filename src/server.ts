import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './plugins/config.ts'

/** Seconds a stopping server keeps answering what it has begun; a load balancer notices the red readiness in less. */
const GRACE_SECONDS = 8

async function main () {
  const config = loadConfig(process.env)
  const app = await buildApp({
    config,
    docs: { source: 'routes' },
    server: {
      trustProxy: config.TRUST_PROXY ?? false,
      // Fastify turns Node's own limit off. A client that drips bytes is closed after ten seconds.
      requestTimeout: 10_000,
      http: { headersTimeout: 8_000, connectionsCheckingInterval: 1_000 },
      forceCloseConnections: 'idle'
    }
  })

  let stopping = false
  const stop = async (signal: string) => {
    if (stopping) return
    stopping = true
    app.log.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), GRACE_SECONDS * 1000).unref()
    await app.close()
    process.exit(0)
  }
  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => void stop('SIGINT'))

  await app.listen({ host: config.HOST, port: config.PORT })
}

main().catch((error: unknown) => {
  // A bad configuration is one line for a person; everything else comes with its stack.
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
})
