import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import config, { ConfigError, ConfigSchema, isSecret, loadConfig } from '../../src/plugins/config.ts'

const GOOD = completeEnv()

/** The message that this environment is refused with. */
function refusal (env: Record<string, string | undefined>): string {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('what is required is enough, the rest has defaults', async t => {
  t.same(loadConfig(GOOD), {
    ...GOOD,
    NODE_ENV: 'production',
    SERVICE_NAME: 'user-service',
    STAGE: 'local',
    LOG_LEVEL: 'info',
    PORT: 3000,
    HOST: '127.0.0.1',
    CACHE_TTL_SECONDS: 0,
    JWT_ISSUER: 'user-service',
    JWT_AUDIENCE: 'user-service',
    ACCESS_TOKEN_TTL_SECONDS: 600,
    RATE_LIMIT_MAX: 100,
    RATE_LIMIT_WINDOW_SECONDS: 60,
    ADMIN_EMAILS: [],
    V1_SUNSET: '2027-12-31',
    V1_ENABLED: true,
    DOCS_ENABLED: true
  })
})

t.test('a refused environment is an error with a name and a code of its own', async t => {
  t.throws(() => loadConfig({ ...GOOD, PORT: 'x' }), { name: 'ConfigError', code: 'CONFIG_INVALID', message: /PORT/ })
})

t.test('the read cache is on by default where instances share it, and elsewhere only where it is asked for', async t => {
  const ttl = (env: Record<string, string>) => loadConfig({ ...GOOD, ...env }).CACHE_TTL_SECONDS
  t.equal(ttl({}), 0)
  t.equal(ttl({ CACHE_TTL_SECONDS: ' ' }), 0)
  t.equal(ttl({ CACHE_TTL_SECONDS: '60' }), 60)
  t.equal(ttl({ REDIS_URL: 'redis://localhost:6379' }), 60)
  t.equal(ttl({ REDIS_URL: 'redis://localhost:6379', CACHE_TTL_SECONDS: '0' }), 0)
})

t.test('two configurations never share a default', async t => {
  loadConfig(GOOD).ADMIN_EMAILS.push('mallory@example.com')
  t.same(loadConfig(GOOD).ADMIN_EMAILS, [])
})

t.test('values are trimmed, lists are split, numbers and booleans are read, addresses take their canonical form', async t => {
  const loaded = loadConfig({ ...GOOD, PORT: ' 8080 ', V1_ENABLED: 'false', DOCS_ENABLED: 'true', CORS_ORIGIN: 'https://a.example, http://localhost:5173,', ADMIN_EMAILS: 'Ada@Example.COM', TRUST_PROXY: '10.0.0.0/8,::1' })
  t.match(loaded, { PORT: 8080, V1_ENABLED: false, DOCS_ENABLED: true, CORS_ORIGIN: ['https://a.example', 'http://localhost:5173'], ADMIN_EMAILS: ['ada@example.com'], TRUST_PROXY: ['10.0.0.0/8', '::1'] })
})

t.test('an empty variable counts as unset, a foreign one is ignored', async t => {
  t.match(loadConfig({ ...GOOD, REDIS_URL: '', PORT: ' ', PATH: '/bin' }), { REDIS_URL: undefined, PORT: 3000, PATH: undefined })
})

t.test('each required variable is missed by its name, with an example and the file that has them all', async t => {
  for (const name of Object.keys(GOOD)) {
    const message = refusal({ ...GOOD, [name]: undefined })
    t.match(message, new RegExp(`^Configuration: ${name} is missing \\(.+\\)`))
    t.notMatch(message, /\n/)
    if (name !== 'JWT_SECRET') t.match(message, /, for example \S.*, see \.env\.example\)$/)
  }
})

const variables = Object.entries(ConfigSchema.properties) as [string, { description?: string, examples?: string[], expected?: string }][]

