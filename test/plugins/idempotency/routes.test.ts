import { UpdateCommand } from '@aws-sdk/lib-dynamodb'
import Fastify from 'fastify'
import { Readable } from 'node:stream'
import t from 'tap'
import { completeEnv } from '../../../local/env.ts'
import aws from '../../../src/plugins/aws/index.ts'
import breakers from '../../../src/plugins/breakers.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import correlation from '../../../src/plugins/correlation.ts'
import dynamodb from '../../../src/plugins/dynamodb.ts'
import errors from '../../../src/plugins/errors/index.ts'
import idempotency from '../../../src/plugins/idempotency/index.ts'
import { createSeal } from '../../../src/plugins/idempotency/key.ts'
import jwt from '../../../src/plugins/jwt.ts'
import keys from '../../../src/plugins/keys/index.ts'
import metrics from '../../../src/plugins/metrics.ts'
import { networkOf } from '../../../src/shared/network.ts'
import { buildTestApp } from '../../app.ts'
import { intercept, lineError, recordCalls } from '../../faults.ts'
import { until } from '../../until.ts'
import { checkDependencies } from '../dependencies.ts'
import { recordsOf } from './support.ts'
import { startThings } from './things.ts'

checkDependencies('idempotency', idempotency, ['dynamodb', 'keys', 'jwt', 'errors'])

const { engines, things, app, send, newKey } = await startThings(t)

t.test('a repeated answer has the headers that say what it is, and no other', async t => {
  const headers = { 'cache-control': 'private, max-age=60', 'content-language': 'de', 'content-type': 'text/x-test', etag: '"1"', link: '</next>; rel="next"', location: '/things/1' }
  things.work = (_request, reply) => reply.code(201).headers({ ...headers, 'x-private': 'x', 'set-cookie': 'a=b' }).send('text')
  const key = newKey()
  await send({ key })
  const again = await send({ key })
  t.match(again.headers, headers)
  t.equal(again.headers['x-private'], undefined)
  t.equal(again.headers['set-cookie'], undefined)
})

t.test('an answer without a body has none when it is repeated, whatever its status', async t => {
  for (const [status, payload] of [[200, undefined], [201, ''], [204, undefined], [399, Buffer.alloc(0)]] as const) {
    things.ran = []
    things.work = (_request, reply) => reply.code(status).send(payload)
    const key = newKey()
    const [first, again] = [await send({ key }), await send({ key })]
    t.equal(again.statusCode, status)
    t.equal(again.body, '')
    t.equal(again.headers['content-type'], first.headers['content-type'], `${status} ${String(payload)}`)
    t.equal(again.headers['content-length'], first.headers['content-length'])
    t.equal(things.ran.length, 1)
  }
})

t.test('an answer that is a stream is not kept: the next attempt is the same operation', async t => {
  things.work = (_request, reply) => reply.code(201).send(Readable.from(['a ', 'stream']))
  const key = newKey()
  for (let i = 0; i < 2; i++) {
    const answer = await send({ key })
    t.equal(answer.body, 'a stream')
    t.equal(answer.headers['idempotent-replayed'], undefined)
  }
  t.equal(things.ran.length, 2)
  t.same(things.ran[1], things.ran[0])
  t.notOk(app.logLines.some(({ msg }) => msg === 'the answer to a request with an Idempotency-Key was not kept'))
})

t.test('a kept answer that is none is a 500, and the handler does not run for it', async t => {
  const caller = `network ${networkOf('127.0.0.1')}`
  for (const answer of [{}, { status: 'x', headers: {}, body: '' }, { status: 200, headers: { a: 1 }, body: '' }, { status: 200, headers: {} }, [], null]) {
    things.ran = []
    const key = newKey()
    await send({ key })
    for (const { pk, sk, operationId } of await recordsOf(app)) {
      if (operationId !== things.ran[0]!.id) continue
      await app.dynamodb.send(new UpdateCommand({
        TableName: app.config.AUTH_TABLE,
        Key: { pk, sk },
        UpdateExpression: 'SET answer = :answer',
        ExpressionAttributeValues: { ':answer': createSeal(caller, key.slice(1, -1)).close(JSON.stringify(answer)) }
      }))
    }
    t.equal((await send({ key })).statusCode, 500, JSON.stringify(answer))
    t.equal(things.ran.length, 1)
  }
})

