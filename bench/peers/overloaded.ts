import { subscribe } from 'node:diagnostics_channel'
import underPressure from '@fastify/under-pressure'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/plugins/config.ts'
import type { LoadLimits } from '../../src/plugins/load-shedding.ts'
import { createServerLogger } from '../../src/plugins/logging.ts'
import { inBatches } from '../../src/shared/batches.ts'

// The plain server with one way to reject requests that are too many, as src/server.ts sets it up: BENCH_LIMITS are the limits of
// plugins/load-shedding, BENCH_DELAY the delay of the event loop in milliseconds beyond which @fastify/under-pressure rejects.

/** Milliseconds that every handler computes for, so that the load generator is not what is overloaded. */
const WORK_MS = 1
subscribe('tracing:fastify.request.handler:start', () => {
  const end = performance.now() + WORK_MS
  while (performance.now() < end);
})

const { BENCH_LIMITS, BENCH_DELAY } = process.env
const config = loadConfig(process.env)
const app = await buildApp({ config, docs: { source: 'routes' }, logger: createServerLogger(config), loadLimits: BENCH_LIMITS === undefined ? undefined : JSON.parse(BENCH_LIMITS) as LoadLimits })
// Its hook would not reach the modules, which are there already. What it decides is asked for each request instead.
await app.register(underPressure, BENCH_DELAY === undefined ? {} : { maxEventLoopDelay: Number(BENCH_DELAY), exposeStatusRoute: false })
const routing = inBatches(app.routing)
app.server.off('request', app.routing).on('request', BENCH_DELAY === undefined
  ? routing
  : (request, response) => {
      if (!app.isUnderPressure()) return routing(request, response)
      response.writeHead(503, { 'retry-after': '1', 'content-length': '0' }).end()
    })
app.server.maxConnections = 4096
await app.listen({ host: config.HOST, port: config.PORT, backlog: 4096 })
