import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Gone } from '../shared/errors.ts'
import { isV1 } from './errors/index.ts'

/** Day on which v2 replaced v1, as an RFC 9745 date: seconds since the epoch. */
const DEPRECATED_SINCE = `@${Date.UTC(2026, 10, 22) / 1000}`

/** Sets the headers that say when v1 ends, on an answer of v1; gives the error to answer with once it has ended. */
export function announceEnd (request: FastifyRequest, reply: FastifyReply): FastifyError | undefined {
  if (!isV1(request)) return undefined
  const { V1_SUNSET, V1_ENABLED } = reply.server.config
  reply.header('deprecation', DEPRECATED_SINCE)
  reply.header('sunset', new Date(V1_SUNSET).toUTCString())
  reply.header('link', '</openapi/v2.json>; rel="successor-version"')
  return V1_ENABLED ? undefined : new Gone()
}

/** Says on every v1 answer that v1 ends, and when; answers 410 once it has ended. */
export default fp(async function versions (app) {
  app.addHook('onRequest', async (request, reply) => {
    const gone = announceEnd(request, reply)
    if (gone !== undefined) throw gone
  })
}, { name: 'versions', dependencies: ['config', 'correlation'] })
