import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Where the API documents come from: `routes` makes them from what is registered and serves Swagger UI beside them;
 * `files` serves `v1.json` and `v2.json` of a directory as the build wrote them, and loads nothing of Swagger.
 */
export type DocsOptions = { source: 'routes' } | { source: 'files', directory: string }

/** The versions a document is made for; the first is the one Swagger UI opens with. */
export const DOCUMENT_VERSIONS = ['v2', 'v1'] as const
export type DocumentVersion = typeof DOCUMENT_VERSIONS[number]

/** Serves the documents at `/openapi/<version>.json`; `read` is asked once a version. */
export function serveDocuments (app: FastifyInstance, read: (version: DocumentVersion) => object | Promise<object>): void {
  for (const version of DOCUMENT_VERSIONS) {
    let document: string | undefined
    app.get(`/openapi/${version}.json`, { schema: { hide: true } }, async (_request, reply) => {
      document ??= JSON.stringify({ ...await read(version), servers: [{ url: app.config.PUBLIC_URL }] })
      // Public, and the same for everybody until the next deployment.
      return reply.type('application/json; charset=utf-8').header('cache-control', 'public, max-age=300').send(document)
    })
  }
}

/** The OpenAPI documents of both versions, and where they are made from routes, Swagger UI. */
export default fp<DocsOptions>(async function docs (app, options) {
  if (options.source === 'routes') {
    // Loaded only where it is used, and left out of the Lambda artifact: Swagger costs a cold start far more than a request.
    const { default: docsLive } = await import('./docs-live.ts')
    await app.register(docsLive)
  } else {
    serveDocuments(app, async version => JSON.parse(await readFile(join(options.directory, `${version}.json`), 'utf8')))
  }
}, { name: 'docs', dependencies: ['config', 'errors', 'rate-limit'] })
