import type { Permissions } from '../../template/iam.ts'

/** The AWS actions of this module. test/template/iam-recording.test.ts compares them with the calls that these requests make. */
export const PERMISSIONS: Permissions = {
  used: {
    PurchaseOrdersTable: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:Query'],
    'PurchaseOrdersTable/index/outbox': ['dynamodb:Query']
  },
  streams: ['PurchaseOrdersTable'],
  async use (ask) {
    const { id } = (await ask('POST', '/v2/users/me/purchase-orders', { name: 'A first one' })).json<{ id: string }>()
    await ask('GET', `/v2/users/me/purchase-orders/${id}`)
    await ask('GET', '/v2/users/me/purchase-orders')
    await ask('DELETE', `/v2/users/me/purchase-orders/${id}`)
  }
}
