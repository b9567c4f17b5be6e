import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'

/** A span in OTLP's JSON: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto */
export interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  flags: number
  status: { code?: number }
  attributes: { key: string, value: { stringValue?: string, intValue?: number } }[]
}

interface Scope { scope: { name: string }, spans: Span[] }

/** An OpenTelemetry collector: takes OTLP as JSON over HTTP. */
export async function startCollector (t: Test) {
  const scopes: Scope[] = []
  const spans: Span[] = []
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    const body = await json(request) as { resourceSpans: { scopeSpans: Scope[] }[] }
    bodies.push(JSON.stringify(body))
    if (request.url === '/v1/traces') {
      scopes.push(...body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans))
      spans.push(...body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)))
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, scopes, spans, bodies }
}

export const attributesOf = ({ attributes }: Span) => Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))
