import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import fc from 'fast-check'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { readTemplate } from '../../local/template.ts'
import { createTables as createEngineTables, startDynamodb } from '../../local/dynamodb.ts'
import { dynamodbEngines } from '../engines.ts'
import { report, SIZE, workload } from '../promise.ts'
import { createTables, type Command } from './tables.ts'

// The tables in memory answer as the engines do: the same random calls, with the conditions and updates that the repositories
// use, give the same results and the same errors.

const SEQUENCES = workload({ short: 12, full: 300 })
const CALLS = 25

if (SIZE !== 'short') t.setTimeout(300_000)

const template = readTemplate()
const TableName = 'AuthTable'

const PARTITIONS = ['user#1', 'user#2', 'codes#1']
const SORTS = ['session#1', 'session#2', 'all']
const Key = fc.record({ pk: fc.constantFrom(...PARTITIONS), sk: fc.constantFrom(...SORTS) })
const N = fc.integer({ min: 0, max: 4 })
const text = fc.constantFrom('a', 'b', 'c', 'ab')
const list = fc.array(text, { maxLength: 4 })
const set = fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 3 }).map(members => new Set(members))

const Item = fc.tuple(Key, fc.record({ expiresAt: N, version: N, usedBy: text, codes: list, tries: set, outbox: fc.constantFrom('0', '1'), occurredAt: text, status: text, data: fc.record({ deep: list }) }, { requiredKeys: [] }))
  .map(([key, attributes]) => ({ ...key, ...attributes }))

interface Terms { names?: Record<string, string>, values?: Record<string, unknown> }

/** Conditions in the form of the repositories', with their values. */
const condition: fc.Arbitrary<{ ConditionExpression: string } & Terms> = fc.oneof(
  fc.constant({ ConditionExpression: 'attribute_not_exists(pk)' }),
  fc.constant({ ConditionExpression: 'attribute_exists(pk)' }),
  N.map(now => ({ ConditionExpression: 'attribute_not_exists(pk) OR (expiresAt <= :now AND attribute_not_exists(usedBy))', values: { ':now': now } })),
  fc.tuple(N, text).map(([now, sid]) => ({ ConditionExpression: 'expiresAt > :now AND (attribute_not_exists(usedBy) OR usedBy = :sid)', values: { ':now': now, ':sid': sid } })),
  fc.tuple(N, fc.constantFrom('x', 'y')).map(([max, id]) => ({ ConditionExpression: '(attribute_not_exists(tries) OR size(tries) < :max OR contains(tries, :id)) AND attribute_not_exists(usedBy)', values: { ':max': max, ':id': id } })),
  N.map(version => ({ ConditionExpression: 'version = :version', values: { ':version': version } })),
  fc.tuple(text, N).map(([code, i]) => ({ ConditionExpression: `(attribute_not_exists(#codes) OR NOT contains(#codes, :text)) AND (attribute_not_exists(#codes[${i}]) OR #codes[${i}] < :after)`, names: { '#codes': 'codes' }, values: { ':text': code, ':after': 'b' } })),
  fc.tuple(text, text).map(([a, b]) => ({ ConditionExpression: '#status IN (:a, :b)', names: { '#status': 'status' }, values: { ':a': a, ':b': b } })),
  fc.constant({ ConditionExpression: '(contains(tries, :id) AND size(tries) > :one) OR (attribute_exists(tries) AND NOT contains(tries, :id) AND size(tries) > :none)', values: { ':id': 'x', ':one': 1, ':none': 0 } }),
  fc.record({ at: text, now: N }).map(({ at, now }) => ({ ConditionExpression: 'usedBy = :a OR (version < :n AND codes[0] = :a)', values: { ':a': at, ':n': now } }))
)
const update: fc.Arbitrary<{ UpdateExpression: string } & Terms> = fc.oneof(
  set.map(tries => ({ UpdateExpression: 'ADD tries :try', values: { ':try': tries } })),
  set.map(tries => ({ UpdateExpression: 'DELETE tries :try', values: { ':try': tries } })),
  text.map(sid => ({ UpdateExpression: 'SET usedBy = :new REMOVE version, #state', names: { '#state': 'status' }, values: { ':new': sid } })),
  text.map(code => ({ UpdateExpression: 'SET #list = list_append(:code, if_not_exists(#list, :empty)), expiresAt = :expiry', names: { '#list': 'codes' }, values: { ':code': [code], ':empty': [], ':expiry': 3 } })),
  set.map(ids => ({ UpdateExpression: 'ADD tries :more SET usedBy = :kind', values: { ':more': ids, ':kind': 'b' } }))
)

