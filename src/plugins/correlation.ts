import fp from 'fastify-plugin'
import type { IncomingMessage } from 'node:http'
import { CORRELATION_ID_PATTERN, newId } from '../shared/ids.ts'

export const CORRELATION_HEADER = 'x-correlation-id'

/** For Fastify's `genReqId`: the client's correlation id when it is harmless, else a new one. It is `request.id` from then on. */
export function correlationIdOf (request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers[CORRELATION_HEADER]
  return typeof given === 'string' && CORRELATION_ID_PATTERN.test(given) ? given : newId()
}

/** Answers every request with its correlation id. */
export default fp(async function correlation (app) {
  app.addHook('onRequest', async (request, reply) => {
    reply.header(CORRELATION_HEADER, request.id)
  })
}, { name: 'correlation' })
