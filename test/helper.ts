import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { FauxqsServer } from 'fauxqs'
import type { DynamoDBBatchResponse, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { simpleParser, type ParsedMail } from 'mailparser'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { LOCAL_AWS } from '../local/aws.ts'
import { deliverObjects, type Attempts } from '../local/bucket-notifications.ts'
import { createCheckpoints, type Checkpoints } from '../local/checkpoints.ts'
import { createTables, JAVA_NEEDED, javaVersion, startDynamodb, type DynamodbEngine, type DynamodbKind } from '../local/dynamodb.ts'
import { completeEnv, engineEnv } from '../local/env.ts'
import { deliverMessages } from '../local/queue-mapping.ts'
import { deliverPage } from '../local/stream-mapping.ts'
import { createStreamReader, type StreamReader } from '../local/stream-reader.ts'
import { startRedis, type RedisEngine } from '../local/redis.ts'
import { queueArn, startSqs, type SqsEngine } from '../local/sqs.ts'
import { readTemplate } from '../local/template.ts'
import { installedMoto } from '../scripts/moto.ts'
import type { App, AppOptions } from '../src/app.ts'
import type { Tokens } from '../src/modules/auth/contract.ts'
import { takeComposeEngines, usesCompose } from './compose.ts'
import { intercept } from './faults.ts'
import { MOTO_NEEDED, startMotoServer } from './moto.ts'

/** The part of a tap test that the helper needs. */
export interface Test {
  teardown (fn: () => unknown): void
}

// The SDK signs what it sends to the local engines too; nothing else of the environment is touched.
process.env['AWS_ACCESS_KEY_ID'] = LOCAL_AWS.credentials.accessKeyId
process.env['AWS_SECRET_ACCESS_KEY'] = LOCAL_AWS.credentials.secretAccessKey

/** The folder of the project that sends the mails, when the e-mail module has left this one; see test/house/remove-module.slow.test.ts. */
const EMAIL_SERVICE = process.env['EMAIL_SERVICE']

const template = readTemplate(EMAIL_SERVICE === undefined ? undefined : join(EMAIL_SERVICE, 'template.yaml'))

/** Every table of the service. */
export const TABLES = Object.keys(template.tables)

/** An engine that a test of faults can stop and start again: same port, same data. */
export interface Restartable {
  stop (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  start (): Promise<void>
}

export interface SmtpSink<Mail = ParsedMail> extends Restartable {
  readonly url: string
  /**
   * Set to refuse mails: the answer to give instead of 250, or `undefined` to accept this one. `stall` gives no answer,
   * `drop` cuts the connection. A server that grey-lists gives a 451 at first.
   */
  refuse: ((mail: Mail) => string | undefined) | undefined
}

export interface Engines {
  /** a complete environment for loadConfig */
  env: Record<string, string>
  /** what the SMTP sink has received, in order */
  mails: ParsedMail[]
  /** those of them to an address */
  mailsTo: (address: string) => ParsedMail[]
  sqs: FauxqsServer
  dynamodb: TestEngine
  dynamodbEndpoint: string
  sqsEndpoint: string
  s3Endpoint: string
  redisUrl?: string
  /** URL of a queue by its logical id */
  queueUrl (id: string): string
  /** whether no message waits, is delayed or is in flight */
  isQueueEmpty (id: string): boolean | Promise<boolean>
  /** for files of the test; gone with the engines */
  dir: string
  faults: { dynamodb: Restartable, smtp: SmtpSink, redis?: Restartable }
}

/** How far `pump` has read the streams of a set of engines. */
const readers = new WeakMap<Engines, { client: DynamoDBStreamsClient, checkpoints: Checkpoints, all: StreamReader[] }>()

/** An SMTP server that keeps what it has accepted, as `parse` makes it of the mail. */
export async function startSmtpSink<Mail> (mails: Mail[], parse: (stream: Readable) => Promise<Mail>): Promise<SmtpSink<Mail>> {
  let server: SMTPServer
  let port = 0
  async function start () {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      closeTimeout: 100, // a pooled connection of the worker stays open
      onData (stream, session, callback) {
        parse(stream).then(mail => {
          const refusal = sink.refuse?.(mail)
          if (refusal === 'stall') return
          if (refusal === 'drop') return [...server.connections].find(connection => (connection as unknown as { session: object }).session === session)?.close()
          if (refusal !== undefined) return callback(Object.assign(new Error(refusal), { responseCode: Number(refusal.slice(0, 3)) || 451 }))
          mails.push(mail)
          callback()
        }, callback)
      }
    })
    server.on('error', () => {}) // a client that was killed
    await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
    port = (server.server.address() as AddressInfo).port
  }
  const sink: SmtpSink<Mail> = {
    get url () { return `smtp://127.0.0.1:${port}` },
    refuse: undefined,
    start,
    stop: () => new Promise(resolve => { server.close(resolve) })
  }
  await start()
  return sink
}

