import { randomUUID } from 'node:crypto'
import { nothing, unknown, type Prepare, type Recipes } from '../../contract/recipes.ts'

/** Two requests differ, so that one is not a repetition of the other. */
const body = () => ({ name: randomUUID() })

/** One of the owner's. */
const existing: Prepare = async (world, { accessToken: token }) => {
  const { id } = await world.call<{ id: string }>('POST', '/v2/users/me/purchase-orders', { token, body: body() })
  return { path: { id } }
}

/** What the contract test (test/contract) cannot read from the documents about the operations of this module. */
export const RECIPES: Recipes = {
  'purchaseOrders.create': { success: () => ({ body: body() }), unseen: { 409: 'needs a small limit: test/modules/purchase-orders/purchase-orders.test.ts' } },
  'purchaseOrders.list': { success: nothing, outcomes: { 400: () => ({ query: { cursor: 'x' } }) } },
  'purchaseOrders.get': { success: existing, outcomes: { 404: unknown('id') } },
  'purchaseOrders.delete': { success: existing, outcomes: { 404: unknown('id') } }
}
