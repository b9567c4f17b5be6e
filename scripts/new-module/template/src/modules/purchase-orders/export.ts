import { Type } from '@sinclair/typebox'
import { MAX_PAGE } from '../../shared/paging.ts'
import type { UsersService } from '../users/contract.ts'
import type { PurchaseOrdersRepository } from './repository.ts'
import { PurchaseOrder } from './schemas.ts'

/** Adds what the purchase orders table holds of a user to the user's export. */
export function contributePart ({ users, repository, max }: {
  users: Pick<UsersService, 'contribute'>
  repository: Pick<PurchaseOrdersRepository, 'list'>
  /** purchase orders that an account may have */
  max: number
}): void {
  users.contribute('purchaseOrders', {
    schema: Type.Array(Type.Object(PurchaseOrder.properties), { maxItems: max, description: 'Purchase orders, newest first' }),
    async collect ({ id }) {
      const all: PurchaseOrder[] = []
      let before: string | undefined
      do {
        const { items, next } = await repository.list(id, { limit: MAX_PAGE, before })
        all.push(...items)
        before = next
      } while (before !== undefined)
      return all
    }
  })
}
