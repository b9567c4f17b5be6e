import fp from 'fastify-plugin'
import { Gone } from '../shared/errors.ts'
import { isV1 } from './errors.ts'

/** Day on which v2 replaced v1, as an RFC 9745 date: seconds since the epoch. */
const DEPRECATED_SINCE = `@${Date.UTC(2026, 10, 22) / 1000}`

/** Says on every v1 answer that v1 ends, and when; answers 410 once it has ended. */
export default fp(async function v1Lifecycle (app) {
  const sunset = new Date(app.config.V1_SUNSET).toUTCString()
  app.addHook('onRequest', async (request, reply) => {
    if (!isV1(request)) return
    reply.header('deprecation', DEPRECATED_SINCE)
    reply.header('sunset', sunset)
    reply.header('link', '</openapi/v2.json>; rel="successor-version"')
    if (!app.config.V1_ENABLED) throw new Gone()
  })
}, { name: 'v1-lifecycle', dependencies: ['config', 'correlation'] })
