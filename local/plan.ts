import { ConfigSchema, loadConfig, type Config } from '../src/plugins/config.ts'
import { LOCAL_AWS } from './aws.ts'
import { takeDataDir, type DataDir } from './data-dir.ts'
import { spaceOn } from './disk.ts'
import { hiddenHost } from './dynoxide.ts'
import { completeEnv, engineEnv } from './env.ts'
import { freePort, portOf } from './ports.ts'
import { StartError } from './start-error.ts'
import { readTemplate, type Template } from './template.ts'

/** The decisions that are made before anything starts. */
export interface Plan {
  dir: string
  data: DataDir
  host: string
  ports: { api: number, inbox: number, dynamodb: number, sqs: number, smtp: number, metrics?: number }
  /** the address of the DynamoDB engine itself; the port above belongs to the guard in front of it */
  engine: { host: string, port: number }
  template: Template
  config: Config
  /** the environment of the app, and of other processes that use the same engines */
  env: Record<string, string>
}

/** Variables that would connect to AWS, or to endpoints other than the engines started here. */
const NOT_LOCAL = ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL', 'EVENT_BUS_NAME', 'JWT_SECRET_ARN']

/**
 * Locks the data directory, finds the ports and builds the configuration. The user's environment is used, except for
 * variables that name resources, because the resources are started here.
 *
 * @throws {StartError} and ConfigError, with one line for the user
 */
export async function planSystem (given: NodeJS.ProcessEnv): Promise<Plan> {
  const dir = given['LOCAL_DATA_DIR']?.trim() || '.local'
  await spaceOn(dir, console.error)
  const data = takeDataDir(dir)
  const template = readTemplate()
  const host = given['HOST']?.trim() || '127.0.0.1'
  const ports = {
    api: await portOf(given, 'PORT', 3000, host),
    inbox: await portOf(given, 'INBOX_PORT', 1080, '127.0.0.1'),
    ...(given['METRICS_PORT']?.trim() ? { metrics: await portOf(given, 'METRICS_PORT', 0, host) } : {}),
    dynamodb: await freePort(),
    sqs: await freePort(),
    smtp: await freePort()
  }
  if (ports.metrics !== undefined && [ports.api, ports.inbox].includes(ports.metrics)) throw new StartError(`METRICS_PORT: port ${ports.metrics} is already used, set METRICS_PORT to another port, or to 0 for a free one`)
  if (ports.inbox === ports.api) throw new StartError(`INBOX_PORT: port ${ports.inbox} is already used for PORT, set one of the two to another port, or to 0 for a free one`)
  const defaults = completeEnv({
    NODE_ENV: 'development',
    PUBLIC_URL: `http://localhost:${ports.api}`,
    EMAIL_FROM: 'User Service <no-reply@example.com>',
    JWT_SECRET: data.rootSecret()
  })
  const wanted = Object.entries(given).filter((entry): entry is [string, string] => entry[0] in ConfigSchema.properties && !!entry[1]?.trim())
  const engine = { host: hiddenHost(), port: await freePort() }
  const enginesAt = (dynamodb: string) => ({
    ...engineEnv({ template, dynamodb, sqs: `http://127.0.0.1:${ports.sqs}`, smtp: `smtp://127.0.0.1:${ports.smtp}` }),
    AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey
  })
  const env: Record<string, string> = { ...defaults, ...Object.fromEntries(wanted), ...enginesAt(`http://127.0.0.1:${ports.dynamodb}`) }
  for (const name of NOT_LOCAL) delete env[name]
  // This process needs no guard in front of the engine. It is the only process that serves the tables, so it may cache
  // reads; another process may not.
  const own = enginesAt(`http://${engine.host}:${engine.port}`)
  const config = loadConfig({ LOG_LEVEL: 'warn', CACHE_TTL_SECONDS: '60', ...env, ...own, PORT: String(ports.api), HOST: host, ...(ports.metrics === undefined ? {} : { METRICS_PORT: String(ports.metrics) }) })
  // The file is for other processes, which listen on other ports.
  delete env['PORT']
  delete env['METRICS_PORT']
  delete env['HOST']
  if (env['REDIS_URL'] === undefined) env['CACHE_TTL_SECONDS'] = '0'
  // The SDK reads its credentials from the environment itself.
  for (const name of NOT_LOCAL) delete process.env[name]
  Object.assign(process.env, own)
  return { dir, data, host, ports, engine, template, config, env }
}