/** What the tests run on: the engines of `local/`, and moto. */
export type TestEngine = DynamodbKind | 'moto'

/**
 * The DynamoDB engines that repositories and main flows are tested on, and why one of them cannot be, if so: dynoxide, or in
 * the `.slow.test.ts` beside a test AWS's DynamoDB Local, whose JVM takes twice the CPU of all the rest, and moto where the
 * test uses the most of DynamoDB; see docs/adr/0168-three-opinions-about-dynamodb.md.
 */
export async function dynamodbEngines ({ moto = false }: { moto?: boolean } = {}): Promise<[kind: TestEngine, skip: string | false][]> {
  if (process.env['SECOND_ENGINE'] !== 'true') return [['dynoxide', false]]
  const java = await javaVersion() ?? 0
  return [
    ['dynamodb-local', java < JAVA_NEEDED && `not run: needs Java ${JAVA_NEEDED} or newer, found ${java === 0 ? 'none' : java}`],
    ...(moto ? [['moto', process.env['CI'] !== 'true' && installedMoto() === undefined && MOTO_NEEDED] satisfies [TestEngine, string | false]] : [])
  ]
}

export interface EngineOptions {
  dynamodb?: TestEngine
  redis?: boolean
  /** of pages that may use the bucket */
  origins?: string[]
}

/** The environment of the tests, pointed to engines, with the credentials for processes: DynamoDB Local has a database for each access key. */
const testEnv = (at: Parameters<typeof engineEnv>[0], redis: string | undefined) => ({
  ...completeEnv({
    NODE_ENV: 'test',
    LOG_LEVEL: 'trace',
    JWT_SECRET: randomBytes(32).toString('hex'),
    RATE_LIMIT_MAX: '1000000',
    CACHE_TTL_SECONDS: '60', // one process, unless a test starts Redis
    REDIS_URL: redis
  }),
  ...engineEnv(at),
  AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey
})

const mailsTo = (mails: ParsedMail[]) => (address: string) => mails.filter(({ to }) => [to ?? []].flat().some(({ value }) => value.some(mailbox => mailbox.address === address)))

/** The engines of compose.yaml, empty. They cannot be stopped or looked into; the mail server is the tests' own, because it refuses and stalls on request. */
async function startComposeEngines (t: Test, dataDir: string, { redis: wantsRedis = false, origins = [] }: EngineOptions): Promise<Engines> {
  const engines = await takeComposeEngines(template, origins)
  t.teardown(() => engines.stop())
  const mails: ParsedMail[] = []
  const smtp = await startSmtpSink(mails, stream => simpleParser(stream))
  t.teardown(() => smtp.stop())
  const embeddedOnly = (): never => { throw new Error('this test needs the embedded engines: run it without ENGINES=compose') }
  const shared: Restartable = { stop: embeddedOnly, start: embeddedOnly }
  return {
    env: testEnv({ template, ...engines, smtp: smtp.url }, wantsRedis ? engines.redis : undefined),
    mails,
    mailsTo: mailsTo(mails),
    get sqs () { return embeddedOnly() },
    dynamodb: 'dynamodb-local',
    dynamodbEndpoint: engines.dynamodb,
    sqsEndpoint: engines.sqs,
    s3Endpoint: engines.s3,
    ...(wantsRedis ? { redisUrl: engines.redis } : {}),
    queueUrl: engines.queueUrl,
    isQueueEmpty: engines.isQueueEmpty,
    dir: dataDir,
    faults: { dynamodb: shared, smtp, ...(wantsRedis ? { redis: shared } : {}) }
  }
}

