import Fastify, { type FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import requestTarget, { pathOf, routableTarget } from '../../src/plugins/request-target.ts'
import { sayTo } from './raw-http.ts'

/** Targets as clients send them: what is routed, and the path that answers and logs name. */
const TARGETS: [target: string, routed: string, path: string][] = [
  ['/v2/users', '/v2/users', '/v2/users'],
  ['/v2/users?a=/b#c', '/v2/users?a=/b#c', '/v2/users'],
  ['/a#b?c', '/a#b?c', '/a'],
  ['/a%20b?x=%zz', '/a%20b?x=%zz', '/a%20b'],
  ['//x/y', '//x/y', '//x/y'],
  ['http://x/v2/users?y', '/v2/users?y', '/v2/users'],
  ['HTTPS://user:secret@x.example:81/v2', '/v2', '/v2'],
  ['http://x', '/', '/'],
  ['http://x?y/', '/?y/', '/'],
  ['http://x#y', '/#y', '/'],
  ['http:///a', '/a', '/a'],
  ['/http://x/y', '/http://x/y', '/http://x/y'],
  ['x/http://y/z', '/x/http://y/z', '/x/http://y/z'],
  ['ftp://x/', '/ftp://x/', '/ftp://x/'],
  ['*', '/', '/'],
  ['', '/', '/'],
  ['/%zz?x=%zz', '/%25zz?x=%zz', '/%zz'],
  ['http://x/a%/%41#%', '/a%25/%2541#%', '/a%/%41']
]

t.test('every target becomes one that can be routed, and keeps the path that was sent', async t => {
  for (const [target, routed, path] of TARGETS) {
    t.equal(routableTarget({ url: target } as IncomingMessage), routed, target)
    t.equal(pathOf({ originalUrl: target } as FastifyRequest), path, target)
  }
})

t.test('a path that cannot be decoded, and a request of HTTP/1.1 without a host, are refused after the hooks before', async t => {
  const seen: (string | undefined)[] = []
  const app = Fastify({ rewriteUrl: routableTarget, http: { requireHostHeader: false } })
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => { seen.push(request.originalUrl) })
  await app.register(requestTarget)
  app.get('/*', async () => ({ code: 'none' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  for (const [request, status, code] of [
    ['GET /a%20b HTTP/1.1\r\nHost: x', 200, 'none'],
    ['GET /%zz HTTP/1.1\r\nHost: x', 400, 'URL_MALFORMED'],
    ['GET /%zz HTTP/1.1', 400, 'URL_MALFORMED'],
    ['GET /a HTTP/1.1', 400, 'HOST_MISSING'],
    ['GET /b HTTP/1.1\r\nHost:', 200, 'none'],
    ['GET /c HTTP/1.0', 200, 'none']
  ] as const) {
    const answer = await sayTo(port, `${request}\r\nConnection: close\r\n\r\n`)
    t.same([answer.status, (JSON.parse(answer.body) as { code: string }).code], [status, code], request)
  }
  t.same(seen, ['/a%20b', '/%zz', '/%zz', '/a', '/b', '/c'])
})