t.test('each variable has a description, one example and a text of what is expected', async t => {
  for (const [name, { description, examples, expected }] of variables) {
    t.type(description, 'string', name)
    t.equal(examples?.length, 1, name)
    t.type(expected, 'string', name)
    // A secret has an empty one: a good example would be used.
    t.equal(examples![0] === '', /_SECRET(_PREVIOUS)?$/.test(name), name)
  }
})

t.test('each example is a good value', async t => {
  for (const [name, { examples }] of variables) t.equal(refusal({ ...GOOD, ...(name === 'JWT_SECRET_ARN' ? { JWT_SECRET: undefined } : {}), [name]: examples![0]! || GOOD['JWT_SECRET']!.toUpperCase() }), 'accepted', name)
})

t.test('what real stages use is accepted', async t => {
  const good: Record<string, string[]> = {
    NODE_ENV: ['production', 'development', 'test'],
    LOG_LEVEL: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    AWS_REGION: ['us-east-1', 'us-gov-west-1', 'us-isob-east-1', 'eusc-de-east-1', 'ap-southeast-2'],
    PUBLIC_URL: ['http://127.0.0.1:4100', 'https://users.example.com/base/path', 'http://[::1]:3000'],
    VERIFY_URL: ['https://app.example.com', 'https://app.example.com/', 'http://localhost:5173/sign-in'],
    AWS_ENDPOINT_URL: ['http://localhost:4566', 'http://localhost:4566/', 'https://vpce-0.sqs.eu-central-1.vpce.amazonaws.com'],
    EMAIL_QUEUE_URL: ['https://sqs.eu-central-1.amazonaws.com/123456789012/EmailQueue', 'http://127.0.0.1:9/EmailQueue'],
    EVENT_BUS_NAME: ['default', 'stack-events', 'arn:aws:events:eu-central-1:123456789012:event-bus/users'],
    REDIS_URL: ['redis://localhost', 'rediss://user:p%40ss@cache.example.com:6380/3', 'redis://:secret@localhost:6379', 'redis://localhost:6379?family=6'],
    EMAIL_FROM: ['users@example.com', 'Users <users@example.com>', '"Users, Inc." <users@example.com>', '<users@example.com>', 'Ünser Team <users@example.com>'],
    MAIL_RECEIPTS_QUEUE_URL: ['https://sqs.eu-central-1.amazonaws.com/123456789012/Receipts'],
    SES_CONFIGURATION_SET: ['user-service-mails', 'A_b-9'],
    SMTP_URL: ['smtp://localhost:1025', 'smtps://user:p%40ss@smtp.example.com', 'smtp://smtp.example.com:587?requireTLS=true'],
    BRAND_NAME: ['Acme', 'Ünser & Co. "24"', '山田商店', 'دار'],
    BRAND_COLOR: ['#1f4fd8', '#FFD400'],
    BRAND_LOGO_URL: ['https://cdn.example.com/logo.png', 'https://cdn.example.com:8443/a/logo@2x.png?v=1&w=2'],
    MAIL_TEMPLATES_DIR: ['branding', '/opt/mail-templates', 'C:\\mail templates'],
    CORS_ORIGIN: ['https://a.example,http://localhost:5173'],
    TRUST_PROXY: ['10.0.0.0/8', '127.0.0.1,::1,fd00::/8', '::ffff:10.0.0.0/104', '0:0:0:0:0:ffff:a00:0/104', '203.0.113.7/32', '2001:db8::ffff:0:0/96', 'fc00::/7', '2001:db8::7/128'],
    STAGE: ['prod', 'pr-17', 'v2.beta_1', 'a'.repeat(128)],
    JWT_ISSUER: ['https://users.example.com/', 'user-service-prod'],
    PORT: ['0', '65535']
  }
  for (const [name, values] of Object.entries(good)) for (const value of values) t.equal(refusal({ ...GOOD, [name]: value }), 'accepted', `${name}=${value}`)
})