/** Real engines on free ports, with the template's tables and queues; everything is gone when the test ends. */
export async function startEngines (t: Test, { dynamodb: kind, redis: wantsRedis = false, origins = [] }: EngineOptions = {}): Promise<Engines> {
  const dataDir = await mkdtemp(join(tmpdir(), 'user-service-test-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))

  if (usesCompose()) return await startComposeEngines(t, dataDir, { redis: wantsRedis, origins })

  let dynamodb: Omit<DynamodbEngine, 'kind' | 'ended'> & { kind: TestEngine } = kind === 'moto' ? await startMotoServer() : await startDynamodb({ kind, dataDir: join(dataDir, 'dynamodb') })
  t.teardown(() => dynamodb.stop('SIGKILL'))
  await createTables(dynamodb.endpoint, template.tables)
  const sqs: SqsEngine = await startSqs({ queues: template.queues, buckets: template.buckets, origins })
  t.teardown(() => sqs.stop())
  const mails: ParsedMail[] = []
  const smtp = await startSmtpSink(mails, stream => simpleParser(stream))
  t.teardown(() => smtp.stop())
  let redis: RedisEngine | undefined = wantsRedis ? await startRedis() : undefined
  t.teardown(() => redis?.stop('SIGKILL'))

  return {
    env: testEnv({ template, dynamodb: dynamodb.endpoint, sqs: sqs.endpoint, smtp: smtp.url }, redis?.url),
    mails,
    mailsTo: mailsTo(mails),
    sqs: sqs.server,
    dynamodb: dynamodb.kind,
    dynamodbEndpoint: dynamodb.endpoint,
    sqsEndpoint: sqs.endpoint,
    s3Endpoint: sqs.endpoint,
    ...(redis === undefined ? {} : { redisUrl: redis.url }),
    queueUrl: sqs.queueUrl,
    isQueueEmpty (id) {
      const { ready, delayed, inflight } = sqs.server.inspectQueue(id)!.messages
      return ready.length + delayed.length + inflight.length === 0
    },
    dir: dataDir,
    faults: {
      dynamodb: {
        stop: signal => dynamodb.stop(signal),
        async start () {
          if (dynamodb.kind === 'moto') throw new Error('moto keeps nothing, so it cannot be started again')
          dynamodb = await startDynamodb({ kind: dynamodb.kind, port: dynamodb.port, dataDir: join(dataDir, 'dynamodb') })
        }
      },
      smtp,
      ...(redis === undefined
        ? {}
        : {
            redis: {
              stop: (signal?: 'SIGTERM' | 'SIGKILL') => redis!.stop(signal),
              async start () { redis = await startRedis({ port: redis!.port }) }
            }
          })
    }
  }
}

export type TestApp = App & { logLines: Record<string, unknown>[] }

/** Services that send the mails of an app whose e-mail module has been extracted. */
const mailers = new WeakMap<object, Deliverer>()

/** Has `pump` hand the queue of an app to another one. */
export function mailFrom (app: Deliverer, mailer: Deliverer): void {
  mailers.set(app, mailer)
}

/**
 * The real app on real engines, ready. With `EMAIL_EXTRACTED=true` its e-mail module is a client, and the module itself
 * runs in an app beside it, as if it were a service of its own: test/extraction.slow.test.ts runs other tests that way.
 * `logLines` grows with everything it logs. */
export async function buildTestApp (t: Test, engines: Engines, { env = {}, beforeReady = () => {}, ...options }: { env?: Record<string, string | undefined>, beforeReady?: (app: App) => void } & Partial<Omit<AppOptions, 'config' | 'logger'>> = {}): Promise<TestApp> {
  // Loaded here, so that tests of single parts do not load the whole app.
  const [{ buildApp }, { loadConfig }, { createLogger }] = await Promise.all([import('../src/app.ts'), import('../src/plugins/config.ts'), import('../src/plugins/logging.ts')])
  const config = loadConfig({ ...engines.env, ...env })
  const logLines: Record<string, unknown>[] = []
  const logger = createLogger(config, { write: line => { logLines.push(JSON.parse(line) as Record<string, unknown>) } })
  const isExtracted = process.env['EMAIL_EXTRACTED'] === 'true' && options.email === undefined
  const app = await buildApp({ config, logger, docs: { source: 'routes' }, ...options, ...(isExtracted ? { email: (await import('../src/modules/email/client.ts')).default } : {}) })
  t.teardown(() => app.close())
  if (isExtracted || EMAIL_SERVICE !== undefined) {
    const mailer = EMAIL_SERVICE === undefined
      ? await buildApp({ config, logger, docs: { source: 'routes' } })
      : await buildServiceIn(EMAIL_SERVICE, { ...engines.env, ...env })
    t.teardown(() => mailer.close())
    await mailer.ready()
    mailers.set(app, mailer)
  }
  // A JVM or Python on a busy machine pauses for longer than DynamoDB ever does.
  if (engines.dynamodb !== 'dynoxide') (app.dynamodb.config.requestHandler as unknown as NodeHttpHandler).updateHttpClientConfig('requestTimeout', 10_000)
  if (engines.dynamodb === 'moto') oneCallAtATime(app)
  beforeReady(app)
  await app.ready()
  return Object.assign(app, { logLines })
}

/**
 * moto answers requests at the same time without isolating them: a transaction that fails puts back a copy of the tables from
 * its start, and so undoes what others wrote meanwhile. The calls still come in any order.
 */
function oneCallAtATime (app: App): void {
  let last: Promise<unknown> = Promise.resolve()
  intercept(app.dynamodb, {}, ({ send }) => {
    const answer = last.then(send)
    last = answer.catch(() => {})
    return answer
  })
}

/** The app of another folder of this project, on the same engines. */
async function buildServiceIn (root: string, env: Record<string, string | undefined>): Promise<App> {
  const load = async <T>(file: string) => await import(join(root, file)) as T
  const { buildApp } = await load<typeof import('../src/app.ts')>('src/app.ts')
  const { loadConfig } = await load<typeof import('../src/plugins/config.ts')>('src/plugins/config.ts')
  const { completeEnv } = await load<typeof import('../local/env.ts')>('local/env.ts')
  return await buildApp({ config: loadConfig(completeEnv({ ...env, LOG_LEVEL: 'silent' })), docs: { source: 'routes' } })
}

function readersOf (engines: Engines): StreamReader[] {
  const { client, checkpoints, all } = readers.get(engines) ?? { client: new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint }), checkpoints: createCheckpoints(), all: undefined }
  // moto puts a copy of its tables in their place after a failed transaction: an iterator from before it finds nothing new.
  const current = all === undefined || engines.dynamodb === 'moto' ? template.streamMappings.map(({ table }) => createStreamReader(client, table, checkpoints)) : all
  readers.set(engines, { client, checkpoints, all: current })
  return current
}

