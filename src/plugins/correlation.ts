import fp from 'fastify-plugin'
import type { IncomingMessage } from 'node:http'
import { CORRELATION_ID_PATTERN, newId } from '../shared/ids.ts'

export const CORRELATION_HEADER = 'x-correlation-id'

/** For Fastify's `genReqId`: the client's correlation id if it is valid, else a new one. It becomes `request.id`. */
export function correlationIdOf (request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers[CORRELATION_HEADER]
  return typeof given === 'string' && CORRELATION_ID_PATTERN.test(given) ? given : newId()
}

/** Sends the correlation id with every answer. */
export default fp(async function correlation (app) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header(CORRELATION_HEADER, request.id)
    done()
  })
}, { name: 'correlation' })
