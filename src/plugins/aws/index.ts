import fp from 'fastify-plugin'
import type { Spans } from '../spans.ts'
import { createRequestHandler } from './connections.ts'
import type { Call } from './traces.ts'

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
  /**
   * Makes each call of a client a subsegment of the trace that Lambda is in, if that is sampled, or on the plain server a span.
   * Returns the client; without tracing it is unchanged. See docs/adr/0108-subsegments-without-an-sdk.md.
   */
  traced<C extends Client> (client: C): C
}

/** The part of an AWS client that tracing needs. */
interface Client {
  middlewareStack: { add (middleware: Middleware, options: { step: 'initialize', name: string }): void }
}
type Middleware = (next: (args: any) => Promise<any>, context: object) => (args: any) => Promise<any> // eslint-disable-line @typescript-eslint/no-explicit-any -- the SDK's own types differ by client

/** Where traces go. */
export interface Tracing {
  /** address of X-Ray's daemon, `host:port` */
  daemon: string
  /** X-Ray's header of the running invocation */
  header: () => string | undefined
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
export default fp<{ tracing?: Tracing | undefined, spans?: Pick<Spans, 'run'> | undefined }>(async function aws (app, { tracing, spans }) {
  const { AWS_REGION, AWS_ENDPOINT_URL } = app.config

  type Recorder = ReturnType<typeof import('./traces.ts').createRecorder>
  let recorder: Promise<Recorder> | undefined

  const middleware = ({ daemon, header }: Tracing): Middleware => (next, context) => async args => {
    const held = header()
    if (held?.includes('Sampled=1') !== true) return await next(args)
    // Loaded with the first call that is traced: most are not.
    recorder ??= import('./traces.ts').then(({ createRecorder }) => createRecorder(daemon, AWS_REGION))
    return await (await recorder).record(held, { context, input: (args as { input: unknown }).input }, () => next(args))
  }
  const spanned = ({ run }: Pick<Spans, 'run'>): Middleware => (next, context) => {
    const { clientName = '', commandName = '' } = context as Call['context']
    const [service, method] = [clientName.replace(/Client$/, ''), commandName.replace(/Command$/, '')]
    return async args => await run({ name: `${service} ${method}`, kind: 'client', attributes: { 'rpc.system': 'aws-api', 'rpc.service': service, 'rpc.method': method } }, async () => await next(args) as unknown)
  }
  app.addHook('onClose', async () => { (await recorder)?.close() })

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
    },
    traced (client) {
      if (spans !== undefined) client.middlewareStack.add(spanned(spans), { step: 'initialize', name: 'span' })
      if (tracing !== undefined) client.middlewareStack.add(middleware(tracing), { step: 'initialize', name: 'trace' })
      return client
    }
  })
}, { name: 'aws', dependencies: ['config'] })
