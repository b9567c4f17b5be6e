import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { createHash } from 'node:crypto'
import type { App } from '../../src/app.ts'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import consumers from '../../src/plugins/consumers.ts'
import correlation, { correlationIdOf } from '../../src/plugins/correlation.ts'
import errors from '../../src/plugins/errors/index.ts'
import { sendError } from '../../src/plugins/errors/send-error.ts'
import metrics from '../../src/plugins/metrics.ts'

/** The smallest PNG: one pixel. Not a text in any encoding. */
export const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')

/**
 * What no route of the service shows: an app that answers with what it was asked, byte for byte, and with what
 * transports get wrong. Its consumers return the event they were given.
 */
export async function buildEcho () {
  const app = Fastify({
    genReqId: correlationIdOf,
    bodyLimit: 8 * 1024 * 1024,
    frameworkErrors: (error, request, reply) => sendError(error, request, reply)
  })
  app.decorate('config', { PUBLIC_URL: 'http://localhost:3000', V1_SUNSET: '2027-12-31' } as App['config'])
  await app.register(fp(async () => {}, { name: 'config' }))
  await app.register(metrics)
  await app.register(correlation)
  await app.register(errors)
  await app.register(consumers)
  app.consumers.add({ queue: 'https://sqs.eu-central-1.amazonaws.com/123456789012/Queue' }, async event => ({ queue: event }) as never)
  app.consumers.add({ table: 'Table' }, async event => ({ table: event }) as never)
  app.consumers.add({ bucket: 'bucket' }, async event => ({ bucket: event }) as never)
  app.decorate('outbox', { sweep: async (options: object) => ({ swept: options }) } as unknown as App['outbox'])

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
  app.get('/binary', (_request, reply) => reply.type('image/png').send(PIXEL))
  app.get('/encoded', (_request, reply) => reply.type('text/plain').header('content-encoding', 'br').send(PIXEL))
  app.get('/cookie', (_request, reply) => reply.header('set-cookie', 'a=1; Path=/').send('one'))
  app.get('/cookies', (_request, reply) => reply.header('set-cookie', ['a=1; Path=/', 'b=2; Secure']).send('two'))
  app.get('/nothing', (_request, reply) => reply.code(204).send())
  app.get('/elsewhere', (_request, reply) => reply.redirect('/nothing', 303))
  app.get('/unicode', (_request, reply) => reply.type('text/plain; charset=utf-8').send('Zoë, 佐藤, 🦊, \u0000\u2028'))
  app.post('/small', { bodyLimit: 1 }, (_request, reply) => reply.send())
  app.get<{ Querystring: { bytes: string } }>('/large', (request, reply) => reply.type('text/plain').send('x'.repeat(Number(request.query.bytes))))
  app.route({
    method: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'],
    url: '/echo/*',
    handler: async (request) => {
      const body = request.body as Buffer | undefined
      const { 'x-forwarded-for': _address, 'content-length': _length, connection: _connection, ...headers } = request.headers
      return {
        method: request.method,
        // The query is reported decoded: a REST API decodes it, so its encoding is lost.
        path: request.url.split('?')[0],
        wildcard: (request.params as { '*': string })['*'],
        query: request.query,
        headers: Object.fromEntries(Object.entries(headers).sort()),
        ip: request.ip,
        body: body === undefined ? null : { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
      }
    }
  })
  return app as unknown as App
}

const app = await buildEcho()
/** What a Lambda function of this app exports. */
export const handler = createDispatch(app)
await app.ready()
