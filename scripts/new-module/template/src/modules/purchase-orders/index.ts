import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { PURCHASE_ORDER_CREATED, registerEvents } from './events.ts'
import { contributePart } from './export.ts'
import { createRepository } from './repository.ts'
import routesV2 from './routes.v2.ts'
import { PURCHASE_ORDERS_ENTRIES, PurchaseOrder } from './schemas.ts'
import { createService } from './service.ts'

/** Purchase orders of accounts. */
export default fp(async function purchaseOrders (app) {
  app.apiDocs.tag({ name: 'purchase-orders', description: 'Purchase orders of users' })
  app.apiDocs.event(PURCHASE_ORDER_CREATED)
  const { config: { PURCHASE_ORDERS_TABLE: table, PURCHASE_ORDERS_MAX: max }, dynamodb, eventBus, keys, metrics: { count }, users } = app
  const outbox = app.outbox.open({ table, key: eventId => ({ pk: `outbox#${eventId}`, sk: 'outbox' }), entries: PURCHASE_ORDERS_ENTRIES })
  const repository = createRepository({ dynamodb, outbox, table })
  app.decorate('purchaseOrders', createService({ repository, users, keys, max, count }))
  registerEvents({ outbox: app.outbox, repository, users, eventBus })
  contributePart({ users, repository, max })
  app.addSchema(PurchaseOrder)
  await app.register(routesV2)
}, { name: 'purchase-orders', dependencies: ['users', 'config', 'dynamodb', 'outbox', 'event-bus', 'keys', 'jwt', 'idempotency', 'metrics', 'docs'] })
