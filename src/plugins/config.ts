import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { BlockList, isIP } from 'node:net'
import { ConfigError } from '../shared/config-error.ts'
import { canonicalEmail } from '../shared/email-address.ts'

export { ConfigError }

/**
 * The texts of a variable: its purpose, an example value (empty for a secret, because an example would be used), and the
 * expected form for error messages.
 */
interface About { description: string, example: string, default?: unknown, expected?: string }

const about = <T extends About>({ description, example, ...keywords }: T) => ({ description, examples: [example], ...keywords })

const Text = ({ minLength = 1, maxLength = 1024, ...rest }: About & { pattern?: string, minLength?: number, maxLength?: number }) =>
  Type.String({ minLength, maxLength, ...about(rest) })

const Count = ({ minimum, maximum, ...rest }: About & { minimum: number, maximum: number }) =>
  Type.Integer({ minimum, maximum, ...about({ expected: `a whole number from ${minimum} to ${maximum}`, ...rest }) })

const Flag = (rest: About) => Type.Boolean(about({ expected: 'true or false', ...rest }))

const OneOf = <const T extends string>(values: readonly T[], rest: About) =>
  Type.Union(values.map(value => Type.Literal(value)), about({ expected: `one of ${values.join(', ')}`, ...rest }))

const List = (item: { pattern?: string }, rest: About & { minItems?: number }) => Type.Array(Type.String(item), about(rest))

// No user name, query or fragment, because they would be dropped or sent along unexpectedly.
const HTTP = 'https?://[^\\s/?#@\\\\]+'
const PATH = '[^\\s?#\\\\]*[^\\s/?#\\\\]'

const Url = (rest: About & { pattern?: string }) => Text({ pattern: `^${HTTP}(/${PATH})?/?$`, expected: 'an http or https URL without user name, query and fragment', ...rest })
const Endpoint = (service: string, port: number) => Url({ description: `the SDK's own: endpoint of ${service}`, example: `http://localhost:${port}` })

