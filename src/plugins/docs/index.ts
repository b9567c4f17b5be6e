import fp from 'fastify-plugin'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createStaticAnswer } from '../../shared/static-answer.ts'
import type { ApiText, Tag } from './document.ts'
import { serveUi } from './ui.ts'

export type { ApiText } from './document.ts'

/**
 * Where the API documents come from. `routes` makes them from what is registered. `files` serves the `v1.json` and
 * `v2.json` of a directory, as `npm run openapi` wrote them, and loads nothing of Swagger; Swagger UI is served
 * from the directory's `ui`, if the build has put it there.
 */
export type DocsSource = { source: 'routes' } | { source: 'files', directory: string }

declare module 'fastify' {
  interface FastifyInstance {
    apiDocs: {
      /** Declares a group of operations, which routes name in `schema.tags`; in the order in which a reader meets them. */
      tag (tag: Tag): void
    }
  }
}

/** The OpenAPI documents of both versions and, with `DOCS_ENABLED`, Swagger UI. */
export default fp<DocsSource & { api: ApiText }>(async function docs (app, { api, ...options }) {
  const tags: Tag[] = []
  app.decorate('apiDocs', {
    tag (tag) {
      if (tags.some(({ name }) => name === tag.name)) throw new Error(`the tag ${tag.name} is declared twice`)
      tags.push(tag)
    }
  })

  let read: (version: 'v1' | 'v2') => object | Promise<object>
  let uiDirectory: string
  if (options.source === 'files') {
    const { directory } = options
    uiDirectory = join(directory, 'ui')
    read = async version => JSON.parse(await readFile(join(directory, `${version}.json`), 'utf8'))
  } else {
    // Loaded only here, so that the Lambda artifact can do without it: Swagger costs a cold start more than all else.
    const fromRoutes = await import('./from-routes.ts')
    await app.register(fromRoutes.default, { api, tags })
    uiDirectory = fromRoutes.UI_DIRECTORY
    read = version => app[fromRoutes.DECORATORS[version]]()
  }

  if (app.config.DOCS_ENABLED && existsSync(uiDirectory)) serveUi(app, uiDirectory)

  const servers = [
    { url: app.config.PUBLIC_URL },
    { url: new URL(app.config.PUBLIC_URL).pathname, description: 'The host that this document came from' }
  ]
  for (const version of ['v1', 'v2'] as const) {
    app.get(`/openapi/${version}.json`, { schema: { hide: true } }, createStaticAnswer({
      load: async () => JSON.stringify({ ...await read(version), servers }),
      type: 'application/json; charset=utf-8',
      // The same for all clients until the next deployment.
      cacheControl: 'public, max-age=300'
    }))
  }
}, { name: 'docs', dependencies: ['config', 'errors', 'rate-limit'] })
