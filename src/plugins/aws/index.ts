import fp from 'fastify-plugin'
import { createRequestHandler } from './connections.ts'

export interface ClientOptions {
  /** default: the configured endpoint for every service, if any */
  endpoint?: string | undefined
  /** 1 for requests that must not be sent twice, because the first one may have been executed; default 3 */
  maxAttempts?: number
  /** milliseconds */
  connectionTimeout?: number
  /** milliseconds that an attempt may take, including the connection */
  requestTimeout?: number
}

export interface Aws {
  /** The options of every AWS client. Each call creates a separate connection pool. */
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
 * The common settings of AWS clients: standard retries, kept connections, and timeouts that really fire.
 *
 * Three attempts of at most 700 ms, with the SDK's back-off between them, end within 2.5 s. So an unreachable DynamoDB
 * causes a 503 before API Gateway or a user gives up. DynamoDB answers in single-digit milliseconds; 700 ms is far beyond
 * its p99.99 and the first TLS handshake. The connection timeout includes the wait for a free socket, so it is not much
 * shorter.
 */
export default fp(async function aws (app) {
  const { AWS_REGION, AWS_ENDPOINT_URL } = app.config
  app.decorate('aws', {
    clientOptions ({ endpoint = AWS_ENDPOINT_URL, maxAttempts = 3, connectionTimeout = 500, requestTimeout = 700 } = {}) {
      return {
        region: AWS_REGION,
        // The SDK reads these variables only from the process's environment, but tests inject their configuration.
        ...(endpoint === undefined ? {} : { endpoint }),
        maxAttempts,
        retryMode: 'standard',
        requestHandler: createRequestHandler({ connectionTimeout, requestTimeout, isRepeatable: maxAttempts > 1 })
      }
    }
  })
}, { name: 'aws', dependencies: ['config'] })
