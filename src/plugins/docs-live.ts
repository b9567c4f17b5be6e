import fastifySwagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import { DOCUMENT_VERSIONS, serveDocuments } from './docs.ts'

/** The documents made from the routes. */
export default fp(async function docsLive (app) {
  for (const version of DOCUMENT_VERSIONS) {
    await app.register(fastifySwagger, {
      decorator: `openapi_${version}`,
      openapi: { openapi: '3.1.0', info: { title: 'User service', version } }
    } as object)
  }
  serveDocuments(app, version => (app as unknown as Record<string, () => object>)[`openapi_${version}`]!())
}, { name: 'docs-live' })