const allOld = fc.boolean().map(isWanted => isWanted ? { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const } : {})

/** The names and values of several expressions, as a call has them. */
function terms (...all: (Terms | undefined)[]) {
  const names = Object.assign({}, ...all.map(one => one?.names)) as Record<string, string>
  const values = Object.assign({}, ...all.map(one => one?.values)) as Record<string, unknown>
  return { ...(Object.keys(names).length === 0 ? {} : { ExpressionAttributeNames: names }), ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }) }
}
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const only = (given: { ConditionExpression: string } | undefined) => given === undefined ? {} : { ConditionExpression: given.ConditionExpression }

const put = fc.tuple(Item, optional(condition), allOld).map(([Item, when, old]) => ({ TableName, Item, ...only(when), ...terms(when), ...(when === undefined ? {} : old) }))
const change = fc.tuple(Key, update, optional(condition), allOld).map(([Key, { UpdateExpression, ...own }, when, old]) => ({ TableName, Key, UpdateExpression, ...only(when), ...terms(own, when), ...(when === undefined ? {} : old) }))
/** Members that are there, the last one first: with others, or the first one first, dynoxide differs from DynamoDB Local. */
const trim = fc.tuple(Key, N, N, text).filter(([, a, b]) => a > b).map(([Key, a, b, first]) => ({ TableName, Key, UpdateExpression: `REMOVE codes[${a}], codes[${b}]`, ConditionExpression: `codes[${a}] = :first AND attribute_exists(codes[${b}])`, ExpressionAttributeValues: { ':first': first } }))
const removal = fc.tuple(Key, optional(condition), allOld).map(([Key, when, old]) => ({ TableName, Key, ...only(when), ...terms(when), ...(when === undefined ? {} : old) }))
const check = fc.tuple(Key, condition, allOld).map(([Key, when, old]) => ({ TableName, Key, ...only(when) as { ConditionExpression: string }, ...terms(when), ...old }))
const write = fc.oneof(put.map(Put => ({ Put })), change.map(Update => ({ Update })), removal.map(Delete => ({ Delete })), check.map(ConditionCheck => ({ ConditionCheck })))

/** One write of an item in a transaction: DynamoDB and dynoxide refuse two, DynamoDB Local does not. */
function keyOf (write: { [kind: string]: { Key?: { pk: string, sk: string }, Item?: { pk: string, sk: string } } }): string {
  const [{ Key, Item }] = Object.values(write) as [{ Key?: { pk: string, sk: string }, Item?: { pk: string, sk: string } }]
  const { pk, sk } = (Key ?? Item)!
  return `${pk} ${sk}`
}

const query = fc.oneof(
  fc.tuple(fc.constantFrom('user#1', 'user#2'), optional(fc.integer({ min: 1, max: 2 }))).map(([pk, Limit]) => ({ KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': pk }, ConsistentRead: true, Limit })),
  N.map(now => ({ KeyConditionExpression: 'pk = :user AND begins_with(sk, :start)', FilterExpression: 'expiresAt > :now', ProjectionExpression: 'sk, version, #s', ExpressionAttributeNames: { '#s': 'status' }, ExpressionAttributeValues: { ':user': 'user#1', ':start': 'session#', ':now': now } })),
  fc.tuple(fc.constantFrom('0', '1'), text).map(([shard, before]) => ({ IndexName: 'outbox', KeyConditionExpression: '#outbox = :shard AND occurredAt < :before', ExpressionAttributeNames: { '#outbox': 'outbox' }, ExpressionAttributeValues: { ':shard': shard, ':before': before } }))
)

const anyCall: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: put.map(input => new PutCommand(input)) },
  { weight: 4, arbitrary: fc.tuple(change, fc.boolean()).map(([input, isShown]) => new UpdateCommand({ ...input, ...(isShown ? { ReturnValues: 'ALL_NEW' } : {}) })) },
  { weight: 3, arbitrary: trim.map(input => new UpdateCommand(input)) },
  { weight: 2, arbitrary: removal.map(input => new DeleteCommand(input)) },
  { weight: 4, arbitrary: fc.uniqueArray(write, { minLength: 1, maxLength: 4, selector: keyOf }).map(TransactItems => new TransactWriteCommand({ TransactItems })) },
  { weight: 2, arbitrary: Key.map(Key => new GetCommand({ TableName, Key, ConsistentRead: true })) },
  { weight: 2, arbitrary: query.map(input => new QueryCommand({ TableName, ...input })) }
) as fc.Arbitrary<Command>

/** A value in a form that can be compared: the attributes of an item and the members of a set have no order. */
function plain (value: unknown): unknown {
  if (value instanceof Set) return { set: [...value].sort() }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value ?? null
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([name, part]: [string, unknown]) => [name, ['SS', 'NS'].includes(name) ? [...part as string[]].sort() : plain(part)]))
}

