import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Positions } from './checkpoints.ts'

// dynoxide keeps every stream record for ever, and for each write it reads all of them to find the next sequence number. So
// its database gets what it lacks: an index, and an end for the records that have been read. Another connection may do both,
// because the engine begins each write with BEGIN IMMEDIATE and waits five seconds for a lock. ADR 146 has the measurements.

/** Records of a stream that are kept although they have been read, for other programs that read the stream. */
export const KEPT = 1000

/** Fewer records are not worth a transaction. 1,000 take 3 ms, in which the engine's writes wait. */
const LEAST = 500

/** So many records are dropped before the engine starts. Fewer take less than 50 ms while it runs. */
const MANY = 10_000

/** Milliseconds to wait for the engine's lock, which it holds for about one. This blocks the process, so it is short. */
const TIMEOUT = 50

/** The same expressions as in the engine's own queries, because SQLite compares them as text. */
const SEQUENCE = 'CAST(sequence_number AS INTEGER)'
const IS_LEASED = "instr(item_json, 'leaseUntil') > 0"

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/** The engine's database in a data directory of its own. */
export const fileIn = (dataDir: string): string => join(dataDir, 'dynamodb.sqlite')

function withDatabase<T> (file: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file, { timeout: 5000 })
  try {
    return use(database)
  } finally {
    database.close()
  }
}

/**
 * Adds the index by which the engine finds stream records. Without it a put takes 12.7 ms instead of 1.6 after 2,000
 * registrations, and more with each. Call it once the engine has made its tables.
 */
export function indexStreams (dataDir: string): void {
  withDatabase(fileIn(dataDir), database => {
    database.exec(`CREATE INDEX IF NOT EXISTS _stream_records_by_position ON _stream_records (table_name, ${SEQUENCE})`)
  })
}

/**
 * Drops the stream records that have been read, except the newest, if there are many: versions of this project that dropped
 * none have left them. Call it before the engine starts. What stays is copied, and the rest is dropped as a whole: of a
 * million records this takes 0.6 s, row by row 2 s.
 */
export function dropReadRecords (dataDir: string, positions: Positions): void {
  const file = fileIn(dataDir)
  if (!existsSync(file)) return
  withDatabase(file, database => {
    // Not max(id) - min(id), for which SQLite would read all of them.
    const { count } = database.prepare('SELECT (SELECT max(id) FROM _stream_records) - (SELECT min(id) FROM _stream_records) AS count').get() as { count: number | null }
    if ((count ?? 0) < MANY) return
    const tables = database.prepare('SELECT table_name AS name, stream_label AS label FROM _tables WHERE stream_enabled = 1').all() as { name: string, label: string }[]
    const ends = tables.map(({ name, label }) => {
      // A stream has another ARN, and so no position, when its table was made anew.
      const [, shards = {}] = Object.entries(positions).find(([arn]) => arn.endsWith(`:table/${name}/stream/${label}`)) ?? []
      return [name, Math.min(...Object.values(shards).map(Number)) - KEPT] as const
    }).filter(([, end]) => end > 0 && end < Infinity)
    if (ends.length === 0) return
    const isRead = ends.map(() => `(table_name = ? AND ${SEQUENCE} <= ?)`).join(' OR ')
    database.exec('BEGIN IMMEDIATE')
    database.prepare(`CREATE TEMP TABLE kept AS SELECT * FROM _stream_records WHERE NOT (${isRead})`).run(...ends.flat())
    database.exec('DELETE FROM _stream_records; INSERT INTO _stream_records SELECT * FROM kept; COMMIT')
  })
}

/** The engine's database while the engine runs. */
export interface DynoxideFile {
  /** Another number than before when anything may have been written since. Takes 4 µs. */
  version (): number
  /** Drops records of a table's stream that have been read, up to this position, except the newest. */
  dropRead (table: string, sequenceNumber: string): void
  /** The items with a lease, as DynamoDB's JSON. */
  leasedIn (table: string): Record<string, AttributeValue>[]
  close (): void
}

/** Opens the engine's database beside the engine, once the tables exist. */
export function openDynoxideFile (dataDir: string, tables: readonly string[]): DynoxideFile {
  const database = new DatabaseSync(fileIn(dataDir), { timeout: 5000 })
  // Leases are found without reading the table: only the items of mails under way are in this index.
  for (const table of tables) database.exec(`CREATE INDEX IF NOT EXISTS ${quoted(`${table}::leased`)} ON ${quoted(table)} (pk) WHERE ${IS_LEASED}`)
  // The engine syncs and moves the write-ahead log. What is dropped here may come back after a power cut.
  database.exec(`PRAGMA busy_timeout = ${TIMEOUT}; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0`)
  const version = database.prepare('PRAGMA data_version')
  let drop: StatementSync | undefined
  /** by table, up to where records are dropped */
  const ends = new Map<string, number>()

  return {
    version: () => Number(version.get()!['data_version']),
    dropRead (table, sequenceNumber) {
      const end = Number(sequenceNumber) - KEPT
      if (end < (ends.get(table) ?? 0) + LEAST) return
      drop ??= database.prepare(`DELETE FROM _stream_records WHERE table_name = ? AND ${SEQUENCE} <= ?`)
      try {
        drop.run(table, end)
        ends.set(table, end)
      } catch {
        // The engine is writing, or the disk is full. The records are dropped with the next ones.
      }
    },
    leasedIn: table => database.prepare(`SELECT item_json AS item FROM ${quoted(table)} WHERE ${IS_LEASED}`).all().map(({ item }) => JSON.parse(String(item)) as Record<string, AttributeValue>),
    close: () => database.close()
  }
}
