import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createTables, startDynamodb } from '../../local/dynamodb.ts'
import { fileIn } from '../../local/dynoxide-file.ts'
import { freePort } from '../../local/ports.ts'
import { readTemplate } from '../../local/template.ts'
import type { Context } from '../lib/bench.ts'
import { tailOf, untilAnswering } from '../lib/children.ts'
import { BUILD, ROOT } from '../lib/paths.ts'
import { populate, userOf, type BenchUser } from '../lib/population.ts'

export const named = (size: number) => `${size.toLocaleString('en')} users`

/** A service over a table of some size: a server of its own, with an engine of its own. */
export interface Place {
  size: number
  origin: string
  pid: number
  /** seconds that it took to load, and MiB of data */
  load: number
  data: number
  dynamodb: DynamoDBDocumentClient
  /** A user who was not used before. */
  next (): BenchUser
}

async function startServer (env: Record<string, string>, teardown: Context['teardown']): Promise<{ origin: string, pid: number }> {
  const port = await freePort()
  const child = spawn(process.execPath, ['-r', join(ROOT, 'scripts/require-node.cjs'), join(ROOT, 'scripts/serve.ts')], { cwd: BUILD, env: { PATH: process.env['PATH'], ...env, PORT: String(port) } as NodeJS.ProcessEnv, stdio: ['ignore', 'ignore', 'pipe'] })
  const exit = once(child, 'exit')
  teardown(async () => { child.kill('SIGKILL'); await exit })
  const origin = `http://127.0.0.1:${port}`
  await untilAnswering(`${origin}/health/live`, { title: 'the server', child, errors: tailOf(child.stderr) })
  return { origin, pid: child.pid! }
}

/** Loads an engine, and starts a server that uses it. */
export async function startPlace ({ say, teardown }: Context, size: number, env: (dynamodb: string) => Record<string, string>): Promise<Place> {
  const template = readTemplate()
  const dataDir = await mkdtemp(join(tmpdir(), 'user-service-scale-'))
  teardown(() => rm(dataDir, { recursive: true, force: true }))
  const began = performance.now()
  await populate({ dataDir, template, tables: { users: 'UsersTable', auth: 'AuthTable' }, count: size, say, teardown })
  const load = (performance.now() - began) / 1000
  say(`${named(size)}: starting the server`)
  const engine = await startDynamodb({ kind: 'dynoxide', dataDir })
  teardown(() => engine.stop('SIGKILL'))
  await createTables(engine.endpoint, Object.fromEntries(Object.entries(template.tables).map(([name, { StreamSpecification: _, ...table }]) => [name, table])))
  const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint: engine.endpoint })
  teardown(() => client.destroy())
  const server = await startServer(env(engine.endpoint), teardown)
  let used = 0
  return {
    ...server,
    size,
    load,
    data: (await stat(fileIn(dataDir))).size / 2 ** 20,
    dynamodb: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
    // A prime, so that all users come before the first one comes again, from everywhere in the table. The first is the admin.
    next: () => userOf(1 + (++used * 7919) % (size - 1))
  }
}
