import Fastify from 'fastify'
import t from 'tap'
import { completeEnv } from '../../../local/env.ts'
import aws from '../../../src/plugins/aws/index.ts'
import breakers from '../../../src/plugins/breakers.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import correlation from '../../../src/plugins/correlation.ts'
import dynamodb from '../../../src/plugins/dynamodb.ts'
import errors from '../../../src/plugins/errors/index.ts'
import idempotency from '../../../src/plugins/idempotency/index.ts'
import jwt from '../../../src/plugins/jwt.ts'
import keys from '../../../src/plugins/keys/index.ts'
import metrics from '../../../src/plugins/metrics.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { recordCalls } from '../../faults.ts'
import { bearer, PERSON } from '../minimal-app.ts'
import { sayTo, type RawAnswer } from '../raw-http.ts'
import { alter, recordsOf } from './support.ts'
import { create, startThings, type Sending } from './things.ts'

const { engines, things, addRoutes, app, port, overTheSocket, send, newKey } = await startThings(t)

t.test('a repetition gets the first answer again, byte for byte, and does nothing', async t => {
  const key = newKey()
  const ask = () => sayTo(port, overTheSocket(key))
  const [first, second] = [await ask(), await ask()]
  t.equal(first.status, 201)
  t.equal(second.status, 201)
  t.equal(second.body, first.body)
  t.match(first.body, /Ünïcode ✓/)
  const kept = ({ headers }: RawAnswer) => Object.fromEntries(Object.entries(headers).filter(([name]) => !['date', 'x-correlation-id', 'x-private', 'idempotent-replayed'].includes(name)))
  t.match(kept(first), { 'content-type': 'application/json; charset=utf-8', location: /^\/things\// })
  t.same(kept(second), kept(first))
  t.equal(first.headers['idempotent-replayed'], undefined)
  t.equal(second.headers['idempotent-replayed'], 'true')
  t.not(second.headers['x-correlation-id'], first.headers['x-correlation-id'], 'each request has its own')
  t.equal(things.ran.length, 1)
})

t.test('an answer without a body is repeated too, and text as it was', async t => {
  for (const [status, payload] of [[204, undefined], [200, 'text, not JSON'], [303, Buffer.from([0, 255, 1])]] as const) {
    things.work = (_request, reply) => reply.code(status).send(payload)
    const key = newKey()
    const [first, second] = [await send({ key }), await send({ key })]
    t.equal(second.statusCode, status)
    t.same(second.rawPayload, first.rawPayload)
    t.equal(second.headers['content-type'], first.headers['content-type'])
    t.equal(second.headers['content-length'], first.headers['content-length'])
    t.equal(second.headers['idempotent-replayed'], 'true')
  }
})

t.test('the same key for another request is a 422, whatever the difference', async t => {
  const key = newKey()
  const first = await send({ key, payload: { a: 1, b: 2 } })
  for (const other of [{ payload: { a: 1, b: 3 } }, { payload: { a: 1 } }, { url: '/other', payload: { a: 1, b: 2 } }, { url: '/things?x=1', payload: { a: 1, b: 2 } }, { method: 'PATCH' as const, payload: { a: 1, b: 2 } }]) {
    const answer = await send({ key, ...other })
    t.equal(answer.statusCode, 422, JSON.stringify(other))
    t.equal(answer.json().code, 'IDEMPOTENCY_KEY_REUSED')
  }
  t.equal((await send({ key, payload: { b: 2, a: 1 } })).body, first.body, 'the order of properties is no difference')
  t.equal(things.ran.length, 1)
})

t.test('an invalid request leaves the key free', async t => {
  const key = newKey()
  t.equal((await send({ key, payload: { a: 'x' } })).statusCode, 400)
  t.equal((await send({ key, url: '/mine' })).statusCode, 401)
  t.same(await recordsOf(app), [])
  t.equal((await send({ key, payload: { a: 2 } })).statusCode, 201)
})

t.test('a key is good for 24 hours, also when the table has not removed it yet', async t => {
  const key = newKey()
  const start = Math.floor(Date.now() / 1000)
  await send({ key })
  const [record] = await recordsOf(app)
  t.ok(record!.expiresAt - start >= 24 * 3600 && record!.expiresAt - start <= 24 * 3600 + 5)
  await alter(app, { expiresAt: start + 60 })
  await send({ key })
  t.equal(things.ran.length, 1)
  await alter(app, { expiresAt: Math.floor(Date.now() / 1000) })
  t.equal((await send({ key, payload: { a: 2 } })).statusCode, 201)
  t.equal(things.ran.length, 2)
  t.not(things.ran[1]!.id, things.ran[0]!.id)
})

t.test('a key belongs to its caller', async t => {
  const key = newKey()
  const token = (sub: string) => app.accessTokens.sign({ ...PERSON, sub })
  const [ada, bob] = [await token(newId()), await token(newId())]
  const callers: Sending[] = [
    { remoteAddress: '192.0.2.1' }, { remoteAddress: '192.0.2.2' }, { remoteAddress: '2001:db8:1:2::1' },
    { url: '/mine', headers: bearer(ada) }, { url: '/mine', headers: bearer(bob), remoteAddress: '192.0.2.1' }
  ]
  const bodies = []
  for (const caller of callers) bodies.push((await send({ key, ...caller })).body)
  t.equal(new Set(bodies).size, callers.length)
  for (const [i, caller] of callers.entries()) t.equal((await send({ key, ...caller })).body, bodies[i])
  t.equal((await send({ key, remoteAddress: '2001:db8:1:2:ffff::9' })).body, bodies[2], 'the same network')
  t.equal((await send({ key, url: '/mine', headers: bearer(ada), remoteAddress: '203.0.113.7' })).body, bodies[3], 'the same user elsewhere')
  t.equal(things.ran.length, callers.length)
})

t.test('a key may be sent with its quotes or without', async t => {
  for (const [first, second] of [['"abc"', 'abc'], ['8e03978e-40d5-43e8-bc93-6894a57f9324', '"8e03978e-40d5-43e8-bc93-6894a57f9324"'], ['"with blank, and comma; too"', '"with blank, and comma; too"'], ['a', '"a"'], [`"${'x'.repeat(253)}"`, 'x'.repeat(253)], ['order_1:2/3+4=', '"order_1:2/3+4="'], ['"a\\"b\\\\c"', '"a\\"b\\\\c"']] as const) {
    things.ran = []
    const answer = await send({ key: first })
    t.equal(answer.statusCode, 201, first)
    t.equal((await send({ key: second })).body, answer.body, second)
    t.equal(things.ran.length, 1)
  }
})

t.test('a malformed key is a 400 that names the header', async t => {
  for (const key of ['', ' ', '""', '"a', 'a"', 'a b', 'a,b', '"a", "b"', '"a";p=1', 'a;b', '"a\\b"', 'back\\slash', 'naïve', '"naïve"', 'x'.repeat(256), `"${'x'.repeat(254)}"`, '\u0001']) {
    const answer = await send({ key })
    t.equal(answer.statusCode, 400, key)
    t.match(answer.json(), { code: 'VALIDATION_FAILED', errors: [{ pointer: '#/idempotency-key' }] }, key)
  }
  t.equal(things.ran.length, 0)
})

t.test('a route that is not idempotent does not look at the header', async t => {
  t.equal((await send({ url: '/plain', key: '"' })).statusCode, 200)
  t.same(await recordsOf(app), [])
})

t.test('without a key no AWS call is made, with one two, and one for a repetition', async t => {
  async function callsOf (key?: string) {
    const calls = recordCalls(app)
    t.equal((await send({ key })).statusCode, 201)
    return calls.stop()
  }
  t.same(await callsOf(), [])
  t.not(things.ran[0]!.id, undefined)
  const key = newKey()
  t.same(await callsOf(key), ['PutItemCommand', 'UpdateItemCommand'])
  t.same(await callsOf(key), ['PutItemCommand'])
})

t.test('with the table down, a request with a key is a 503 and does nothing, and one without a key goes on', async t => {
  const down = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:1' }, beforeReady: addRoutes })
  const refused = await send({ to: down, key: newKey() })
  t.equal(refused.statusCode, 503)
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal(things.ran.length, 0)
  t.equal((await send({ to: down })).statusCode, 201)
})

t.test('the table keeps nothing readable: no key, no caller, no request, no answer', async t => {
  const key = newKey()
  const { id } = (await send({ key, payload: { a: 123_456_789 }, remoteAddress: '203.0.113.77' })).json<{ id: string }>()
  const records = await recordsOf(app)
  t.equal(records.length, 1)
  const { answer, operationId, ...rest } = records[0]!
  const text = `${JSON.stringify(rest)}${Buffer.from(answer!).toString('latin1')}${Buffer.from(answer!).toString('base64')}`
  for (const trace of [key.slice(1, -1), '203.0.113', '123456789', '/things', id, 'location']) t.notOk(text.includes(trace), trace)
})

t.test('a rotation of the root secret forgets no key', async t => {
  const key = newKey()
  const first = await send({ key })
  things.work = () => { throw new Error('unexpected') }
  const interrupted = newKey()
  await send({ key: interrupted })
  things.work = create
  const rotated = await buildTestApp(t, engines, { env: { JWT_SECRET: 'a new root secret of 32 characters or more', JWT_SECRET_PREVIOUS: engines.env['JWT_SECRET'] }, beforeReady: addRoutes })
  t.equal((await send({ key, to: rotated })).body, first.body)
  t.equal((await send({ key, to: rotated, payload: { a: 2 } })).statusCode, 422)
  t.equal((await send({ key: interrupted, to: rotated })).statusCode, 201)
  t.same(things.ran.map(({ id }) => id), [things.ran[0]!.id, things.ran[1]!.id, things.ran[1]!.id])
  const later = newKey()
  const answer = await send({ key: later, to: rotated })
  t.equal((await send({ key: later, to: rotated })).body, answer.body)
})

t.test('an idempotent route without a store, or a second store, keeps the app from starting', async t => {
  async function build (opened: number) {
    const minimal = Fastify()
    t.teardown(() => minimal.close())
    await minimal.register(config, { config: loadConfig(completeEnv({ JWT_SECRET: 'x'.repeat(32) })) })
    for (const plugin of [aws, keys, correlation, errors, metrics, breakers, dynamodb, jwt, idempotency]) await minimal.register(plugin)
    for (let i = 0; i < opened; i++) minimal.idempotency.open({ table: 'T', key: id => ({ id }) })
    minimal.post('/things', { config: { idempotent: true } }, async () => 'x')
    await minimal.ready()
  }
  await t.rejects(build(0), /no module has opened a store.*POST \/things/)
  await t.rejects(build(2), /open already/)
  await t.resolves(build(1))
})
