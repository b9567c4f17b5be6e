import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { createStore, type Stored } from '../../../src/plugins/idempotency/store.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, staleReads } from '../../faults.ts'

const TABLE = 'AuthTable'
const NOW = 1_700_000_000
/** Seconds since the epoch, as the store sees them; the milliseconds of that second are nearly over. */
let seconds = NOW

const key = (id: string) => ({ pk: `idempotency#${id}`, sk: 'x' })
const { dynamodb } = await buildTestApp(t, await startEngines(t))
const store = createStore(dynamodb, { table: TABLE, key }, () => new Date(seconds * 1000 + 999))

t.beforeEach(() => { seconds = NOW })

const recordOf = (attemptId: string): Stored => ({ fingerprint: 'f', operationId: newId(), startedAt: '2026-11-26T12:00:00.000Z', attemptId, lease: 5, expiresAt: NOW + 10 })

t.test('a record is written once, and is free again in the second in which it expires', async t => {
  const id = newId()
  const [first, second] = [recordOf('first'), recordOf('second')]
  t.equal(await store.find(id), undefined)
  t.same(await store.create(id, first), first)
  t.same(await store.create(id, second), first, 'the earlier one')
  seconds = NOW + 9
  t.match(await store.find(id), first)
  t.match(await store.create(id, second), first)
  seconds = NOW + 10
  t.equal(await store.find(id), undefined)
  t.same(await store.create(id, second), second)
})

t.test('what is found is what was written last, also from a replica that is late', async t => {
  const id = newId()
  await store.create(id, recordOf('first'))
  const stale = staleReads(dynamodb)
  t.teardown(() => stale.stop())
  await store.find(id)
  stale.freeze()
  await store.complete(id, 'first', Buffer.from('answer'))
  t.same(Buffer.from((await store.find(id))!.answer!).toString(), 'answer')
})

t.test('an operation goes from the attempt that had it to the next, once, and not when it is done', async t => {
  const id = newId()
  await store.create(id, recordOf('first'))
  t.equal(await store.takeOver(id, 'another', { attemptId: 'second', lease: 6 }), false)
  t.equal(await store.takeOver(id, 'first', { attemptId: 'second', lease: 6 }), true)
  t.match(await store.find(id), { attemptId: 'second', lease: 6 })
  t.equal(await store.takeOver(id, 'first', { attemptId: 'second', lease: 6 }), true, 'the same once more, as after a lost answer')
  t.equal(await store.takeOver(id, 'first', { attemptId: 'third', lease: 7 }), false)
  await store.complete(id, 'second', Buffer.from('answer'))
  t.equal(await store.takeOver(id, 'second', { attemptId: 'third', lease: 7 }), false)
  t.match(await store.find(id), { attemptId: 'second', lease: 6 })
  t.equal(await store.takeOver(newId(), 'first', { attemptId: 'second', lease: 6 }), false, 'nor where there is none')
})

t.test('an attempt that no longer has the operation changes nothing, and none where there is no record', async t => {
  const id = newId()
  await store.create(id, recordOf('first'))
  for (const where of [id, newId()]) {
    await store.complete(where, 'another', Buffer.from('answer'))
    await store.release(where, 'another')
    await store.remove(where, 'another')
  }
  t.match(await store.find(id), { attemptId: 'first', lease: 5, answer: undefined })
  await store.release(id, 'first')
  t.match(await store.find(id), { attemptId: 'first', lease: 0 })
  await store.remove(id, 'first')
  t.equal(await store.find(id), undefined)
})

t.test('a record that is not as the service writes it is an error, and never an answer', async t => {
  for (const [name, wrong] of [['fingerprint', undefined], ['operationId', 7], ['startedAt', null], ['attemptId', ['x']], ['lease', 'soon'], ['answer', 'text']] as const) {
    const id = newId()
    await dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...key(id), ...recordOf('first'), [name]: wrong } }))
    await t.rejects(store.find(id), { message: 'A record of an idempotency key is not valid' }, name)
    if (name !== 'attemptId') await t.rejects(store.takeOver(id, 'another', { attemptId: 'second', lease: 6 }), { message: 'A record of an idempotency key is not valid' }, name)
  }
})

t.test('a write that is refused though nothing is there is an error: nobody knows whose the operation is', async t => {
  const stop = intercept(dynamodb, { command: 'PutItemCommand', onTheLine: false }, async () => {
    throw Object.assign(new Error('refused'), { name: 'ConditionalCheckFailedException' })
  })
  t.teardown(stop)
  await t.rejects(store.create(newId(), recordOf('first')), { message: 'The write of an idempotency key was refused, and nothing is there' })
})
