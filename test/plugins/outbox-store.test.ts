import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { createStore } from '../../src/plugins/outbox/store.ts'
import { outboxEntry, type OutboxEntry } from '../../src/shared/outbox.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { intercept, staleReads } from '../faults.ts'
import { waiting } from '../outbox.ts'

const table = 'UsersTable'
const ENTRIES = { 'order.placed': Type.Object({ n: Type.Integer() }), 'order.paid': Type.Object({}) }
const key = (eventId: string) => ({ userId: `outbox#${eventId}` })
const AT = new Date('2026-11-26T12:00:00.000Z')
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

type Order = OutboxEntry<'order.placed', { n: number }>
const order = (eventId: string, now = AT): Order => outboxEntry('order.placed', { subject: 'order 1', correlationId: 'c', data: { n: 1 }, now, eventId })

const { dynamodb } = await buildTestApp(t, await startEngines(t))
const store = createStore(dynamodb, { table, key, entries: ENTRIES })

t.afterEach(async () => { for (const { eventId } of await waiting({ dynamodb }, table)) await store.remove(eventId) })

t.test('an entry is put with what its index, its table and its trace need, and is read without that', async t => {
  const entry = order('abc')
  t.same(store.write(entry), { TableName: table, Item: { ...entry, kind: 'outbox', outbox: 'a', userId: 'outbox#abc' } })
  t.same(store.entryIn(store.write(entry).Item!), entry)
  const traced = createStore(dynamodb, { table, key, entries: ENTRIES }, () => TRACE)
  t.same(traced.write(entry).Item, { ...store.write(entry).Item, traceparent: TRACE })
  t.same(store.entryIn(traced.write(entry).Item!), { ...entry, traceparent: TRACE })
  t.same(store.entryIn({ ...store.write(entry).Item, traceparent: 'no trace' }), entry, 'what is no trace is left out')
  t.equal(Object.hasOwn(store.entryIn(store.write(entry).Item!)!, 'traceparent'), false)
  t.same(store.types, ['order.placed', 'order.paid'])
  t.equal(store.table, table)
})

t.test('what is no entry is none, and an entry that is wrong is an error', async t => {
  const { Item } = store.write(order('abc'))
  for (const other of [{ ...Item, kind: 'user' }, { ...Item, kind: undefined }, {}]) t.equal(store.entryIn(other), undefined)
  for (const [name, wrong] of [['eventId', ''], ['eventId', undefined], ['type', 7], ['subject', undefined], ['occurredAt', 1], ['correlationId', null]] as const) {
    t.throws(() => store.entryIn({ ...Item, [name]: wrong }), { message: 'An outbox entry has no valid head' }, name)
  }
  for (const type of ['order.lost', 'toString', '']) t.throws(() => store.entryIn({ ...Item, type }), { message: 'An outbox entry has a type that this outbox does not know' }, type)
  for (const data of [{ n: 'x' }, undefined, []]) t.throws(() => store.entryIn({ ...Item, data }), { message: 'An outbox entry of type order.placed has no valid data' })
})

t.test('an entry is there until it is removed, also to a replica that is late, and no other item is one', async t => {
  const entry = order('abc')
  t.equal(await store.has('abc'), false)
  const stale = staleReads(dynamodb)
  t.teardown(() => stale.stop())
  await store.has('abc')
  stale.freeze()
  await store.put(entry)
  t.equal(await store.has('abc'), true)
  for (let i = 0; i < 2; i++) {
    await store.remove('abc')
    t.equal(await store.has('abc'), false)
  }
  await dynamodb.send(new PutCommand({ TableName: table, Item: { ...store.write(entry).Item, kind: 'another', outbox: undefined } }))
  t.equal(await store.has('abc'), false)
  await store.remove('abc')
})

t.test('the removal of an expired item is announced where the outbox has an entry for it', async t => {
  await store.announceExpiry({ id: 'x' })
  const announcing = createStore(dynamodb, { table, key, entries: ENTRIES, expired: ({ id }) => id === 'x' ? order('abc') : undefined })
  await announcing.announceExpiry({ id: 'y' })
  t.same(await waiting({ dynamodb }, table), [])
  for (let i = 0; i < 2; i++) await announcing.announceExpiry({ id: 'x' })
  t.same(await waiting({ dynamodb }, table), [order('abc')])
})

const collect = async (olderThan: Date) => {
  const found: (OutboxEntry | Error)[] = []
  for await (const one of store.pending(olderThan)) found.push(one)
  return found
}

t.test('the entries before a moment are found, each once, of all shards and pages, from any shard on', async t => {
  const { random } = Math
  t.teardown(() => { Math.random = random })
  const ids = [...'0123456789abcdef'].flatMap(shard => [`${shard}1`, `${shard}2`])
  for (const id of ids) await store.put(order(id))
  await store.put(order('a3', new Date(AT.getTime() + 1)))
  const stop = intercept(dynamodb, { command: 'QueryCommand', onTheLine: false }, async ({ input, send }) => {
    input['Limit'] = 1
    return await send()
  })
  t.teardown(stop)
  for (const [drawn, first] of [[0, '0'], [0.5, '8'], [0.99, 'f']] as const) {
    Math.random = () => drawn
    const found = (await collect(new Date(AT.getTime() + 1))).map(entry => (entry as OutboxEntry).eventId)
    t.same(found.toSorted(), ids)
    t.equal(found[0]![0], first)
  }
  t.same(await collect(AT), [], 'none of the moment itself')
})

t.test('an entry that cannot be read is found as an error, and the others after it', async t => {
  await store.put({ ...order('a1', new Date(AT.getTime() - 1)), type: 'order.lost' as never })
  await store.put(order('a2'))
  const found = await collect(new Date())
  t.match(found[0], { message: 'An outbox entry has a type that this outbox does not know' })
  t.same(found.slice(1), [order('a2')])
})
