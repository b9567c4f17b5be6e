import fp from 'fastify-plugin'
import { AsyncLocalStorage } from 'node:async_hooks'
import { traceparentIn } from '../shared/traceparent.ts'

/** A part of a trace. No attribute is personal data: routes, types, names of services and ids of correlation. */
export interface SpanOptions {
  name: string
  kind: 'server' | 'consumer' | 'client'
  /** W3C's traceparent of the part that it follows from, if that came from outside; default: what runs now */
  parent?: string | undefined
  attributes?: Record<string, string | undefined>
}

/** A part of a trace that runs. */
export interface RunningSpan {
  traceparent: string
  /** `error` names a failure by its type */
  end (result: { error?: string | undefined, attributes?: Record<string, string | number> }): void
}

/** Records parts of traces; see server/tracing.ts. */
export interface Tracer {
  start (span: SpanOptions): RunningSpan
}

export interface Spans {
  /** W3C's traceparent of what runs now; `undefined` when it belongs to no trace. What is written, queued or published carries it on. */
  traceparent (): string | undefined
  /** Runs work as a part of a trace. Without a tracer it is not recorded, but carries on the trace that it came with. */
  run<T> (span: SpanOptions, work: () => Promise<T>): Promise<T>
}

declare module 'fastify' {
  interface FastifyInstance {
    spans: Spans
  }
  interface FastifyRequest {
    span: RunningSpan | undefined
  }
}

/** Carries traces through the process. Without a tracer nothing is done for requests. */
export default fp<{ tracer?: Tracer | undefined }>(async function spans (app, { tracer }) {
  const running = new AsyncLocalStorage<string>()

  app.decorate('spans', {
    traceparent: () => running.getStore(),
    async run (span, work) {
      const parent = span.parent ?? running.getStore()
      if (tracer === undefined) return parent === undefined ? await work() : await running.run(parent, work)
      // What is called in the background, such as a look at a secret, is no trace.
      if (span.kind === 'client' && parent === undefined) return await work()
      const started = tracer.start({ ...span, parent })
      try {
        const result = await running.run(started.traceparent, work)
        started.end({})
        return result
      } catch (error) {
        started.end({ error: (error as Error).name })
        throw error
      }
    }
  })
  if (tracer === undefined) return

  app.decorateRequest('span')
  app.addHook('onRequest', (request, _reply, done) => {
    const { method, id, routeOptions: { url: route } } = request
    request.span = tracer.start({
      name: route === undefined ? 'unknown path' : `${method} ${route}`,
      kind: 'server',
      parent: traceparentIn(request.headers['traceparent']),
      attributes: { 'http.request.method': method, 'http.route': route, 'correlation.id': id }
    })
    running.run(request.span.traceparent, done)
  })
  app.addHook('onResponse', (request, { statusCode }, done) => {
    request.span?.end({ error: statusCode >= 500 ? String(statusCode) : undefined, attributes: { 'http.response.status_code': statusCode } })
    done()
  })
}, { name: 'spans' })
