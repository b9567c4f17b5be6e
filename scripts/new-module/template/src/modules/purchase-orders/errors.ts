import createError from '@fastify/error'

export const PurchaseOrderNotFound = createError('PURCHASE_ORDERS_NOT_FOUND', 'There is no such purchase order', 404)
export const PurchaseOrdersExhausted = createError('PURCHASE_ORDERS_EXHAUSTED', 'This account has as many purchase orders as it may have', 409)
