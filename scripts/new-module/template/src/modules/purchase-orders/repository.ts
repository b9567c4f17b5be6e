import { DeleteCommand, GetCommand, QueryCommand, TransactWriteCommand, type DynamoDBDocumentClient, type QueryCommandInput } from '@aws-sdk/lib-dynamodb'
import { Value } from '@sinclair/typebox/value'
import type { Outbox } from '../../plugins/outbox/index.ts'
import { refusedPositions, unlessRefused } from '../../shared/conditional-write.ts'
import type { Page } from '../../shared/paging.ts'
import type { PurchaseOrder, PurchaseOrdersEntry } from './contract.ts'
import { StoredPurchaseOrder } from './schemas.ts'

export interface PurchaseOrdersRepository {
  /**
   * Writes a purchase order, and the entry that announces it, in one transaction. `known`: it is there already. `full`: the
   * account has `max` of them.
   */
  add (userId: string, created: PurchaseOrder, options: { max: number, entry: PurchaseOrdersEntry }): Promise<'added' | 'known' | 'full'>
  get (userId: string, id: string): Promise<PurchaseOrder | undefined>
  /** A page, newest first. Strongly consistent. */
  list (userId: string, options: { limit: number, before?: string | undefined }): Promise<Page<PurchaseOrder>>
  /** Resolves to whether it was there. */
  remove (userId: string, id: string): Promise<boolean>
  /** Erases what the table holds of an account. Safe to repeat. */
  forget (userId: string): Promise<void>
}

const PREFIX = 'purchase-order#'
const accountOf = (userId: string) => `user#${userId}`
const keyOf = (userId: string, id: string) => ({ pk: accountOf(userId), sk: `${PREFIX}${id}` })
/** The item that counts the others of an account. */
const countKey = (userId: string) => ({ pk: accountOf(userId), sk: 'count' })

/** What a table gives back is checked like anything from outside. */
function storedIn (item: Record<string, unknown>): PurchaseOrder {
  const { pk, sk, ...stored } = item
  if (!Value.Check(StoredPurchaseOrder, stored)) throw new Error('An item of the purchase orders table is not valid')
  return stored
}

/** The only place that knows the keys and items of the purchase orders table. */
export function createRepository ({ dynamodb, outbox, table }: { dynamodb: DynamoDBDocumentClient, outbox: Outbox<PurchaseOrdersEntry>, table: string }): PurchaseOrdersRepository {
  const query = (userId: string, input: Partial<QueryCommandInput>) => dynamodb.send(new QueryCommand({
    TableName: table,
    KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
    ExpressionAttributeValues: { ':pk': accountOf(userId), ':prefix': PREFIX },
    ConsistentRead: true,
    ...input
  }))

  return {
    async add (userId, created, { max, entry }) {
      return await unlessRefused<'added', 'known' | 'full'>(async () => {
        await dynamodb.send(new TransactWriteCommand({
          TransactItems: [
            { Put: { TableName: table, Item: { ...keyOf(userId, created.id), ...created }, ConditionExpression: 'attribute_not_exists(pk)' } },
            {
              Update: {
                TableName: table,
                Key: countKey(userId),
                UpdateExpression: 'ADD #count :one',
                ConditionExpression: 'attribute_not_exists(#count) OR #count < :max',
                ExpressionAttributeNames: { '#count': 'count' },
                ExpressionAttributeValues: { ':one': 1, ':max': max }
              }
            },
            { Put: outbox.write(entry) }
          ]
        }))
        return 'added'
      }, refusal => refusedPositions(refusal).includes(0) ? 'known' : 'full')
    },

    async get (userId, id) {
      const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key: keyOf(userId, id), ConsistentRead: true }))
      return Item === undefined ? undefined : storedIn(Item)
    },

    async list (userId, { limit, before }) {
      // One more than the page needs says whether there is another page.
      const { Items = [] } = await query(userId, { ScanIndexForward: false, Limit: limit + 1, ...(before === undefined ? {} : { ExclusiveStartKey: keyOf(userId, before) }) })
      const items = Items.slice(0, limit).map(storedIn)
      return Items.length > limit ? { items, next: items.at(-1)!.id } : { items }
    },

    async remove (userId, id) {
      return await unlessRefused<boolean, boolean>(async () => {
        await dynamodb.send(new TransactWriteCommand({
          TransactItems: [
            { Delete: { TableName: table, Key: keyOf(userId, id), ConditionExpression: 'attribute_exists(pk)' } },
            { Update: { TableName: table, Key: countKey(userId), UpdateExpression: 'ADD #count :less', ExpressionAttributeNames: { '#count': 'count' }, ExpressionAttributeValues: { ':less': -1 } } }
          ]
        }))
        return true
      }, () => false)
    },

    async forget (userId) {
      for (let start: QueryCommandInput['ExclusiveStartKey'], isRead = false; !isRead;) {
        const { Items = [], LastEvaluatedKey } = await query(userId, { ProjectionExpression: 'pk, sk', ...(start === undefined ? {} : { ExclusiveStartKey: start }) })
        for (const Key of Items) await dynamodb.send(new DeleteCommand({ TableName: table, Key }))
        start = LastEvaluatedKey
        isRead = start === undefined
      }
      await dynamodb.send(new DeleteCommand({ TableName: table, Key: countKey(userId) }))
    }
  }
}
