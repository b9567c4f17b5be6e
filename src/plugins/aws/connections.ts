import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Agent as HttpAgent, type ClientRequest } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Duplex } from 'node:stream'
import { isReset } from '../../shared/aws-errors.ts'

/**
 * Maximum idle time of a kept connection, in milliseconds. After that, its peer or a NAT may have closed it without this
 * process noticing. A new connection costs a TLS handshake, 5 to 20 ms within a region.
 */
const MAX_IDLE = 5_000

export interface ConnectionOptions {
  connectionTimeout: number
  requestTimeout: number
  /** Whether a request may be sent again although the first one may have been executed. */
  isRepeatable: boolean
}

type Pool = Pick<HttpAgent, 'freeSockets'>

function drop (pool: Pool, isDropped: (socket: Duplex) => boolean): void {
  for (const socket of Object.values(pool.freeSockets).flatMap(sockets => sockets ?? [])) if (isDropped(socket)) socket.destroy()
}

/**
 * The SDK's HTTP handler for kept connections that may die unnoticed: a Lambda function and its timers are frozen between
 * two events, while its peers close connections. See docs/adr/0050-connections-that-died-unnoticed.md.
 */
export function createRequestHandler ({ connectionTimeout, requestTimeout, isRepeatable }: ConnectionOptions): NodeHttpHandler {
  /** when each kept connection was last used, by the wall clock, because it continues during a freeze */
  const usedAt = new WeakMap<Duplex, number>()
  /** errors of requests on a reused connection */
  const ofReused = new WeakSet<Error>()

  function watch<A extends HttpAgent> (agent: A): A {
    const { keepSocketAlive, reuseSocket } = agent
    agent.keepSocketAlive = (socket: Duplex) => {
      usedAt.set(socket, Date.now())
      return keepSocketAlive.call(agent, socket)
    }
    agent.reuseSocket = (socket: Duplex, request: ClientRequest) => {
      // A reset or a timeout. The other connections in the pool have most likely died as well.
      request.once('error', error => {
        ofReused.add(error)
        drop(agent, () => true)
      })
      reuseSocket.call(agent, socket, request)
    }
    return agent
  }

  // The handler's connection timeout includes the wait for a free socket, so there are enough sockets for a burst.
  const options = { keepAlive: true, maxSockets: 256 }
  const httpAgent = watch(new HttpAgent(options))
  const httpsAgent = watch(new HttpsAgent(options))
  const handler = new NodeHttpHandler({
    connectionTimeout,
    requestTimeout,
    throwOnRequestTimeout: true, // without it the SDK only warns
    httpAgent,
    httpsAgent
  })

  const send = handler.handle.bind(handler)
  handler.handle = async (request, settings) => {
    const now = Date.now()
    const isOld = (socket: Duplex) => {
      const idle = now - (usedAt.get(socket) ?? 0)
      return idle > MAX_IDLE || idle < 0 // a negative value means that the clock was set back and the idle time is unknown
    }
    drop(httpAgent, isOld)
    drop(httpsAgent, isOld)
    try {
      return await send(request, settings)
    } catch (error) {
      // The request went to a connection that was closed already. The SDK would count it as an attempt and wait.
      const canSendAgain = isRepeatable && (request.body === undefined || typeof request.body === 'string' || request.body instanceof Uint8Array)
      if (canSendAgain && ofReused.has(error as Error) && isReset(error)) return await send(request, settings)
      throw error
    }
  }
  return handler
}
