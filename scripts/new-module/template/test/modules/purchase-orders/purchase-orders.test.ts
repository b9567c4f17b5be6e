import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { PurchaseOrder, PurchaseOrderPage } from '../../../src/modules/purchase-orders/contract.ts'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { pump } from '../../pump.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: { ...bus.env, PURCHASE_ORDERS_MAX: '3' } })

const URL = '/v2/users/me/purchase-orders'

/** A user who has signed in, and the requests of that user. */
async function userOf (email: string) {
  const { accessToken, user } = await signIn(app, engines, email)
  const headers = { authorization: `Bearer ${accessToken}` }
  return {
    id: user.id,
    create: (payload: object, key = randomUUID()) => app.inject({ method: 'POST', url: URL, headers: { ...headers, 'idempotency-key': key }, payload }),
    get: (path = '') => app.inject({ url: URL + path, headers }),
    remove: (id: string) => app.inject({ method: 'DELETE', url: `${URL}/${id}`, headers }),
    leave: () => app.inject({ method: 'DELETE', url: '/v2/users/me', headers }),
    exportAll: () => app.inject({ url: '/v2/users/me/export', headers })
  }
}

const itemsOf = async (userId: string) => ((await app.dynamodb.send(new ScanCommand({ TableName: app.config.PURCHASE_ORDERS_TABLE }))).Items ?? []).filter(({ pk }) => pk === `user#${userId}`)

t.test('a purchase order is created, read, listed, exported and announced, and is gone when it is deleted', async t => {
  const ada = await userOf('ada@example.com')
  const answer = await ada.create({ name: 'A first one' })
  t.equal(answer.statusCode, 201)
  const created = answer.json<PurchaseOrder>()
  t.match(created, { id: String, name: 'A first one', createdAt: String })
  t.same((await ada.get(`/${created.id}`)).json(), created)
  t.same((await ada.get()).json(), { items: [created], nextCursor: null })
  t.same((await ada.exportAll()).json<{ purchaseOrders: object[] }>().purchaseOrders, [created])
  await pump(app, engines)
  t.same(bus.eventsOf(ada.id).filter(({ type }) => type === 'purchase-order.created').map(({ data }) => data), [{ userId: ada.id, ...created }])

  t.equal((await ada.remove(created.id)).statusCode, 204)
  t.match((await ada.get(`/${created.id}`)).json(), { status: 404, code: 'PURCHASE_ORDERS_NOT_FOUND' })
  t.equal((await ada.remove(created.id)).statusCode, 404)
  t.same((await ada.get()).json(), { items: [], nextCursor: null })
})

t.test('what was deleted before it was announced is not announced', async t => {
  const user = await userOf('quick@example.com')
  const { id } = (await user.create({ name: 'Short lived' })).json<PurchaseOrder>()
  await user.remove(id)
  await pump(app, engines)
  t.same(bus.eventsOf(user.id).filter(({ type }) => type === 'purchase-order.created'), [])
})

t.test('a repeated request with the same key creates one', async t => {
  const user = await userOf('twice@example.com')
  const key = randomUUID()
  const [first, second] = [await user.create({ name: 'Once' }, key), await user.create({ name: 'Once' }, key)]
  t.equal(second.statusCode, 201)
  t.same(second.json(), first.json())
  t.equal((await user.get()).json<PurchaseOrderPage>().items.length, 1)
})

t.test('an operation that is resumed finds what its first attempt wrote', async t => {
  const { id } = await userOf('resumed@example.com')
  const operation = { id: randomUUID(), startedAt: new Date() }
  const create = () => app.purchaseOrders.create({ userId: id }, { name: 'Once' }, operation, 'x')
  t.same(await create(), await create())
  t.equal((await app.purchaseOrders.list({ userId: id }, {})).items.length, 1)
})

t.test('the list is read in pages, newest first, and a cursor of another list is refused', async t => {
  const user = await userOf('pages@example.com')
  const names = ['First', 'Second', 'Third']
  for (const [i, name] of names.entries()) await app.purchaseOrders.create({ userId: user.id }, { name }, { id: randomUUID(), startedAt: new Date(1_800_000_000_000 + i) }, 'x')
  const first = await user.get('?limit=2')
  const { items, nextCursor } = first.json<PurchaseOrderPage>()
  t.same(items.map(({ name }) => name), ['Third', 'Second'])
  t.match(first.headers.link, `</v2/users/me/purchase-orders?limit=2&cursor=${encodeURIComponent(nextCursor!)}>; rel="next"`)
  t.match((await user.get(`?limit=2&cursor=${nextCursor!}`)).json(), { items: [{ name: 'First' }], nextCursor: null })
  t.match((await user.get(`?cursor=${app.keys.seal('users 2026-11')}`)).json(), { status: 400, code: 'VALIDATION_FAILED' })
})

t.test('an account has as many as it may have, also when requests race', async t => {
  const user = await userOf('many@example.com')
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => user.create({ name: `Number ${i}` })))
  t.equal(answers.filter(({ statusCode }) => statusCode === 201).length, 3)
  const refused = answers.filter(({ statusCode }) => statusCode !== 201)
  for (const answer of refused) t.match(answer.json(), { status: 409, code: 'PURCHASE_ORDERS_EXHAUSTED' })
  t.equal(app.logLines.filter(line => 'PurchaseOrdersRefused' in line).length, 3)

  const [{ id }] = (await user.get()).json<PurchaseOrderPage>().items as [PurchaseOrder]
  await user.remove(id)
  t.equal((await user.create({ name: 'In its place' })).statusCode, 201)
})

t.test('a name is checked', async t => {
  const user = await userOf('names@example.com')
  for (const payload of [{}, { name: '' }, { name: ' ' }, { name: 'x'.repeat(101) }, { name: 1 }, { name: 'x', id: 'y' }]) t.equal((await user.create(payload)).statusCode, 400, JSON.stringify(payload))
})

t.test('users see their own only, and requests without a token none', async t => {
  const [owner, other] = [await userOf('owner@example.com'), await userOf('other@example.com')]
  const { id } = (await owner.create({ name: 'Mine' })).json<PurchaseOrder>()
  t.equal((await other.get(`/${id}`)).statusCode, 404)
  t.equal((await other.remove(id)).statusCode, 404)
  t.same((await other.get()).json(), { items: [], nextCursor: null })
  for (const [method, url] of [['POST', URL], ['GET', URL], ['GET', `${URL}/${id}`], ['DELETE', `${URL}/${id}`]] as const) {
    t.equal((await app.inject({ method, url, ...(method === 'POST' ? { payload: { name: 'x' } } : {}) })).statusCode, 401, `${method} ${url}`)
  }
  t.equal((await owner.get(`/${id}`)).statusCode, 200)
})

t.test('an account that is deleted leaves nothing behind, even what was written meanwhile', async t => {
  const user = await userOf('leaving@example.com')
  const stays = await userOf('staying@example.com')
  for (const name of ['One', 'Two']) await user.create({ name })
  await stays.create({ name: 'Stays' })
  t.equal((await itemsOf(user.id)).length, 3, 'two, and their count')
  t.equal((await user.leave()).statusCode, 204)
  await pump(app, engines)
  t.same(await itemsOf(user.id), [])
  t.equal((await user.get()).statusCode, 401)
  t.equal((await itemsOf(stays.id)).length, 2)
})
