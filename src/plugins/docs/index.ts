import fp from 'fastify-plugin'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createStaticAnswer } from '../../shared/static-answer.ts'
import type { ApiText, Tag } from './api-text.ts'
import type { EventDeclaration, QueueDeclaration } from './events.ts'
import { serveSchemas } from './serve-schemas.ts'
import { serveUi } from './ui.ts'

export type { ApiText } from './api-text.ts'

/**
 * The source of the API documents. `routes` makes them from the registered routes. `files` serves `v1.json` and
 * `v2.json` from a directory, as `npm run openapi` wrote them, without loading Swagger. Swagger UI is served from the
 * directory's `ui` folder, if the build has put it there.
 */
export type DocsSource = { source: 'routes' } | { source: 'files', directory: string }

declare module 'fastify' {
  interface FastifyInstance {
    apiDocs: {
      /** Declares a group of operations, which routes name in `schema.tags`. The documents list groups in this order. */
      tag (tag: Tag): void
      /** Declares an event that the module publishes: its JSON Schema is served under `/schemas/`. */
      event (event: EventDeclaration): void
      /** Declares a queue of the module, for the AsyncAPI document. */
      queue (queue: QueueDeclaration): void
    }
  }
}

/** A list of what modules declare, each under a name of its own. */
function createList<T> (kind: string, nameOf: (one: T) => string) {
  const all: T[] = []
  function add (one: T): void {
    if (all.some(other => nameOf(other) === nameOf(one))) throw new Error(`the ${kind} ${nameOf(one)} is declared twice`)
    all.push(one)
  }
  return { all, add }
}

/** The OpenAPI documents of both versions, the JSON Schemas of events, the AsyncAPI document and, with `DOCS_ENABLED`, Swagger UI. */
export default fp<DocsSource & { api: ApiText }>(async function docs (app, { api, ...options }) {
  const tags = createList<Tag>('tag', ({ name }) => name)
  const events = createList<EventDeclaration>('event', ({ type }) => type)
  const queues = createList<QueueDeclaration>('queue', ({ name }) => name)
  app.decorate('apiDocs', { tag: tags.add, event: events.add, queue: queues.add })
  serveSchemas(app, { events: events.all, queues: queues.all, info: api.events })

  let read: (version: 'v1' | 'v2') => object | Promise<object>
  let uiDirectory: string
  if (options.source === 'files') {
    const { directory } = options
    uiDirectory = join(directory, 'ui')
    read = async version => JSON.parse(await readFile(join(directory, `${version}.json`), 'utf8'))
  } else {
    // Loaded only here, so that the Lambda artifact can omit it: Swagger costs a cold start more than everything else.
    const fromRoutes = await import('./from-routes.ts')
    await app.register(fromRoutes.default, { api, tags: tags.all })
    uiDirectory = fromRoutes.UI_DIRECTORY
    read = version => app[fromRoutes.DECORATORS[version]]()
  }

  if (app.config.DOCS_ENABLED && existsSync(uiDirectory)) serveUi(app, uiDirectory)

  // For generators and API clients that load the document. Swagger UI calls the host that its page was opened at.
  const servers = [{ url: app.config.PUBLIC_URL, 'x-internal': false }]
  for (const version of ['v1', 'v2'] as const) {
    app.get(`/openapi/${version}.json`, { schema: { hide: true } }, createStaticAnswer({
      load: async () => JSON.stringify({ ...await read(version), servers }),
      type: 'application/json; charset=utf-8',
      // The documents are the same for all clients until the next deployment.
      cacheControl: 'public, max-age=300'
    }))
  }
}, { name: 'docs', dependencies: ['config', 'errors', 'rate-limit'] })
