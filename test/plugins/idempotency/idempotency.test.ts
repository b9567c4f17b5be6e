import createError from '@fastify/error'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { completeEnv } from '../../../local/env.ts'
import type { App } from '../../../src/app.ts'
import aws from '../../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import correlation from '../../../src/plugins/correlation.ts'
import breakers from '../../../src/plugins/breakers.ts'
import dynamodb from '../../../src/plugins/dynamodb.ts'
import metrics from '../../../src/plugins/metrics.ts'
import errors from '../../../src/plugins/errors/index.ts'
import idempotency, { type Operation } from '../../../src/plugins/idempotency/index.ts'
import jwt from '../../../src/plugins/jwt.ts'
import keys from '../../../src/plugins/keys/index.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, lineError, loseOneAnswer, recordCalls } from '../../faults.ts'
import { until } from '../../until.ts'
import { bearer, PERSON } from '../minimal-app.ts'
import { rawRequest, sayTo, type RawAnswer } from '../raw-http.ts'
import { alter, forgetRecords, recordsOf } from './support.ts'

const engines = await startEngines(t)

type Work = (request: FastifyRequest, reply: FastifyReply) => unknown
const create: Work = ({ operation }, reply) => {
  reply.code(201).header('location', `/things/${operation.id}`).header('x-private', 'of each answer')
  return { id: operation.id, name: 'Ünïcode ✓' }
}
/** what the test's routes do */
let work: Work = create
/** the operations that ran, in order */
let ran: Operation[] = []

function addRoutes (app: App) {
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    ran.push(request.operation)
    return await work(request, reply)
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
  work = create
  ran = []
  await forgetRecords(app)
})

interface Sending { key?: string | undefined, payload?: object, url?: string, method?: 'POST' | 'PATCH', remoteAddress?: string, headers?: Record<string, string>, to?: TestApp }
const send = ({ key, payload = { a: 1 }, url = '/things', method = 'POST', headers = {}, to = app, ...rest }: Sending) =>
  to.inject({ method, url, payload, headers: { ...headers, ...(key === undefined ? {} : { 'idempotency-key': key }) }, ...rest })
const newKey = () => `"${newId()}"`

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
  t.equal(ran.length, 1)
})

t.test('an answer without a body is repeated too, and text as it was', async t => {
  for (const [status, payload] of [[204, undefined], [200, 'text, not JSON'], [303, Buffer.from([0, 255, 1])]] as const) {
    work = (_request, reply) => reply.code(status).send(payload)
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
  t.equal(ran.length, 1)
})

t.test('while the first request runs, a repetition is a 409 with Retry-After', async t => {
  const key = newKey()
  const held = Promise.withResolvers<void>()
  work = async (request, reply) => { await held.promise; return create(request, reply) }
  const first = send({ key })
  await until(() => ran.length === 1)
  const early = await send({ key })
  t.equal(early.statusCode, 409)
  t.equal(early.json().code, 'IDEMPOTENCY_IN_PROGRESS')
  t.equal(early.headers['retry-after'], '1')
  t.equal((await send({ key, payload: { a: 2 } })).statusCode, 422, 'another request is one at once')
  await alter(app, { lease: Date.now() + 5000 })
  const late = await send({ key })
  t.equal(late.statusCode, 409)
  t.equal(late.headers['retry-after'], '5', 'an attempt that takes so long has most likely died: its lease is what to wait for')
  held.resolve()
  const answer = await first
  t.equal((await send({ key })).body, answer.body)
  t.equal(ran.length, 1)
})

t.test('of many at once one runs, over two instances', async t => {
  const other = await buildTestApp(t, engines, { beforeReady: addRoutes })
  const key = newKey()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send({ key, to: i % 2 === 0 ? app : other })))
  t.equal(ran.length, 1)
  t.same([...new Set(answers.filter(({ statusCode }) => statusCode !== 409).map(({ body }) => body))].length, 1)
})

