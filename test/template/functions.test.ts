import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { ConfigSchema, loadConfig } from '../../src/plugins/config.ts'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'

// Variables that a deployed function is not given, each with its reason. Everything else of the schema must be set.
const NOT_SET: Record<string, string> = {
  PORT: 'the plain server only',
  HOST: 'the plain server only',
  METRICS_PORT: 'the plain server only: on Lambda CloudWatch reads the metrics from the log',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'the plain server only: on Lambda X-Ray has the traces',
  TRUST_PROXY: 'the plain server only: on Lambda the address comes with the event',
  AWS_REGION: 'Lambda sets it, and refuses a template that does',
  AWS_ENDPOINT_URL: 'for local engines',
  AWS_ENDPOINT_URL_DYNAMODB: 'for local engines',
  AWS_ENDPOINT_URL_SQS: 'for local engines',
  AWS_ENDPOINT_URL_S3: 'for local engines',
  JWT_SECRET: 'JWT_SECRET_ARN stands in its place: no secret is in the environment',
  JWT_SECRET_PREVIOUS: 'Secrets Manager keeps it, as AWSPREVIOUS',
  CODE_SECRET: 'CODE_SECRET_ARN stands in its place',
  SMTP_URL: 'unset sends through SES'
}

/** What the extracted worker can do without, besides. */
const NOT_SET_IN_WORKER: Record<string, string> = { ...NOT_SET, REDIS_URL: 'it reads no user', JWT_SECRET_ARN: 'it signs nothing: with the root secret it could sign as an admin' }

type Variables = Record<string, unknown>
const variablesOf = (template: Template, id: string): Variables => ({
  ...template.Globals?.['Function']?.Environment?.Variables as Variables,
  ...template.Resources[id]?.Properties['Environment']?.Variables as Variables
})

function environmentFaults (template: Template, id: string, notSet: Record<string, string>): string[] {
  const set = Object.keys(variablesOf(template, id))
  const known = Object.keys(ConfigSchema.properties)
  return [
    ...known.filter(name => !set.includes(name) && notSet[name] === undefined).map(name => `${id} does not get ${name}`),
    ...set.filter(name => !known.includes(name)).map(name => `${id} gets ${name}, which nothing reads`),
    ...Object.keys(notSet).filter(name => !known.includes(name)).map(name => `${name} is listed as not set, and no variable`),
    ...set.filter(name => notSet[name] !== undefined).map(name => `${id} gets ${name}: ${notSet[name]!}`)
  ]
}

t.test('each function gets every variable of the configuration that means something there', async t => {
  const template = loadTemplate()
  t.strictSame(environmentFaults(template, 'ApiFunction', NOT_SET), [])
  t.strictSame(environmentFaults(template, 'EmailFunction', NOT_SET_IN_WORKER), [])
})

t.test('a variable that the template forgets, or makes up, is found', async t => {
  const template = loadTemplate()
  const variables = template.Globals!['Function'].Environment.Variables as Variables
  delete variables['USERS_TABLE']
  variables['USER_TABLE'] = 'x'
  t.strictSame(environmentFaults(template, 'ApiFunction', NOT_SET), ['ApiFunction does not get USERS_TABLE', 'ApiFunction gets USER_TABLE, which nothing reads'])
})

t.test('the configuration made of the template is one that the service starts with', async t => {
  const required: Record<string, string> = { EmailFrom: 'Example <accounts@users.example.com>', PublicUrl: 'https://users.example.com' }
  const template = loadTemplate()
  const text = (value: unknown, parameters: Record<string, string>): string => {
    if (typeof value !== 'object' || value === null) return String(value)
    const { Ref, 'Fn::Sub': sub } = value as { Ref?: string, 'Fn::Sub'?: string }
    // What a resource is called once it is there.
    if (Ref?.endsWith('Queue') === true) return `https://sqs.eu-central-1.amazonaws.com/123456789012/${Ref}`
    if (Ref === 'UploadsBucket') return 'users-uploads'
    if (Ref === 'AWS::StackName') return 'user-service-prod'
    if (Ref?.endsWith('Secret') === true) return `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${Ref}`
    if (Ref !== undefined) return String(parameters[Ref] ?? template.Parameters[Ref]?.Default ?? Ref)
    return String(sub).replace(/\$\{(\w+)([^}]*)\}/g, (_, name: string, attribute: string) => attribute.endsWith('.Port') ? '6379' : text({ Ref: name }, parameters))
  }
  for (const given of [{}, { Cache: 'valkey' }, { DomainName: 'users.example.com' }]) {
    const evaluated = evaluate({ ...template, Resources: { ...template.Resources, Globals: { Type: 'Globals', Properties: template.Globals! } } }, given)
    evaluated.Globals = evaluated.Resources['Globals']!.Properties
    const env = Object.fromEntries(Object.entries(variablesOf(evaluated, 'ApiFunction')).map(([name, value]) => [name, text(value, { ...required, ...given })]))
    const config = loadConfig({ ...env, AWS_REGION: 'eu-central-1' })
    t.equal(config.NODE_ENV, 'production')
    t.equal(config.CORS_ORIGIN, undefined, 'an empty parameter is a variable that is not set')
    t.equal(config.CACHE_TTL_SECONDS, 'Cache' in given ? 60 : 0, 'there is no cache but a shared one')
  }
})

