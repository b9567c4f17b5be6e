import { BatchWriteItemCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { DynamoDBRecord } from 'aws-lambda'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createCheckpoints, type Checkpoints } from '../../local/checkpoints.ts'
import { startDynamodb } from '../../local/dynamodb.ts'
import { dropReadRecords, fileIn, KEPT, openDynoxideFile, type DynoxideFile } from '../../local/dynoxide-file.ts'
import { startStreamMapping, type StreamHandler } from '../../local/stream-mapping.ts'
import { createStreamReader } from '../../local/stream-reader.ts'
import { endLeases } from '../../local/leases.ts'
import { readTemplate, type StreamMapping } from '../../local/template.ts'
import { startEngines, TABLES } from '../engines.ts'
import { until } from '../until.ts'

const MAPPING: StreamMapping = { table: 'UsersTable', batchSize: 1000, maximumRetries: 0, bisects: false, reportsItemFailures: false, filters: [], timeout: 10_000 }

async function setUp (t: Test) {
  const engines = await startEngines(t)
  const dataDir = join(engines.dir, 'dynamodb')
  const client = { ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint, maxAttempts: 1 }
  const [dynamodb, streams, sqs] = [new DynamoDBClient(client), new DynamoDBStreamsClient(client), new SQSClient(client)]
  const file = openDynoxideFile(dataDir, TABLES)
  const database = new DatabaseSync(fileIn(dataDir), { readOnly: true })
  t.teardown(() => { file.close(); database.close(); dynamodb.destroy(); streams.destroy(); sqs.destroy() })

  /** Writes items with the numbers from `first` on, which are the positions of their records. */
  async function write (first: number, count: number) {
    for (let i = first; i < first + count; i += 25) {
      const ids = Array.from({ length: Math.min(25, first + count - i) }, (_, j) => String(i + j))
      await dynamodb.send(new BatchWriteItemCommand({ RequestItems: { UsersTable: ids.map(id => ({ PutRequest: { Item: { userId: { S: id } } } })) } }))
    }
  }
  function read (handler: StreamHandler, { checkpoints = createCheckpoints(), log = { warn () {} } }: { checkpoints?: Checkpoints, log?: { warn (details: object, message: string): void } } = {}) {
    const mapping = startStreamMapping({ mapping: MAPPING, handler, streams, sqs, queueUrl: engines.queueUrl, checkpoints, file, log })
    t.teardown(() => mapping.stop())
    return mapping
  }
  /** The positions of the records that the engine has, lowest first. */
  const held = () => database.prepare("SELECT CAST(sequence_number AS INTEGER) AS position FROM _stream_records WHERE table_name = 'UsersTable' ORDER BY position").all().map(({ position }) => Number(position))
  return { engines, dataDir, dynamodb, streams, file, database, write, read, held }
}

const idsOf = (records: DynamoDBRecord[]) => records.map(({ dynamodb }) => Number(dynamodb!.Keys!['userId']!.S))
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

t.test('records that have been read are dropped while the engine runs, and no reader skips or repeats one', async t => {
  const { engines, dataDir, streams, write, read, held } = await setUp(t)
  const checkpoints = createCheckpoints(join(engines.dir, 'checkpoints.json'))
  const seen: number[] = []
  const mapping = read(async ({ Records }) => { seen.push(...idsOf(Records)) }, { checkpoints })
  for (let first = 1; first < 3000; first += 500) await write(first, 500)
  await until(() => seen.length >= 3000)
  await until(() => held().length < 2 * KEPT)
  t.strictSame(seen, upTo(3000))
  t.strictSame(held(), upTo(3000).slice(-held().length), 'the newest are there, without a gap')
  t.ok(held().length >= KEPT, `${held().length} are there for other programs`)
  await mapping.stop()

  await write(3001, 10)
  t.equal(held().at(-1), 3010, 'the numbers go on')
  await engines.faults.dynamodb.stop('SIGKILL')
  dropReadRecords(dataDir, checkpoints.positions)
  await engines.faults.dynamodb.start()
  await write(3011, 10)
  read(async ({ Records }) => { seen.push(...idsOf(Records)) }, { checkpoints: createCheckpoints(join(engines.dir, 'checkpoints.json')) })
  await until(() => seen.length >= 3020)
  t.strictSame(seen, upTo(3020))

  const other = createStreamReader(streams, 'UsersTable', createCheckpoints())
  const { records } = (await other.read())!
  t.strictSame(idsOf(records), held().slice(0, 1000), 'another reader starts at the oldest that is there')
})

t.test('a record that has not been read stays, however many follow it', async t => {
  const { write, read, held } = await setUp(t)
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>()
  const seen: number[] = []
  const handle = async (records: DynamoDBRecord[]) => {
    if (seen.length > 0) await goesOn
    seen.push(...idsOf(records))
  }
  await write(1, 1)
  read(({ Records }) => handle(Records))
  await until(() => seen.length === 1)
  await write(2, 2499)
  t.strictSame(held(), upTo(2500))
  goOn()
  await until(() => seen.length === 2500)
  t.strictSame(seen, upTo(2500))
})

