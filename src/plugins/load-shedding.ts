import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Overloaded } from '../shared/errors.ts'
import type {} from './metrics.ts'

declare module './metrics.ts' {
  interface MetricNames {
    /** requests that got 503 because the server was overloaded, once a second */
    RequestsShed: true
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false` for routes that are answered however many requests run: health checks, because an overloaded server is alive */
    shed?: false
  }
  interface FastifyRequest {
    load: 'none' | 'arriving' | 'running'
  }
}

/** Seconds: a burst is over by then, and a server that is overloaded for longer needs more instances. */
const RETRY_AFTER = 1

/** Milliseconds between two counts of what was rejected: a log line for each would cost more than its answer. */
const COUNT_EVERY = 1000

/** Milliseconds between two looks at the event loop. */
const LOOK_EVERY = 50

/** Milliseconds for which the event loop must be late before requests are rejected, in several turns: one pause, for garbage for example, is no overload. */
const LATE_FOR = 1000

/** Milliseconds after an overload in which the next one is believed at once, because each rejection lets the event loop catch up. */
const ALERT_FOR = 10_000

/** Says whether the event loop is, and has been, later than `max` milliseconds. */
function watchEventLoop (max: number) {
  let last = 0
  let inTime = 0
  let lateLooks = 0
  let alertUntil = 0
  let timer: NodeJS.Timeout | undefined
  return {
    start () {
      last = inTime = performance.now()
      timer = setInterval(() => {
        const now = performance.now()
        lateLooks = now - last - LOOK_EVERY > max ? lateLooks + 1 : 0
        last = now
        if (lateLooks === 0) inTime = now
        else if ((lateLooks > 1 && now - inTime > LATE_FOR) || now < alertUntil) alertUntil = now + ALERT_FOR
      }, LOOK_EVERY).unref()
    },
    isOverloaded: () => lateLooks > 0 && last < alertUntil,
    stop () { clearInterval(timer) }
  }
}

export interface LoadLimits {
  /** requests that run at once before further ones are rejected */
  maxRunning: number
  /** milliseconds that the event loop is late before requests are rejected */
  maxLate: number
  /** requests that run at once before further ones are rejected by a late event loop: with fewer, other work keeps it busy, and rejecting requests does not help */
  maxRunningLate: number
}

/**
 * Answers 503 when too many requests are running, or when the event loop stays late while many run: a request needs a few turns
 * of it, and clients that have waited too long leave, so that the server works in vain. Off without limits, as on Lambda, where
 * an instance has one request. See docs/adr/0167-requests-are-rejected-before-the-server-is-too-slow.md.
 */
export default fp<{ limits?: LoadLimits | undefined }>(async function loadShedding (app, { limits }) {
  if (limits === undefined) return
  const { maxRunning, maxLate, maxRunningLate } = limits
  const overloaded = Object.assign(new Overloaded(), { retryAfter: RETRY_AFTER, isReported: true })
  const eventLoop = watchEventLoop(maxLate)
  let running = 0
  let shed = 0
  app.decorateRequest('load', 'none')
  const end = (request: FastifyRequest) => {
    if (request.load !== 'none') running--
    request.load = 'none'
  }

  app.addHook('onRequest', (request, reply, done) => {
    if (running >= (eventLoop.isOverloaded() ? maxRunningLate : maxRunning) && request.routeOptions.config.shed !== false) {
      shed++
      return done(overloaded)
    }
    // The answer of a client that has left already emits no further event.
    if (!reply.raw.destroyed) {
      running++
      request.load = 'arriving'
      reply.raw.once('close', () => { if (request.load === 'arriving') end(request) })
    }
    done()
  })
  // From here the work is done and has its end, also for a client that leaves.
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.load === 'arriving') request.load = 'running'
    done()
  })
  app.addHook('onSend', (request, _reply, _payload, done) => {
    end(request)
    done()
  })

  // The start of the server keeps the event loop busy, and is no overload.
  app.addHook('onListen', async () => { eventLoop.start() })
  const timer = setInterval(() => {
    if (shed === 0) return
    app.metrics.count('RequestsShed', shed)
    app.log.warn({ shed, running }, 'too many requests at once: some were rejected')
    shed = 0
  }, COUNT_EVERY).unref()
  app.addHook('onClose', async () => {
    clearInterval(timer)
    eventLoop.stop()
  })
}, { name: 'load-shedding', dependencies: ['errors', 'metrics', 'cors'] })