t.test('an attempt that died is followed by one that is the same operation', async t => {
  const key = newKey()
  work = () => new Promise(() => {})
  const client = connect(port, '127.0.0.1')
  client.write(overTheSocket(key))
  await until(() => ran.length === 1)
  client.destroy()
  work = create
  t.equal((await send({ key })).statusCode, 409)
  await alter(app, { lease: Date.now() })
  const second = await send({ key })
  t.equal(second.statusCode, 201)
  t.same(ran[1], ran[0], 'id and time')
  t.equal((await send({ key })).body, second.body)
  t.equal(ran.length, 2)
})

t.test('two attempts that both run are one operation, and the newer one\'s answer is kept', async t => {
  const key = newKey()
  const held = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  work = () => held[ran.length - 1]!.promise
  const first = send({ key })
  await until(() => ran.length === 1)
  await alter(app, { lease: Date.now() })
  const second = send({ key })
  await until(() => ran.length === 2)
  t.same(ran[1], ran[0])
  held[0]!.resolve('of the first')
  t.equal((await first).body, 'of the first')
  t.equal((await send({ key })).statusCode, 409, 'the second still runs')
  held[1]!.resolve('of the second')
  t.equal((await second).body, 'of the second')
  t.equal((await send({ key })).body, 'of the second')
})

t.test('of two that follow a dead attempt at once one runs', async t => {
  const key = newKey()
  work = () => { throw new Error('unexpected') }
  await send({ key })
  const held = Promise.withResolvers<void>()
  work = async (request, reply) => { await held.promise; return create(request, reply) }
  const answers = Array.from({ length: 10 }, () => send({ key }))
  await Promise.race(answers)
  held.resolve()
  t.same((await Promise.all(answers)).map(({ statusCode }) => statusCode).sort(), [201, ...Array<number>(9).fill(409)])
  t.equal(ran.length, 2)
  t.same(ran[1], ran[0])
})

t.test('an error of the server is not kept: the next attempt is the same operation', async t => {
  const key = newKey()
  for (const error of [new Error('unexpected'), lineError()]) {
    work = () => { throw error }
    const { statusCode } = await send({ key })
    t.ok(statusCode >= 500, String(statusCode))
  }
  work = create
  t.equal((await send({ key })).statusCode, 201)
  t.same(ran.map(({ id }) => id), Array<string>(3).fill(ran[0]!.id))
  t.equal((await send({ key })).headers['idempotent-replayed'], 'true')
})

t.test('an answer that says that nothing was done is not kept, and the key is free for a corrected request', async t => {
  for (const status of [400, 403, 404, 409, 429]) {
    const key = newKey()
    ran = []
    work = () => { throw new (createError('TEST_REFUSED', 'no', status))() }
    t.equal((await send({ key })).statusCode, status)
    work = create
    t.equal((await send({ key, payload: { a: 2 } })).statusCode, 201)
    t.not(ran[1]!.id, ran[0]!.id)
  }
})

t.test('such an answer after an attempt that may have written does not forget the operation', async t => {
  const key = newKey()
  for (const status of [500, 409, 500]) {
    work = () => { throw new (createError('TEST_REFUSED', 'no', status))() }
    t.equal((await send({ key })).statusCode, status)
  }
  work = create
  t.equal((await send({ key })).statusCode, 201)
  t.same(ran.map(({ id }) => id), Array<string>(4).fill(ran[0]!.id))
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
  t.equal(ran.length, 1)
  await alter(app, { expiresAt: Math.floor(Date.now() / 1000) })
  t.equal((await send({ key, payload: { a: 2 } })).statusCode, 201)
  t.equal(ran.length, 2)
  t.not(ran[1]!.id, ran[0]!.id)
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
  t.equal(ran.length, callers.length)
})

t.test('a key may be sent with its quotes or without', async t => {
  for (const [first, second] of [['"abc"', 'abc'], ['8e03978e-40d5-43e8-bc93-6894a57f9324', '"8e03978e-40d5-43e8-bc93-6894a57f9324"'], ['"with blank, and comma; too"', '"with blank, and comma; too"'], ['a', '"a"'], [`"${'x'.repeat(253)}"`, 'x'.repeat(253)], ['order_1:2/3+4=', '"order_1:2/3+4="'], ['"a\\"b\\\\c"', '"a\\"b\\\\c"']] as const) {
    ran = []
    const answer = await send({ key: first })
    t.equal(answer.statusCode, 201, first)
    t.equal((await send({ key: second })).body, answer.body, second)
    t.equal(ran.length, 1)
  }
})