t.test('the engine finds records by an index', async t => {
  const { database } = await setUp(t)
  // dynoxide's own queries: when a new version has others, the index may serve none of them.
  const queries = [
    'SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = ?1',
    'SELECT event_name FROM _stream_records WHERE table_name = ?1 AND shard_id = ?2 AND CAST(sequence_number AS INTEGER) > ?3 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT ?4'
  ]
  for (const query of queries) {
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${query}`).all().map(({ detail }) => String(detail)).join(', ')
    t.match(plan, /^SEARCH _stream_records USING (?:COVERING )?INDEX _stream_records_by_position \(table_name=\?[^,]*\)$/)
  }
})

t.test('a database with many records that were read gets rid of them before the engine starts', async t => {
  const { engines, dataDir, write, read } = await setUp(t)
  await write(1, 100)
  await engines.faults.dynamodb.stop('SIGKILL')
  const database = new DatabaseSync(fileIn(dataDir))
  // As versions that dropped nothing have left it: 12,000 records of two streams, and no index.
  database.exec(`
    DROP INDEX _stream_records_by_position;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 119)
    INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
    SELECT table_name, event_name, json_object('userId', json_object('S', CAST(CAST(sequence_number AS INTEGER) + 100 * i AS TEXT))), CAST(CAST(sequence_number AS INTEGER) + 100 * i AS TEXT), shard_id, created_at FROM n, _stream_records ORDER BY i, id;
    INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at) VALUES ('AuthTable', 'INSERT', '{}', '1', 'shardId-00000001-AuthTable', 0)`)
  const { label } = database.prepare("SELECT stream_label AS label FROM _tables WHERE table_name = 'UsersTable'").get() as { label: string }
  const count = () => (database.prepare('SELECT count(*) AS count FROM _stream_records').get() as { count: number }).count
  t.equal(count(), 12_001)

  const checkpoints = createCheckpoints()
  checkpoints.set('arn:aws:dynamodb:dynoxide:000000000000:table/UsersTable/stream/1.0', 'shardId-00000001-UsersTable', '12000')
  dropReadRecords(dataDir, checkpoints.positions)
  t.equal(count(), 12_001, 'the position in another stream of that name counts for nothing')

  checkpoints.set(`arn:aws:dynamodb:dynoxide:000000000000:table/UsersTable/stream/${label}`, 'shardId-00000001-UsersTable', '11990')
  dropReadRecords(dataDir, checkpoints.positions)
  t.equal(count(), KEPT + 10 + 1, 'what was not read is there, and the stream that nothing has read')
  database.close()

  await engines.faults.dynamodb.start()
  await write(12_001, 5)
  const seen: number[] = []
  read(async ({ Records }) => { seen.push(...idsOf(Records)) }, { checkpoints })
  await until(() => seen.length >= 15)
  t.strictSame(seen, Array.from({ length: 15 }, (_, i) => 11_991 + i))
})

t.test('a database that cannot be read is left to the engine', async t => {
  const dataDir = t.testdir({})
  dropReadRecords(dataDir, {})
  mkdirSync(fileIn(dataDir))
  t.throws(() => dropReadRecords(dataDir, {}))
  await t.rejects(startDynamodb({ kind: 'dynoxide', dataDir }), { name: 'StartError' })
})

t.test('an idle stream is not read, and a write is read at once', async t => {
  const { streams, file, write, read } = await setUp(t)
  let calls = 0
  streams.middlewareStack.add(next => async args => { calls++; return await next(args) }, { step: 'initialize' })
  let looks = 0
  const { version } = file
  file.version = () => { looks++; return version() }
  let readAt = 0
  read(async () => { readAt = performance.now() })
  await until(() => looks > 5)
  const before = calls
  await until(() => looks > 20)
  t.ok(calls <= before + 2, `${calls - before} calls at 15 looks; a read makes two, once in 50 looks`)
  const late: number[] = []
  for (let i = 1; i <= 5; i++) {
    readAt = 0
    const began = performance.now()
    await write(i, 1)
    await until(() => readAt > 0)
    late.push(readAt - began)
  }
  t.ok(late.sort((a, b) => a - b)[2]! < 500, `${late.map(Math.round).join(', ')} ms after the write`)
})

t.test('leases are found without reading the table', async t => {
  const { engines, dynamodb, database, file } = await setUp(t)
  const put = (id: string, attributes: object) => dynamodb.send(new PutItemCommand({ TableName: 'EmailTable', Item: { messageId: { S: id }, ...attributes } }))
  await put('a', { state: { S: 'sending' }, leaseUntil: { N: String(Date.now() + 60_000) } })
  await put('b', { state: { S: 'sending' }, leaseUntil: { N: String(Date.now() + 60_000) } })
  await put('b', { state: { S: 'sent' } })
  await put('c', { state: { S: 'sending' }, leaseUntil: { N: '1' } })
  t.strictSame(file.leasedIn('EmailTable').map(({ messageId }) => messageId), [{ S: 'a' }, { S: 'c' }])
  const scanned: Pick<DynoxideFile, 'leasedIn'> = { leasedIn: file.leasedIn }
  t.equal(await endLeases(engines.dynamodbEndpoint, readTemplate().tables, scanned), 1)
  t.equal(await endLeases(engines.dynamodbEndpoint, readTemplate().tables), 0, 'a scan finds none that is left')
  const plan = database.prepare("EXPLAIN QUERY PLAN SELECT item_json FROM EmailTable WHERE instr(item_json, 'leaseUntil') > 0").all()
  t.match(plan, [{ detail: /USING INDEX EmailTable::leased/ }])
})
