import { Type } from '@sinclair/typebox'
import type { EventBus } from '../../plugins/event-bus.ts'
import type { Outboxes } from '../../plugins/outbox/index.ts'
import { Id } from '../../shared/ids.ts'
import type { UsersService } from '../users/contract.ts'
import type { PurchaseOrdersEntry } from './contract.ts'
import type { PurchaseOrdersRepository } from './repository.ts'
import { PurchaseOrder } from './schemas.ts'

export interface EventsOptions {
  outbox: Pick<Outboxes, 'on'>
  repository: Pick<PurchaseOrdersRepository, 'get' | 'forget'>
  users: Pick<UsersService, 'getFresh' | 'follow'>
  eventBus: EventBus
}

/** What other services hear. Its schema is published under /schemas/. */
export const PURCHASE_ORDER_CREATED = {
  type: 'purchase-order.created',
  description: 'A user has created a purchase order',
  data: Type.Object({ userId: Id, ...PurchaseOrder.properties })
}

/** Registers what follows from a new purchase order, and from the deletion of an account. Every step may be repeated. */
export function registerEvents ({ outbox, repository, users, eventBus }: EventsOptions): void {
  outbox.on<PurchaseOrdersEntry>('purchase-order.created', async ({ eventId, type, subject: userId, occurredAt, correlationId, data: created }) => {
    // A purchase order that was written while its account was deleted.
    if (await users.getFresh(userId) === undefined) return await repository.forget(userId)
    // The entry may be late: what has been deleted meanwhile is not announced as new.
    if (await repository.get(userId, created.id) === undefined) return
    await eventBus.publish({ eventId, type, version: 1, occurredAt, correlationId, data: { userId, ...created } })
  })

  users.follow('user.deleted', async ({ subject }) => await repository.forget(subject))
}
