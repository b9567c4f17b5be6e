import type { Operation } from '../../plugins/idempotency/index.ts'
import type { EntryOf } from '../../plugins/outbox/index.ts'
import type { Actor } from '../users/contract.ts'
import type { NewPurchaseOrder, PURCHASE_ORDERS_ENTRIES, PurchaseOrder, PurchaseOrderPage } from './schemas.ts'

export type { NewPurchaseOrder, PurchaseOrder, PurchaseOrderPage } from './schemas.ts'

/** What the outbox of the purchase orders table holds. */
export type PurchaseOrdersEntry = EntryOf<typeof PURCHASE_ORDERS_ENTRIES>

/** The interface of this module for other modules. Each function throws AUTH_TOKEN_INVALID when the account is suspended or gone. */
export interface PurchaseOrdersService {
  /** Creates a purchase order of the caller. Safe to repeat with the same operation. Throws PURCHASE_ORDERS_EXHAUSTED. */
  create (actor: Actor, request: NewPurchaseOrder, operation: Operation, correlationId: string): Promise<PurchaseOrder>
  /** A purchase order of the caller. Throws PURCHASE_ORDERS_NOT_FOUND, also for one of another user. */
  get (actor: Actor, id: string): Promise<PurchaseOrder>
  /** A page of the caller's purchase orders, newest first. Throws VALIDATION_FAILED. */
  list (actor: Actor, query: { limit?: number, cursor?: string }): Promise<PurchaseOrderPage>
  /** Deletes a purchase order of the caller. Throws PURCHASE_ORDERS_NOT_FOUND. */
  remove (actor: Actor, id: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    purchaseOrders: PurchaseOrdersService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    /** purchase orders that were created */
    PurchaseOrdersCreated: true
    /** purchase orders that were not created, because the account has as many as it may have */
    PurchaseOrdersRefused: true
  }
}
