import Fastify from 'fastify'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import config, { ConfigError, ConfigSchema, loadConfig } from '../../src/plugins/config.ts'

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
    CACHE_TTL_SECONDS: 60,
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

t.test('two configurations never share a default', async t => {
  loadConfig(GOOD).ADMIN_EMAILS.push('mallory@example.com')
  t.same(loadConfig(GOOD).ADMIN_EMAILS, [])
})

t.test('values are trimmed, lists are split, numbers and booleans are read, addresses take their canonical form', async t => {
  const loaded = loadConfig({ ...GOOD, PORT: ' 8080 ', V1_ENABLED: 'false', CORS_ORIGIN: 'https://a.example, http://localhost:5173,', ADMIN_EMAILS: 'Ada@Example.COM', TRUST_PROXY: '10.0.0.0/8,::1' })
  t.match(loaded, { PORT: 8080, V1_ENABLED: false, CORS_ORIGIN: ['https://a.example', 'http://localhost:5173'], ADMIN_EMAILS: ['ada@example.com'], TRUST_PROXY: ['10.0.0.0/8', '::1'] })
})

t.test('an empty variable counts as unset, a foreign one is ignored', async t => {
  t.match(loadConfig({ ...GOOD, REDIS_URL: '', PORT: ' ', PATH: '/bin' }), { REDIS_URL: undefined, PORT: 3000, PATH: undefined })
})

t.test('each required variable is missed by its name', async t => {
  for (const name of Object.keys(GOOD)) {
    const message = refusal({ ...GOOD, [name]: undefined })
    t.match(message, new RegExp(`^Configuration: ${name} is missing \\(.+\\)$`))
    t.notMatch(message, /\n/)
  }
})

// Values that look right to somebody in a hurry; each holds the word that must not come back in the message.
const BAD: Record<string, string[]> = {
  NODE_ENV: ['hushhush', 'Production'],
  LOG_LEVEL: ['hushhush', 'INFO'],
  PORT: ['hushhush', '3000hushhush', '70000', '-1', '3e3', '0x10', '3000.5'],
  PUBLIC_URL: ['hushhush', 'users.example.com', 'https://hushhush/', 'ftp://hushhush', 'https://hush hush', 'https://:hushhush'],
  AWS_REGION: ['hushhush', 'eu-central', 'EU-CENTRAL-1'],
  AWS_ENDPOINT_URL: ['hushhush:8000', 'http://localhost:hushhush'],
  AWS_ENDPOINT_URL_DYNAMODB: ['hushhush:8000', 'http://localhost:99999'],
  AWS_ENDPOINT_URL_SQS: ['hushhush:8000'],
  AWS_ENDPOINT_URL_S3: ['hushhush:8000'],
  EMAIL_QUEUE_URL: ['hushhush', 'arn:aws:sqs:eu-central-1:123456789012:hushhush'],
  REDIS_URL: ['hushhush', 'localhost:6379', 'http://hushhush', 'redis://localhost:hushhush'],
  CACHE_TTL_SECONDS: ['hushhush', '-1', '3601', '1.5'],
  JWT_SECRET: ['hushhush', 'x'.repeat(31)],
  JWT_SECRET_PREVIOUS: ['hushhush'],
  JWT_SECRET_ARN: ['hushhush'],
  ACCESS_TOKEN_TTL_SECONDS: ['hushhush', '0', '29', '3601', '10m'],
  CORS_ORIGIN: ['hushhush', '*', 'https://a.example,*', 'https://*.hushhush', 'https://hushhush/', 'https://hushhush/path', 'HTTPS://hushhush', 'https://HushHush', 'https://hushhush:443', 'null', ','],
  RATE_LIMIT_MAX: ['hushhush', '0', '-5'],
  RATE_LIMIT_WINDOW_SECONDS: ['hushhush', '0', '3601'],
  EMAIL_FROM: ['hushhush', 'Users <hushhush>', 'users@hushhush\r\nBcc: x@example.com', 'a@example.com, b@hushhush.com', '<>'],
  SMTP_URL: ['hushhush', 'localhost:25', 'http://user:hushhush@localhost', 'smtp://localhost:hushhush'],
  ADMIN_EMAILS: ['hushhush', 'ada@example.com,hushhush', '"hushhush"@example.com'],
  V1_SUNSET: ['hushhush', '2027-13-01', '2027-02-30', '31.12.2027', '2027-12-31T00:00:00Z'],
  V1_ENABLED: ['hushhush', 'yes', '1', 'TRUE'],
  DOCS_ENABLED: ['hushhush', 'no', '0'],
  TRUST_PROXY: ['hushhush', 'true', '1', '10.0.0.0/33', '999.0.0.1', '10.0.0', '::1/129', 'fe80::/10,hushhush', ',']
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

t.test('every variable that can be wrong is in the table above', async t => {
  const free = ['SERVICE_NAME', 'STAGE', 'HOST', 'USERS_TABLE', 'AUTH_TABLE', 'EMAIL_TABLE', 'EVENT_BUS_NAME', 'UPLOADS_BUCKET', 'JWT_ISSUER', 'JWT_AUDIENCE']
  t.same(Object.keys(ConfigSchema.properties).filter(name => !(name in BAD)), free)
})

t.test('a star among the origins is refused with its reason', async t => {
  t.equal(refusal({ ...GOOD, CORS_ORIGIN: '*' }), 'Configuration: CORS_ORIGIN is not valid: * cannot be combined with credentials, name the origins')
})

t.test('the root secret comes from one place', async t => {
  t.match(refusal({ ...GOOD, JWT_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:x' }), /^Configuration: JWT_SECRET and JWT_SECRET_ARN are both set/)
})

t.test('several faults are told at once, each variable once', async t => {
  const message = refusal({ ...GOOD, PORT: 'x', USERS_TABLE: undefined, CORS_ORIGIN: '*,https://x/' })
  t.same([...message.matchAll(/[A-Z][A-Z_0-9]+(?= is )/g)].map(String).sort(), ['CORS_ORIGIN', 'PORT', 'USERS_TABLE'])
})

t.test('the plugin gives the app what it was given, and nobody changes it afterwards', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(GOOD) })
  t.equal(app.config.USERS_TABLE, 'UsersTable')
  t.throws(() => { app.config.USERS_TABLE = 'OtherTable' }, TypeError)
})

t.test('the server does not start on a bad configuration: one line on stderr, nothing on stdout, exit code 1', async t => {
  const server = spawn(process.execPath, ['src/server.ts'], { env: { ...GOOD, PORT: 'hushhush', CORS_ORIGIN: '*', EMAIL_TABLE: '' }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => server.kill('SIGKILL'))
  const [[code], stdout, stderr] = await Promise.all([once(server, 'exit'), text(server.stdout), text(server.stderr)])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^Configuration: EMAIL_TABLE .+; PORT .+; CORS_ORIGIN [^\n]+\n$/)
  t.notMatch(stderr, /hush/)
})
