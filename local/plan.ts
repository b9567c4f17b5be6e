import { ConfigSchema, loadConfig, type Config } from '../src/plugins/config.ts'
import { LOCAL_ACCOUNT, LOCAL_AWS } from './aws.ts'
import { takeDataDir, type DataDir } from './data-dir.ts'
import { freePort, portOf } from './ports.ts'

/** Everything that is settled before anything starts. */
export interface Plan {
  dir: string
  data: DataDir
  host: string
  ports: { api: number, inbox: number, dynamodb: number, sqs: number, smtp: number }
  config: Config
  /** the environment of the app, and of every other process that is to join it */
  env: Record<string, string>
}

/** Variables that would lead to AWS, or to another end point than the engines started here. */
const NOT_LOCAL = ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3', 'EVENT_BUS_NAME', 'UPLOADS_BUCKET', 'JWT_SECRET_ARN']

/**
 * Takes the data directory, finds the ports and settles the configuration. The person's environment counts, but for
 * what names resources: those are started here.
 *
 * @throws {StartError} and ConfigError, with one line for a person
 */
export async function planSystem (given: NodeJS.ProcessEnv): Promise<Plan> {
  const dir = given['LOCAL_DATA_DIR']?.trim() || '.local'
  const data = takeDataDir(dir)
  const host = given['HOST']?.trim() || '127.0.0.1'
  const ports = {
    api: await portOf(given, 'PORT', 3000, host),
    inbox: await portOf(given, 'INBOX_PORT', 1080, '127.0.0.1'),
    dynamodb: await freePort(),
    sqs: await freePort(),
    smtp: await freePort()
  }
  const defaults = {
    NODE_ENV: 'development',
    PUBLIC_URL: `http://localhost:${ports.api}`,
    EMAIL_FROM: 'User Service <no-reply@example.com>',
    JWT_SECRET: data.rootSecret()
  }
  const wanted = Object.entries(given).filter((entry): entry is [string, string] => entry[0] in ConfigSchema.properties && !!entry[1]?.trim())
  const engines = {
    AWS_REGION: LOCAL_AWS.region,
    AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey,
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${ports.dynamodb}`,
    AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${ports.sqs}`,
    USERS_TABLE: 'UsersTable',
    AUTH_TABLE: 'AuthTable',
    EMAIL_TABLE: 'EmailTable',
    EMAIL_QUEUE_URL: `http://127.0.0.1:${ports.sqs}/${LOCAL_ACCOUNT}/EmailQueue`,
    SMTP_URL: `smtp://127.0.0.1:${ports.smtp}`
  }
  const env: Record<string, string> = { ...defaults, ...Object.fromEntries(wanted), ...engines }
  for (const name of NOT_LOCAL) delete env[name]
  // This process is the only one to serve the tables, so that it may cache what it reads; one beside it may not.
  const config = loadConfig({ LOG_LEVEL: 'warn', CACHE_TTL_SECONDS: '60', ...env, PORT: String(ports.api), HOST: host })
  // The file is for processes beside this one: they listen elsewhere.
  delete env['PORT']
  delete env['HOST']
  if (env['REDIS_URL'] === undefined) env['CACHE_TTL_SECONDS'] = '0'
  // The SDK takes its credentials from the environment itself.
  for (const name of NOT_LOCAL) delete process.env[name]
  Object.assign(process.env, engines)
  return { dir, data, host, ports, config, env }
}
