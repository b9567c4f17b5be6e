import { readFileSync } from 'node:fs'
import t from 'tap'
import { evaluate, loadTemplate, referencesOf, type Template } from './evaluate.ts'
import { grantsOf, missing, roleOf, SERVED, USED, wildcardFaults, type Grants } from './iam.ts'

const both = (...all: Grants[]): Grants => all.reduce<Grants>((sum, grants) => {
  for (const [resource, actions] of Object.entries(grants)) sum[resource] = [...new Set([...sum[resource] ?? [], ...actions])]
  return sum
}, {})

for (const worker of ['embedded', 'extracted'] as const) {
  t.test(`with the worker ${worker}, each function may do what it does, and nothing else`, async t => {
    const template = evaluate(loadTemplate(), { EmailWorker: worker })
    for (const [id, used] of Object.entries(USED[worker])) {
      const allowed = grantsOf(template, roleOf(template, id))
      const needed = both(used, SERVED[worker][id]!)
      t.strictSame(missing(needed, allowed), [], `${id} has every permission it needs: ${id}Role in template.yaml`)
      t.strictSame(missing(allowed, needed), [], `${id} has no permission it does not need: what it calls is in test/template/iam.ts`)
    }
  })
}

t.test('extracting the worker takes its permissions from the API function', async t => {
  const before = grantsOf(evaluate(loadTemplate(), { EmailWorker: 'embedded' }), 'ApiFunctionRole')
  const after = grantsOf(evaluate(loadTemplate(), { EmailWorker: 'extracted' }), 'ApiFunctionRole')
  t.strictSame(missing(before, after), [
    'dynamodb:GetItem on EmailTable',
    'ses:SendEmail on ses:configuration-set/MailConfigurationSet', 'ses:SendEmail on ses:identity/SesIdentity', 'ses:SendRawEmail on ses:configuration-set/MailConfigurationSet', 'ses:SendRawEmail on ses:identity/SesIdentity',
    'sqs:ChangeMessageVisibility on EmailQueue', 'sqs:DeleteMessage on EmailQueue', 'sqs:ReceiveMessage on EmailQueue'
  ])
  t.strictSame(missing(after, before), [], 'and gives it none')
})

/** Statements about the table of the e-mail module that are not limited to the records of addresses. */
function unlimited (template: Template, roleId: string): string[] {
  const { Statement } = template.Resources[roleId]!.Properties['Policies'][0].PolicyDocument as { Statement: { Sid: string, Resource: unknown, Condition?: object }[] }
  const limit = { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['address#*'] }, Null: { 'dynamodb:LeadingKeys': 'false' } }
  return Statement.filter(({ Resource, Condition }) => referencesOf(Resource).includes('EmailTable') && JSON.stringify(Condition) !== JSON.stringify(limit)).map(({ Sid }) => Sid)
}

t.test('where the worker is extracted, the API function touches only records of addresses, and the worker reads only those', async t => {
  t.strictSame(unlimited(evaluate(loadTemplate(), { EmailWorker: 'extracted' }), 'ApiFunctionRole'), [])
  t.strictSame(unlimited(evaluate(loadTemplate(), { EmailWorker: 'extracted' }), 'EmailFunctionRole'), ['MailRecords'])
  t.strictSame(unlimited(evaluate(loadTemplate(), { EmailWorker: 'embedded' }), 'ApiFunctionRole'), ['MailRecords'], 'a statement without the limit is found')
})

t.test('no permission says * where a name could stand', async t => {
  t.strictSame(wildcardFaults(loadTemplate()), [])
  t.strictSame(wildcardFaults(evaluate(loadTemplate(), { EmailWorker: 'extracted', Tracing: 'Active', LogArchive: 'true', SyntheticCanary: 'true', LambdaInsightsLayer: 'arn', SecretRotationDays: '90' })), [])
})

t.test('what rotates the secrets may write them and not read them', async t => {
  t.strictSame(grantsOf(evaluate(loadTemplate(), { SecretRotationDays: '90' }), 'RotationRole'), {
    RotationLogs: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    ...Object.fromEntries(['RootSecret', 'CodeSecret'].map(secret => [secret, ['secretsmanager:DescribeSecret', 'secretsmanager:ListSecretVersionIds', 'secretsmanager:PutSecretValue', 'secretsmanager:UpdateSecretVersionStage']])),
    '*': ['secretsmanager:GetRandomPassword']
  })
  const called = [...readFileSync('hooks/rotate/index.mjs', 'utf8').matchAll(/new (\w+)Command\(/g)].map(([, name]) => `secretsmanager:${name}`)
  t.strictSame([...new Set(called)].sort(), ['secretsmanager:DescribeSecret', 'secretsmanager:GetRandomPassword', 'secretsmanager:ListSecretVersionIds', 'secretsmanager:PutSecretValue', 'secretsmanager:UpdateSecretVersionStage'])
})

t.test('an added wildcard is found', async t => {
  const template = loadTemplate()
  const [statement] = template.Resources['ApiFunctionRole']!.Properties['Policies'][0].PolicyDocument.Statement
  Object.assign(statement, { Action: ['dynamodb:*', 's3:GetObject'], Resource: '*' })
  t.strictSame(wildcardFaults(template), ['ApiFunctionRole allows dynamodb:*', 'ApiFunctionRole allows dynamodb:* on everything', 'ApiFunctionRole allows s3:GetObject on everything'])
})

t.test('a permission too many, or too few, is found', async t => {
  const template = evaluate(loadTemplate())
  const grants = grantsOf(template, 'ApiFunctionRole')
  const needed = both(USED.embedded['ApiFunction']!, SERVED.embedded['ApiFunction']!)
  t.strictSame(missing({ ...grants, UploadsBucket: ['s3:PutObject'] }, needed), ['s3:PutObject on UploadsBucket'])
  t.strictSame(missing(needed, { ...grants, EventBus: [] }), ['events:PutEvents on EventBus'])
})
