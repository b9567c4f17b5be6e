import t from 'tap'
import { evaluate, loadTemplate, referencesOf, resourcesOf, type Resource, type Template } from './evaluate.ts'

const KEY = { 'Fn::GetAtt': ['DataKey', 'Arn'] }
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
type Properties = Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any -- CloudFormation's own shapes

/** What stores something, and whether it names the key. A type that is in neither list is a fault: someone has to decide. */
const STORES: Record<string, (properties: Properties) => boolean> = {
  'AWS::DynamoDB::Table': ({ SSESpecification }) => same(SSESpecification, { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: KEY }),
  'AWS::SQS::Queue': ({ KmsMasterKeyId, SqsManagedSseEnabled }) => same(KmsMasterKeyId, KEY) && SqsManagedSseEnabled === false,
  'AWS::SNS::Topic': ({ KmsMasterKeyId }) => same(KmsMasterKeyId, KEY),
  'AWS::SecretsManager::Secret': ({ KmsKeyId }) => same(KmsKeyId, KEY),
  'AWS::Logs::LogGroup': ({ KmsKeyId }) => same(KmsKeyId, KEY),
  'AWS::S3::Bucket': ({ BucketEncryption }) => same(BucketEncryption.ServerSideEncryptionConfiguration, [{ BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: KEY } }]),
  'AWS::KinesisFirehose::DeliveryStream': ({ DeliveryStreamEncryptionConfigurationInput, ExtendedS3DestinationConfiguration }) =>
    same(DeliveryStreamEncryptionConfigurationInput, { KeyType: 'CUSTOMER_MANAGED_CMK', KeyARN: KEY }) && same(ExtendedS3DestinationConfiguration.EncryptionConfiguration, { KMSEncryptionConfig: { AWSKMSKeyARN: KEY } }),
  'AWS::Events::Archive': ({ KmsKeyIdentifier }) => same(KmsKeyIdentifier, KEY),
  'AWS::ElastiCache::ServerlessCache': ({ KmsKeyId }) => same(KmsKeyId, KEY),
  'AWS::Backup::BackupVault': ({ EncryptionKeyArn }) => same(EncryptionKeyArn, KEY)
}

/** Those without the key, each with its reason. */
const WITHOUT: Record<string, string> = {
  CanaryBucket: 'results of a canary that knows no user, for a week',
  LogArchiveBucket: 'S3 delivers no access logs into a bucket with another key than its own; what Firehose writes has the key'
}

/** Types that store nothing of users, of operators or secret. */
const STORES_NOTHING = /^AWS::(?:ApiGateway|ApplicationAutoScaling|Budgets|CE|CloudWatch|EC2|IAM|KMS|Lambda|Route53|SES|Serverless|Synthetics|WAFv2|ApplicationSignals|CodeDeploy|Signer)::|^AWS::(?:Backup::Backup(?:Plan|Selection)|Events::(?:Rule|EventBus)|Logs::(?:SubscriptionFilter|LogStream|QueryDefinition|ResourcePolicy|MetricFilter|LogAnomalyDetector)|S3::BucketPolicy|SNS::(?:Subscription|TopicPolicy)|SQS::QueuePolicy|SecretsManager::(?:RotationSchedule|ResourcePolicy))$/

const EVERYTHING = { CustomerKey: 'true', Backup: 'true', SecretRotationDays: '90', EmailWorker: 'extracted', CreateAuthorizer: 'true', Cache: 'valkey', LogArchive: 'true', Waf: 'true', AlarmEmail: 'a@example.com', Tracing: 'Active', SyntheticCanary: 'true', ServiceLevelObjective: 'true', CostAnomalyUsd: '20', LambdaInsightsLayer: 'arn:aws:lambda:x' }

function storageFaults (template: Template): string[] {
  return Object.entries(template.Resources).flatMap(([id, { Type, Properties }]) => {
    const names = STORES[Type]
    if (names === undefined) return STORES_NOTHING.test(Type) ? [] : [`${id}: does ${Type} store something? Add it to test/template/key.test.ts`]
    return names(Properties) || id in WITHOUT ? [] : [`${id} does not use the key`]
  })
}

t.test('with CustomerKey everything that stores something uses the key', async t => {
  const template = evaluate(loadTemplate(), EVERYTHING)
  t.ok(resourcesOf(template, ...Object.keys(STORES)).length >= 20, 'they were looked at')
  t.strictSame(storageFaults(template), [])
  t.strictSame(Object.keys(STORES).filter(type => resourcesOf(template, type).length === 0), [], 'there is one of each type')
})

t.test('without it nothing refers to the key, and AWS encrypts with keys of its own', async t => {
  const template = evaluate(loadTemplate(), { ...EVERYTHING, CustomerKey: 'false' })
  for (const [id, resource] of Object.entries(template.Resources)) {
    t.notOk(referencesOf(resource).includes('DataKey'), id)
    t.notMatch(JSON.stringify(resource), /"kms:|aws:kms|"Kms|"KMS/, id)
  }
  for (const [id, { Properties }] of resourcesOf(template, 'AWS::SQS::Queue')) t.equal(Properties['SqsManagedSseEnabled'], true, id)
  t.match(template.Resources['UploadsBucket']!.Properties['BucketEncryption'], { ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] })
  t.equal(loadTemplate().Parameters['CustomerKey']!.Default, 'false')
})

