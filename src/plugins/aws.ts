import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Config } from './config.ts'

/**
 * What every AWS client shares: standard retries, connections kept, and time-outs that really fire.
 *
 * Three attempts of at most 700 ms, with the SDK's back-off between them, end within 2.5 s: a black-holed DynamoDB is
 * a 503 before API Gateway or a person gives up. DynamoDB answers in single-digit milliseconds; 700 ms is far beyond
 * its p99.99 and the first connection's TLS handshake. The handler's connection time-out also counts the wait for a
 * free socket, so it is not much shorter, and there are sockets enough for a burst.
 */
export function awsClientOptions (config: Config, endpoint = config.AWS_ENDPOINT_URL) {
  const agent = { keepAlive: true, maxSockets: 256 }
  return {
    region: config.AWS_REGION,
    // The SDK reads these variables by itself, but only from the process's environment: configuration can be injected.
    ...(endpoint === undefined ? {} : { endpoint }),
    maxAttempts: 3,
    retryMode: 'standard',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 500,
      requestTimeout: 700,
      throwOnRequestTimeout: true, // without it the SDK only warns
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent)
    })
  }
}
