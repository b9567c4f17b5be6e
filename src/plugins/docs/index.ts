import fp from 'fastify-plugin'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serveUi } from './ui.ts'

/**
 * Where the API documents come from. `routes` makes them from what is registered. `files` serves the `v1.json` and
 * `v2.json` of a directory, as `npm run openapi` wrote them, and loads nothing of Swagger; Swagger UI is taken from the
 * directory's `ui`, if the build has put it there.
 */
export type DocsOptions = { source: 'routes' } | { source: 'files', directory: string }

/** The OpenAPI documents of both versions and, with `DOCS_ENABLED`, Swagger UI. */
export default fp<DocsOptions>(async function docs (app, options) {
  let read: (version: 'v1' | 'v2') => object | Promise<object>
  let uiDirectory: string
  if (options.source === 'files') {
    uiDirectory = join(options.directory, 'ui')
    read = async version => JSON.parse(await readFile(join(options.directory, `${version}.json`), 'utf8'))
  } else {
    // Loaded only here, so that the Lambda artifact can do without it: Swagger costs a cold start more than all else.
    const fromRoutes = await import('./from-routes.ts')
    await app.register(fromRoutes.default)
    uiDirectory = fromRoutes.UI_DIRECTORY
    read = version => app[fromRoutes.DECORATORS[version]]()
  }

  if (app.config.DOCS_ENABLED && existsSync(uiDirectory)) serveUi(app, uiDirectory)

  const servers = [
    { url: app.config.PUBLIC_URL },
    { url: new URL(app.config.PUBLIC_URL).pathname, description: 'The host that this document came from' }
  ]
  for (const version of ['v1', 'v2'] as const) {
    let document: string | undefined
    app.get(`/openapi/${version}.json`, { schema: { hide: true } }, async (_request, reply) => {
      document ??= JSON.stringify({ ...await read(version), servers })
      // The same for everybody until the next deployment.
      return reply.type('application/json; charset=utf-8').header('cache-control', 'public, max-age=300').send(document)
    })
  }
}, { name: 'docs', dependencies: ['config', 'errors', 'rate-limit'] })