t.test('a malformed key says what a key looks like', async t => {
  t.equal((await send({ key: 'a b' })).json().errors[0].detail, 'must be a key of at most 255 visible ASCII characters, in double quotes or without blanks, commas and semicolons')
})

t.test('a request without a key, and one to another route, leave no record and no warning', async t => {
  const calls = recordCalls(app)
  const before = app.logLines.length
  t.equal((await send({})).statusCode, 201)
  t.equal((await send({ url: '/plain', key: newKey() })).statusCode, 200)
  t.same(calls.stop(), [])
  t.same(app.logLines.slice(before).filter(({ level }) => level === 'warn' || level === 'error'), [])
})

t.test('a client that must wait is told for how long, by how long the first attempt has been running', async t => {
  const held = Promise.withResolvers<void>()
  things.work = async (_request, reply) => { await held.promise; return reply.send('x') }
  const key = newKey()
  const first = send({ key })
  await until(() => things.ran.length === 1)
  t.equal((await send({ key })).headers['retry-after'], '1')
  const lease = async (left: number) => {
    for (const { pk, sk } of await recordsOf(app)) {
      await app.dynamodb.send(new UpdateCommand({ TableName: app.config.AUTH_TABLE, Key: { pk, sk }, UpdateExpression: 'SET lease = :lease', ExpressionAttributeValues: { ':lease': Date.now() + left } }))
    }
    return Number((await send({ key })).headers['retry-after'])
  }
  t.equal(await lease(14_500), 1, 'it has just begun')
  const late = await lease(11_000)
  t.ok(late >= 10 && late <= 11, `${late}`)
  held.resolve()
  await first
})

t.test('that an answer could not be kept is logged with its reason', async t => {
  const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async () => { throw lineError() })
  t.equal((await send({ key: newKey() })).statusCode, 201)
  stop()
  t.match(app.logLines.findLast(({ msg }) => msg === 'the answer to a request with an Idempotency-Key was not kept'), { level: 'warn', err: { type: 'TimeoutError', code: 'ECONNRESET' } })
})

t.test('an idempotent route keeps the hooks that it has, one or several', async t => {
  const seen: string[] = []
  const hooks = (name: string) => ({ pre: async () => { seen.push(`before ${name}`) }, post: async (_request: unknown, _reply: unknown, payload: unknown) => { seen.push(`after ${name}`); return payload } })
  const [a, b, c] = [hooks('a'), hooks('b'), hooks('c')]
  const other = await buildTestApp(t, engines, {
    beforeReady (app) {
      app.post('/one', { config: { idempotent: true, limit: false }, preHandler: a.pre, onSend: a.post }, async () => 'x')
      app.post('/empty', { config: { idempotent: true, limit: false }, onSend: async () => null }, async () => { seen.push('empty'); return 'x' })
      app.post('/several', { config: { idempotent: true, limit: false }, preHandler: [b.pre, c.pre], onSend: [b.post, c.post] }, async () => 'x')
    }
  })
  for (const url of ['/one', '/several']) t.equal((await send({ to: other, url, key: newKey() })).statusCode, 200)
  t.same(seen.splice(0), ['before a', 'after a', 'before b', 'before c', 'after b', 'after c'])
  const key = newKey()
  for (let i = 0; i < 2; i++) t.equal((await send({ to: other, url: '/empty', key })).body, '')
  t.same(seen, ['empty'], 'what a hook leaves of an answer is kept')
})

t.test('an app without an idempotent route needs no store', async t => {
  const minimal = Fastify()
  t.teardown(() => minimal.close())
  await minimal.register(config, { config: loadConfig(completeEnv({ JWT_SECRET: 'x'.repeat(32) })) })
  for (const plugin of [aws, keys, correlation, errors, metrics, breakers, dynamodb, jwt, idempotency]) await minimal.register(plugin)
  minimal.post('/things', { config: {} }, async () => 'x')
  minimal.post('/others', async () => 'x')
  await t.resolves(async () => await minimal.ready())
  t.ok(minimal.hasPlugin('idempotency'))
})
