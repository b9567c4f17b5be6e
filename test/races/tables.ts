import { marshall } from '@aws-sdk/util-dynamodb'
import type { TableDefinition } from '../../local/template.ts'
import { compare, holds, projected, updated, ValidationError, type Item, type Terms } from './expressions.ts'

// DynamoDB's tables in memory: fast enough for 10,000 interleavings of a race, and each call happens at one moment.
// It answers like the engines, which test/races/tables.test.ts compares it with.

/** A command of the document client. */
export interface Command { input: object, constructor: { name: string } }

/** A write, as the table's stream reports it. */
export interface Change { table: string, before: Item | undefined, after: Item | undefined }

interface Input {
  TableName: string
  Key: Item
  Item: Item
  ConditionExpression?: string
  UpdateExpression: string
  KeyConditionExpression: string
  FilterExpression?: string
  ProjectionExpression?: string
  ExpressionAttributeNames?: Record<string, string>
  ExpressionAttributeValues?: Record<string, unknown>
  ReturnValues?: string
  ReturnValuesOnConditionCheckFailure?: string
  IndexName?: string
  ConsistentRead?: boolean
  ScanIndexForward?: boolean
  Limit?: number
  ExclusiveStartKey?: Item
}

type Write = Partial<Record<'Put' | 'Update' | 'Delete' | 'ConditionCheck', Input>>
interface Indexed { KeySchema: TableDefinition['KeySchema'], IndexName?: string }
interface Table { keys: [hash: string, range?: string], indexes: Map<string | undefined, [hash: string, range?: string]>, items: Map<string, Item> }

const $metadata = { httpStatusCode: 400, attempts: 1, totalRetryDelay: 0 }

class ConditionalCheckFailed extends Error {
  override name = 'ConditionalCheckFailedException'
  $metadata = $metadata
  Item?: object
}

class TransactionCanceled extends Error {
  override name = 'TransactionCanceledException'
  $metadata = $metadata
  CancellationReasons: { Code: string, Item?: object }[]
  constructor (reasons: { Code: string, Item?: object }[]) {
    super('Transaction cancelled')
    this.CancellationReasons = reasons
  }
}

/** A copy without undefined values, as marshalling makes one. Sets stay: nothing changes them. */
function copy<T> (value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Set) return value
  if (Array.isArray(value)) return value.map(copy) as T
  const result: Record<string, unknown> = {}
  for (const key in value) if (value[key] !== undefined) result[key] = copy(value[key])
  return result as T
}

const marshalled = (item: Item | undefined) => item === undefined ? {} : { Item: marshall(item) }