t.test('a resource without the key is found, and one of a new type', async t => {
  const spoil = (change: (resources: Record<string, Resource>) => void) => {
    const template = evaluate(loadTemplate(), EVERYTHING)
    change(template.Resources)
    return storageFaults(template)
  }
  for (const [id, property] of Object.entries({ UsersTable: 'SSESpecification', RelayFailureQueue: 'KmsMasterKeyId', AlarmTopic: 'KmsMasterKeyId', RootSecret: 'KmsKeyId', SmokeLogs: 'KmsKeyId', EventArchive: 'KmsKeyIdentifier', ReadCache: 'KmsKeyId', BackupVault: 'EncryptionKeyArn' })) {
    t.strictSame(spoil(resources => { delete resources[id]!.Properties[property] }), [`${id} does not use the key`])
  }
  // SQS refuses a queue with both.
  t.strictSame(spoil(resources => { resources['EmailQueue']!.Properties['SqsManagedSseEnabled'] = true }), ['EmailQueue does not use the key'])
  t.strictSame(spoil(resources => { resources['UploadsBucket']!.Properties['BucketEncryption'].ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault.SSEAlgorithm = 'AES256' }), ['UploadsBucket does not use the key'])
  t.strictSame(spoil(resources => { delete resources['LogArchiveStream']!.Properties['ExtendedS3DestinationConfiguration'].EncryptionConfiguration }), ['LogArchiveStream does not use the key'])
  t.strictSame(spoil(resources => { resources['Files'] = { Type: 'AWS::EFS::FileSystem', Properties: {} } }), ['Files: does AWS::EFS::FileSystem store something? Add it to test/template/key.test.ts'])
})

interface Statement { Sid: string, Effect: string, Action: string | string[], Resource: unknown, Principal?: { AWS?: unknown, Service?: string | string[] }, Condition?: { StringEquals?: Record<string, unknown>, Bool?: object, ArnLike?: object } }
const policyOf = (template: Template, roleId: string): Statement[] => (template.Resources[roleId]!.Properties['Policies'] as { PolicyDocument: { Statement: Statement[] } }[]).flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
const usesKey = ({ Resource }: Statement) => referencesOf(Resource).includes('DataKey')
const via = ({ Condition }: Statement) => [Condition?.StringEquals?.['kms:ViaService'] ?? 'directly'].flat().map(service => String((service as { 'Fn::Sub'?: string })['Fn::Sub'] ?? service).split('.')[0])

/** The services through which a role must use the key: those that hold what it reads or writes. */
function servicesOf (template: Template, roleId: string): string[] {
  const of: Record<string, string> = { 'AWS::DynamoDB::Table': 'dynamodb', 'AWS::SQS::Queue': 'sqs', 'AWS::S3::Bucket': 's3', 'AWS::SecretsManager::Secret': 'secretsmanager', 'AWS::Backup::BackupVault': 'backup' }
  const used = policyOf(template, roleId).flatMap(({ Resource }) => referencesOf(Resource)).filter(id => id !== 'CanaryBucket').map(id => of[template.Resources[id]?.Type ?? '']).filter(service => service !== undefined)
  return [...new Set(used)].sort()
}

t.test('each role uses the key through the services that it calls, and through no other', async t => {
  for (const EmailWorker of ['embedded', 'extracted']) {
    const template = evaluate(loadTemplate(), { ...EVERYTHING, EmailWorker })
    const roles = resourcesOf(template, 'AWS::IAM::Role').map(([id]) => id)
    t.ok(roles.length > 5)
    for (const id of roles) {
      const statements = policyOf(template, id).filter(usesKey)
      t.strictSame(statements.flatMap(via).sort(), servicesOf(template, id), id)
      for (const { Action } of statements) t.notOk([Action].flat().some(action => /\*|CreateGrant|Put|Schedule/.test(action)), `${id} cannot manage the key`)
    }
  }
  const worker = policyOf(evaluate(loadTemplate(), EVERYTHING), 'EmailFunctionRole').filter(usesKey).flatMap(via)
  t.strictSame(worker.sort(), ['dynamodb', 'secretsmanager', 'sqs'], 'the worker has no bucket')
})

t.test('a role that lacks the key of what it reads is found', async t => {
  const template = evaluate(loadTemplate(), EVERYTHING)
  const [document] = template.Resources['EmailFunctionRole']!.Properties['Policies'] as [{ PolicyDocument: { Statement: Statement[] } }]
  document.PolicyDocument.Statement = document.PolicyDocument.Statement.filter(({ Sid }) => Sid !== 'KeyOfTables')
  t.strictNotSame(policyOf(template, 'EmailFunctionRole').filter(usesKey).flatMap(via).sort(), servicesOf(template, 'EmailFunctionRole'))
})

