import Fastify from 'fastify'
import t from 'tap'
import securityHeaders from '../../src/plugins/security-headers.ts'

t.test('every answer forbids what an API never needs, and is kept by no cache unless its route says so', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(securityHeaders)
  app.get('/plain', async () => ({}))
  app.get('/kept', async (_request, reply) => { await reply.headers({ 'cache-control': 'max-age=60', 'x-frame-options': 'SAMEORIGIN' }).send({}) })
  const SECURITY = {
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-store'
  }
  for (const [url, own] of [['/plain', {}], ['/kept', { 'cache-control': 'max-age=60', 'x-frame-options': 'SAMEORIGIN' }], ['/unknown', {}]] as const) {
    const { 'content-type': _type, 'content-length': _length, date: _date, connection: _connection, ...headers } = (await app.inject(url)).headers
    t.same(headers, { ...SECURITY, ...own }, url)
  }
})
