import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Tracks the connections of a server and whether a request runs on them. Node's `close` waits for connections that have
 * sent nothing, or only half of a request's headers, as if a request were running (nodejs/node#63452).
 */
export function trackConnections (server: Server) {
  const open = new Set<Socket>()
  const answering = new Map<Socket, number>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answering.set(socket, (answering.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const left = answering.get(socket)! - 1
      if (left > 0) answering.set(socket, left)
      else answering.delete(socket)
    })
  })
  return {
    /** connections that have carried a request; the others were opened in advance, and closing them loses no request */
    used: () => [...open].filter(({ bytesRead }) => bytesRead > 0).length,
    closeIdle () { for (const socket of open) if (!answering.has(socket)) socket.destroy() }
  }
}
