import type { Config } from '../plugins/config.ts'
import { createProxyTrust } from '../shared/network.ts'

/** How the plain server treats connections, for Fastify. */
export const serverOptions = ({ TRUST_PROXY }: Pick<Config, 'TRUST_PROXY'>) => ({
  // Some proxies append the port to the client's address and to their own.
  trustProxy: TRUST_PROXY === undefined ? false : createProxyTrust(TRUST_PROXY),
  // Fastify turns Node's own limit off. A client that sends its request too slowly is closed after ten seconds at most.
  requestTimeout: 9_000,
  http: { headersTimeout: 8_000, connectionsCheckingInterval: 1_000 },
  // A client that does not read its answer is closed after twenty seconds without progress. No request takes that long.
  connectionTimeout: 20_000,
  // Requests that arrive while the last connections end are still answered.
  return503OnClosing: false,
  forceCloseConnections: 'idle' as const
})
