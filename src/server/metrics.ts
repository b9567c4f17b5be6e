import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from '../plugins/config.ts'
import type { MetricsOptions } from '../plugins/metrics.ts'
import { createPrometheus } from './prometheus.ts'

export interface MetricsServer {
  /** what `buildApp` needs to fill it */
  options: MetricsOptions
  url: string
  close (): void
}

/**
 * Shows metrics at /metrics, on a port of its own: the port of the API, which the public reaches, has no such path. See
 * docs/adr/0181-metrics-on-a-port-of-their-own.md.
 *
 * @returns `undefined` without METRICS_PORT
 * @throws an error of `listen`
 */
export async function startMetrics ({ SERVICE_NAME: service, STAGE: environment, HOST: host, METRICS_PORT: port }: Config): Promise<MetricsServer | undefined> {
  if (port === undefined) return undefined
  const prometheus = createPrometheus({ service, environment })
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000, connectionsCheckingInterval: 1000 }, ({ method, url }, response) => {
    if (url!.split('?')[0] !== '/metrics') return response.writeHead(404).end()
    if (method !== 'GET' && method !== 'HEAD') return response.writeHead(405, { allow: 'GET, HEAD' }).end()
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' }).end(prometheus.text())
  })
  server.maxConnections = 16 // scrapers
  server.listen({ host, port })
  await once(server, 'listening')
  const { address, family, port: bound } = server.address() as AddressInfo
  return {
    options: { scraped: prometheus },
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}/metrics`,
    close () {
      server.close()
      server.closeAllConnections()
      prometheus.close()
    }
  }
}
