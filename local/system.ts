import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { SQSClient } from '@aws-sdk/client-sqs'
import { createServer } from 'node:net'
import { buildApp } from '../src/app.ts'
import { ConfigSchema, loadConfig } from '../src/plugins/config.ts'
import { createLogger } from '../src/plugins/logging.ts'
import { LOCAL_ACCOUNT, LOCAL_AWS } from './aws.ts'
import { createCheckpoints } from './checkpoints.ts'
import { StartError, takeDataDir } from './data-dir.ts'
import { createTables, startDynamodb } from './dynamodb.ts'
import { startQueueMapping, startStreamMapping } from './event-source-mappings.ts'
import { startInbox } from './inbox.ts'
import { freePort } from './ports.ts'
import { queueArn, startSqs } from './sqs.ts'
import { readTemplate } from './template.ts'
import { terminalLog } from './terminal-log.ts'

export interface System {
  urls: { api: string, docs: string, inbox: string }
  dataDir: string
  /** Resolves with a reason when a part has ended by itself. */
  readonly broken: Promise<string>
  /** Stops everything in order; what is under way is finished or put back. */
  stop (): Promise<void>
}

/** Variables that point somewhere else than at the engines started here, or would be paid for. */
const NOT_LOCAL = ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3', 'EVENT_BUS_NAME', 'UPLOADS_BUCKET', 'JWT_SECRET_ARN']

/**
 * A port that a variable asks for, or a free one for 0.
 *
 * @throws {StartError} when it is no port, or taken
 */
async function portOf (env: NodeJS.ProcessEnv, name: string, byDefault: number, host: string): Promise<number> {
  const text = env[name]?.trim() || String(byDefault)
  const port = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(port <= 65_535)) throw new StartError(`${name} is not valid (expected a port, 0 for a free one)`)
  if (port === 0) return await freePort()
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => { probe.once('error', reject).listen(port, host, resolve) })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new StartError(`Port ${port} is taken: set ${name} to another port, or to 0 for a free one`)
    throw new StartError(`${name}: cannot listen on ${host}:${port} (${code})`)
  }
  await new Promise(resolve => { probe.close(resolve) })
  return port
}

/**
 * Starts the whole system in this process: engines, inbox, app, and what AWS runs between them.
 *
 * @throws {StartError} and ConfigError with one line for a person
 */
export async function startSystem (given: NodeJS.ProcessEnv): Promise<System> {
  const stops: (() => unknown)[] = []
  async function stop () {
    for (const step of stops.splice(0).reverse()) await step()
  }
  try {
    return await start(given, stops, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function start (given: NodeJS.ProcessEnv, stops: (() => unknown)[], stop: () => Promise<void>): Promise<System> {
  const dir = given['LOCAL_DATA_DIR']?.trim() || '.local'
  const data = takeDataDir(dir)
  stops.push(() => data.release())

  const host = given['HOST']?.trim() || '127.0.0.1'
  const port = await portOf(given, 'PORT', 3000, host)
  const inboxPort = await portOf(given, 'INBOX_PORT', 1080, '127.0.0.1')
  const [dynamodbPort, sqsPort, smtpPort] = await Promise.all([freePort(), freePort(), freePort()])
  const sqsEndpoint = `http://127.0.0.1:${sqsPort}`

  const defaults = {
    NODE_ENV: 'development',
    LOG_LEVEL: 'warn',
    PUBLIC_URL: `http://localhost:${port}`,
    EMAIL_FROM: 'User Service <no-reply@example.com>',
    JWT_SECRET: data.rootSecret()
  }
  const engines = {
    AWS_REGION: LOCAL_AWS.region,
    AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey,
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${dynamodbPort}`,
    AWS_ENDPOINT_URL_SQS: sqsEndpoint,
    USERS_TABLE: 'UsersTable',
    AUTH_TABLE: 'AuthTable',
    EMAIL_TABLE: 'EmailTable',
    EMAIL_QUEUE_URL: `${sqsEndpoint}/${LOCAL_ACCOUNT}/EmailQueue`,
    SMTP_URL: `smtp://127.0.0.1:${smtpPort}`
  }
  const wanted = Object.fromEntries(Object.entries(given).filter(([name, value]) => name in ConfigSchema.properties && !NOT_LOCAL.includes(name) && value?.trim())) as Record<string, string>
  const env: Record<string, string> = { ...defaults, ...wanted, ...engines }
  const config = loadConfig({ ...env, PORT: String(port), HOST: host })
  // The SDK takes its credentials from the environment itself.
  for (const name of NOT_LOCAL) delete process.env[name]
  Object.assign(process.env, engines)

  const template = readTemplate()
  const dynamodb = await startDynamodb({ port: dynamodbPort, dataDir: data.path('dynamodb') })
  let isStopping = false
  stops.push(() => {
    isStopping = true
    return dynamodb.stop()
  })
  await createTables(dynamodb.endpoint, template.tables)
  const sqs = await startSqs({ port: sqsPort, dataDir: data.path('sqs'), queues: template.queues })
  stops.push(() => sqs.stop())
  const inbox = await startInbox({ smtpPort, webPort: inboxPort, mailDirectory: data.path('mails') })
  stops.push(() => inbox.stop())

  const app = await buildApp({ config, docs: { source: 'routes' }, logger: createLogger(config, terminalLog()), server: { forceCloseConnections: true } })
  stops.push(() => app.close())
  await app.listen({ host, port })

  const clients = {
    streams: new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: dynamodb.endpoint }),
    sqs: new SQSClient({ ...LOCAL_AWS, endpoint: sqs.endpoint })
  }
  const checkpoints = createCheckpoints(data.path('checkpoints.json'))
  const mappings = [
    ...template.streamMappings.map(mapping => startStreamMapping({ ...clients, mapping, handler: app.relay.handleBatch, queueUrl: sqs.queueUrl, checkpoints, log: app.log })),
    ...template.queueMappings.map(mapping => startQueueMapping({ mapping, handler: app.email.handleBatch, sqs: clients.sqs, queueUrl: sqs.queueUrl(mapping.queue), queueArn: queueArn(mapping.queue), log: app.log }))
  ]
  const sweep = () => { app.relay.sweep().catch((err: unknown) => app.log.warn({ err }, 'sweep')) }
  const sweeper = setInterval(sweep, template.sweepInterval)
  stops.push(async () => {
    clearInterval(sweeper)
    await Promise.all(mappings.map(mapping => mapping.stop()))
    clients.streams.destroy()
    clients.sqs.destroy()
  })

  data.writeEnv(env)
  return {
    urls: { api: env['PUBLIC_URL']!, docs: `${env['PUBLIC_URL']}/docs`, inbox: inbox.url },
    dataDir: dir,
    broken: dynamodb.ended.then(() => isStopping ? new Promise<never>(() => {}) : 'The DynamoDB engine has ended by itself'),
    stop
  }
}
