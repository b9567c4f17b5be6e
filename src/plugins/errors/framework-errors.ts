import type { ConnectionError, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import { newId } from '../../shared/ids.ts'
import { renderFault } from '../../shared/problem.ts'
import { CORRELATION_HEADER } from '../correlation.ts'
import { SECURITY_HEADERS, setSecurityHeaders } from '../security-headers.ts'
import { setLifecycleHeaders } from '../versions.ts'
import { sendError } from './send-error.ts'

/** For Fastify's `frameworkErrors`: errors before routing. No hook runs for them, so this adds what the hooks would add. */
export function sendFrameworkError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setSecurityHeaders(reply)
  setLifecycleHeaders(request, reply)
  sendError(error, request, reply)
}

const CLIENT_ERRORS: Record<string, readonly [status: number, text: string, code: string, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'REQUEST_TIMEOUT', 'The request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'HEADERS_TOO_LARGE', 'The headers are larger than 16 KiB']
}
const BAD_REQUEST = [400, 'Bad Request', 'BAD_REQUEST', 'The request cannot be understood'] as const
const NOT_IMPLEMENTED = [501, 'Not Implemented', 'METHOD_NOT_IMPLEMENTED', 'This method is not supported'] as const

/** The codes of the answers below, for the API documents. */
export const FRAMEWORK_CODES = [...Object.values(CLIENT_ERRORS), BAD_REQUEST, NOT_IMPLEMENTED].map(([,, code]) => code)

/** Answers on a bare socket in the common format, logs the answer like every other, and closes the connection. */
function answerSocket (app: FastifyInstance, socket: Socket, [status, statusText, code, detail]: readonly [number, string, string, string], cause?: string): void {
  const correlationId = newId()
  app.log.info({ correlationId, statusCode: status, code, cause }, 'answered')
  // The requested version and the path are unknown here.
  const { contentType, body } = renderFault({ status, code, detail, instance: '/', correlationId }, 'v2')
  const text = JSON.stringify(body)
  const headers = { ...SECURITY_HEADERS, date: new Date().toUTCString(), 'cache-control': 'no-store', 'content-type': contentType, 'content-length': Buffer.byteLength(text), [CORRELATION_HEADER]: correlationId, connection: 'close' }
  socket.write(`HTTP/1.1 ${status} ${statusText}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`)
  socket.destroySoon()
}

/** The answer in progress on a socket. Node's own handler reads the same field. */
type Answering = Socket & { _httpMessage?: { headersSent: boolean } | null }

/** For Fastify's `clientErrorHandler`: requests that Node could not parse as HTTP. */
export function answerClientError (this: FastifyInstance, error: ConnectionError, socket: Socket): void {
  // If an answer is in progress, the client would read a second one as part of it.
  if (error.code === 'ECONNRESET' || !socket.writable || (socket as Answering)._httpMessage?.headersSent === true) {
    socket.destroy()
    return
  }
  const packet = error.rawPacket as unknown as Buffer | undefined
  const isUnknownMethod = error.code === 'HPE_INVALID_METHOD' && /^[A-Z]+ \S+ HTTP\/1\.\d\r\n/.test(packet?.subarray(0, 1024).toString('latin1') ?? '')
  answerSocket(this, socket, isUnknownMethod ? NOT_IMPLEMENTED : CLIENT_ERRORS[error.code] ?? BAD_REQUEST, error.code)
}

/** Handles requests that Node's server would otherwise answer itself, or not at all. */
export function answerForNode (app: FastifyInstance): void {
  // Node closes a CONNECT request without an answer.
  app.server.on('connect', (_request, socket: Socket) => answerSocket(app, socket, NOT_IMPLEMENTED, 'CONNECT'))
  // Node answers an unknown Expect with a bare 417. RFC 9110 §10.1.1 lets a server ignore it, as API Gateway does.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
}
