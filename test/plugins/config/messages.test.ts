import t from 'tap'
import { completeEnv } from '../../../local/env.ts'
import { ConfigSchema, loadConfig } from '../../../src/plugins/config.ts'

const GOOD = completeEnv()
const unset = (...names: string[]) => ({ ...GOOD, ...Object.fromEntries(names.map(name => [name, ''])) })

/** What a refused value should have been, and the variables that say so. */
const EXPECTED: Record<string, string[]> = {
  'one of production, development, test': ['NODE_ENV'],
  'one of trace, debug, info, warn, error, fatal, silent': ['LOG_LEVEL'],
  'true or false': ['V1_ENABLED', 'DOCS_ENABLED'],
  'a whole number from 0 to 65535': ['PORT', 'METRICS_PORT'],
  'a whole number from 0 to 3600': ['CACHE_TTL_SECONDS'],
  'a whole number from 30 to 3600': ['ACCESS_TOKEN_TTL_SECONDS'],
  'a whole number from 1 to 1000000000': ['RATE_LIMIT_MAX'],
  'a whole number from 1 to 3600': ['RATE_LIMIT_WINDOW_SECONDS'],
  'letters, digits, dots, dashes and underscores, 64 at most': ['SERVICE_NAME'],
  'letters, digits, dots, dashes and underscores, 128 at most': ['STAGE'],
  'an address or a host name, without scheme and port': ['HOST'],
  'an http or https URL without user name, query, fragment and slash at the end': ['PUBLIC_URL'],
  'an http or https URL without user name, query and fragment': ['VERIFY_URL', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL_SQS', 'AWS_ENDPOINT_URL_S3', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  'the name of an AWS region': ['AWS_REGION'],
  'the name of a DynamoDB table': ['USERS_TABLE', 'AUTH_TABLE', 'EMAIL_TABLE'],
  'the URL of an SQS queue, not its name or ARN': ['EMAIL_QUEUE_URL', 'MAIL_RECEIPTS_QUEUE_URL'],
  'the name or the ARN of an EventBridge bus': ['EVENT_BUS_NAME'],
  'the name of an S3 bucket': ['UPLOADS_BUCKET'],
  'redis://host:port or rediss://host:port, with a user name, password and database number if needed': ['REDIS_URL'],
  '32 characters or more, for example from openssl rand -base64 48': ['JWT_SECRET', 'JWT_SECRET_PREVIOUS', 'CODE_SECRET'],
  'the ARN of a secret in Secrets Manager': ['JWT_SECRET_ARN', 'CODE_SECRET_ARN'],
  'ASCII without blanks': ['JWT_ISSUER', 'JWT_AUDIENCE'],
  "origins as a browser sends them, comma separated: scheme and host in lower case, a port if it is not the scheme's default, no slash at the end": ['CORS_ORIGIN'],
  'one address, or Name <address>, without control characters': ['EMAIL_FROM'],
  'a name of 60 characters at most, without control characters and direction marks': ['BRAND_NAME'],
  'a color written #rrggbb': ['BRAND_COLOR'],
  'an https URL without user name and fragment, in ASCII': ['BRAND_LOGO_URL'],
  'the path of a directory': ['MAIL_TEMPLATES_DIR'],
  'smtp://host:port or smtps://host:port, with a user name and a password if needed': ['SMTP_URL'],
  'the name of an SES configuration set': ['SES_CONFIGURATION_SET'],
  'e-mail addresses, comma separated': ['ADMIN_EMAILS'],
  'a calendar date, YYYY-MM-DD': ['V1_SUNSET'],
  'addresses or CIDR ranges, comma separated, none wider than /8 (IPv6: /7), because a trusted proxy decides which client address is counted': ['TRUST_PROXY']
}

t.test('what is refused is answered with what is expected, and with the example of its variable', async t => {
  const variables = Object.entries(EXPECTED).flatMap(([expected, names]) => names.map(name => [name, expected] as const))
  t.strictSame(variables.map(([name]) => name).sort(), Object.keys(ConfigSchema.properties).sort(), 'of every variable')
  for (const [name, expected] of variables) {
    const example = name.endsWith('SECRET') || name === 'JWT_SECRET_PREVIOUS' ? '' : `, for example ${String(ConfigSchema.properties[name as 'PORT']['examples'][0])}`
    // A control character is good for nothing.
    t.throws(() => loadConfig({ ...GOOD, [name]: '\u0001' }), { message: `Configuration: ${name} is not valid: expected ${expected}${example}` }, name)
  }
})

t.test('one variable that is missing is explained, several are named', async t => {
  t.throws(() => loadConfig(unset('AUTH_TABLE')), { message: 'Configuration: AUTH_TABLE is missing (table of the auth module, for example AuthTable, see .env.example)' })
  t.throws(() => loadConfig({ ...unset('AUTH_TABLE'), EMAIL_TABLE: undefined }), { message: 'Configuration: AUTH_TABLE, EMAIL_TABLE are missing (see .env.example)' })
  t.throws(() => loadConfig({ ...unset('AUTH_TABLE', 'AWS_REGION'), USERS_TABLE: ' ', PORT: '-1' }), {
    message: 'Configuration: PORT is not valid: expected a whole number from 0 to 65535, for example 3000; AWS_REGION, USERS_TABLE, AUTH_TABLE are missing (see .env.example)'
  })
})

t.test('a missing secret is reported beside other faults, but not beside a secret that is not valid', async t => {
  const { JWT_SECRET, ...env } = GOOD
  const missing = 'JWT_SECRET is missing (set it, or JWT_SECRET_ARN: openssl rand -base64 48 makes one). A separate e-mail worker needs CODE_SECRET or CODE_SECRET_ARN instead'
  const wrongPort = 'PORT is not valid: expected a whole number from 0 to 65535, for example 3000'
  t.throws(() => loadConfig(env), { message: `Configuration: ${missing}` })
  t.throws(() => loadConfig({ ...env, PORT: 'x' }), { message: `Configuration: ${wrongPort}; ${missing}` })
  t.throws(() => loadConfig({ ...env, PORT: 'x', CODE_SECRET: 'short' }), { message: `Configuration: ${wrongPort}; CODE_SECRET is not valid: expected 32 characters or more, for example from openssl rand -base64 48` })
})

t.test('the description of an endpoint names its service', async t => {
  const { AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL_S3 } = ConfigSchema.properties
  t.strictSame([AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL_S3].map(({ description }) => description), ['DynamoDB', 'SQS', 'S3'].map(service => `the SDK's own: endpoint of ${service}`))
})