const TABLE = { pattern: '^[A-Za-z0-9_.-]{3,255}$', expected: 'the name of a DynamoDB table' }
/** So many characters a secret must have, for keys to be derived from it. */
const MIN_SECRET = 32
export const isSecret = (text: string): boolean => text.length >= MIN_SECRET
const SECRET = { example: '', minLength: MIN_SECRET, expected: '32 characters or more, for example from openssl rand -base64 48' }
const SECRET_ARN = { pattern: '^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\\d{12}:secret:[^\\s:]+$', expected: 'the ARN of a secret in Secrets Manager' }
// A word for logs, metric dimensions and event sources, where quotes, blanks and slashes have a meaning.
const WORD = { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', maxLength: 64, expected: 'letters, digits, dots, dashes and underscores, 64 at most' }
// CloudFormation's stack names have up to 128 characters; the template puts the stack's name here.
const ENVIRONMENT = { ...WORD, maxLength: 128, expected: 'letters, digits, dots, dashes and underscores, 128 at most' }
const CLAIM = { pattern: '^[\\x21-\\x7e]+$', maxLength: 255, expected: 'ASCII without blanks' }

/**
 * Every environment variable the service reads, with its purpose. `.env.example` and the README's table are generated
 * from it, and `template.yaml` must match it.
 */
export const ConfigSchema = Type.Object({
  NODE_ENV: OneOf(['production', 'development', 'test'], { description: 'production, development or test', example: 'production', default: 'production' }),
  SERVICE_NAME: Text({ description: 'name in logs, events and metrics', example: 'user-service', default: 'user-service', ...WORD }),
  STAGE: Text({ description: 'deployment, in every log line and as a dimension of metrics; on AWS the name of the stack', example: 'local', default: 'local', ...ENVIRONMENT }),
  LOG_LEVEL: OneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { description: 'trace, debug, info, warn, error, fatal or silent', example: 'info', default: 'info' }),
  PORT: Count({ minimum: 0, maximum: 65535, description: 'port of the plain server; 0 selects a free one', example: '3000', default: 3000 }),
  HOST: Text({ description: 'address the plain server binds', example: '127.0.0.1', default: '127.0.0.1', pattern: '^[A-Za-z0-9.:_%-]+$', maxLength: 253, expected: 'an address or a host name, without scheme and port' }),
  METRICS_PORT: Type.Optional(Count({ minimum: 0, maximum: 65535, description: 'port on which the plain server shows metrics to Prometheus, at /metrics of HOST; it needs no token, so let only the scraper reach it. 0 selects a free one; unset = off', example: '9464' })),
  PUBLIC_URL: Url({
    description: 'where clients reach the service, without a slash at the end; links in mails start with it',
    example: 'http://localhost:3000',
    pattern: `^${HTTP}(/${PATH})?$`,
    expected: 'an http or https URL without user name, query, fragment and slash at the end'
  }),
  VERIFY_URL: Type.Optional(Url({
    description: 'page that links in mails open, with #challengeId=…&code=… added; unset = PUBLIC_URL/verify',
    example: 'https://app.example.com/sign-in'
  })),
  AWS_REGION: Text({ description: 'region of every AWS resource', example: 'eu-central-1', pattern: '^[a-z]{2,4}(-[a-z]+)+-\\d{1,2}$', expected: 'the name of an AWS region' }),
  AWS_ENDPOINT_URL: Type.Optional(Url({ description: "the SDK's own: one endpoint for every AWS service", example: 'http://localhost:4566' })),
  AWS_ENDPOINT_URL_DYNAMODB: Type.Optional(Endpoint('DynamoDB', 8000)),
  AWS_ENDPOINT_URL_SQS: Type.Optional(Endpoint('SQS', 4566)),
  AWS_ENDPOINT_URL_S3: Type.Optional(Endpoint('S3', 4566)),
  USERS_TABLE: Text({ description: 'table of the users module', example: 'UsersTable', ...TABLE }),
  AUTH_TABLE: Text({ description: 'table of the auth module', example: 'AuthTable', ...TABLE }),
  EMAIL_TABLE: Text({ description: 'table of the email module', example: 'EmailTable', ...TABLE }),
  EMAIL_QUEUE_URL: Url({
    description: 'queue of the e-mail worker',
    example: 'http://localhost:4566/000000000000/EmailQueue',
    pattern: `^${HTTP}/${PATH}$`,
    expected: 'the URL of an SQS queue, not its name or ARN'
  }),
  EVENT_BUS_NAME: Type.Optional(Text({
    description: 'EventBridge bus for domain events; unset sends none',
    example: 'users',
    pattern: '^(arn:aws[a-z-]*:events:[a-z0-9-]+:\\d{12}:event-bus/)?[A-Za-z0-9/._-]{1,256}$',
    expected: 'the name or the ARN of an EventBridge bus'
  })),
  UPLOADS_BUCKET: Type.Optional(Text({ description: 'S3 bucket for avatars; unset turns avatars off', example: 'users-uploads', pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$', expected: 'the name of an S3 bucket' })),
  REDIS_URL: Type.Optional(Text({
    description: 'Redis or Valkey for the read cache, which all instances share',
    example: 'redis://localhost:6379',
    pattern: '^rediss?://[^\\s/?#\\\\]+(/\\d{0,5})?(\\?family=[046])?$',
    expected: 'redis://host:port or rediss://host:port, with a user name, password and database number if needed'
  })),
  CACHE_TTL_SECONDS: Count({
    minimum: 0,
    maximum: 3600,
    description: 'how old a cached read may be; 0 turns the cache off. The default applies only with REDIS_URL. Without REDIS_URL, set this only if a single process runs, which then caches in memory',
    example: '60',
    default: 60
  }),
  JWT_SECRET: Type.Optional(Text({ description: 'root secret, 32 characters or more; every key is derived from it', ...SECRET })),
  JWT_SECRET_PREVIOUS: Type.Optional(Text({ description: 'previous root secret; still verifies, never signs', ...SECRET })),
  JWT_SECRET_ARN: Type.Optional(Text({ description: 'root secret in Secrets Manager, instead of JWT_SECRET', example: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:RootSecret', ...SECRET_ARN })),
  CODE_SECRET: Type.Optional(Text({ description: 'secret from which codes in mails are derived, 32 characters or more; unset = the root secret', ...SECRET })),
  CODE_SECRET_ARN: Type.Optional(Text({ description: 'the same secret in Secrets Manager, instead of CODE_SECRET', example: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:CodeSecret', ...SECRET_ARN })),
  JWT_ISSUER: Text({ description: 'iss of access tokens', example: 'user-service', default: 'user-service', ...CLAIM }),
  JWT_AUDIENCE: Text({ description: 'aud of access tokens', example: 'user-service', default: 'user-service', ...CLAIM }),
  ACCESS_TOKEN_TTL_SECONDS: Count({ minimum: 30, maximum: 3600, description: 'lifetime of an access token', example: '600', default: 600 }),
  CORS_ORIGIN: Type.Optional(List({ pattern: '^https?://[^\\s/*]+$' }, {
    description: 'exact origins from which browsers may call, comma separated; unset = no CORS',
    example: 'https://app.example.com',
    expected: "origins as a browser sends them, comma separated: scheme and host in lower case, a port if it is not the scheme's default, no slash at the end",
    minItems: 1
  })),
  RATE_LIMIT_MAX: Count({ minimum: 1, maximum: 1_000_000_000, description: 'requests a client address may make in a window; stricter route classes allow a fraction of it', example: '100', default: 100 }),
  RATE_LIMIT_WINDOW_SECONDS: Count({ minimum: 1, maximum: 3600, description: 'length of that window', example: '60', default: 60 }),
  EMAIL_FROM: Text({ description: 'sender of every mail: an address, or "Name <address>"', example: 'User Service <users@example.com>', maxLength: 320, expected: 'one address, or Name <address>, without control characters' }),
  BRAND_NAME: Type.Optional(Text({ description: 'name of the product in mails and at /verify; unset = in mails the name in EMAIL_FROM', example: 'Acme', maxLength: 60, expected: 'a name of 60 characters at most, without control characters and direction marks' })),
  BRAND_COLOR: Type.Optional(Text({ description: 'color of buttons in mails and at /verify; their text is black or white, whichever is easier to read', example: '#1f4fd8', pattern: '^#[0-9A-Fa-f]{6}$', expected: 'a color written #rrggbb' })),
  BRAND_LOGO_URL: Type.Optional(Text({
    description: 'logo in mails and at /verify, 32 pixels high there; the image must be public',
    example: 'https://cdn.example.com/logo.png',
    pattern: '^https://[A-Za-z0-9.-]+(:\\d{1,5})?/[!$%&()*+,./0-9:;=?@A-Z_a-z~-]+$',
    expected: 'an https URL without user name and fragment, in ASCII'
  })),
  MAIL_TEMPLATES_DIR: Type.Optional(Text({ description: 'directory with texts and layouts that replace those of the mails, see docs/mails.md', example: '/opt/mail-templates', pattern: '^[^\\u0000-\\u001f]+$', expected: 'the path of a directory' })),
  SMTP_URL: Type.Optional(Text({
    description: 'SMTP server for mails; unset sends through SES. In production smtp:// to another machine needs STARTTLS, unless the URL ends in ?requireTLS=false',
    example: 'smtp://localhost:1025',
    pattern: '^smtps?://[^\\s/?#\\\\]+/?(\\?[^\\s#]*)?$',
    expected: 'smtp://host:port or smtps://host:port, with a user name and a password if needed'
  })),
  SES_CONFIGURATION_SET: Type.Optional(Text({ description: 'SES configuration set of every mail, which publishes what becomes of them; unset uses none', example: 'user-service-mails', pattern: '^[A-Za-z0-9_-]{1,64}$', expected: 'the name of an SES configuration set' })),
  MAIL_RECEIPTS_QUEUE_URL: Type.Optional(Url({
    description: 'queue of what SES says about sent mails; unset receives none, and no address is suppressed',
    example: 'http://localhost:4566/000000000000/MailReceiptsQueue',
    pattern: `^${HTTP}/${PATH}$`,
    expected: 'the URL of an SQS queue, not its name or ARN'
  })),
  ADMIN_EMAILS: List({}, { description: 'addresses whose owners are admins once verified, comma separated', example: 'ada@example.com', default: [], expected: 'e-mail addresses, comma separated' }),
  V1_SUNSET: Text({ description: 'date on which v1 ends, in the Sunset header', example: '2027-12-31', default: '2027-12-31', pattern: '^\\d{4}-\\d{2}-\\d{2}$', expected: 'a calendar date, YYYY-MM-DD' }),
  V1_ENABLED: Flag({ description: 'false answers 410 on every v1 path', example: 'true', default: true }),
  DOCS_ENABLED: Flag({ description: 'serve Swagger UI at /docs', example: 'true', default: true }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Url({ description: 'OpenTelemetry collector that gets the traces of the plain server, as OTLP over HTTP; unset = no traces', example: 'http://localhost:4318' })),
  TRUST_PROXY: Type.Optional(List({ pattern: '^[0-9a-fA-F.:]+(/(0|[1-9]\\d{0,2}))?$' }, {
    description: 'proxies whose X-Forwarded-For is trusted, CIDR list; plain server only',
    example: '10.0.0.0/8',
    expected: 'addresses or CIDR ranges, comma separated, none wider than /8 (IPv6: /7), because a trusted proxy decides which client address is counted',
    minItems: 1
  }))
})
export type Config = Static<typeof ConfigSchema>
type Name = keyof Config

const required = new Set<string>(ConfigSchema.required)

function parse (schema: TSchema, text: string): unknown {
  if (schema['type'] === 'integer') return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text
  if (schema['type'] === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (schema['type'] === 'array') return text.split(',').map(part => part.trim()).filter(part => part !== '')
  return text
}

const exampleOf = (schema: TSchema) => {
  const example = String((schema['examples'] as unknown[])[0])
  return example === '' ? '' : `, for example ${example}`
}

// Messages never contain the value, because it may be a secret.
const missing = (name: string, schema: TSchema) => `${name} is missing (${schema.description!}${exampleOf(schema)}, see .env.example)`
const wrong = (name: string, schema: TSchema) => `${name} is not valid: expected ${String(schema['expected'])}${exampleOf(schema)}`

/** Whether a text in the form of a date is a real date: `Date` reads the 30th of February as the 2nd of March. */
function isDay (text: string): boolean {
  const date = new Date(text)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

/** Whether an IPv6 network has addresses of the IPv4 internet in it, which IPv6 writes as `::ffff:0:0/96`. */
function hasIpv4 (address: string, bits: number): boolean {
  const list = new BlockList()
  list.addSubnet('::ffff:0:0', Math.min(bits, 96), 'ipv6')
  return list.check(address, 'ipv6')
}

/** Whether a range is an address or a plausible network; a wider range would trust the whole internet. */
function isNetwork (text: string): boolean {
  const [address, prefix] = text.split('/') as [string, string?]
  const version = isIP(address)
  if (version === 0) return false
  if (prefix === undefined) return true
  const bits = Number(prefix)
  if (version === 4) return bits >= 8 && bits <= 32
  // IPv4's /8 is /104 there.
  return bits >= 7 && bits <= 128 && (bits >= 104 || !hasIpv4(address, bits))
}

/** Whether a name is one line of visible text. */
function isVisibleLine (text: string): boolean {
  return !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) && text.isWellFormed()
}

function isSender (text: string): boolean {
  if (!isVisibleLine(text)) return false
  // A display name is plain, or in one pair of quotes.
  const match = /^(?:(?:"[^"<>]*"|[^"<>]*)\s*<([^<>]+)>|([^<>\s]+))$/.exec(text)
  return match !== null && canonicalEmail((match[1] ?? match[2])!) !== undefined
}

/** Checks that a pattern cannot express. */
const CHECKS: { [N in Name]?: (value: NonNullable<Config[N]>) => boolean } = {
  CORS_ORIGIN: origins => origins.every(origin => URL.canParse(origin) && new URL(origin).origin === origin),
  TRUST_PROXY: ranges => ranges.every(isNetwork),
  V1_SUNSET: isDay,
  EMAIL_FROM: isSender,
  BRAND_NAME: isVisibleLine,
  ADMIN_EMAILS: addresses => addresses.every(address => canonicalEmail(address) !== undefined)
}

function isRight (name: Name, schema: TSchema, value: unknown): boolean {
  if (!Value.Check(schema, value)) return false
  if (name.includes('_URL') && !(URL.canParse(value as string) && new URL(value as string).hostname !== '')) return false
  return (CHECKS[name] as ((value: unknown) => boolean) | undefined)?.(value) ?? true
}

/** Errors in the combination of secrets, by variable. */
function secretFaults (config: Partial<Config>): [Name, string][] {
  const { JWT_SECRET, JWT_SECRET_ARN, JWT_SECRET_PREVIOUS, CODE_SECRET, CODE_SECRET_ARN } = config
  const faults: [Name, string][] = []
  if (JWT_SECRET !== undefined && JWT_SECRET_ARN !== undefined) faults.push(['JWT_SECRET', 'and JWT_SECRET_ARN are both set: set one of them'])
  if (CODE_SECRET !== undefined && CODE_SECRET_ARN !== undefined) faults.push(['CODE_SECRET', 'and CODE_SECRET_ARN are both set: set one of them'])
  // A process that only mails codes needs only the secret of codes.
  if ((JWT_SECRET ?? JWT_SECRET_ARN ?? CODE_SECRET ?? CODE_SECRET_ARN) === undefined) {
    faults.push(['JWT_SECRET', 'is missing (set it, or JWT_SECRET_ARN: openssl rand -base64 48 makes one). A separate e-mail worker needs CODE_SECRET or CODE_SECRET_ARN instead'])
  }
  if (JWT_SECRET_PREVIOUS !== undefined && JWT_SECRET === undefined) faults.push(['JWT_SECRET_PREVIOUS', 'is set without JWT_SECRET: Secrets Manager keeps the previous version by itself'])
  if (JWT_SECRET_PREVIOUS !== undefined && JWT_SECRET_PREVIOUS === JWT_SECRET) faults.push(['JWT_SECRET_PREVIOUS', 'is the same as JWT_SECRET'])
  const codes = CODE_SECRET ?? CODE_SECRET_ARN
  if (codes !== undefined && [JWT_SECRET, JWT_SECRET_PREVIOUS, JWT_SECRET_ARN].includes(codes)) {
    faults.push([CODE_SECRET === undefined ? 'CODE_SECRET_ARN' : 'CODE_SECRET', 'is the same as the root secret, so the e-mail worker could sign access tokens. Use another secret, or leave it unset'])
  }
  return faults
}

/**
 * Reads and checks the configuration. Empty variables count as unset. Unknown variables are ignored.
 *
 * @param names the variables that are read: all, but for a service that is only a part of this one
 * @throws {ConfigError} when a variable is missing or invalid
 */
export function loadConfig<N extends Name = Name> (env: Record<string, string | undefined>, names: readonly N[] = Object.keys(ConfigSchema.properties) as N[]): Pick<Config, N> {
  const config: Record<string, unknown> = {}
  const faults = new Map<string, string>()
  const absent: string[] = []
  for (const name of names) {
    const schema: TSchema = ConfigSchema.properties[name]
    const text = env[name]?.trim() ?? ''
    if (text === '') {
      const value = structuredClone(schema['default'] as unknown)
      if (value !== undefined) config[name] = value
      else if (required.has(name)) {
        absent.push(name)
        faults.set(name, missing(name, schema))
      }
      continue
    }
    const value = parse(schema, text)
    // Shells and dotenv files remove quotes; `docker run --env-file` and others keep them.
    if (/^(["'])[^]*\1$/.test(text)) faults.set(name, `${name} is in literal quotes: write the value without quotes`)
    else if (name === 'CORS_ORIGIN' && text.includes('*')) faults.set(name, `${name} is not valid: * cannot be combined with credentials, list the origins`)
    else if (!isRight(name as Name, schema, value)) faults.set(name, wrong(name, schema))
    else config[name] = value
  }
  // An in-process cache does not see the writes of other processes, so it is on only when it is configured explicitly.
  if (config['REDIS_URL'] === undefined && (env['CACHE_TTL_SECONDS']?.trim() ?? '') === '') config['CACHE_TTL_SECONDS'] = 0
  for (const [name, fault] of secretFaults(config)) {
    // An invalid secret is not reported as missing too.
    if (![...faults.keys()].some(faulty => faulty.includes('_SECRET'))) faults.set(name, `${name} ${fault}`)
  }
  // A line that explains eight variables is not read: several are only named.
  if (absent.length > 1) {
    for (const name of absent) faults.delete(name)
    const all = absent.join(', ')
    faults.set(all, `${all} are missing (see .env.example)`)
  }
  if (faults.size > 0) throw new ConfigError(`Configuration: ${[...faults.values()].join('; ')}`)
  const { ADMIN_EMAILS } = config as Partial<Config>
  return { ...config as Config, ...(ADMIN_EMAILS === undefined ? {} : { ADMIN_EMAILS: ADMIN_EMAILS.map(email => canonicalEmail(email)!) }) }
}

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** Decorates the app with the checked configuration. Does not read the environment itself. */
export default fp<{ config: Config }>(async function config (app, options) {
  app.decorate('config', Object.freeze(options.config))
}, { name: 'config' })
