import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { linkTo, sendPage } from '../../shared/paging.ts'
import { Problem, problem } from '../../shared/problem.ts'
import { wholeNumbers } from '../../shared/query.ts'
import type { PurchaseOrder } from './contract.ts'
import { PurchaseOrderNotFound, PurchaseOrdersExhausted } from './errors.ts'
import { NewPurchaseOrder, PurchaseOrderPage, PurchaseOrderParams, PurchaseOrderQuery } from './schemas.ts'

const tags = ['purchase-orders']
const security = [{ bearer: [] }]

const Shown = Type.Unsafe<PurchaseOrder>({ $ref: 'PurchaseOrder#' })
const missing = problem(PurchaseOrderNotFound, 'No such purchase order of the account')

const routes: FastifyPluginAsyncTypebox = async function purchaseOrdersV2 (app) {
  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    app.post('/v2/users/me/purchase-orders', {
      config: { idempotent: true },
      schema: {
        operationId: 'purchaseOrders.create',
        tags,
        summary: 'Create a purchase order',
        description: 'Creates a purchase order of the account.',
        security,
        body: NewPurchaseOrder,
        response: { 201: Shown, 400: Problem, 401: Problem, 409: problem(PurchaseOrdersExhausted, 'The account has as many purchase orders as it may have') }
      }
    }, async ({ user, body, operation, id }, reply) => {
      reply.code(201)
      return await app.purchaseOrders.create(user, body, operation, id)
    })

    app.get('/v2/users/me/purchase-orders', {
      preValidation: wholeNumbers('limit'),
      schema: {
        operationId: 'purchaseOrders.list',
        tags,
        summary: 'List your purchase orders',
        description: 'Those of the account, newest first. `nextCursor` is `null` in the last page. The header `Link` has the same next page.',
        security,
        querystring: PurchaseOrderQuery,
        response: { 200: { ...PurchaseOrderPage, headers: linkTo('/v2/users/me/purchase-orders') }, 400: Problem, 401: Problem }
      }
    }, async ({ user, query }, reply) => sendPage(reply, '/v2/users/me/purchase-orders', query, await app.purchaseOrders.list(user, query)))

    app.get('/v2/users/me/purchase-orders/:id', {
      schema: {
        operationId: 'purchaseOrders.get',
        tags,
        summary: 'Read a purchase order',
        description: 'One of the account. That of another user is answered as if it did not exist.',
        security,
        params: PurchaseOrderParams,
        response: { 200: Shown, 401: Problem, 404: missing }
      }
    }, async ({ user, params }) => await app.purchaseOrders.get(user, params.id))

    app.delete('/v2/users/me/purchase-orders/:id', {
      schema: {
        operationId: 'purchaseOrders.delete',
        tags,
        summary: 'Delete a purchase order',
        description: 'One of the account.',
        security,
        params: PurchaseOrderParams,
        response: { 204: Type.Null({ description: 'Deleted' }), 401: Problem, 404: missing }
      }
    }, async ({ user, params }, reply) => {
      await app.purchaseOrders.remove(user, params.id)
      return await reply.code(204).send(null)
    })
  })
}
export default routes