/** What takes the batches of queues and streams: an app, or a function that stands for one. */
interface Deliverer { consumers: { deliver (event: { Records: unknown }): Promise<unknown> } }

/**
 * Does what AWS does behind the requests until nothing is left: feeds the tables' streams, the queue and new objects of
 * the bucket to their consumers. Failed mails are tried again at once, until the queue's redrive policy takes them; a stream record that
 * fails three times fails the test.
 */
export async function pump (app: Deliverer, engines: Engines, mailer: Deliverer = mailers.get(app) ?? app): Promise<void> {
  // One after the other: what one of them has in its hands, another would not find, and would end before it is delivered.
  const turn = (pumps.get(engines) ?? Promise.resolve()).catch(() => {}).then(() => pumpOnce(app, engines, mailer))
  pumps.set(engines, turn)
  await turn
}

const pumps = new WeakMap<Engines, Promise<void>>()

async function pumpOnce (app: Deliverer, engines: Engines, mailer: Deliverer): Promise<void> {
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint })
  const s3 = new S3Client({ ...LOCAL_AWS, endpoint: engines.s3Endpoint, forcePathStyle: true })
  const attempts: Attempts = new Map()
  try {
    for (let moved = true; moved;) {
      moved = false
      for (const [i, reader] of readersOf(engines).entries()) {
        for (let page = await reader.read(); page !== undefined; page = await reader.read()) {
          const { shardId } = page
          moved = true
          await deliverPage(page, {
            mapping: { ...template.streamMappings[i]!, maximumRetries: 2 },
            handler: event => app.consumers.deliver({ ...event }) as Promise<DynamoDBBatchResponse>,
            backOff: () => 10,
            onDone: record => reader.commit(shardId, record.dynamodb!.SequenceNumber!),
            async onDiscard (records, { error }) {
              throw new Error(`pump: the outbox failed three times on ${JSON.stringify(records)}`, { cause: error })
            }
          })
        }
      }
      for (const mapping of template.queueMappings) {
        if (await engines.isQueueEmpty(mapping.queue)) continue // a look costs less than a request
        const step = { mapping, handler: (event: SQSEvent) => mailer.consumers.deliver({ ...event }) as Promise<SQSBatchResponse>, sqs, queueUrl: engines.queueUrl(mapping.queue), queueArn: queueArn(mapping.queue), wait: 0, retryAfter: 0 }
        while ((await deliverMessages(step)).received > 0) moved = true
      }
      if (moved) continue
      for (const mapping of template.bucketMappings) {
        const delivered = await deliverObjects({
          mapping,
          handler: event => app.consumers.deliver(event),
          s3,
          attempts,
          backOff: () => 0,
          async onDiscard (_, { error }) { throw new Error('pump: an upload could not be checked', { cause: error }) }
        })
        if (delivered > 0) moved = true
      }
    }
  } finally {
    s3.destroy()
    sqs.destroy()
  }
}

