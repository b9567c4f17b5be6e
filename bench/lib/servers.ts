import { PutCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { LOCAL_AWS } from '../../local/aws.ts'
import { completeEnv, engineEnv } from '../../local/env.ts'
import { freePort } from '../../local/ports.ts'
import type { Context } from './bench.ts'
import { nextMessage, tailOf, untilAnswering } from './children.ts'
import type { BenchEngines } from './engines.ts'
import { BENCH, BUILD } from './paths.ts'
import { pinned, pinnedNode } from './pinning.ts'
import { USER_ITEM } from './work.ts'

// Servers under load, and what loads them.

/** Starts a server on the first core, and waits until it answers. Its log goes through a pipe to a reader on the second core, as in a container. */
export async function startServer ({ title, args, env, path, teardown }: { title: string, args: string[], env: Record<string, string>, path: string, teardown: Context['teardown'] }): Promise<{ pid: number, origin: string }> {
  const port = await freePort()
  const child = spawn(...pinnedNode(0, args), { cwd: BUILD, env: { PATH: process.env['PATH'], ...env, PORT: String(port) } as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] })
  const reader = spawn(...pinned(1, 'sh', ['-c', 'exec cat > /dev/null']), { stdio: [child.stdout!, 'ignore', 'ignore'] })
  child.stdout!.destroy()
  teardown(() => { child.kill('SIGKILL'); reader.kill('SIGKILL') })
  const origin = `http://127.0.0.1:${port}`
  await untilAnswering(`${origin}${path}`, { title, child, errors: tailOf(child.stderr) })
  return { pid: child.pid!, origin }
}

/** The environment of this service's server: everything on, a limit that is never reached, and the cache on. */
export async function serviceEnv (engines: BenchEngines): Promise<Record<string, string>> {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: engines.dynamodb }), { marshallOptions: { removeUndefinedValues: true } })
  const env = completeEnv({
    ...engines.env,
    ...engineEnv({ template: engines.template, dynamodb: engines.dynamodb, sqs: engines.sqs.endpoint, smtp: 'smtp://127.0.0.1:1' }),
    JWT_SECRET: engines.secret,
    RATE_LIMIT_MAX: '1000000000',
    CACHE_TTL_SECONDS: '3600',
    CORS_ORIGIN: 'https://app.example.com'
  })
  await client.send(new PutCommand({ TableName: env['USERS_TABLE'], Item: USER_ITEM }))
  client.destroy()
  return env
}

export interface Generator<Order, Done> { load (order: Order): Promise<Done> }

/** A process that sends requests, on the second core. */
export async function startGenerator<Order extends object, Done> (file: string, teardown: Context['teardown']): Promise<Generator<Order, Done>> {
  const child: ChildProcess = spawn(...pinnedNode(1, [join(BENCH, file)]), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  teardown(() => child.kill('SIGKILL'))
  const next = async () => await nextMessage<Done>(child, () => 'the load generator has ended')
  await next()
  return {
    async load (order) {
      const done = next()
      child.send(order)
      return await done
    }
  }
}
