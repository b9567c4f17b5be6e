import type { FauxqsServer } from 'fauxqs'
import { simpleParser, type ParsedMail } from 'mailparser'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LOCAL_AWS } from '../local/aws.ts'
import { createTables, JAVA_NEEDED, javaVersion, startDynamodb, type DynamodbEngine, type DynamodbKind } from '../local/dynamodb.ts'
import { completeEnv, engineEnv } from '../local/env.ts'
import { startRedis, type RedisEngine } from '../local/redis.ts'
import { startSqs, type SqsEngine } from '../local/sqs.ts'
import { readTemplate } from '../local/template.ts'
import { installedMoto } from '../scripts/moto.ts'
import { takeComposeEngines, usesCompose } from './compose.ts'
import './credentials.ts'
import type { Restartable } from './faults.ts'
import { MOTO_NEEDED, startMotoServer } from './moto.ts'
import { startSmtpSink, type SmtpSink } from './smtp-sink.ts'

/** The part of a tap test that helpers need. */
export interface Test {
  teardown (fn: () => unknown): void
}

/** The folder of the project that sends the mails, when the e-mail module has left this one; see test/house/remove-module.slow.test.ts. */
export const EMAIL_SERVICE = process.env['EMAIL_SERVICE']

export const template = readTemplate(EMAIL_SERVICE === undefined ? undefined : join(EMAIL_SERVICE, 'template.yaml'))

/** Every table of the service. */
export const TABLES = Object.keys(template.tables)

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
