import { DynamoDBClient, paginateScan, UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import { LOCAL_AWS } from './aws.ts'
import type { DynoxideFile } from './dynoxide-file.ts'
import type { Template } from './template.ts'

/**
 * Ends every lease (`leaseUntil`, milliseconds). Call it after the engine and before the app has started: at that time the
 * process that held the leases no longer runs.
 *
 * @param file dynoxide's database, which has an index of the leases; without it the tables are scanned
 * @returns the number of leases
 */
export async function endLeases (endpoint: string, tables: Template['tables'], file?: Pick<DynoxideFile, 'leasedIn'>): Promise<number> {
  const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint, maxAttempts: 1 })
  const now = Date.now()
  let ended = 0

  async function * heldIn (TableName: string) {
    if (file === undefined) yield * paginateScan({ client }, { TableName, FilterExpression: 'leaseUntil > :now', ExpressionAttributeValues: { ':now': { N: String(now) } } })
    else yield { Items: file.leasedIn(TableName).filter(({ leaseUntil }) => Number(leaseUntil?.N) > now) }
  }

  try {
    for (const [TableName, { KeySchema }] of Object.entries(tables)) {
      for await (const { Items = [] } of heldIn(TableName)) {
        for (const item of Items) {
          const Key = Object.fromEntries(KeySchema.map(({ AttributeName }) => [AttributeName, item[AttributeName]!]))
          await client.send(new UpdateItemCommand({ TableName, Key, UpdateExpression: 'SET leaseUntil = :none', ExpressionAttributeValues: { ':none': { N: '0' } } }))
          ended++
        }
      }
    }
  } finally {
    client.destroy()
  }
  return ended
}