/** Principals that a key policy gives the use of the data, and the conditions that limit them. */
function policyFaults (statements: Statement[]): string[] {
  const faults: string[] = []
  for (const { Sid, Principal, Action, Condition } of statements) {
    const decrypts = [Action].flat().some(action => /Decrypt|GenerateDataKey|Encrypt|CreateGrant|\*/.test(action))
    if (JSON.stringify(Principal).includes('"*"')) faults.push(`${Sid}: anyone`)
    if ([Action].flat().some(action => action.includes('*'))) faults.push(`${Sid}: a wildcard`)
    if (Principal?.AWS !== undefined && decrypts && Condition?.StringEquals?.['kms:ViaService'] === undefined) faults.push(`${Sid}: the account reads data without a service in between`)
    if ([Action].flat().includes('kms:CreateGrant') && !same(Condition?.Bool, { 'kms:GrantIsForAWSResource': 'true' })) faults.push(`${Sid}: gives grants to anyone`)
    if (String(JSON.stringify(Principal)).includes('logs.') && Condition?.ArnLike === undefined) faults.push(`${Sid}: log groups of other stacks`)
  }
  return faults
}

t.test('the key lets no one read data but the services that hold it', async t => {
  const key = evaluate(loadTemplate(), EVERYTHING).Resources['DataKey']!
  const statements = key.Properties['KeyPolicy'].Statement as Statement[]
  t.strictSame(policyFaults(statements), [])
  t.match(key, { DeletionPolicy: 'RetainExceptOnCreate', Properties: { EnableKeyRotation: true, PendingWindowInDays: 30 } })
  t.ok(statements.some(({ Action }) => [Action].flat().includes('kms:PutKeyPolicy')), 'or it could never be changed')
  const spoil = (sid: string, change: (statement: Statement) => void) => {
    const all = structuredClone(statements)
    change(all.find(({ Sid }) => Sid === sid)!)
    return policyFaults(all)
  }
  t.strictSame(spoil('Administration', statement => { (statement.Action as string[]).push('kms:Decrypt') }), ['Administration: the account reads data without a service in between'])
  t.strictSame(spoil('UseThroughServices', statement => { delete statement.Condition!.StringEquals!['kms:ViaService'] }), ['UseThroughServices: the account reads data without a service in between'])
  t.strictSame(spoil('GrantsToServices', statement => { delete statement.Condition!.Bool }), ['GrantsToServices: gives grants to anyone'])
  t.strictSame(spoil('LogGroups', statement => { delete statement.Condition }), ['LogGroups: log groups of other stacks'])
  t.strictSame(spoil('UseThroughServices', statement => { statement.Principal = { AWS: '*' } }), ['UseThroughServices: anyone'])
})

/** Services that write into an encrypted queue or topic by themselves need the key as well. */
t.test('each service that the policies of queues and topic let write may use the key', async t => {
  const template = evaluate(loadTemplate(), EVERYTHING)
  const writers = resourcesOf(template, 'AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy').flatMap(([, { Properties }]) => (Properties['PolicyDocument'].Statement as Statement[]).filter(({ Effect }) => Effect === 'Allow').flatMap(({ Principal }) => [Principal?.Service ?? []].flat()))
  t.ok(writers.includes('events.amazonaws.com') && writers.includes('cloudwatch.amazonaws.com'))
  const allowed = (template.Resources['DataKey']!.Properties['KeyPolicy'].Statement as Statement[]).filter(({ Action }) => [Action].flat().includes('kms:GenerateDataKey') && [Action].flat().includes('kms:Decrypt')).flatMap(({ Principal }) => [Principal?.Service ?? []].flat())
  t.strictSame(writers.filter(service => !allowed.includes(service)), [])
})

t.test('with Backup every table is kept in the vault daily, for as long as point-in-time recovery reaches back', async t => {
  const { Resources } = evaluate(loadTemplate(), { Backup: 'true' })
  const template = evaluate(loadTemplate(), { Backup: 'true' })
  const tables = resourcesOf(template, 'AWS::DynamoDB::Table').map(([id]) => ({ 'Fn::GetAtt': [id, 'Arn'] }))
  t.strictSame(Resources['BackupSelection']!.Properties['BackupSelection'].Resources, tables, 'a new table is added here')
  t.strictSame(policyOf(template, 'BackupRole').find(({ Sid }) => Sid === 'Tables')!.Resource, tables)
  const rules = Resources['BackupPlan']!.Properties['BackupPlan'].BackupPlanRule as { ScheduleExpression: string, Lifecycle: { DeleteAfterDays: number, MoveToColdStorageAfterDays?: number } }[]
  t.equal(rules.length, 1)
  t.strictSame(rules.map(({ Lifecycle }) => Lifecycle), [{ DeleteAfterDays: 35 }], 'docs/privacy.md: an erased account is in no backup after 35 days')
  t.equal(Resources['BackupVault']!.DeletionPolicy, 'RetainExceptOnCreate')
  t.strictSame(Object.keys(evaluate(loadTemplate()).Resources).filter(id => id.startsWith('Backup')), [], 'none without the parameter')
})
