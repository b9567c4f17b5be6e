import fp from 'fastify-plugin'
import { createRequestHandler } from './connections.ts'

export interface ClientOptions {
  /** default: the one endpoint for every service, where it is configured */
  endpoint?: string | undefined
  /** 1 where a request must not be sent twice, because it is not known whether the first was carried out; default 3 */
  maxAttempts?: number
  /** milliseconds */
  connectionTimeout?: number
  /** milliseconds an attempt may take, the connection included */
  requestTimeout?: number
}

export interface Aws {
  /** What every client of an AWS service is made with. Each call makes connections of their own. */
  clientOptions (options?: ClientOptions): {
    region: string
    endpoint?: string
    maxAttempts: number
    retryMode: string
    requestHandler: ReturnType<typeof createRequestHandler>
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    aws: Aws
  }
}

/**
 * What AWS clients share: standard retries, connections kept, and timeouts that really fire.
 *
 * Three attempts of at most 700 ms, with the SDK's back-off between them, end within 2.5 s: a black-holed DynamoDB is
 * a 503 before API Gateway or a user gives up. DynamoDB answers in single-digit milliseconds; 700 ms is far beyond its
 * p99.99 and the first connection's TLS handshake. The connection timeout also counts the wait for a free socket, so it
 * is not much shorter.
 */
export default fp(async function aws (app) {
  const { AWS_REGION, AWS_ENDPOINT_URL } = app.config
  app.decorate('aws', {
    clientOptions ({ endpoint = AWS_ENDPOINT_URL, maxAttempts = 3, connectionTimeout = 500, requestTimeout = 700 } = {}) {
      return {
        region: AWS_REGION,
        // The SDK reads these variables by itself, but only from the process's environment: configuration can be injected.
        ...(endpoint === undefined ? {} : { endpoint }),
        maxAttempts,
        retryMode: 'standard',
        requestHandler: createRequestHandler({ connectionTimeout, requestTimeout, isRepeatable: maxAttempts > 1 })
      }
    }
  })
}, { name: 'aws', dependencies: ['config'] })
