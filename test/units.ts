import { DynamoDBClient, GetItemCommand, type AttributeValue } from '@aws-sdk/client-dynamodb'
import { marshall } from '@aws-sdk/util-dynamodb'
import { AsyncLocalStorage } from 'node:async_hooks'
import { isDeepStrictEqual } from 'node:util'
import { writeUnits } from '../bench/lib/item-size.ts'
import { LOCAL_AWS } from '../local/aws.ts'
import { readTemplate } from '../local/template.ts'
import type { TestApp } from './app.ts'
import type { Engines } from './engines.ts'
import { intercept } from './faults.ts'

// Counts what calls to DynamoDB cost. The two engines report different units for the same write (DynamoDB Local doubles an
// index in a transaction, and counts half of an update), so writes are counted here, by AWS's documented rules:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity-handling

type Attributes = Record<string, AttributeValue>

/** A call and its units. */
export interface Spent {
  /** what the call belongs to: `request`, the types of the outbox entries in a stream's batch, `mail`, `upload` */
  step: string
  command: string
  write: number
  read: number
  /** write units as the engine reports them; `undefined` for a call that it refused */
  reported: number | undefined
}

const { tables } = readTemplate()

/** Write units of a change: those of the larger one of the item before and after. */
const unitsOf = (...items: (Attributes | undefined)[]) => Math.max(...items.map(writeUnits))

/** The item's row in an index, with the keys of both; `undefined` when it is not in the index. All indexes project all attributes. */
function rowIn (index: { KeySchema: { AttributeName: string }[] }, item: Attributes | undefined): { key: string, item: Attributes } | undefined {
  const keys = index.KeySchema.map(({ AttributeName }) => item?.[AttributeName]?.S)
  return item === undefined || keys.includes(undefined) ? undefined : { key: keys.join(' '), item }
}

/** Write units of one item's change in its table's indexes: a changed key is a row removed and a row written. */
function indexUnits (table: string, before: Attributes | undefined, after: Attributes | undefined): number {
  const indexes = (tables[table]!.GlobalSecondaryIndexes ?? []) as { KeySchema: { AttributeName: string }[] }[]
  return indexes.reduce((sum, index) => {
    const [old, now] = [rowIn(index, before), rowIn(index, after)]
    if (old === undefined && now === undefined) return sum
    if (old !== undefined && old.key === now?.key) return sum + (isDeepStrictEqual(old.item, now.item) ? 0 : unitsOf(old.item, now.item))
    return sum + (old === undefined ? 0 : unitsOf(old.item)) + (now === undefined ? 0 : unitsOf(now.item))
  }, 0)
}

/** As the document client takes it. */
interface Write { TableName: string, Key?: Record<string, string>, Item?: Record<string, unknown> }

/** The single writes in a call. */
function writesIn (command: string, input: Record<string, unknown>): Write[] {
  if (command === 'TransactWriteItemsCommand') return (input['TransactItems'] as Record<string, Write>[]).map(write => Object.values(write)[0]!)
  return ['PutItemCommand', 'UpdateItemCommand', 'DeleteItemCommand'].includes(command) ? [input as unknown as Write] : []
}

const keyOf = ({ TableName, Key, Item = {} }: Write): Attributes => marshall(Key ?? Object.fromEntries(tables[TableName]!.KeySchema.map(({ AttributeName }) => [AttributeName, Item[AttributeName]])))

const total = (capacity: unknown) => ([capacity ?? []].flat() as { CapacityUnits: number }[]).reduce((sum, { CapacityUnits }) => sum + CapacityUnits, 0)

/** The step of a batch: what an event source delivers. */
function stepOf ({ Records }: { Records: unknown }): string {
  const records = Records as { eventSource?: string, body?: string, dynamodb?: { NewImage?: { type?: { S?: string } } } }[]
  if (records.some(({ eventSource }) => eventSource === 'aws:sqs')) return 'mail'
  const types = records.flatMap(({ dynamodb }) => dynamodb?.NewImage?.type?.S ?? [])
  return types.length > 0 ? [...new Set(types)].sort().join(' + ') : records.some(({ dynamodb }) => dynamodb !== undefined) ? 'stream' : 'upload'
}

/** Counts the calls of an app from now on. Meant for one operation at a time: concurrent writes of one item would be counted wrongly. */
export function meter (app: TestApp, engines: Engines): { take (): Spent[], stop (): void } {
  const raw = new DynamoDBClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint })
  const steps = new AsyncLocalStorage<string>()
  let spent: Spent[] = []

  const { consumers } = app
  const { deliver } = consumers
  consumers.deliver = (event, invocation) => steps.run(stepOf(event), () => deliver(event, invocation))

  const itemsOf = async (writes: Write[]) => await Promise.all(writes.map(async write => (await raw.send(new GetItemCommand({ TableName: write.TableName, Key: keyOf(write), ConsistentRead: true }))).Item))

  const stopIntercepting = intercept(app.dynamodb, { onTheLine: false }, async ({ command, input, send }) => {
    const step = steps.getStore() ?? 'request'
    const writes = writesIn(command, input)
    const factor = command === 'TransactWriteItemsCommand' ? 2 : 1
    input['ReturnConsumedCapacity'] = 'TOTAL'
    const before = await itemsOf(writes)
    try {
      const answer = await send() as { output: { ConsumedCapacity?: unknown } }
      const capacity = total(answer.output.ConsumedCapacity)
      const after = await itemsOf(writes)
      const write = writes.reduce((sum, { TableName }, i) => sum + factor * unitsOf(before[i], after[i]) + indexUnits(TableName, before[i], after[i]), 0)
      spent.push({ step, command, write, read: writes.length > 0 ? 0 : capacity, reported: writes.length > 0 ? capacity : 0 })
      return answer
    } catch (error) {
      // A refused write costs what it would have read and written: each item once, no index.
      spent.push({ step, command, write: before.reduce((sum, item) => sum + factor * unitsOf(item), 0), read: 0, reported: undefined })
      throw error
    }
  })

  return {
    take () {
      const taken = spent
      spent = []
      return taken
    },
    stop () {
      stopIntercepting()
      consumers.deliver = deliver
      raw.destroy()
    }
  }
}

/** Units of each step, in the order in which the steps began. */
export function perStep (spent: Spent[]): { step: string, write: number, read: number }[] {
  return [...Map.groupBy(spent, ({ step }) => step)].map(([step, calls]) => ({
    step,
    write: calls.reduce((sum, { write }) => sum + write, 0),
    read: calls.reduce((sum, { read }) => sum + read, 0)
  }))
}
