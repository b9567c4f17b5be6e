import { GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { staleReads } from '../faults.ts'

t.test('a stale read is as old as the last one before, a consistent one is not, and neither is a new one', async t => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const TableName = 'EmailTable'
  const [key, other] = [{ messageId: 'a' }, { messageId: 'b' }]
  const get = async (ConsistentRead: boolean, Key = key) => (await app.dynamodb.send(new GetCommand({ TableName, Key, ConsistentRead }))).Item?.['state']
  const query = async () => (await app.dynamodb.send(new QueryCommand({ TableName, KeyConditionExpression: 'messageId = :id', ExpressionAttributeValues: { ':id': 'a' } }))).Items?.[0]?.['state']
  const write = async (state: string) => {
    await app.dynamodb.send(new UpdateCommand({ TableName, Key: key, UpdateExpression: 'SET #state = :state', ExpressionAttributeNames: { '#state': 'state' }, ExpressionAttributeValues: { ':state': state } }))
  }
  await app.dynamodb.send(new PutCommand({ TableName, Item: { ...key, state: 'one' } }))
  const reads = staleReads(app.dynamodb)
  t.strictSame([await get(false), await query()], ['one', 'one'])
  await write('two')
  t.strictSame([await get(false), await query()], ['two', 'two'])
  reads.freeze()
  await write('three')
  t.strictSame([await get(false), await query(), await get(true)], ['two', 'two', 'three'])
  await app.dynamodb.send(new PutCommand({ TableName, Item: { ...other, state: 'new' } }))
  t.equal(await get(false, other), 'new')
  t.equal(reads.served(), 2)
  reads.stop()
  t.equal(await get(false), 'three')
})
