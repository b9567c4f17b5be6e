import type { Count } from '../../plugins/metrics.ts'
import type { Keys } from '../../plugins/keys/index.ts'
import { idFrom, UUID } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { createCursors, DEFAULT_PAGE } from '../../shared/paging.ts'
import type { Actor, UsersService } from '../users/contract.ts'
import type { PurchaseOrdersService } from './contract.ts'
import { PurchaseOrderNotFound, PurchaseOrdersExhausted } from './errors.ts'
import type { PurchaseOrdersRepository } from './repository.ts'

export interface ServiceOptions {
  repository: Pick<PurchaseOrdersRepository, 'add' | 'get' | 'list' | 'remove'>
  users: Pick<UsersService, 'read'>
  keys: Pick<Keys, 'seal' | 'open'>
  /** purchase orders that an account may have */
  max: number
  count: Count
}

/** The name of the list in its cursors. */
const LIST = 'purchase-orders'

/**
 * An id that begins with the time, so that ids sort by it: UUID, version 7 (RFC 9562). The rest comes from another id, so
 * that a repeated operation gives the same one.
 */
function timedId (time: Date, id: string): string {
  const milliseconds = time.getTime().toString(16).padStart(12, '0')
  return `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-7${id.slice(15)}`
}

/** The rules of purchase orders. Knows neither HTTP nor the table. */
export function createService ({ repository, users, keys, max, count }: ServiceOptions): PurchaseOrdersService {
  const { placeIn, pageOf } = createCursors(keys)

  /** The caller's id. A token may have outlived its account, or the account's right to act. */
  async function ownerOf (actor: Actor): Promise<string> {
    return (await users.read(actor, actor.userId)).id
  }

  return {
    async create (actor, request, operation, correlationId) {
      const userId = await ownerOf(actor)
      const at = operation.startedAt
      const created = { id: timedId(at, idFrom(operation.id, LIST)), ...request, createdAt: at.toISOString() }
      const entry = outboxEntry('purchase-order.created', { subject: userId, correlationId, now: at, data: created, eventId: idFrom(operation.id, 'created') })
      const outcome = await repository.add(userId, created, { max, entry })
      if (outcome === 'full') {
        count('PurchaseOrdersRefused')
        throw new PurchaseOrdersExhausted()
      }
      if (outcome === 'added') count('PurchaseOrdersCreated')
      return created
    },

    async get (actor, id) {
      const userId = await ownerOf(actor)
      const found = UUID.test(id) ? await repository.get(userId, id) : undefined
      if (found === undefined) throw new PurchaseOrderNotFound()
      return found
    },

    async list (actor, { limit = DEFAULT_PAGE, cursor }) {
      const userId = await ownerOf(actor)
      const before = await placeIn(cursor, LIST)
      return pageOf(await repository.list(userId, { limit, before }), LIST, item => item)
    },

    async remove (actor, id) {
      const userId = await ownerOf(actor)
      if (!UUID.test(id) || !await repository.remove(userId, id)) throw new PurchaseOrderNotFound()
    }
  }
}