t.test('a value in literal quotes is refused with the reason', async t => {
  for (const [name, value] of Object.entries({ PUBLIC_URL: '"https://hushhush.example.com"', EMAIL_FROM: "'Users <hushhush@example.com>'", JWT_SECRET: '"a hushhush root secret of more than 32 characters"', PORT: '"3000"', CORS_ORIGIN: '"https://hushhush.example.com"', ADMIN_EMAILS: "''", STAGE: '"prod"' })) {
    t.equal(refusal({ ...GOOD, [name]: value }), `Configuration: ${name} is in literal quotes: write the value without quotes`)
  }
  t.equal(refusal({ ...GOOD, EMAIL_FROM: '"Users" <users@example.com>' }), 'accepted', 'a quoted name is no quoted value')
})

t.test('a refused value is answered with what is expected and an example', async t => {
  t.equal(refusal({ ...GOOD, CORS_ORIGIN: 'http://localhost:5173/' }), "Configuration: CORS_ORIGIN is not valid: expected origins as a browser sends them, comma separated: scheme and host in lower case, a port if it is not the scheme's default, no slash at the end, for example https://app.example.com")
  t.equal(refusal({ ...GOOD, PORT: '007' }), 'Configuration: PORT is not valid: expected a whole number from 0 to 65535, for example 3000')
  t.equal(refusal({ ...GOOD, JWT_SECRET: 'short' }), 'Configuration: JWT_SECRET is not valid: expected 32 characters or more, for example from openssl rand -base64 48')
})

