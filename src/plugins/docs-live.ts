import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { DOCUMENTS, finishDocument, type Document } from './docs-document.ts'

/** Which decorator makes which document. @fastify/swagger-ui asks for one called `swagger`. */
export const DECORATORS = { v1: 'swaggerV1', v2: 'swagger' } as const

declare module 'fastify' {
  interface FastifyInstance {
    swaggerV1 (): object
  }
}

// Swagger UI draws with style attributes and inline images; everything else comes from, and goes to, this origin.
function contentSecurityPolicy (publicUrl: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    `connect-src 'self' ${new URL(publicUrl).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join('; ')
}

/** The documents made from the routes that are registered after this, and Swagger UI. */
export default fp(async function docsLive (app) {
  for (const version of ['v1', 'v2'] as const) {
    const unlimited = new Set<string>()
    await app.register(fastifySwagger, {
      decorator: DECORATORS[version],
      openapi: DOCUMENTS[version],
      stripBasePath: false,
      convertConstToEnum: false,
      // Named schemas nested in others become components of that name.
      refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? schema.title ?? `schema${i}`) },
      transform: ({ schema, url, route }) => {
        if (route.config?.rateLimit === false) unlimited.add(url)
        // What has no version of its own is documented with today's.
        const hide = schema?.hide === true || url.startsWith('/v1/') !== (version === 'v1')
        return { schema: { ...schema, hide }, url }
      },
      transformObject: made => finishDocument((made as { openapiObject: Document }).openapiObject, version, unlimited) as object
    })
  }

  if (!app.config.DOCS_ENABLED) return
  // Without the host, so that the page works under every name of this machine; with the path that a stage has put before it.
  const base = new URL(app.config.PUBLIC_URL).pathname.replace(/\/$/, '')
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentSecurityPolicy(app.config.PUBLIC_URL),
    theme: { title: 'User service API' },
    uiConfig: {
      urls: [{ name: 'Version 2', url: `${base}/openapi/v2.json` }, { name: 'Version 1 (deprecated)', url: `${base}/openapi/v1.json` }],
      persistAuthorization: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      defaultModelsExpandDepth: 0
    }
  })
}, { name: 'docs-live', dependencies: ['config'] })
