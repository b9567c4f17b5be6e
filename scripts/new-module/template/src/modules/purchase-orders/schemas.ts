import { Type, type Static } from '@sinclair/typebox'
import { Id, Timestamp } from '../../shared/ids.ts'
import { MAX_PAGE, NextCursor, Paging } from '../../shared/paging.ts'

const Strict = { additionalProperties: false }

/** What a client says about a purchase order. A field that is written here is accepted, checked, stored and answered. */
const FIELDS = {
  name: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S', examples: ['A first one'] })
}

export const NewPurchaseOrder = Type.Object(FIELDS, { ...Strict, title: 'NewPurchaseOrder' })
export type NewPurchaseOrder = Static<typeof NewPurchaseOrder>

export const PurchaseOrder = Type.Object({ id: Id, ...FIELDS, createdAt: Timestamp }, { $id: 'PurchaseOrder', title: 'PurchaseOrder' })
export type PurchaseOrder = Static<typeof PurchaseOrder>

/** What the table holds. TypeBox itself, which checks it, knows no `format`. */
export const StoredPurchaseOrder = Type.Object({ id: Type.String(), ...FIELDS, createdAt: Type.String() })

export const PURCHASE_ORDERS_ENTRIES = {
  'purchase-order.created': StoredPurchaseOrder
}

const PurchaseOrderRef = Type.Unsafe<PurchaseOrder>({ $ref: 'PurchaseOrder#' })

/** Every text in a path is an id. Most are the id of no purchase order. */
export const PurchaseOrderParams = Type.Object({ id: Type.String({ maxLength: 64, pattern: '^[\\s\\S]*$', description: 'Id of the purchase order', examples: Id.examples as string[] }) })
export const PurchaseOrderQuery = Type.Object(Paging, Strict)

export const PurchaseOrderPage = Type.Object({
  items: Type.Array(PurchaseOrderRef, { maxItems: MAX_PAGE, description: 'Newest first' }),
  nextCursor: NextCursor
}, { title: 'PurchaseOrderPage' })
export type PurchaseOrderPage = Static<typeof PurchaseOrderPage>
