import { DynamoDBClient, GetItemCommand, type AttributeValue, type ConsumedCapacity } from '@aws-sdk/client-dynamodb'
import { LOCAL_AWS } from '../../local/aws.ts'
import { readTemplate } from '../../local/template.ts'
import type { TestApp } from '../../test/app.ts'
import type { Engines } from '../../test/engines.ts'
import { intercept } from '../../test/faults.ts'
import { writeUnits } from './item-size.ts'

/** What an app has asked of AWS. */
export interface Usage {
  /** commands to DynamoDB and SQS, in order */
  commands: string[]
  /** write units by table and index: `UsersTable`, `UsersTable.list` */
  writes: Record<string, number>
  /** read units, likewise */
  reads: Record<string, number>
  /** outbox entries written */
  entries: number
}

/** As the SDK's middleware sees it: plain, or typed already. */
type Item = Record<string, AttributeValue | string>
interface Write { TableName: string, Item?: Item, Key?: Item }
/** Inputs of the commands that matter here. */
interface Input extends Partial<Write> { TransactItems?: Record<string, Write>[], ReturnConsumedCapacity?: string }

const textIn = (value: AttributeValue | string | undefined) => typeof value === 'string' ? value : value?.S

const WRITES = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'])

/** The writes of an input, with the checks of a transaction: DynamoDB charges a check as a write. */
const writesOf = ({ TransactItems, ...input }: Input): Write[] => TransactItems === undefined ? [input as Write] : TransactItems.flatMap(item => Object.values(item))

/**
 * Counts an app's calls and their capacity units.
 *
 * The units are the engine's: dynoxide reports them as DynamoDB does, which its authors measure on AWS
 * (https://github.com/paritysuite/dynamodb-conformance; https://github.com/nubo-db/dynoxide/pull/188): a transaction
 * doubles the table's units and not an index's, a check counts as a write, the old and the new place of an item in an
 * index are two writes. DynamoDB Local differs in all three. An answer with an error reports no units, so a refused
 * condition is counted here, by the size of the item that refused it.
 */
export function createMeter (app: TestApp, engines: Engines): { take (): Usage, destroy (): void } {
  const { tables } = readTemplate() // local tables have their logical ids as names
  const raw = new DynamoDBClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint })
  const none = (): Usage => ({ commands: [], writes: {}, reads: {}, entries: 0 })
  let usage = none()

  function add (units: Record<string, number>, key: string, count: number | undefined): void {
    if (count !== undefined && count !== 0) units[key] = (units[key] ?? 0) + count
  }

  function addReported (units: Record<string, number>, { TableName, Table, GlobalSecondaryIndexes = {} }: ConsumedCapacity): void {
    add(units, TableName!, Table?.CapacityUnits)
    for (const [index, { CapacityUnits }] of Object.entries(GlobalSecondaryIndexes)) add(units, `${TableName}.${index}`, CapacityUnits)
  }

  /** Every key of the service is a text. */
  const keyOf = ({ TableName, Item, Key = Item }: Write) => Object.fromEntries(tables[TableName]!.KeySchema.map(({ AttributeName: name }) => [name, { S: textIn(Key![name])! }]))

  /** Adds a write that was refused: the size of the item that is there counts. */
  async function addRefused (units: Record<string, number>, write: Write, factor: number): Promise<void> {
    const { Item } = await raw.send(new GetItemCommand({ TableName: write.TableName, Key: keyOf(write), ConsistentRead: true }))
    add(units, write.TableName, factor * writeUnits(Item))
  }

  const stops = [
    intercept(app.dynamodb, { onTheLine: false }, async ({ command: name, input: given, send }) => {
      const command = name.replace(/Command$/, '')
      const input = given as Input
      const current = usage
      current.commands.push(command)
      input.ReturnConsumedCapacity = 'INDEXES'
      try {
        const answer = await send() as { output: { ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[] } }
        for (const capacity of [answer.output.ConsumedCapacity ?? []].flat()) addReported(WRITES.has(command) ? current.writes : current.reads, capacity)
        if (WRITES.has(command)) current.entries += writesOf(input).filter(({ Item }) => textIn(Item?.['kind']) === 'outbox').length
        return answer
      } catch (error) {
        if (!['ConditionalCheckFailedException', 'TransactionCanceledException'].includes((error as Error).name)) throw error
        for (const write of writesOf(input)) await addRefused(current.writes, write, input.TransactItems === undefined ? 1 : 2)
        throw error
      }
    }),
    intercept(app.sqs, { onTheLine: false }, async ({ command, send }) => {
      usage.commands.push(command.replace(/Command$/, ''))
      return await send()
    })
  ]

  return {
    take () {
      const taken = usage
      usage = none()
      return taken
    },
    destroy () {
      for (const stop of stops) stop()
      raw.destroy()
    }
  }
}

/** All units, of tables and indexes. */
export const total = (units: Record<string, number>): number => Object.values(units).reduce((sum, count) => sum + count, 0)
