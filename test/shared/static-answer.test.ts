import Fastify from 'fastify'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { addVary, matchesEtag } from '../../src/shared/http-cache.ts'
import { codingOf, createStaticAnswer } from '../../src/shared/static-answer.ts'

const TEXT = 'Ein Text, der sich wiederholt. '.repeat(1000)

async function build (t: Test, load: () => string | Buffer | Promise<string>) {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async (_request, reply) => { reply.header('vary', 'Origin') })
  app.get('/file', createStaticAnswer({ load, type: 'text/plain; charset=utf-8', cacheControl: 'public, max-age=60', headers: { 'x-own': 'yes' } }))
  return async (headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') => await app.inject({ method, url: '/file', headers })
}

t.test('the coding that the client likes best is chosen', async t => {
  for (const [accepted, coding] of [
    [undefined, 'identity'], ['', 'identity'], ['gzip', 'gzip'], ['br', 'br'], ['gzip, deflate, br, zstd', 'br'], ['br;q=0.5, gzip', 'gzip'], ['GZIP;Q=0.9', 'gzip'],
    ['br;q=0, gzip;q=0', 'identity'], ['*', 'br'], ['*;q=0.1, br;q=0', 'gzip'], ['identity', 'identity'], ['zstd', 'identity'], ['gzip;a=1;q=0.5', 'gzip'], ['gzip;a=1;q=0', 'identity'], ['gzip;q=x', 'identity'], [',;=,', 'identity']
  ] as const) t.equal(codingOf(accepted), coding, String(accepted))
})

t.test('the same content in each form, with an ETag of its own', async t => {
  const ask = await build(t, () => TEXT)
  const plain = await ask()
  const gzip = await ask({ 'accept-encoding': 'gzip' })
  const br = await ask({ 'accept-encoding': 'gzip, br' })
  t.equal(plain.body, TEXT)
  t.equal(gunzipSync(gzip.rawPayload).toString(), TEXT)
  t.equal(brotliDecompressSync(br.rawPayload).toString(), TEXT)
  t.same([plain, gzip, br].map(({ headers }) => headers['content-encoding']), [undefined, 'gzip', 'br'])
  t.match(plain.headers['etag'], /^"[\w-]{22}"$/)
  for (const [coding, answer] of Object.entries({ gzip, br })) t.equal(answer.headers['etag'], String(plain.headers['etag']).replace(/"$/, `-${coding}"`))
  t.equal(new Set([plain, gzip, br].map(({ headers }) => headers['etag'])).size, 3)
  for (const answer of [plain, gzip, br]) {
    t.equal(answer.statusCode, 200)
    t.match(answer.headers, { vary: 'Origin, accept-encoding', 'cache-control': 'public, max-age=60', 'content-type': 'text/plain; charset=utf-8', 'x-own': 'yes', etag: /^"[\w-]+"$/ })
    t.equal(answer.headers['content-length'], String(answer.rawPayload.length))
  }
})

t.test('a client that has it is answered 304, with the same headers and no body', async t => {
  const ask = await build(t, () => TEXT)
  for (const accept of ['identity', 'gzip', 'br']) {
    const { headers: { etag } } = await ask({ 'accept-encoding': accept })
    for (const known of [etag!, `W/${String(etag)}`, `"other", ${String(etag)}`, '*']) {
      const answer = await ask({ 'accept-encoding': accept, 'if-none-match': String(known) })
      t.equal(answer.statusCode, 304, String(known))
      t.equal(answer.body, '')
      t.match(answer.headers, { etag, vary: 'Origin, accept-encoding', 'cache-control': 'public, max-age=60' })
      t.notHas(answer.headers, { 'content-encoding': accept })
    }
    t.equal((await ask({ 'accept-encoding': accept, 'if-none-match': '"other"' })).statusCode, 200)
  }
})

t.test('HEAD has the headers of GET', async t => {
  const ask = await build(t, () => TEXT)
  const [get, head] = [await ask({ 'accept-encoding': 'br' }), await ask({ 'accept-encoding': 'br' }, 'HEAD')]
  t.equal(head.body, '')
  const { date: _, ...expected } = get.headers
  t.match(head.headers, expected)
})

t.test('it is made once, when it is first asked for, however many ask; a failure is not kept', async t => {
  let made = 0
  const ask = await build(t, async () => {
    made++
    if (made === 1) throw new Error('not this time')
    return TEXT
  })
  t.equal(made, 0)
  t.equal((await ask()).statusCode, 500)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask({ 'accept-encoding': ['identity', 'gzip', 'br'][i % 3]! })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.equal(made, 2)
})

t.test('what is small is not compressed; its size is that of its bytes', async t => {
  const umlauts = await build(t, () => 'é'.repeat(600))
  t.equal((await umlauts({ 'accept-encoding': 'br' })).headers['content-encoding'], 'br')
  const ask = await build(t, () => 'short')
  const answer = await ask({ 'accept-encoding': 'br' })
  t.equal(answer.body, 'short')
  t.notHas(answer.headers, { 'content-encoding': /./ })
  t.equal(answer.headers['vary'], 'Origin, accept-encoding')
})

t.test('ETags are compared weakly, and Vary is added to', async t => {
  t.ok(matchesEtag('"a"', '"a"'))
  t.ok(matchesEtag('W/"a"', '"a"'))
  t.notOk(matchesEtag(undefined, '"a"'))
  t.notOk(matchesEtag('"ab"', '"a"'))
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async (_request, reply) => {
    for (const field of ['authorization', 'Origin', 'AUTHORIZATION']) addVary(reply, field)
    return ''
  })
  t.equal((await app.inject('/')).headers['vary'], 'authorization, Origin')
})
