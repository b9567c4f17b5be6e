import createError from '@fastify/error'
import { connect } from 'node:net'
import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { intercept, lineError, loseOneAnswer } from '../../faults.ts'
import { until } from '../../until.ts'
import { alter } from './support.ts'
import { create, startThings } from './things.ts'

const { engines, things, addRoutes, app, port, overTheSocket, send, newKey } = await startThings(t)

t.test('while the first request runs, a repetition is a 409 with Retry-After', async t => {
  const key = newKey()
  const held = Promise.withResolvers<void>()
  things.work = async (request, reply) => { await held.promise; return create(request, reply) }
  const first = send({ key })
  await until(() => things.ran.length === 1)
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
  t.equal(things.ran.length, 1)
})

t.test('of many at once one runs, over two instances', async t => {
  const other = await buildTestApp(t, engines, { beforeReady: addRoutes })
  const key = newKey()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send({ key, to: i % 2 === 0 ? app : other })))
  t.equal(things.ran.length, 1)
  t.same([...new Set(answers.filter(({ statusCode }) => statusCode !== 409).map(({ body }) => body))].length, 1)
})

t.test('an attempt that died is followed by one that is the same operation', async t => {
  const key = newKey()
  things.work = () => new Promise(() => {})
  const client = connect(port, '127.0.0.1')
  client.write(overTheSocket(key))
  await until(() => things.ran.length === 1)
  client.destroy()
  things.work = create
  t.equal((await send({ key })).statusCode, 409)
  await alter(app, { lease: Date.now() })
  const second = await send({ key })
  t.equal(second.statusCode, 201)
  t.same(things.ran[1], things.ran[0], 'id and time')
  t.equal((await send({ key })).body, second.body)
  t.equal(things.ran.length, 2)
})

t.test('two attempts that both run are one operation, and the newer one\'s answer is kept', async t => {
  const key = newKey()
  const held = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  things.work = () => held[things.ran.length - 1]!.promise
  const first = send({ key })
  await until(() => things.ran.length === 1)
  await alter(app, { lease: Date.now() })
  const second = send({ key })
  await until(() => things.ran.length === 2)
  t.same(things.ran[1], things.ran[0])
  held[0]!.resolve('of the first')
  t.equal((await first).body, 'of the first')
  t.equal((await send({ key })).statusCode, 409, 'the second still runs')
  held[1]!.resolve('of the second')
  t.equal((await second).body, 'of the second')
  t.equal((await send({ key })).body, 'of the second')
})

t.test('of two that follow a dead attempt at once one runs', async t => {
  const key = newKey()
  things.work = () => { throw new Error('unexpected') }
  await send({ key })
  const held = Promise.withResolvers<void>()
  things.work = async (request, reply) => { await held.promise; return create(request, reply) }
  const answers = Array.from({ length: 10 }, () => send({ key }))
  await Promise.race(answers)
  held.resolve()
  t.same((await Promise.all(answers)).map(({ statusCode }) => statusCode).sort(), [201, ...Array<number>(9).fill(409)])
  t.equal(things.ran.length, 2)
  t.same(things.ran[1], things.ran[0])
})

t.test('an error of the server is not kept: the next attempt is the same operation', async t => {
  const key = newKey()
  for (const error of [new Error('unexpected'), lineError()]) {
    things.work = () => { throw error }
    const { statusCode } = await send({ key })
    t.ok(statusCode >= 500, String(statusCode))
  }
  things.work = create
  t.equal((await send({ key })).statusCode, 201)
  t.same(things.ran.map(({ id }) => id), Array<string>(3).fill(things.ran[0]!.id))
  t.equal((await send({ key })).headers['idempotent-replayed'], 'true')
})

t.test('an answer that says that nothing was done is not kept, and the key is free for a corrected request', async t => {
  for (const status of [400, 403, 404, 409, 429]) {
    const key = newKey()
    things.ran = []
    things.work = () => { throw new (createError('TEST_REFUSED', 'no', status))() }
    t.equal((await send({ key })).statusCode, status)
    things.work = create
    t.equal((await send({ key, payload: { a: 2 } })).statusCode, 201)
    t.not(things.ran[1]!.id, things.ran[0]!.id)
  }
})

t.test('such an answer after an attempt that may have written does not forget the operation', async t => {
  const key = newKey()
  for (const status of [500, 409, 500]) {
    things.work = () => { throw new (createError('TEST_REFUSED', 'no', status))() }
    t.equal((await send({ key })).statusCode, status)
  }
  things.work = create
  t.equal((await send({ key })).statusCode, 201)
  t.same(things.ran.map(({ id }) => id), Array<string>(4).fill(things.ran[0]!.id))
})

t.test('a lost answer of any of its writes changes nothing', async t => {
  for (const [command, prepare, statuses] of [
    ['PutItemCommand', () => {}, [201]],
    ['UpdateItemCommand', () => {}, [201]],
    // The second of these is the takeover.
    ['UpdateItemCommand', () => { things.work = () => { things.work = create; throw new Error('unexpected') } }, [500, 201]],
    ['DeleteItemCommand', () => { things.work = () => { things.work = create; throw new (createError('TEST_REFUSED', 'no', 409))() } }, [409, 201]]
  ] as const) {
    things.ran = []
    prepare()
    const key = newKey()
    const fault = loseOneAnswer(app.dynamodb, command)
    for (const status of statuses) t.equal((await send({ key })).statusCode, status, `${command} ${status}`)
    fault.stop()
    t.ok(fault.wasLost(), command)
    t.equal((await send({ key })).headers['idempotent-replayed'], 'true')
    t.equal(things.ran.length, statuses.length)
  }
  const key = newKey()
  things.work = () => { things.work = create; throw new Error('unexpected') }
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
  t.same(things.ran[1], things.ran[0])
})
