import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { isIP } from 'node:net'
import { canonicalEmail } from '../shared/email-address.ts'

const Text = (description: string, options: object = {}) => Type.String({ minLength: 1, description, ...options })
const Url = (description: string, options: object = {}) => Type.String({ pattern: '^https?://[^\\s/]+', description, ...options })
const List = (description: string, pattern: string, options: object = {}) => Type.Array(Type.String({ pattern }), { description, ...options })

/** Every environment variable the service reads, with the reason it exists. `.env.example` and `template.yaml` follow it. */
export const ConfigSchema = Type.Object({
  NODE_ENV: Type.Union([Type.Literal('production'), Type.Literal('development'), Type.Literal('test')], { default: 'production', description: 'production, development or test' }),
  SERVICE_NAME: Text('name in logs, events and metrics', { default: 'user-service' }),
  STAGE: Text('deployment stage, in every log line', { default: 'local' }),
  LOG_LEVEL: Type.Union(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map(l => Type.Literal(l)), { default: 'info', description: 'trace, debug, info, warn, error, fatal or silent' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 3000, description: 'port of the plain server; 0 takes a free one' }),
  HOST: Text('address the plain server binds', { default: '127.0.0.1' }),
  PUBLIC_URL: Url('where clients reach the service, without a slash at the end; links in mails start with it', { pattern: '^https?://[^\\s/]+(/[^\\s]*[^\\s/])?$', examples: ['http://localhost:3000'] }),
  AWS_REGION: Text('region of every AWS resource', { pattern: '^[a-z]{2}(-[a-z]+)+-\\d$', examples: ['eu-central-1'] }),
  AWS_ENDPOINT_URL: Type.Optional(Url("the SDK's own: one end point for every AWS service", { examples: ['http://localhost:4566'] })),
  AWS_ENDPOINT_URL_DYNAMODB: Type.Optional(Url("the SDK's own: end point of DynamoDB", { examples: ['http://localhost:8000'] })),
  AWS_ENDPOINT_URL_SQS: Type.Optional(Url("the SDK's own: end point of SQS", { examples: ['http://localhost:4566'] })),
  AWS_ENDPOINT_URL_S3: Type.Optional(Url("the SDK's own: end point of S3", { examples: ['http://localhost:4566'] })),
  USERS_TABLE: Text('table of the users module', { examples: ['UsersTable'] }),
  AUTH_TABLE: Text('table of the auth module', { examples: ['AuthTable'] }),
  EMAIL_TABLE: Text('table of the email module', { examples: ['EmailTable'] }),
  EMAIL_QUEUE_URL: Url('queue between the relay and the e-mail worker', { examples: ['http://localhost:4566/000000000000/EmailQueue'] }),
  EVENT_BUS_NAME: Type.Optional(Text('EventBridge bus for domain events; unset sends none', { examples: ['users'] })),
  UPLOADS_BUCKET: Type.Optional(Text('S3 bucket for uploads', { examples: ['users-uploads'] })),
  REDIS_URL: Type.Optional(Text('Redis or Valkey for the read cache; unset keeps the cache in the process', { pattern: '^rediss?://[^\\s]+$', examples: ['redis://localhost:6379'] })),
  CACHE_TTL_SECONDS: Type.Integer({ minimum: 0, maximum: 3600, default: 60, description: 'how old a cached read may be; 0 turns the cache off' }),
  JWT_SECRET: Type.Optional(Text('root secret, 32 characters or more; every key is derived from it', { minLength: 32 })),
  JWT_SECRET_PREVIOUS: Type.Optional(Text('root secret before the last rotation: still verifies, never signs', { minLength: 32 })),
  JWT_SECRET_ARN: Type.Optional(Text('root secret in Secrets Manager, instead of JWT_SECRET', { pattern: '^arn:', examples: ['arn:aws:secretsmanager:eu-central-1:123456789012:secret:RootSecret'] })),
  JWT_ISSUER: Text('iss of access tokens', { default: 'user-service' }),
  JWT_AUDIENCE: Text('aud of access tokens', { default: 'user-service' }),
  ACCESS_TOKEN_TTL_SECONDS: Type.Integer({ minimum: 30, maximum: 3600, default: 600, description: 'life of an access token' }),
  CORS_ORIGIN: Type.Optional(List('origins a browser may call from, exact, comma separated; unset = no CORS', '^https?://[^\\s/*]+$', { minItems: 1, examples: [['https://app.example.com']] })),
  RATE_LIMIT_MAX: Type.Integer({ minimum: 1, default: 100, description: 'requests a client address may make in a window; stricter route classes are fractions of it' }),
  RATE_LIMIT_WINDOW_SECONDS: Type.Integer({ minimum: 1, maximum: 3600, default: 60, description: 'length of that window' }),
  EMAIL_FROM: Text('sender of every mail: an address, or "Name <address>"', { examples: ['User Service <users@example.com>'] }),
  SMTP_URL: Type.Optional(Text('SMTP server for mails; unset sends through SES', { pattern: '^smtps?://[^\\s]+$', examples: ['smtp://localhost:1025'] })),
  ADMIN_EMAILS: List('addresses whose owners are admins once verified, comma separated', '^\\S+$', { default: [] }),
  V1_SUNSET: Text('day on which v1 ends, in the Sunset header', { pattern: '^\\d{4}-\\d{2}-\\d{2}$', default: '2027-12-31' }),
  V1_ENABLED: Type.Boolean({ default: true, description: 'false answers 410 on every v1 path' }),
  DOCS_ENABLED: Type.Boolean({ default: true, description: 'serve Swagger UI at /docs' }),
  TRUST_PROXY: Type.Optional(List('proxies whose X-Forwarded-For counts, CIDR list; plain server only', '^[0-9a-fA-F.:]+(/\\d{1,3})?$', { minItems: 1, examples: [['10.0.0.0/8']] }))
}, { additionalProperties: false })
export type Config = Static<typeof ConfigSchema>

