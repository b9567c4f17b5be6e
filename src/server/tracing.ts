import type { Config } from '../plugins/config.ts'
import type { Tracer } from '../plugins/spans.ts'

export interface Tracing {
  tracer: Tracer
  /** Sends what is left, for two seconds at most. */
  close (): Promise<void>
}

/** Milliseconds for the collector's answer: a stopping server does not wait longer for one that is down. */
const TIMEOUT = 2000

/**
 * Records traces and sends them to an OpenTelemetry collector, as JSON over HTTP. A collector that is slow or down costs no
 * request anything: spans wait in a bounded queue and are dropped when it is full. See
 * docs/adr/0183-traces-are-carried-by-a-string.md.
 *
 * @returns `undefined` without OTEL_EXPORTER_OTLP_ENDPOINT
 */
export async function startTracing ({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, SERVICE_NAME, STAGE }: Config): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined
  // Loaded only where it is used: 20 packages.
  const [{ ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }, { BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'), import('@opentelemetry/sdk-trace'), import('@opentelemetry/exporter-trace-otlp-http'), import('@opentelemetry/resources')
  ])
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': SERVICE_NAME, 'deployment.environment.name': STAGE }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: TIMEOUT }), scheduledDelayMillis: 1000, exportTimeoutMillis: TIMEOUT })]
  })
  const tracer = provider.getTracer('user-service')
  const kinds = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER, client: SpanKind.CLIENT }

  /** The context of a span that another process, or an earlier part of this one, has begun. */
  function contextOf (traceparent: string | undefined) {
    if (traceparent === undefined) return ROOT_CONTEXT
    const [, traceId, spanId, flags] = traceparent.split('-') as [string, string, string, string]
    return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true })
  }

  return {
    tracer: {
      start ({ name, kind, parent, attributes = {} }) {
        const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, contextOf(parent))
        const { traceId, spanId, traceFlags } = span.spanContext()
        return {
          traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
          end ({ error, attributes = {} }) {
            if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', error)
            span.setAttributes(attributes).end()
          }
        }
      }
    },
    async close () { await provider.shutdown().catch(() => {}) }
  }
}
