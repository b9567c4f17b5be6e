import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { marshall } from '@aws-sdk/util-dynamodb'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, mkdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { fileIn } from '../../local/dynoxide-file.ts'
import { dynoxideBinary } from '../../local/dynoxide.ts'
import type { Template } from '../../local/template.ts'
import { createRepository as createAuthRepository } from '../../src/modules/auth/repository.ts'
import { firstRefreshToken } from '../../src/modules/auth/tokens.ts'
import { createRepository as createUsersRepository } from '../../src/modules/users/repository.ts'
import { newAccount } from '../../src/modules/users/registration.ts'
import { idFrom } from '../../src/shared/ids.ts'
import { outboxEntry } from '../../src/shared/outbox.ts'
import { BenchError, type Context } from './bench.ts'
import { lastLine, tailOf } from './children.ts'

// Many users in an engine, quickly: the items that the repositories write go into files like DynamoDB's exports, and
// dynoxide imports them: 10,000 to 30,000 items a second. BatchWriteItem took 2,000 a second in memory, and 600 on a disk.

/** Items that the engine imports a second, about. */
const IMPORTED = 15_000
const DAY = 24 * 3_600_000
/** The users have registered in this time, most of them months ago. */
const AGE = 365 * DAY

export interface BenchUser { id: string, email: string, name: string, sid: string }

/** The n-th user: the same in each engine and each run. */
export function userOf (n: number): BenchUser {
  const id = idFrom(`bench user ${n}`, 'user')
  return { id, email: `user-${n}@example.com`, name: `User ${n}`, sid: idFrom(`bench user ${n}`, 'session') }
}

interface Written { Item?: Record<string, unknown> }

/** Repositories whose writes are kept in place of being sent. */
function createRecorder ({ users, auth }: { users: string, auth: string }, now: () => Date) {
  let puts: { table: string, item: Record<string, unknown> }[] = []
  const dynamodb = {
    async send ({ input }: { input: { TransactItems?: Record<string, Written & { TableName: string }>[] } }) {
      for (const { Put } of input.TransactItems ?? []) if (Put?.Item !== undefined && Put.Item['kind'] !== 'outbox') puts.push({ table: Put.TableName, item: Put.Item })
      return {}
    }
  } as unknown as DynamoDBDocumentClient
  // What was announced a long time ago is not in the table any more.
  const outbox = { write: () => ({ TableName: users, Item: { kind: 'outbox' } }), put: async () => {} }
  return {
    users: createUsersRepository({ dynamodb, outbox, table: users, publicUrl: 'https://users.example.com', now }),
    auth: createAuthRepository({ dynamodb, outbox, table: auth, now }),
    take () {
      const taken = puts
      puts = []
      return taken
    }
  }
}

/** What DescribeTable would answer. Without a stream. */
const schemaOf = (TableName: string, { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes }: Template['tables'][string]) =>
  ({ Table: { TableName, TableStatus: 'ACTIVE', AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' } } })

export interface PopulationOptions extends Pick<Context, 'say' | 'teardown'> {
  /** the directory for the engine's data, which exists */
  dataDir: string
  template: Template
  tables: { users: string, auth: string }
  count: number
}

/**
 * Makes the data of an engine: tables with active users, each with its claim on its address and a session. The first user
 * is an admin.
 *
 * The tables have no streams. The local engine slows down with each stream record, so the length of a stream would be
 * measured as well as the size of a table; and what follows from an entry is no part of a request.
 *
 * @throws {BenchError} when the engine cannot import
 */
export async function populate ({ dataDir, template, tables, count, say, teardown }: PopulationOptions): Promise<void> {
  const binary = dynoxideBinary()
  if (binary === undefined) throw new BenchError(`this benchmark needs dynoxide, which has no binary for ${process.platform}-${process.arch}`)
  const end = Date.now()
  const recorder = createRecorder(tables, () => new Date(end))
  const source = join(dataDir, 'export')
  const title = `${count.toLocaleString('en')} users`

  /** Calls the repositories as a registration and a sign-in of the n-th user do. */
  async function writeUser (n: number) {
    const { id, email, name, sid } = userOf(n)
    const at = new Date(end - AGE * (1 - (n + 1) / count))
    const { expiresAt: _, ...account } = newAccount({ id, email, name, locale: 'en' }, at)
    const user = { ...account, status: 'ACTIVE' as const, role: n === 0 ? 'admin' as const : 'user' as const }
    await recorder.users.create(user, outboxEntry('user.registered', { subject: id, correlationId: id, data: { user: { ...user }, welcome: false }, now: at }), { hasNewId: false })
    const familyKey = createHash('sha256').update(sid).digest('base64url')
    await recorder.auth.startSession(sid, { userId: id, sid, currentHash: firstRefreshToken(id, sid, familyKey).hash, retired: [], familyKey, createdAt: at.toISOString(), lastUsedAt: at.toISOString(), expiresAt: Math.floor((end + 30 * DAY) / 1000) })
    return recorder.take()
  }

  const files = new Map(Object.values(tables).map(table => {
    const directory = join(source, table, 'data')
    mkdirSync(directory, { recursive: true })
    const gzip = createGzip({ level: 1 })
    return [table, { gzip, done: finished(gzip.pipe(createWriteStream(join(directory, '0.json.gz')))) }]
  }))
  const began = performance.now()
  for (let n = 0; n < count; n++) {
    const lines = new Map<string, string>()
    for (const { table, item } of await writeUser(n)) lines.set(table, `${lines.get(table) ?? ''}${JSON.stringify({ Item: marshall(item, { removeUndefinedValues: true }) })}\n`)
    for (const [table, text] of lines) if (!files.get(table)!.gzip.write(text)) await once(files.get(table)!.gzip, 'drain')
    if (n % 5000 === 4999) {
      const rate = n / (performance.now() - began) * 1000
      say(`${title}: ${Math.round(n / count * 100)} % written, ${Math.round(rate).toLocaleString('en')} a second, ${Math.ceil((count - n) / rate)} s left, then the import`)
    }
  }
  for (const { gzip } of files.values()) gzip.end()
  await Promise.all([...files.values()].map(({ done }) => done))

  const schema = join(dataDir, 'schema.json')
  await writeFile(schema, JSON.stringify(Object.values(tables).map(table => schemaOf(table, template.tables[table]!))))
  const child = spawn(binary, ['import', '--source', source, '--schema', schema, '--output', fileIn(dataDir)], { stdio: ['ignore', 'ignore', 'pipe'] })
  teardown(() => child.kill('SIGKILL'))
  const errors = tailOf(child.stderr)
  const importing = performance.now()
  const progress = setInterval(() => { say(`${title}: the engine imports them, ${Math.round((performance.now() - importing) / 1000)} s of about ${Math.ceil(count * 3 / IMPORTED)}`) }, 1000)
  const [code] = await once(child, 'close') as [number | null]
  clearInterval(progress)
  if (code !== 0) throw new BenchError(`the engine cannot import ${title}: ${lastLine(errors())}`)
  await rm(source, { recursive: true })
}