/** A configuration that cannot be started with. Its message is one line that names each variable and what is wrong. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  code = 'CONFIG_INVALID'
}

function parse (schema: TSchema, text: string): unknown {
  if (schema['type'] === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text
  if (schema['type'] === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (schema['type'] === 'array') return text.split(',').map(part => part.trim()).filter(part => part !== '')
  return text
}

function wrong (name: string, schema: TSchema, value: unknown): string {
  const what = String(schema['description'] ?? '')
  if (value === undefined) return `${name} is missing (${what})`
  // Never the value: it may be a secret.
  return `${name} is not valid (expected ${schema['type'] === undefined ? 'one of: ' : `${String(schema['type'])}: `}${what})`
}

/** Whether a text of the calendar's form is a day of it: `Date` takes the 30th of February for the 2nd of March. */
function isDay (text: string): boolean {
  const date = new Date(text)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

function isRange (text: string): boolean {
  const [address = '', prefix = '0'] = text.split('/')
  const version = isIP(address)
  return version !== 0 && Number(prefix) <= (version === 4 ? 32 : 128)
}

/**
 * Reads and checks the configuration. Empty variables count as unset; variables that are not ours are ignored.
 *
 * @throws {ConfigError} when a variable is missing or bad
 */
export function loadConfig (env: Record<string, string | undefined>): Config {
  const config: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(ConfigSchema.properties)) {
    const text = env[name]?.trim()
    const value = text === undefined || text === '' ? structuredClone(schema['default']) : parse(schema, text)
    if (value !== undefined) config[name] = value
  }
  const faults = new Map<string, string>()
  for (const error of Value.Errors(ConfigSchema, config)) {
    const name = error.path.split('/')[1] ?? ''
    const schema = ConfigSchema.properties[name as keyof Config]
    if (!faults.has(name)) faults.set(name, wrong(name, schema, config[name]))
  }
  const add = (name: string, message: string) => { if (!faults.has(name)) faults.set(name, `${name} ${message}`) }

  for (const [name, value] of Object.entries(config)) {
    if (name.includes('URL') && typeof value === 'string' && !URL.canParse(value)) add(name, 'is not valid (expected a URL)')
  }
  // What a browser sends: lower case, no port where it is the scheme's own. Another spelling would never match.
  if (Array.isArray(config['CORS_ORIGIN']) && !config['CORS_ORIGIN'].every(origin => URL.canParse(origin) && new URL(origin).origin === origin)) {
    add('CORS_ORIGIN', 'is not valid (expected origins as a browser sends them: scheme, host, port where it is not the usual one)')
  }
  if (Array.isArray(config['TRUST_PROXY']) && !config['TRUST_PROXY'].every(isRange)) {
    add('TRUST_PROXY', 'is not valid (expected addresses or CIDR ranges, comma separated)')
  }
  if (env['CORS_ORIGIN']?.includes('*') === true) {
    faults.set('CORS_ORIGIN', 'CORS_ORIGIN is not valid: * cannot be combined with credentials, name the origins')
  }
  if (config['JWT_SECRET'] === undefined && config['JWT_SECRET_ARN'] === undefined) {
    add('JWT_SECRET', 'is missing (set it, or JWT_SECRET_ARN)')
  }
  if (config['JWT_SECRET'] !== undefined && config['JWT_SECRET_ARN'] !== undefined) {
    add('JWT_SECRET', 'and JWT_SECRET_ARN are both set: set one of them')
  }
  if (typeof config['V1_SUNSET'] === 'string' && !isDay(config['V1_SUNSET'])) {
    add('V1_SUNSET', 'is not valid (expected a day of the calendar: YYYY-MM-DD)')
  }
  if (typeof config['EMAIL_FROM'] === 'string') {
    const address = /^(?:[^<>\r\n]*<([^<>]+)>|([^<>\s]+))$/.exec(config['EMAIL_FROM'])
    if (canonicalEmail(address?.[1] ?? address?.[2] ?? '') === undefined) add('EMAIL_FROM', 'is not valid (expected an address, or "Name <address>")')
  }
  if (Array.isArray(config['ADMIN_EMAILS'])) {
    const canonical = config['ADMIN_EMAILS'].map(email => canonicalEmail(String(email)))
    if (canonical.includes(undefined)) add('ADMIN_EMAILS', 'is not valid (expected e-mail addresses, comma separated)')
    config['ADMIN_EMAILS'] = canonical
  }
  if (faults.size > 0) throw new ConfigError(`Configuration: ${[...faults.values()].join('; ')}`)
  return config as Config
}

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** Decorates the app with the checked configuration it was given; reads no environment itself. */
export default fp<{ config: Config }>(async function config (app, options) {
  app.decorate('config', Object.freeze(options.config))
}, { name: 'config' })
