import { DynamoDBClient, paginateScan, UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import { LOCAL_AWS } from './aws.ts'
import type { Template } from './template.ts'

/**
 * Ends every lease (`leaseUntil`, milliseconds). Call it after the engine and before the app has started: at that time the
 * process that held the leases no longer runs.
 *
 * @returns the number of leases
 */
export async function endLeases (endpoint: string, tables: Template['tables']): Promise<number> {
  const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint, maxAttempts: 1 })
  let ended = 0
  try {
    for (const [TableName, { KeySchema }] of Object.entries(tables)) {
      const held = paginateScan({ client }, { TableName, FilterExpression: 'leaseUntil > :now', ExpressionAttributeValues: { ':now': { N: String(Date.now()) } } })
      for await (const { Items = [] } of held) {
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
