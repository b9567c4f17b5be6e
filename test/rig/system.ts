import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createTables, startDynamodb } from '../../local/dynamodb.ts'
import { completeEnv, engineEnv } from '../../local/env.ts'
import { freePort } from '../../local/ports.ts'
import { startRedis } from '../../local/redis.ts'
import { readTemplate } from '../../local/template.ts'
import '../credentials.ts'
import type { Restartable } from '../faults.ts'
import { startSmtpSink, type SmtpSink } from '../smtp-sink.ts'
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts'
import { until } from '../until.ts'

// The system as separate processes, on files and free ports, each of which a test may kill and start again: the DynamoDB
// engine, the queues, Redis, instances of the API, and a worker. The mail server is in the test's own process, because it
// is the witness: it keeps what it has accepted.

const ROOT = resolve(import.meta.dirname, '../..')

/** A mail as far as the rig looks at it; its code is in `text`. */
export interface SeenMail { messageId: string, to: string, text: string }

export interface RigOptions {
  /** instances of the API */
  instances?: number
  redis?: boolean
  /** the bug of test/rig/bugs.ts that is in the API and the worker */
  planted?: string | undefined
  /** how often each batch of a queue is delivered, all at the same time */
  deliveries?: number
}

export interface Rig {
  env: Record<string, string>
  /** of the instances of the API */
  urls: string[]
  mails: SeenMail[]
  smtp: SmtpSink<SeenMail>
  dynamodb: Restartable
  queues: Restartable
  redis: Restartable | undefined
  instances: Restartable[]
  /** from each instance to Redis */
  redisLines: TcpProxy[]
  worker: Restartable
  /** every item of a table */
  scan (table: string): Promise<Record<string, unknown>[]>
}

async function seen (stream: Parameters<typeof text>[0]): Promise<SeenMail> {
  const mail = await text(stream)
  const header = (name: string) => new RegExp(`^${name}: *(.*)$`, 'im').exec(mail)?.[1]?.trim() ?? ''
  return { messageId: header('Message-ID'), to: /<([^<>]+)>$/.exec(header('To'))?.[1] ?? header('To'), text: mail }
}

/** One process of Node, started at once. */
async function startProcess (t: Test, args: string[], env: Record<string, string | undefined>, isReady: (output: string) => boolean | Promise<boolean>): Promise<Restartable> {
  let stop: Restartable['stop'] = async () => {}
  async function start () {
    const child = spawn(process.execPath, ['--no-warnings', '--import', './test/rig/with-parent.ts', ...args], { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', chunk => { output += String(chunk) })
    const ended = once(child, 'exit')
    stop = async (signal = 'SIGTERM') => {
      child.kill(signal)
      await ended
    }
    await until(async () => child.exitCode !== null || await isReady(output), { timeoutMs: 60_000 })
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended with ${child.exitCode}`)
  }
  await start()
  t.teardown(() => stop('SIGKILL'))
  return { start, stop: signal => stop(signal) }
}

const isPrinted = (output: string) => output.includes('ready')
const answers = (url: string) => async () => await fetch(url, { headers: { connection: 'close' } }).then(({ ok }) => ok, () => false)

/** Starts the system; it is gone when the test ends. */
export async function startRig (t: Test, { instances: count = 1, redis: wantsRedis = false, planted, deliveries = 1 }: RigOptions = {}): Promise<Rig> {
  const dir = await mkdtemp(join(tmpdir(), 'user-service-rig-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const template = readTemplate()
  const dataDir = join(dir, 'dynamodb')
  let engine = await startDynamodb({ dataDir })
  t.teardown(() => engine.stop('SIGKILL'))
  await createTables(engine.endpoint, template.tables)
  const sqsPort = await freePort()
  const queues = await startProcess(t, ['test/rig/queues.ts', String(sqsPort), join(dir, 'sqs')], {}, isPrinted)
  const mails: SeenMail[] = []
  const smtp = await startSmtpSink(mails, seen)
  t.teardown(() => smtp.stop())
  let redis = wantsRedis ? await startRedis() : undefined
  t.teardown(() => redis?.stop('SIGKILL'))

  const env = {
    ...completeEnv({ NODE_ENV: 'test', LOG_LEVEL: 'silent', RATE_LIMIT_MAX: '1000000', CACHE_TTL_SECONDS: redis === undefined ? '0' : '60', REDIS_URL: redis?.url }),
    ...engineEnv({ template, dynamodb: engine.endpoint, sqs: `http://127.0.0.1:${sqsPort}`, smtp: smtp.url }),
    ...(planted === undefined ? {} : { RIG_PLANTED: planted }),
    RIG_DELIVERIES: String(deliveries)
  }
  const bug = planted === undefined ? [] : ['--import', './test/rig/planted.ts']
  const ports = await Promise.all(Array.from({ length: count }, () => freePort()))
  const urls = ports.map(port => `http://127.0.0.1:${port}`)
  const redisLines = redis === undefined ? [] : await Promise.all(ports.map(() => startTcpProxy(t, redis!.port)))
  const redisOf = (i: number) => redisLines[i] === undefined ? {} : { REDIS_URL: `redis://127.0.0.1:${redisLines[i].port}` }
  const [worker, ...instances] = await Promise.all([
    startProcess(t, [...bug, 'test/rig/worker.ts', join(dir, 'checkpoints.json')], env, isPrinted),
    ...ports.map((port, i) => startProcess(t, [...bug, 'src/server.ts'], { ...env, ...redisOf(i), PORT: String(port) }, answers(`${urls[i]}/health/live`)))
  ])

  return {
    env,
    urls,
    mails,
    smtp,
    queues,
    instances,
    redisLines,
    worker,
    dynamodb: {
      stop: signal => engine.stop(signal),
      async start () { engine = await startDynamodb({ kind: engine.kind, port: engine.port, dataDir }) }
    },
    redis: redis && {
      stop: signal => redis!.stop(signal),
      async start () { redis = await startRedis({ port: redis!.port }) }
    },
    async scan (TableName) {
      const client = new DynamoDBClient({ ...LOCAL_AWS, endpoint: engine.endpoint })
      const items: Record<string, unknown>[] = []
      try {
        for await (const page of paginateScan({ client }, { TableName, ConsistentRead: true })) items.push(...(page.Items ?? []).map(item => unmarshall(item)))
      } finally {
        client.destroy()
      }
      return items
    }
  }
}