export function createTables (definitions: Record<string, TableDefinition>) {
  const tables = new Map<string, Table>()
  for (const [name, { KeySchema, GlobalSecondaryIndexes = [] }] of Object.entries(definitions)) {
    const keysOf = ({ KeySchema: schema }: Indexed) => ['HASH', 'RANGE'].flatMap(type => schema.filter(({ KeyType }) => KeyType === type).map(({ AttributeName }) => AttributeName)) as [string, string?]
    const indexes = new Map((GlobalSecondaryIndexes as Indexed[]).map(index => [index.IndexName, keysOf(index)] as const))
    tables.set(name, { keys: keysOf({ KeySchema }), indexes, items: new Map() })
  }
  const log: Change[] = []

  function tableOf (name: string): Table {
    const table = tables.get(name)
    if (table === undefined) throw new Error(`There is no table ${name}`)
    return table
  }
  const idOf = ({ keys }: Table, item: Item) => keys.map(key => item[key!]).join('\u0000')
  const termsOf = ({ ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} }: Input): Terms => ({ names, values })

  function commit (name: string, id: string, after: Item | undefined): void {
    const { items } = tableOf(name)
    const before = items.get(id)
    if (before === after) return
    if (after === undefined) items.delete(id)
    else items.set(id, after)
    log.push({ table: name, before, after })
  }

  /** What a write of some kind would do: whether its condition holds, and the item after it. */
  function plan (kind: keyof Write, input: Input) {
    const table = tableOf(input.TableName)
    const id = idOf(table, kind === 'Put' ? input.Item : input.Key)
    const before = table.items.get(id)
    const isMet = holds(input.ConditionExpression, before ?? {}, termsOf(input))
    const after = () => kind === 'Put' ? copy(input.Item) : kind === 'Delete' ? undefined : kind === 'ConditionCheck' ? before : updated(input.UpdateExpression, before ?? copy(input.Key), copy(termsOf(input)))
    return { id: `${input.TableName}\u0000${id}`, isMet, before, apply () { commit(input.TableName, id, after()) }, after }
  }

  const metBy = ({ ReturnValuesOnConditionCheckFailure: wanted }: Input, before: Item | undefined) => wanted === 'ALL_OLD' ? marshalled(before) : {}

  function write (kind: keyof Write, input: Input) {
    const { isMet, before, apply, id } = plan(kind, input)
    if (!isMet) throw Object.assign(new ConditionalCheckFailed('The conditional request failed'), metBy(input, before))
    apply()
    return input.ReturnValues === 'ALL_NEW' ? { Attributes: copy(tableOf(input.TableName).items.get(id.slice(input.TableName.length + 1))) } : {}
  }

  function transact ({ TransactItems }: { TransactItems: Write[] }) {
    const plans = TransactItems.map(write => {
      const [kind, input] = Object.entries(write)[0] as [keyof Write, Input]
      return { input, ...plan(kind, input) }
    })
    if (new Set(plans.map(({ id }) => id)).size < plans.length) throw new ValidationError('Transaction request cannot include multiple operations on one item')
    if (plans.some(({ isMet }) => !isMet)) {
      throw new TransactionCanceled(plans.map(({ isMet, input, before }) => isMet ? { Code: 'None' } : { Code: 'ConditionalCheckFailed', ...metBy(input, before) }))
    }
    // All or nothing: what an update cannot do is found before anything is written.
    for (const { after } of plans) after()
    for (const { apply } of plans) apply()
    return {}
  }

  /** The items of a table as they were some writes ago. */
  function itemsBefore (name: string, writes: number): Map<string, Item> {
    const table = tableOf(name)
    if (writes === 0) return table.items
    const items = new Map(table.items)
    for (const change of log.slice(-writes).reverse()) {
      if (change.table !== name) continue
      const id = idOf(table, (change.before ?? change.after)!)
      if (change.before === undefined) items.delete(id)
      else items.set(id, change.before)
    }
    return items
  }

  function query (input: Input, lag: number) {
    const table = tableOf(input.TableName)
    const keys = input.IndexName === undefined ? table.keys : table.indexes.get(input.IndexName)
    if (keys === undefined) throw new Error(`There is no index ${input.IndexName}`)
    const [hash, range] = keys
    const terms = termsOf(input)
    const orderOf = (item: Item) => [...(range === undefined ? [] : [String(item[range])]), idOf(table, item)].join('\u0000')
    const all = [...itemsBefore(input.TableName, lag).values()]
      .filter(item => item[hash] !== undefined && (range === undefined || item[range] !== undefined) && holds(input.KeyConditionExpression, item, terms))
      .sort((a, b) => compare(orderOf(a), orderOf(b)) * (input.ScanIndexForward === false ? -1 : 1))
    const start = input.ExclusiveStartKey === undefined ? 0 : all.findIndex(item => idOf(table, item) === idOf(table, input.ExclusiveStartKey!)) + 1
    const page = all.slice(start, start + (input.Limit ?? Infinity))
    const Items = page.filter(item => holds(input.FilterExpression, item, terms)).map(item => copy(projected(input.ProjectionExpression, item, terms)))
    // Like DynamoDB, a page that is full does not know whether it was the last.
    const last = page.length === input.Limit ? page.at(-1) : undefined
    const keyNames = new Set([...table.keys, ...keys])
    return { Items, Count: Items.length, ...(last === undefined ? {} : { LastEvaluatedKey: Object.fromEntries(Object.entries(last).filter(([name]) => keyNames.has(name))) }) }
  }

  /** @param lag for reads that are not strongly consistent: how many writes ago they look */
  function execute (command: string, given: object, lag: number): object {
    const input = given as Input
    switch (command) {
      case 'GetCommand': {
        const table = tableOf(input.TableName)
        const item = itemsBefore(input.TableName, input.ConsistentRead === true ? 0 : lag).get(idOf(table, input.Key))
        return item === undefined ? {} : { Item: copy(projected(input.ProjectionExpression, item, termsOf(input))) }
      }
      case 'QueryCommand': return query(input, input.ConsistentRead === true ? 0 : lag)
      case 'PutCommand': return write('Put', input)
      case 'UpdateCommand': return write('Update', input)
      case 'DeleteCommand': return write('Delete', input)
      case 'TransactWriteCommand': return transact(input as unknown as { TransactItems: Write[] })
      default: throw new Error(`not in this model: ${command}`)
    }
  }

  return {
    execute: ({ input, constructor: { name } }: Command, lag = 0): object => execute(name, input, lag),
    /** All items of a table. Not to be changed. */
    itemsOf: (name: string): Item[] => [...tableOf(name).items.values()],
    /** All writes since the last `restore`, in order. */
    log: log as readonly Change[],
    snapshot: () => new Map([...tables].map(([name, { items }]) => [name, new Map(items)])),
    restore (snapshot: Map<string, Map<string, Item>>) {
      for (const [name, table] of tables) table.items = new Map(snapshot.get(name))
      log.length = 0
    }
  }
}
