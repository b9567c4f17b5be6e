import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { NotFound } from '../../shared/errors.ts'
import { createStaticAnswer } from '../../shared/static-answer.ts'
import type { Info } from './api-text.ts'
import type { EventDeclaration, QueueDeclaration } from './events.ts'

export interface SchemasOptions {
  /** may grow until the first request, as `queues` */
  events: EventDeclaration[]
  queues: QueueDeclaration[]
  info: Info
}

/**
 * Serves the JSON Schema of each event under `/schemas/`, their list, and the AsyncAPI document. They are made from the
 * modules' declarations with the first request, on Lambda too: that takes a few milliseconds and no Swagger.
 */
export function serveSchemas (app: FastifyInstance, { events, queues, info }: SchemasOptions): void {
  const hidden = { schema: { hide: true } }
  const publicUrl = app.config.PUBLIC_URL
  // Loaded here, because a cold start does not need it.
  const make = () => import('./events.ts')
  const answer = (type: string, load: () => Promise<object>) => createStaticAnswer({
    load: async () => JSON.stringify(await load()),
    type,
    // Changes only with a deployment, like the documents of the API.
    cacheControl: 'public, max-age=300'
  })

  const index = answer('application/json; charset=utf-8', async () => (await make()).indexOf(events, publicUrl))
  app.get('/schemas', hidden, index)
  app.get('/schemas/', hidden, index)
  app.get('/asyncapi.json', hidden, answer('application/json; charset=utf-8', async () => (await make()).asyncApiOf({ info, events, queues })))

  let schemas: Promise<Map<string, ReturnType<typeof createStaticAnswer>>> | undefined
  async function load () {
    const { fileOf, schemaOf } = await make()
    return new Map(events.map(event => [fileOf(event.type), answer('application/schema+json; charset=utf-8', async () => schemaOf(event, publicUrl))]))
  }
  app.get('/schemas/:file', hidden, async (request: FastifyRequest<{ Params: { file: string } }>, reply: FastifyReply) => {
    schemas ??= load()
    const found = (await schemas).get(request.params.file)
    if (found === undefined) throw new NotFound()
    return await found(request, reply)
  })
}
