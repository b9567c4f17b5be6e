import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOCAL_AWS } from '../local/aws.ts'
import type { Positions } from '../local/checkpoints.ts'
import { fileIn } from '../local/dynoxide-file.ts'
import { BenchError, type Benchmark, type Context, type Row, type Table } from './lib/bench.ts'
import { cpuTime } from './lib/cpu-time.ts'
import { startLocalSystem, type LocalSystem } from './lib/local-system.ts'
import { descendants, residentMemory } from './lib/processes.ts'
import { median, pairedRatio } from './lib/stats.ts'

// npm start on a new data directory, and on one with many writes and mails behind it. Its records, items and mails are
// those of real registrations, copied under other keys and positions by SQL: a million by HTTP would take hours.

/** Registrations whose records are copied. */
const SEED = 25

/** A local system, its engine, and the CPU microseconds until both were ready. */
type System = LocalSystem & { engine: number, readyCpu: number }

async function start (dir: string, { teardown }: Context): Promise<System> {
  const system = await startLocalSystem(dir, teardown)
  const engine = descendants(system.pid).find(pid => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'dynoxide')
  if (engine === undefined) throw new BenchError('local: dynoxide does not run; it is measured on Linux x64 only')
  return { ...system, engine, readyCpu: (cpuTime(system.pid) ?? NaN) + (cpuTime(engine) ?? NaN) }
}

/** A data directory with some registrations, all of them mailed. */
async function seed (dir: string, context: Context): Promise<void> {
  const system = await start(dir, context)
  for (let i = 0; i < SEED; i++) {
    const { status } = await fetch(`${system.api}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: `user${i}@example.com`, name: 'Ada Lovelace' }) })
    if (status !== 202) throw new BenchError(`local: a registration answers ${status}`)
  }
  while (readdirSync(join(dir, 'mails')).length < SEED) await sleep(100)
  await sleep(1000) // the entries of the outboxes are removed after their mails were queued
  await system.stop()
}

/** Copies records, sent mails and mails until there are as many, as a system that has read all of them leaves them. */
function age (dir: string, { records, mails }: { records: number, mails: number }): void {
  const database = new DatabaseSync(fileIn(join(dir, 'dynamodb')))
  const { count } = database.prepare('SELECT count(*) AS count FROM _stream_records').get() as { count: number }
  const copies = Math.ceil(records / count)
  database.exec('PRAGMA synchronous = OFF; BEGIN')
  database.prepare(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO _stream_records (table_name, event_name, keys_json, new_image, old_image, sequence_number, shard_id, created_at, user_identity)
    SELECT table_name, event_name, keys_json, new_image, old_image, CAST(CAST(sequence_number AS INTEGER) + i * ? AS TEXT), shard_id, created_at, user_identity
    FROM n, _stream_records ORDER BY i, id`).run(copies, count)
  database.prepare(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO EmailTable (pk, sk, item_json, item_size, hash_prefix)
    SELECT pk || '-' || i, sk, replace(item_json, substr(pk, 3), substr(pk, 3) || '-' || i), item_size, hash_prefix FROM n, EmailTable`).run(copies)
  database.exec('COMMIT')
  database.close()
  const file = join(dir, 'checkpoints.json')
  const positions = JSON.parse(readFileSync(file, 'utf8')) as Positions
  for (const shards of Object.values(positions)) for (const id of Object.keys(shards)) shards[id] = String(Number(shards[id]) + copies * count)
  writeFileSync(file, JSON.stringify(positions))
  const names = readdirSync(join(dir, 'mails'))
  for (let i = names.length; i < mails; i++) copyFileSync(join(dir, 'mails', names[i % names.length]!), join(dir, 'mails', `copy${i}.eml`))
}

/** What one start costs, and the system that it leads to. */
async function measure (dir: string, context: Context): Promise<Record<string, number>> {
  const system = await start(dir, context)
  const { pid, engine, env, readyCpu, readyMs } = system
  const memory = residentMemory(pid)!
  const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint: env['AWS_ENDPOINT_URL_DYNAMODB']! })
  const put = () => client.send(new PutItemCommand({ TableName: 'UsersTable', Item: { userId: { S: 'probe' }, kind: { S: 'probe' } } }))
  for (let i = 0; i < 5; i++) await put()
  const before = cpuTime(engine)!
  for (let i = 0; i < 50; i++) await put()
  const putCpu = (cpuTime(engine)! - before) / 50
  client.destroy()
  await sleep(2000)
  const used = () => cpuTime(pid)! + cpuTime(engine)!
  const [resting, began] = [used(), performance.now()]
  await sleep(4000)
  const rest = (used() - resting) / (performance.now() - began) / 10 // µs in ms, as a percentage
  await system.stop()
  return { readyMs, readyCpu: readyCpu / 1000, memory, putCpu, rest }
}

async function run (context: Context): Promise<Table[]> {
  const { small, say, teardown } = context
  const size = small ? { records: 20_000, mails: 1000 } : { records: 1_000_000, mails: 12_000 }
  const rounds = small ? 2 : 5
  const dir = mkdtempSync(join(tmpdir(), 'user-service-bench-'))
  teardown(() => rmSync(dir, { recursive: true, force: true }))
  say('registering')
  await seed(join(dir, 'seed'), context)
  say('ageing')
  cpSync(join(dir, 'seed'), join(dir, 'aged'), { recursive: true })
  age(join(dir, 'aged'), size)

  const found: Record<'fresh' | 'aged', Record<string, number>[]> = { fresh: [], aged: [] }
  say('first start of the aged one')
  const first = await measure(join(dir, 'aged'), context)
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? ['fresh', 'aged'] as const : ['aged', 'fresh'] as const) {
      say(`${name}, ${round + 1} of ${rounds}`)
      rmSync(join(dir, 'fresh'), { recursive: true, force: true })
      found[name].push(await measure(join(dir, name), context))
    }
  }
  const row = (name: 'fresh' | 'aged'): Row => ({
    name,
    values: {
      ...Object.fromEntries(Object.keys(first).map(key => [key, median(found[name].map(values => values[key]!))])),
      ...pairedRatio(found[name].map(({ putCpu }) => putCpu!), found.fresh.map(({ putCpu }) => putCpu!)),
      start: pairedRatio(found[name].map(({ readyCpu }) => readyCpu!), found.fresh.map(({ readyCpu }) => readyCpu!)).ratio
    }
  })
  return [{
    id: 'local',
    title: 'npm start after use',
    note: `A new data directory, and one with ${size.records.toLocaleString('en')} stream records and ${size.mails.toLocaleString('en')} mails behind it. \`ratio\` compares the engine's CPU for a put, \`start\` the CPU until ready; \`at rest\` is the share of a core.`,
    columns: [
      { key: 'ratio', title: 'put ÷ fresh', digits: 2 },
      { key: 'start', title: 'start ÷ fresh', digits: 2 },
      { key: 'putCpu', title: 'put, CPU µs' },
      { key: 'readyCpu', title: 'start, CPU ms' },
      { key: 'readyMs', title: 'ready, ms' },
      { key: 'memory', title: 'MiB' },
      { key: 'rest', title: 'at rest, %', digits: 1 }
    ],
    rows: [row('fresh'), row('aged'), { name: 'aged, first start', values: { ...first, ratio: undefined } }],
    better: 'lower'
  }]
}

export const local: Benchmark = {
  summary: 'npm start with a million writes and 12,000 mails behind it ÷ a fresh one: a put, the start, the CPU at rest',
  needsPackages: () => false,
  run
}