/** Items whose places are the same come in any order. */
function said (answer: object): unknown {
  const { Item, Items, Attributes, LastEvaluatedKey } = answer as { Item?: object, Items?: object[], Attributes?: object, LastEvaluatedKey?: object }
  return { Item: plain(Item), Attributes: plain(Attributes), Items: Items?.map(item => JSON.stringify(plain(item))).sort() ?? null, isPartial: LastEvaluatedKey !== undefined }
}

function failure (error: unknown): unknown {
  const { name, Item, CancellationReasons } = error as { name: string, Item?: object, CancellationReasons?: { Code?: string, Item?: object }[] }
  return { name, Item: plain(Item), reasons: CancellationReasons?.map(reason => [reason.Code, plain(reason.Item)]) ?? null }
}

for (const [kind, skip] of await dynamodbEngines()) {
  if (kind === 'moto') continue
  t.test(`tables in memory answer as ${kind} does`, { skip }, async t => {
    const engine = await startDynamodb({ kind })
    t.teardown(() => engine.stop('SIGKILL'))
    await createEngineTables(engine.endpoint, { [TableName]: template.tables[TableName]! })
    const client = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: engine.endpoint }), { marshallOptions: { removeUndefinedValues: true } })
    t.teardown(() => client.destroy())
    const names = new Map<string, number>()
    let calls = 0

    const details = await fc.check(fc.asyncProperty(fc.array(anyCall, { minLength: CALLS, maxLength: CALLS }), async commands => {
      const tables = createTables(template.tables)
      await client.send(new TransactWriteCommand({ TransactItems: PARTITIONS.flatMap(pk => SORTS.map(sk => ({ Delete: { TableName, Key: { pk, sk } } }))) }))
      for (const command of commands) {
        const answer = (async () => said(tables.execute(command)))().catch(failure)
        const expected = client.send(command as unknown as GetCommand).then(said, failure)
        calls++
        const name = (await expected as { name?: string }).name ?? 'an answer'
        names.set(name, (names.get(name) ?? 0) + 1)
        const [mine, theirs] = [JSON.stringify(await answer), JSON.stringify(await expected)]
        if (mine !== theirs) throw new Error(`${command.constructor.name} ${JSON.stringify(command.input, (_, part: unknown) => part instanceof Set ? [...part] : part)}\nin memory: ${mine}\n${kind}: ${theirs}`)
      }
    }), { endOnFailure: true, numRuns: kind === 'dynoxide' ? SEQUENCES : Math.ceil(SEQUENCES / 2) })

    report(t, { promise: 38, part: `the tables in memory against ${kind}`, figure: `${calls} random calls (${[...names].map(([name, n]) => `${n} × ${name}`).join(', ')}), ${details.failed ? 1 : 0} differences`, holds: !details.failed })
    if (details.failed) t.comment(`seed ${details.seed}, path ${details.counterexamplePath}: ${(details.errorInstance as Error).message}`)
    for (const name of ['an answer', 'ConditionalCheckFailedException', 'TransactionCanceledException']) t.ok(names.get(name)! > 5, `${name}: ${names.get(name)}`)
  })
}