t.test('a handler is the entry that the build makes of src', async t => {
  for (const [id, { Properties }] of resourcesOf(loadTemplate(), 'AWS::Serverless::Function')) {
    t.equal(Properties['CodeUri'], 'dist/lambda', `${id} runs the artifact`)
    t.equal(Properties['Handler'], 'index.handler')
  }
  t.match(readFileSync('src/lambda.ts', 'utf8'), /^export const handler\b/m, 'src/lambda.ts exports it')
  const authorizer = loadTemplate().Resources['AuthorizerFunction']!.Properties
  t.match(authorizer, { Code: 'dist/authorizer', Handler: 'index.handler' })
  t.match(readFileSync('src/authorizer.ts', 'utf8'), /^export const handler\b/m)
  for (const [id, { Properties }] of resourcesOf(loadTemplate(), 'AWS::Lambda::Function').filter(([id]) => id !== 'AuthorizerFunction')) {
    t.ok(existsSync(`${String(Properties['Code'])}/${String(Properties['Handler']).split('.')[0]!}.mjs`), `${id} has its source`)
  }
})

t.test('functions are as the article sizes them', async t => {
  const template = loadTemplate()
  const common = template.Globals!['Function'] as Record<string, unknown>
  t.match(common, { Runtime: 'nodejs24.x', Architectures: ['arm64'], MemorySize: 512, Timeout: 10, AutoPublishAlias: 'live' })
  t.equal(template.Parameters['ReservedConcurrency']!.Default, 100)
  for (const [id, { Properties }] of resourcesOf(template, 'AWS::Serverless::Function', 'AWS::Lambda::Function')) {
    t.ok(Properties['ReservedConcurrentExecutions'], `${id} has a concurrency of its own`)
    t.ok(Properties['LoggingConfig']?.LogGroup, `${id} logs where lines expire`)
  }
  for (const [id, { Properties }] of resourcesOf(template, 'AWS::Serverless::Function')) {
    t.match(Properties, { AutoPublishAliasAllProperties: true, AutoPublishCodeSha256: { Ref: 'Release' } }, `${id} publishes a version for each release`)
    t.match(Properties['DeploymentPreference'], { Type: { 'Fn::If': ['ShiftsByCanary', /^Canary/, 'AllAtOnce'] }, Hooks: { PreTraffic: {} }, Alarms: {} }, `${id} is tried before it gets traffic`)
  }
  for (const [id, { Properties }] of resourcesOf(template, 'AWS::Logs::LogGroup')) t.ok(Properties['RetentionInDays'], `${id} expires`)
})

t.test('prod is provisioned and scales, the other stages are not', async t => {
  for (const [stage, present] of [['dev', false], ['staging', false], ['prod', true]] as const) {
    const { Resources } = evaluate(loadTemplate(), { Stage: stage })
    t.equal('ProvisionedConcurrencyConfig' in Resources['ApiFunction']!.Properties, present)
    t.equal('ApiConcurrencyTarget' in Resources && 'ApiConcurrencyScaling' in Resources, present)
    t.equal(Resources['UsersTable']!.Properties['DeletionProtectionEnabled'], stage !== 'dev')
  }
})

t.test('prod shifts by a canary, unless it must leave a bad release; the other stages at once', async t => {
  for (const [parameters, type] of [[{ Stage: 'prod' }, 'Canary10Percent10Minutes'], [{ Stage: 'prod', Canary: 'false' }, 'AllAtOnce'], [{ Stage: 'staging' }, 'AllAtOnce']] as const) {
    const { Resources } = evaluate(loadTemplate(), { ...parameters, EmailWorker: 'extracted' })
    for (const id of ['ApiFunction', 'EmailFunction']) t.equal(Resources[id]!.Properties['DeploymentPreference'].Type, type, `${id} ${JSON.stringify(parameters)}`)
  }
})

/** Properties by which a resource gets a name that a second stack of the account would want too. */
const NAMES = ['FunctionName', 'TableName', 'QueueName', 'BucketName', 'RoleName', 'TopicName', 'AlarmName', 'LogGroupName', 'DashboardName',
  'DeliveryStreamName', 'ServerlessCacheName', 'Name']

function nameFaults (template: Template): string[] {
  return Object.entries(template.Resources).flatMap(([id, { Properties }]) => NAMES.filter(property => {
    const value = Properties?.[property] as unknown
    if (typeof value === 'string') return true
    if (typeof value !== 'object' || value === null || !('Fn::Sub' in value)) return false
    // The stack's name, or the id of a resource that has one of its own.
    return ![...String(value['Fn::Sub']).matchAll(/\$\{([\w:]+)\}/g)].some(([, name]) => name === 'AWS::StackName' || name! in template.Resources)
  }).map(property => `${id} has a fixed ${property}`))
}

t.test('nothing has a name that a second stack could not have', async t => {
  t.strictSame(nameFaults(loadTemplate()), [])
  const template = loadTemplate()
  template.Resources['EmailFunction']!.Properties['FunctionName'] = 'email-worker'
  t.strictSame(nameFaults(template), ['EmailFunction has a fixed FunctionName'], 'one that is given one is found')
})

t.test('what only one stack of a region may own is made on demand, and stays', async t => {
  const { Resources } = loadTemplate()
  for (const id of ['GatewayAccount', 'GatewayLogRole']) t.match(Resources[id], { Condition: 'HasGatewayAccount', DeletionPolicy: 'Retain' })
  t.notOk('GatewayAccount' in evaluate(loadTemplate()).Resources)
})