// Values that look right to a user in a hurry; each holds the word that must not come back in the message.
const BAD: Record<string, string[]> = {
  NODE_ENV: ['hushhush', 'Production'],
  SERVICE_NAME: ['hush hush', 'hush"hush', 'hush/hush', '-hushhush', 'h'.repeat(65)],
  STAGE: ['hush hush', 'hush\nhush', 'hush:hush', 'hüshhush', 'h'.repeat(129)],
  LOG_LEVEL: ['hushhush', 'INFO'],
  PORT: ['hushhush', '3000hushhush', '70000', '-1', '-0', '+3000', '03000', '3e3', '0x10', '3000.5'],
  HOST: ['http://hushhush', 'hush hush', 'hushhush/'],
  METRICS_PORT: ['hushhush', '70000', '-1', '9464/metrics'],
  PUBLIC_URL: ['hushhush', 'users.example.com', 'https://hushhush/', 'ftp://hushhush', 'https://hush hush', 'https://:hushhush',
    'https://user:hushhush@a.example', 'https://hushhush@a.example', 'https://a.example?hushhush=1', 'https://a.example/x?hushhush', 'https://a.example#hushhush', 'https://a.example/x#hushhush', 'https://a.example\\hushhush', 'https://a.example:hushhush/x'],
  VERIFY_URL: ['hushhush', 'javascript:hushhush', 'https://user:hushhush@a.example/', 'https://a.example/#hushhush', 'https://a.example/?hushhush=1', '/hushhush'],
  AWS_REGION: ['hushhush', 'eu-central', 'EU-CENTRAL-1', 'eu-central-1a', 'eu-central-1.hushhush', 'aws-global'],
  AWS_ENDPOINT_URL: ['hushhush:8000', 'http://localhost:hushhush', 'http://user:hushhush@localhost:8000', 'http://localhost:8000?hushhush'],
  AWS_ENDPOINT_URL_DYNAMODB: ['hushhush:8000', 'http://localhost:99999', 'http://localhost:8000/#hushhush'],
  AWS_ENDPOINT_URL_SQS: ['hushhush:8000'],
  AWS_ENDPOINT_URL_S3: ['hushhush:8000'],
  USERS_TABLE: ['hush hush', 'hu', 'hush/hush', 'h'.repeat(256)],
  AUTH_TABLE: ['hush hush', '$hushhush'],
  EMAIL_TABLE: ['hush hush', 'arn:aws:dynamodb:eu-central-1:123456789012:table/hushhush'],
  EMAIL_QUEUE_URL: ['hushhush', 'arn:aws:sqs:eu-central-1:123456789012:hushhush', 'https://hushhush.example', 'https://hushhush.example/', 'https://a.example/1/Queue?hushhush', 'https://user:hushhush@a.example/1/Queue'],
  EVENT_BUS_NAME: ['hush hush', 'arn:aws:sqs:eu-central-1:123456789012:hushhush'],
  UPLOADS_BUCKET: ['HushHush', 's3://hushhush', 'hu', 'hush_hush'],
  REDIS_URL: ['hushhush', 'localhost:6379', 'http://hushhush', 'redis://localhost:hushhush', 'redis://', 'redis:///0', 'redis://:6379', 'redis://:hushhush@', 'redis://localhost/hushhush', 'redis://localhost?enableOfflineQueue=hushhush', 'redis://localhost#hushhush', 'redis://\u0001'],
  CACHE_TTL_SECONDS: ['hushhush', '-1', '3601', '1.5', '060', '6e1'],
  JWT_SECRET: ['hushhush', 'x'.repeat(31)],
  JWT_SECRET_PREVIOUS: ['hushhush'],
  JWT_SECRET_ARN: ['hushhush', 'arn:hushhush', 'arn:aws:ssm:eu-central-1:123456789012:parameter/hushhush', 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:'],
  CODE_SECRET: ['hushhush', GOOD['JWT_SECRET']!],
  CODE_SECRET_ARN: ['hushhush', 'arn:hushhush', 'arn:aws:secretsmanager:eu-central-1:12345:secret:hushhush'],
  JWT_ISSUER: ['hush hush', 'hüshhush'],
  JWT_AUDIENCE: ['hush\thush', 'h'.repeat(256)],
  ACCESS_TOKEN_TTL_SECONDS: ['hushhush', '0', '29', '3601', '10m', '0600'],
  CORS_ORIGIN: ['hushhush', '*', 'https://a.example,*', 'https://*.hushhush', 'https://hushhush/', 'https://hushhush/path', 'HTTPS://hushhush', 'https://HushHush', 'https://hushhush:443', 'null', ',',
    'https://user:hushhush@a.example', 'http://localhost:*', 'http://localhost:hushhush', 'https://a.example?hushhush', 'https://a.example#hushhush', 'localhost:5173', 'ftp://hushhush', 'wss://hushhush', 'https://a.example,https://HushHush'],
  RATE_LIMIT_MAX: ['hushhush', '0', '-5', '1e3', '0100', '99999999999999999999'],
  RATE_LIMIT_WINDOW_SECONDS: ['hushhush', '0', '3601'],
  EMAIL_FROM: ['hushhush', 'Users <hushhush>', 'users@hushhush\r\nBcc: x@example.com', 'a@example.com, b@hushhush.com', '<>', 'Hush\u0000hush <a@example.com>', 'Hush\rhush <a@example.com>', 'Hush\u202ehush <a@example.com>', 'Hush "hush <a@example.com>', 'a@example.com <b@hushhush.com> <c@example.com>'],
  BRAND_NAME: ['Hush\nhush', 'Hush\u202ehush', 'hush\u200bhush', 'h'.repeat(61)],
  BRAND_COLOR: ['hushhush', 'red', '#fff', '1f4fd8', '#1f4fd8;hushhush', '#1f4fd8ff'],
  BRAND_LOGO_URL: ['hushhush', '/hushhush.png', 'http://cdn.example.com/hushhush.png', 'data:image/png;base64,hushhush', 'https://user:hushhush@cdn.example.com/a.png', 'https://cdn.example.com/#hushhush',
    'https://cdn.example.com', "https://cdn.example.com/'hushhush", 'https://cdn.example.com/"hushhush', 'https://cdn.example.com/a hushhush', 'https://cdn.example.com;hushhush/a.png', 'https://*/hushhush.png', 'https://cdn.example.com:hushhush/a.png'],
  MAIL_TEMPLATES_DIR: ['hush\u0000hush'],
  SMTP_URL: ['hushhush', 'localhost:25', 'http://user:hushhush@localhost', 'smtp://localhost:hushhush', 'smtp://', 'smtp://:25', 'smtp://user:hushhush@', 'smtp://localhost/hushhush', 'smtp://localhost#hushhush', 'smtp://\u0001'],
  SES_CONFIGURATION_SET: ['hush hush', 'hushhush/x', 'arn:aws:ses:eu-central-1:123456789012:configuration-set/hushhush', 'h'.repeat(65)],
  MAIL_RECEIPTS_QUEUE_URL: ['hushhush', 'arn:aws:sqs:eu-central-1:123456789012:hushhush', 'https://hushhush.example'],
  ADMIN_EMAILS: ['hushhush', 'ada@example.com,hushhush', '"hushhush"@example.com', 'Hush <hush@example.com>'],
  V1_SUNSET: ['hushhush', '2027-13-01', '2027-02-30', '31.12.2027', '2027-12-31T00:00:00Z', '2027-12', '2027'],
  V1_ENABLED: ['hushhush', 'yes', '1', 'TRUE'],
  DOCS_ENABLED: ['hushhush', 'no', '0'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['hushhush', 'localhost:4318', 'http://user:hushhush@localhost:4318', 'http://localhost:4318?hushhush=1'],
  TRUST_PROXY: ['hushhush', 'true', '1', '10.0.0.0/33', '999.0.0.1', '10.0.0', '::1/129', 'fe80::/10,hushhush', ',', '0.0.0.0/0', '::/0', '0.0.0.0/1,128.0.0.0/1', '10.0.0.0/7', '10.0.0.0/08', '::ffff:0:0/96', '2000::/3', '10.0.0.0/', '10.0.0.0/8,0.0.0.0/0',
    // IPv4's internet as IPv6, in other spellings or as a part of the network
    '0:0:0:0:0:ffff:0:0/96', '::FFFF:0.0.0.0/96', '::ffff:10.0.0.0/100', '::/8', '::/80']
}

for (const [name, values] of Object.entries(BAD)) {
  t.test(`a bad ${name} is refused in one line that names it and not its value`, async t => {
    for (const value of values) {
      const message = refusal({ ...GOOD, ...(name === 'JWT_SECRET_ARN' ? { JWT_SECRET: undefined } : {}), [name]: value })
      t.match(message, new RegExp(`^Configuration: ${name} [^\\n]+$`), value)
      t.notMatch(message, /; [A-Z_]+ /, `${value}: nothing else is wrong`)
      t.notMatch(message, /hush/i, value)
    }
  })
}

t.test('every variable is in the table above', async t => {
  t.same(Object.keys(ConfigSchema.properties), Object.keys(BAD))
})

t.test('a star among the origins is refused with its reason', async t => {
  t.equal(refusal({ ...GOOD, CORS_ORIGIN: '*' }), 'Configuration: CORS_ORIGIN is not valid: * cannot be combined with credentials, list the origins')
  const starred = 'a secret with a * and more than 32 characters'
  t.equal(loadConfig({ ...GOOD, JWT_SECRET: starred }).JWT_SECRET, starred, 'elsewhere a star is a character')
})

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:Root'
const ANOTHER = 'another secret of more than 32 characters'

t.test('each secret comes from one place', async t => {
  t.match(refusal({ ...GOOD, JWT_SECRET_ARN: ARN }), /^Configuration: JWT_SECRET and JWT_SECRET_ARN are both set: [^;]+$/)
  t.match(refusal({ ...GOOD, CODE_SECRET: ANOTHER, CODE_SECRET_ARN: ARN }), /^Configuration: CODE_SECRET and CODE_SECRET_ARN are both set: [^;]+$/)
  t.match(refusal({ ...GOOD, JWT_SECRET: undefined, JWT_SECRET_ARN: ARN, JWT_SECRET_PREVIOUS: ANOTHER }), /^Configuration: JWT_SECRET_PREVIOUS is set without JWT_SECRET/)
  t.match(refusal({ ...GOOD, JWT_SECRET_PREVIOUS: GOOD.JWT_SECRET }), /^Configuration: JWT_SECRET_PREVIOUS is the same as JWT_SECRET$/)
})

t.test('the root secret may be missing where there is a secret of codes, which must be another one', async t => {
  for (const env of [{ CODE_SECRET: ANOTHER }, { CODE_SECRET_ARN: ARN }]) {
    t.equal(refusal({ ...GOOD, ...env }), 'accepted')
    t.equal(refusal({ ...GOOD, JWT_SECRET: undefined, ...env }), 'accepted')
  }
  t.match(refusal({ ...GOOD, CODE_SECRET: GOOD.JWT_SECRET }), /^Configuration: CODE_SECRET is the same as the root secret, [^;]+$/)
  t.match(refusal({ ...GOOD, JWT_SECRET: undefined, JWT_SECRET_ARN: ARN, CODE_SECRET_ARN: ARN }), /^Configuration: CODE_SECRET_ARN is the same as the root secret, [^;]+$/)
})

t.test('a secret has 32 characters, wherever it comes from', async t => {
  t.strictSame([isSecret('x'.repeat(31)), isSecret('x'.repeat(32))], [false, true])
  for (const name of ['JWT_SECRET', 'JWT_SECRET_PREVIOUS', 'CODE_SECRET']) t.equal(refusal({ ...GOOD, [name]: 'x'.repeat(32) }), 'accepted', name)
})

t.test('a part of the service reads only its own variables', async t => {
  const { EMAIL_TABLE, JWT_SECRET } = GOOD
  t.strictSame(loadConfig({ EMAIL_TABLE, JWT_SECRET, PORT: 'x' }, ['EMAIL_TABLE', 'JWT_SECRET', 'CACHE_TTL_SECONDS']), { EMAIL_TABLE, JWT_SECRET, CACHE_TTL_SECONDS: 0 })
})

t.test('several faults are reported at once, each variable once', async t => {
  const message = refusal({ ...GOOD, PORT: 'x', USERS_TABLE: undefined, CORS_ORIGIN: '*,https://x/' })
  t.same([...message.matchAll(/(?<=: |; )[A-Z][A-Z_0-9]+(?= is )/g)].map(String).sort(), ['CORS_ORIGIN', 'PORT', 'USERS_TABLE'])
})

t.test('the plugin gives the app its configuration, which cannot be changed afterwards', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(GOOD) })
  t.equal(app.config.USERS_TABLE, 'UsersTable')
  t.throws(() => { app.config.USERS_TABLE = 'OtherTable' }, TypeError)
  await t.resolves(async () => { await app.register(fp(async () => {}, { name: 'reader', dependencies: ['config'] })) }, 'a plugin that needs it can say so')
})

t.test('the server does not start on a bad configuration: one line on stderr, nothing on stdout, exit code 1', async t => {
  const server = spawn(process.execPath, ['src/server.ts'], { env: { ...GOOD, PORT: 'hushhush', CORS_ORIGIN: '*', EMAIL_TABLE: '' }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => server.kill('SIGKILL'))
  const [[code], stdout, stderr] = await Promise.all([once(server, 'exit'), text(server.stdout), text(server.stderr)])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^Configuration: PORT .+; EMAIL_TABLE .+; CORS_ORIGIN [^\n]+\n$/)
  t.notMatch(stderr, /hush/)
})
