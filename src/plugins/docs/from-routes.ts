import fastifySwagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { ApiText, Tag } from './api-text.ts'
import { finishDocument } from './document.ts'
import { withIdempotency } from './idempotent.ts'
import type { Document } from './openapi.ts'

/** The decorator that makes each version's document. */
export const DECORATORS = { v1: 'swaggerV1', v2: 'swagger' } as const

declare module 'fastify' {
  interface FastifyInstance {
    swaggerV1 (): object
  }
}

/** The folder with the files of Swagger UI in its package. */
export const UI_DIRECTORY = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json')), 'static')

/** Makes the documents from routes that are registered after this. `tags` may grow until a document is made. */
export default fp<{ api: ApiText, tags: Tag[] }>(async function docsFromRoutes (app, { api, tags }) {
  for (const version of ['v1', 'v2'] as const) {
    const unlimited = new Set<string>()
    await app.register(fastifySwagger, {
      decorator: DECORATORS[version],
      // The servers are filled in where the document is served; here they only have their place in it.
      openapi: { openapi: '3.1.0', info: api.info[version], servers: [], components: { securitySchemes: api.securitySchemes } },
      convertConstToEnum: false,
      // A named schema inside another one becomes a component with its name.
      refResolver: { buildLocalReference: schema => String(schema.$id) },
      transform: ({ schema, url, route }) => {
        if (route.config?.limit === false) unlimited.add(url)
        // Routes without a version are documented with the current version.
        const hide = schema?.hide === true || url.startsWith('/v1/') !== (version === 'v1')
        const documented = { ...schema, response: { ...schema?.response as object, ...route.config?.failures }, hide }
        return { schema: route.config?.idempotent === true ? withIdempotency(documented) : documented, url }
      },
      transformObject: made => finishDocument((made as { openapiObject: Document }).openapiObject, { version, tags, unlimited }) as object
    })
  }
})