t.test('a malformed key is a 400 that names the header', async t => {
  for (const key of ['', ' ', '""', '"a', 'a"', 'a b', 'a,b', '"a", "b"', '"a";p=1', 'a;b', '"a\\b"', 'back\\slash', 'naïve', '"naïve"', 'x'.repeat(256), `"${'x'.repeat(254)}"`, '\u0001']) {
    const answer = await send({ key })
    t.equal(answer.statusCode, 400, key)
    t.match(answer.json(), { code: 'VALIDATION_FAILED', errors: [{ pointer: '#/idempotency-key' }] }, key)
  }
  t.equal(ran.length, 0)
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
  t.not(ran[0]!.id, undefined)
  const key = newKey()
  t.same(await callsOf(key), ['PutItemCommand', 'UpdateItemCommand'])
  t.same(await callsOf(key), ['PutItemCommand'])
})

t.test('with the table down, a request with a key is a 503 and does nothing, and one without a key goes on', async t => {
  const down = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:1' }, beforeReady: addRoutes })
  const refused = await send({ to: down, key: newKey() })
  t.equal(refused.statusCode, 503)
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal(ran.length, 0)
  t.equal((await send({ to: down })).statusCode, 201)
})

t.test('a lost answer of any of its writes changes nothing', async t => {
  for (const [command, prepare, statuses] of [
    ['PutItemCommand', () => {}, [201]],
    ['UpdateItemCommand', () => {}, [201]],
    // The second of these is the takeover.
    ['UpdateItemCommand', () => { work = () => { work = create; throw new Error('unexpected') } }, [500, 201]],
    ['DeleteItemCommand', () => { work = () => { work = create; throw new (createError('TEST_REFUSED', 'no', 409))() } }, [409, 201]]
  ] as const) {
    ran = []
    prepare()
    const key = newKey()
    const fault = loseOneAnswer(app.dynamodb, command)
    for (const status of statuses) t.equal((await send({ key })).statusCode, status, `${command} ${status}`)
    fault.stop()
    t.ok(fault.wasLost(), command)
    t.equal((await send({ key })).headers['idempotent-replayed'], 'true')
    t.equal(ran.length, statuses.length)
  }
  const key = newKey()
  work = () => { work = create; throw new Error('unexpected') }
  await send({ key })
  const fault = loseOneAnswer(app.dynamodb, 'UpdateItemCommand')
  t.equal((await send({ key })).statusCode, 201, 'a takeover whose answer was lost')
  fault.stop()
  t.ok(fault.wasLost())
})

t.test('when the answer cannot be kept, the client gets it all the same, and a repetition is the same operation', async t => {
  const key = newKey()
  const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async () => { throw lineError() })
  t.equal((await send({ key })).statusCode, 201)
  stop()
  t.ok(app.logLines.some(({ msg }) => msg === 'the answer to a request with an Idempotency-Key was not kept'))
  await alter(app, { lease: Date.now() })
  t.equal((await send({ key })).statusCode, 201)
  t.same(ran[1], ran[0])
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
  work = () => { throw new Error('unexpected') }
  const interrupted = newKey()
  await send({ key: interrupted })
  work = create
  const rotated = await buildTestApp(t, engines, { env: { JWT_SECRET: 'a new root secret of 32 characters or more', JWT_SECRET_PREVIOUS: engines.env['JWT_SECRET'] }, beforeReady: addRoutes })
  t.equal((await send({ key, to: rotated })).body, first.body)
  t.equal((await send({ key, to: rotated, payload: { a: 2 } })).statusCode, 422)
  t.equal((await send({ key: interrupted, to: rotated })).statusCode, 201)
  t.same(ran.map(({ id }) => id), [ran[0]!.id, ran[1]!.id, ran[1]!.id])
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
