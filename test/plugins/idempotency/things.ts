import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { App } from '../../../src/app.ts'
import type { Operation } from '../../../src/plugins/idempotency/index.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { rawRequest } from '../raw-http.ts'
import { forgetRecords } from './support.ts'

type Work = (request: FastifyRequest, reply: FastifyReply) => unknown
export const create: Work = ({ operation }, reply) => {
  reply.code(201).header('location', `/things/${operation.id}`).header('x-private', 'of each answer')
  return { id: operation.id, name: 'Ünïcode ✓' }
}

interface Things {
  /** what the routes do */
  work: Work
  /** the operations that ran, in order */
  ran: Operation[]
}

export interface Sending { key?: string | undefined, payload?: object, url?: string, method?: 'POST' | 'PATCH', remoteAddress?: string, headers?: Record<string, string>, to?: TestApp }

/** The app with idempotent routes, which do what a test sets and forget between tests what they did. */
export async function startThings (t: Test) {
  const engines = await startEngines(t)

  const things: Things = { work: create, ran: [] }

  function addRoutes (app: App) {
    const handler = async (request: FastifyRequest, reply: FastifyReply) => {
      things.ran.push(request.operation)
      return await things.work(request, reply)
    }
    const body = { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, additionalProperties: false }
    app.post('/things', { config: { idempotent: true, limit: false }, schema: { body } }, handler)
    app.post('/other', { config: { idempotent: true, limit: false }, schema: { body } }, handler)
    app.patch('/things', { config: { idempotent: true, limit: false }, schema: { body } }, handler)
    app.post('/plain', { config: { limit: false }, schema: { body } }, async () => 'plain')
    app.register(async scope => {
      scope.addHook('onRequest', app.authenticate)
      scope.post('/mine', { config: { idempotent: true, limit: false }, schema: { body } }, handler)
    })
  }
  const app = await buildTestApp(t, engines, { beforeReady: addRoutes })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const overTheSocket = (key: string) => rawRequest('POST', '/things', { headers: `Idempotency-Key: ${key}\r\n`, body: '{"a":1}' })

  t.beforeEach(async () => {
    things.work = create
    things.ran = []
    await forgetRecords(app)
  })

  const send = ({ key, payload = { a: 1 }, url = '/things', method = 'POST', headers = {}, to = app, ...rest }: Sending) =>
    to.inject({ method, url, payload, headers: { ...headers, ...(key === undefined ? {} : { 'idempotency-key': key }) }, ...rest })
  const newKey = () => `"${newId()}"`

  return { engines, things, addRoutes, app, port, overTheSocket, send, newKey }
}