/** How long a test waits for a condition. Long, because it costs nothing where the condition is met, and machines are busy. */
const WAIT_MS = Number(process.env['TEST_WAIT_MS'] ?? 30_000)

/** Polls until a condition is truthy, and resolves to what it was; fails with the condition's own text. */
export async function until<T> (condition: () => T | Promise<T>, { timeoutMs = WAIT_MS }: { timeoutMs?: number } = {}): Promise<Exclude<NonNullable<T>, false | 0 | ''>> {
  const deadline = Date.now() + timeoutMs
  let cause: unknown
  while (Date.now() < deadline) {
    try {
      const value = await condition()
      if (value) return value as Exclude<NonNullable<T>, false | 0 | ''>
      cause = undefined
    } catch (error) {
      cause = error
    }
    await sleep(20)
  }
  throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`, { cause })
}

/** The 8-digit code in the newest mail to an address. */
export function codeIn (engines: Engines, email: string): string {
  const mail = engines.mailsTo(email).at(-1)
  if (mail === undefined) throw new Error(`no mail to ${email}`)
  const code = /\b\d{8}\b/.exec(mail.text ?? '')?.[0]
  if (code === undefined) throw new Error(`no code in the mail to ${email}: ${mail.text}`)
  return code
}

/** Registers through v2, takes the code from the mail and exchanges it. */
export async function signIn (app: TestApp, engines: Engines, email: string, name = 'Test Person'): Promise<Tokens> {
  const registration = await app.inject({ method: 'POST', url: '/v2/users', payload: { email, name } })
  if (registration.statusCode !== 202) throw new Error(`signIn: registration answered ${registration.statusCode} ${registration.body}`)
  await pump(app, engines)
  const { challengeId } = registration.json<{ challengeId: string }>()
  const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, email) } })
  if (exchange.statusCode !== 200) throw new Error(`signIn: the exchange answered ${exchange.statusCode} ${exchange.body}`)
  return exchange.json<Tokens>()
}

/** The headers of a request by a user, whatever the role in the token, as if they had signed in. */
export async function bearerOf (app: TestApp, userId: string, role: 'user' | 'admin' = 'admin'): Promise<{ authorization: string }> {
  const { email = 'gone@example.com' } = await app.users.getFresh(userId) ?? {}
  return { authorization: `Bearer ${await app.accessTokens.sign({ sub: userId, email, role, sid: randomUUID() })}` }
}

/** An admin, as the actor of `app.users.update(await adminOf(app), id, patch, correlationId)`. Written straight into the table, without a mail or an event. */
export async function adminOf (app: TestApp): Promise<{ userId: string }> {
  const userId = randomUUID()
  const at = new Date().toISOString()
  await app.dynamodb.send(new PutCommand({
    TableName: app.config.USERS_TABLE,
    Item: { userId, kind: 'user', email: `admin-${userId}@example.net`, name: 'An Admin', locale: 'en', status: 'ACTIVE', role: 'admin', createdAt: at, updatedAt: at, version: 1 }
  }))
  await app.dynamodb.send(new UpdateCommand({ TableName: app.config.USERS_TABLE, Key: { userId: 'admins' }, UpdateExpression: 'ADD ids :ids', ExpressionAttributeValues: { ':ids': new Set([userId]) } }))
  return { userId }
}
