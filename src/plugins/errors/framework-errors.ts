import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import { newId } from '../../shared/ids.ts'
import { renderFault } from '../../shared/problem.ts'
import { CORRELATION_HEADER } from '../correlation.ts'
import { sendError } from './index.ts'
import { SECURITY_HEADERS, setSecurityHeaders } from '../security-headers.ts'
import { announceEnd } from '../versions.ts'

/** For Fastify's `frameworkErrors`. No hook runs for what it refuses before it has a route: what hooks would have added is added here. */
export function sendFrameworkError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setSecurityHeaders(reply)
  sendError(announceEnd(request, reply) ?? error, request, reply)
}

const CLIENT_ERRORS: Record<string, readonly [status: number, text: string, code: string, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'REQUEST_TIMEOUT', 'The request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'HEADERS_TOO_LARGE', 'The headers are larger than 16 KiB']
}

/** For Fastify's `clientErrorHandler`: answers what Node could not read as HTTP, in the shape of everything else, and closes the line. */
export function answerClientError (error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, statusText, code, detail] = CLIENT_ERRORS[error.code] ?? [400, 'Bad Request', 'BAD_REQUEST', 'The request cannot be understood']
  const correlationId = newId()
  // Which version was asked for is not known, nor the path.
  const { contentType, body } = renderFault({ status, code, detail, instance: '/', correlationId }, 'v2')
  const text = JSON.stringify(body)
  const headers = { ...SECURITY_HEADERS, 'cache-control': 'no-store', 'content-type': contentType, 'content-length': Buffer.byteLength(text), [CORRELATION_HEADER]: correlationId, connection: 'close' }
  socket.write(`HTTP/1.1 ${status} ${statusText}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`)
  socket.destroySoon()
}
