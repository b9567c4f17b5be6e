import Fastify from 'fastify'
import { Readable } from 'node:stream'
import t from 'tap'
import bodies from '../../../src/plugins/bodies.ts'
import correlation from '../../../src/plugins/correlation.ts'
import errors from '../../../src/plugins/errors/index.ts'

// The plugin alone, on routes that need a body, have no use for one, and list types of their own.

const app = Fastify({ bodyLimit: 1_000_000 })
t.teardown(() => app.close())
await app.register(correlation)
await app.register(errors)
await app.register(bodies)
const handler = async ({ body }: { body: unknown }) => ({ read: body ?? 'nothing' })
app.post('/needs', { schema: { body: {} } }, handler)
app.post('/useless', handler)
app.post('/described', { schema: { querystring: {} } }, handler)
app.route({ method: ['PATCH', 'POST'], url: '/patch', schema: { body: {}, consumes: ['application/merge-patch+json', 'application/json'] }, handler })
await app.ready()

interface Asked { method?: 'POST' | 'PATCH', type?: string | undefined, body?: string | Buffer, chunks?: string[], headers?: Record<string, string> }
async function ask (url: string, { method = 'POST', type, body, chunks, headers = {} }: Asked) {
  const payload = chunks === undefined ? body : Readable.from(chunks.map(chunk => Buffer.from(chunk)))
  const answer = await app.inject({ method, url, headers: { ...(type === undefined ? {} : { 'content-type': type }), ...(chunks === undefined ? {} : { 'transfer-encoding': 'chunked' }), ...headers }, ...(payload === undefined ? {} : { payload }) })
  const { read, code, detail, errors } = answer.json<{ read?: unknown, code?: string, detail?: string, errors?: { pointer: string, detail: string }[] }>()
  return { status: answer.statusCode, ...(read === undefined ? { code, detail } : { read }), errors, accepted: answer.headers['accept-patch'] }
}
const JSON_TYPE = 'application/json'
const UNSUPPORTED = { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' }
const MALFORMED = { status: 400, code: 'BODY_MALFORMED' }
const EMPTY = { ...MALFORMED, detail: 'The body is empty; expected JSON' }

t.test('JSON in UTF-8 is read, however its type is written', async t => {
  for (const type of [JSON_TYPE, 'Application/JSON', ' application/json ', 'application/json;charset=utf-8', 'application/json; charset=UTF8', 'application/json; Charset = "utf-8" ', 'application/json; profile=latin1', 'application/json; charset=utf-8; profile="x"', 'application/json;']) {
    for (const url of ['/needs', '/useless', '/described']) t.match(await ask(url, { type, body: '{"name":"José"}' }), { status: 200, read: { name: 'José' } }, `${url} ${type}`)
  }
})

t.test('what is not JSON in UTF-8 by its headers is refused, and named', async t => {
  const type = (named: string) => `The body must be application/json; this one ${named}`
  const charset = (named: string) => `The body must be in UTF-8; this one has the charset "${named}"`
  for (const [asked, detail] of [
    [{ type: 'text/plain' }, type('is "text/plain"')],
    [{ type: 'nonsense' }, type('is "nonsense"')],
    [{ type: 'application/jsonx' }, type('is "application/jsonx"')],
    [{ type: 'application/merge-patch+json' }, type('is "application/merge-patch+json"')],
    [{ type: 'text/html; x="<é>\\"' }, type('is "text/html; x="')],
    [{ type: `text/${'x'.repeat(56)}` }, type(`is "text/${'x'.repeat(55)}"`)],
    [{ headers: { 'content-length': '2' } }, type('has no content type')],
    [{ type: 'application/json; charset=latin1' }, charset('latin1')],
    [{ type: 'application/json; CHARSET= utf-16 ' }, charset('utf-16')],
    [{ type: 'application/json; charset="utf-8' }, undefined],
    [{ type: 'application/json; charset=xutf-8' }, charset('xutf-8')],
    [{ type: 'application/json; charset=utf-8x' }, charset('utf-8x')],
    [{ type: 'application/json; charset' }, charset('')],
    [{ type: 'application/json; charset=utf-8; charset=x' }, charset('x')],
    [{ type: JSON_TYPE, headers: { 'content-encoding': 'gzip' } }, 'The body must not be compressed; this one has Content-Encoding "gzip"'],
    [{ type: 'application/json; charset=utf-8', headers: { 'content-encoding': '' } }, 'The body must not be compressed; this one has Content-Encoding ""']
  ] as [Asked, string | undefined][]) {
    for (const url of ['/needs', '/useless', '/described']) {
      const answer = await ask(url, { body: '{}', ...asked })
      t.match(answer, detail === undefined ? { status: 200 } : { ...UNSUPPORTED, detail }, `${url} ${asked.type}`)
      t.equal(answer.accepted, undefined)
    }
  }
})

t.test('a route reads the types that its document lists, and says which after a patch of another', async t => {
  const TYPES = 'application/merge-patch+json, application/json'
  for (const type of TYPES.split(', ')) t.match(await ask('/patch', { method: 'PATCH', type, body: '{}' }), { status: 200, read: {} })
  const refused = { ...UNSUPPORTED, detail: 'The body must be application/merge-patch+json or application/json; this one is "text/plain"' }
  t.match(await ask('/patch', { method: 'PATCH', type: 'text/plain', body: '{}' }), { ...refused, accepted: TYPES })
  t.same((await ask('/patch', { type: 'text/plain', body: '{}' })), { ...refused, errors: undefined, accepted: undefined }, 'other methods have no such header')
  t.match(await ask('/patch', { method: 'PATCH', body: '{}' }), { ...UNSUPPORTED, detail: 'The body must be application/merge-patch+json or application/json; this one has no content type', accepted: TYPES })
  t.same((await ask('/patch', { method: 'PATCH', type: JSON_TYPE, body: '{' })).accepted, undefined, 'nor has any other error')
})

t.test('no body is an error only where one is needed, whatever the headers say of it', async t => {
  for (const type of [undefined, JSON_TYPE, 'text/plain', 'application/json; charset=latin1', 'nonsense', 'a/b/c', 'application/', ';']) {
    for (const asked of [{}, { headers: { 'content-length': '0' } }, { headers: { 'content-length': '0', 'content-encoding': 'gzip' } }, ...(type === undefined ? [] : [{ chunks: [] }])]) {
      for (const url of ['/useless', '/described']) t.match(await ask(url, { type, ...asked }), { status: 200, read: 'nothing' }, `${url} ${type} ${JSON.stringify(asked)}`)
    }
  }
  for (const asked of [{}, { headers: { 'content-length': '0' } }, { type: JSON_TYPE }, { type: JSON_TYPE, chunks: [] }]) t.match(await ask('/needs', asked), EMPTY)
  t.match(await ask('/needs', { type: 'text/plain' }), UNSUPPORTED)
})

t.test('a body without a length is read, or refused, like one with a length', async t => {
  for (const url of ['/needs', '/useless']) {
    t.match(await ask(url, { type: JSON_TYPE, chunks: ['[', '1]'] }), { status: 200, read: [1] })
    for (const type of ['text/plain', 'nonsense', 'a/b/c', 'application/', ';']) t.match(await ask(url, { type, chunks: ['[', '1]'] }), UNSUPPORTED, type)
    t.match(await ask(url, { chunks: ['[1]'] }), { ...UNSUPPORTED, detail: 'The body must be application/json; this one has no content type' })
  }
})

t.test('bytes that are no UTF-8, and text that is no JSON, are malformed', async t => {
  t.match(await ask('/needs', { type: JSON_TYPE, body: Buffer.from('"José"', 'latin1') }), { ...MALFORMED, detail: 'The body is not valid UTF-8' })
  for (const body of ['{', 'hush', '{"__proto__":{}}', '{"constructor":{"prototype":{}}}', '"\\ud800']) t.match(await ask('/needs', { type: JSON_TYPE, body }), { status: 400, detail: 'The body is not valid JSON', errors: undefined }, body)
})

t.test('half a character is named by its field, in a value or in a name, and a whole one is read', async t => {
  const VALUE = 'must consist of whole characters'
  const NAME = 'must have property names of whole characters'
  for (const [body, errors] of [
    ['"\\ud800"', [['', VALUE]]],
    ['{"a":"x\\uDFFFx"}', [['/a', VALUE]]],
    ['{"a":["\\uDBFF\\uD800"]}', [['/a/0', VALUE]]],
    ['{"a":{"b/c":"\\ud83d"},"\\ud83d\\ude00":1}', [['/a/b~1c', VALUE]]],
    ['{"a":{"\\ud83d":"\\ud83d"}}', [['/a', NAME]]],
    ['{"a":"\\ud83d\\ude00","b":"\\\\\\ud83d","c":null}', [['/b', VALUE]]],
    ['["\\ud83d","\\ud83d"]', [['/1', VALUE], ['/0', VALUE]]],
    ['{"a":"\\ude00\\ud83d"}', [['/a', VALUE]]]
  ] as const) {
    const answer = await ask('/needs', { type: JSON_TYPE, body })
    t.match(answer, { status: 400, code: 'VALIDATION_FAILED' }, body)
    t.same(answer.errors, errors.map(([pointer, detail]) => ({ pointer, detail })))
  }
  for (const body of ['"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\\\ud83d"', '"\\ue000\\ud7ff"', '{"\\ud83d\\ude00":[null,7]}']) t.match(await ask('/needs', { type: JSON_TYPE, body }), { status: 200, read: JSON.parse(body) }, body)
})

t.test('no more than twenty such fields are named, and none deeper than any schema allows', async t => {
  t.equal((await ask('/needs', { type: JSON_TYPE, body: `[${'"\\ud800",'.repeat(25)}1]` })).errors!.length, 20)
  const deep = (levels: number) => `${'['.repeat(levels)}"\\ud800"${']'.repeat(levels)}`
  t.same((await ask('/needs', { type: JSON_TYPE, body: deep(128) })).errors, [{ pointer: '/0'.repeat(128), detail: 'must consist of whole characters' }])
  t.equal((await ask('/needs', { type: JSON_TYPE, body: deep(129) })).status, 200)
})

t.test('it does not start without what it needs', async t => {
  await t.rejects(async () => await Fastify().register(bodies), { message: /The dependency 'errors' of plugin 'bodies' is not registered/ })
})
