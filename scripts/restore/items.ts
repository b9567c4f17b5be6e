import { BatchGetCommand, PutCommand, ScanCommand, type BatchGetCommandInput, type BatchGetCommandOutput, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { setTimeout as sleep } from 'node:timers/promises'

export type Item = Record<string, unknown>

/** Pages of a table's items, strongly consistent. */
export async function * pagesOf (dynamodb: DynamoDBDocumentClient, TableName: string, filter: { FilterExpression?: string, ExpressionAttributeValues?: Item } = {}): AsyncGenerator<Item[]> {
  let ExclusiveStartKey: Item | undefined
  do {
    const page = await dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true, ExclusiveStartKey, ...filter }))
    yield page.Items ?? []
    ExclusiveStartKey = page.LastEvaluatedKey
  } while (ExclusiveStartKey !== undefined)
}

/** Keys of one BatchGetItem. */
const BATCH = 100

/** The items with these values of a table's hash key, strongly consistent, by that value. */
export async function itemsOf (dynamodb: DynamoDBDocumentClient, table: string, hashKey: string, values: Iterable<string>): Promise<Map<string, Item>> {
  const found = new Map<string, Item>()
  const all = [...new Set(values)]
  for (let i = 0; i < all.length; i += BATCH) {
    let RequestItems: BatchGetCommandInput['RequestItems'] = { [table]: { Keys: all.slice(i, i + BATCH).map(value => ({ [hashKey]: value })), ConsistentRead: true } }
    while (Object.keys(RequestItems ?? {}).length > 0) {
      const { Responses, UnprocessedKeys = {} }: BatchGetCommandOutput = await dynamodb.send(new BatchGetCommand({ RequestItems }))
      for (const item of Responses?.[table] ?? []) found.set(String(item[hashKey]), item)
      RequestItems = UnprocessedKeys
      // A table that throttles gets time. This is a command that an operator watches, so it waits for as long as it takes.
      if (Object.keys(UnprocessedKeys).length > 0) await sleep(200)
    }
  }
  return found
}

/** Puts an item, unless the table has one with its key. Returns whether it did. */
export async function putUnlessThere (dynamodb: DynamoDBDocumentClient, TableName: string, hashKey: string, Item: Item): Promise<boolean> {
  try {
    await dynamodb.send(new PutCommand({ TableName, Item, ConditionExpression: `attribute_not_exists(${hashKey})` }))
    return true
  } catch (error) {
    if ((error as Error).name !== 'ConditionalCheckFailedException') throw error
    return false
  }
}
