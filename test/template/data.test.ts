import t from 'tap'
import { matches, type Pattern } from '../../local/filters.ts'
import { bounce, complaint, rejection } from '../modules/email/ses-events.ts'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'

const STAGES = ['dev', 'staging', 'prod']

t.test('tables keep a point-in-time backup, expire what is old and are encrypted', async t => {
  const tables = resourcesOf(loadTemplate(), 'AWS::DynamoDB::Table')
  t.ok(tables.length >= 3)
  for (const [id, { Properties, DeletionPolicy }] of tables) {
    t.match(Properties, {
      BillingMode: 'PAY_PER_REQUEST',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true }
    }, id)
    t.equal(DeletionPolicy, 'RetainExceptOnCreate', `${id} outlives its stack`)
  }
})

/**
 * What would make the removal of a failed first creation fail: CloudFormation deletes what the operation has created, also with
 * RetainExceptOnCreate, and cannot delete a protected table, or a bucket with objects.
 */
function creationFaults (template: Template): string[] {
  const written = new Set(resourcesOf(template, 'AWS::KinesisFirehose::DeliveryStream').map(([, { Properties }]) => Properties['ExtendedS3DestinationConfiguration'].BucketARN['Fn::GetAtt'][0] as string))
  return Object.entries(template.Resources).filter(([, { DeletionPolicy }]) => DeletionPolicy !== 'Retain').flatMap(([id, { Properties }]) => [
    ...(Properties?.['DeletionProtectionEnabled'] === true ? [`${id} is protected before the stack exists`] : []),
    ...(written.has(id) ? [`${id} may hold objects`] : [])
  ])
}

t.test('a first creation that fails can be removed, and tables of staging and prod are protected from the second deployment on', async t => {
  for (const Stage of STAGES) {
    const first = evaluate(loadTemplate(), { Stage, FirstDeployment: 'true', LogArchive: 'true' })
    t.strictSame(creationFaults(first), [], Stage)
    for (const [id, { Properties }] of resourcesOf(evaluate(loadTemplate(), { Stage }), 'AWS::DynamoDB::Table')) t.equal(Properties['DeletionProtectionEnabled'], Stage !== 'dev', `${id} in ${Stage}`)
  }
  const template = evaluate(loadTemplate(), { Stage: 'prod', FirstDeployment: 'true', LogArchive: 'true' })
  template.Resources['UsersTable']!.Properties['DeletionProtectionEnabled'] = true
  template.Resources['LogArchiveBucket']!.DeletionPolicy = 'RetainExceptOnCreate'
  t.strictSame(creationFaults(template).sort(), ['LogArchiveBucket may hold objects', 'UsersTable is protected before the stack exists'], 'either is found')
})

/** Seconds, and times: the article's figures for the e-mail queue. */
function queueFaults (template: Template): string[] {
  const { EmailQueue, EmailDeadLetterQueue } = template.Resources
  const worker = [template.Globals?.['Function']?.Timeout, template.Resources['EmailFunction']?.Properties['Timeout']].map(Number)
  const faults: string[] = []
  if (EmailQueue?.Properties['VisibilityTimeout'] !== 300) faults.push('visibility is not 300 s')
  for (const timeout of worker) if (EmailQueue?.Properties['VisibilityTimeout'] < 6 * timeout) faults.push(`visibility is less than six times a time-out of ${timeout} s`)
  // With CustomerKey: test/template/key.test.ts.
  for (const [id, { Properties }] of resourcesOf(evaluate(template), 'AWS::SQS::Queue')) {
    if (Properties['MessageRetentionPeriod'] !== 14 * 24 * 3600) faults.push(`${id} does not keep messages for 14 days`)
    if (Properties['SqsManagedSseEnabled'] !== true) faults.push(`${id} is not encrypted`)
  }
  const redrive = EmailQueue?.Properties['RedrivePolicy'] as { maxReceiveCount: number, deadLetterTargetArn: object } | undefined
  if (redrive?.maxReceiveCount !== 3) faults.push('a message is not given up after three receives')
  const receipts = template.Resources['MailReceiptsQueue']?.Properties
  if (receipts?.['VisibilityTimeout'] < 6 * Number(template.Globals?.['Function']?.Timeout)) faults.push('receipts come back while they are handled')
  if (receipts?.['RedrivePolicy']?.maxReceiveCount !== 3) faults.push('a receipt is not given up after three receives')
  if (JSON.stringify(redrive?.deadLetterTargetArn) !== JSON.stringify({ 'Fn::GetAtt': ['EmailDeadLetterQueue', 'Arn'] }) || EmailDeadLetterQueue === undefined) faults.push('what is given up goes nowhere')
  return faults
}

t.test("queues have the article's figures", async t => {
  t.strictSame(queueFaults(loadTemplate()), [])
})

t.test('another figure is found', async t => {
  const template = loadTemplate()
  template.Resources['EmailQueue']!.Properties['VisibilityTimeout'] = 60
  template.Resources['EmailQueue']!.Properties['RedrivePolicy'].maxReceiveCount = 5
  t.strictSame(queueFaults(template), ['visibility is not 300 s', 'visibility is less than six times a time-out of 50 s', 'a message is not given up after three receives'])
  template.Resources['EmailFunction']!.Properties['Timeout'] = 9
  t.strictSame(queueFaults(template), ['visibility is not 300 s', 'a message is not given up after three receives'])
})

/** What is missing on the way of a receipt: SES → EventBridge → queue → the API function. */
function receiptFaults (template: Template): string[] {
  const { MailConfigurationSet, MailEvents, MailReceiptsRule, MailReceiptsPolicy, MailReceiptsMapping } = template.Resources
  const environment = template.Globals?.['Function'].Environment.Variables
  const set = { Ref: 'MailConfigurationSet' }
  const queues = [{ 'Fn::GetAtt': ['MailReceiptsQueue', 'Arn'] }, { 'Fn::GetAtt': ['MailReceiptsDeadLetterQueue', 'Arn'] }]
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
  const { EventPattern, Targets: [target] } = MailReceiptsRule!.Properties as { EventPattern: Pattern, Targets: [Record<string, any>] } // eslint-disable-line @typescript-eslint/no-explicit-any
  const about = { messageId: 'm', userId: 'u', type: 'SIGN_IN_CODE' as const, email: 'ada@example.com' }
  const tags = (name: unknown) => ({ tags: { 'ses:configuration-set': [name] } }) as { tags: Record<string, string[]> }
  const passes = (event: object) => matches([JSON.parse(JSON.stringify(EventPattern).replaceAll(JSON.stringify(set), '"ours"')) as Pattern], JSON.parse(JSON.stringify(event).replaceAll('["ours"]', '"ours"')) as object)
  const faults: string[] = []
  if (!same(environment.SES_CONFIGURATION_SET, set) || !same(environment.MAIL_RECEIPTS_QUEUE_URL, { Ref: 'MailReceiptsQueue' })) faults.push('the functions do not know of it')
  if (!same(MailConfigurationSet?.Properties['SuppressionOptions'], { SuppressedReasons: [] })) faults.push("SES's own list stops mails")
  if (!same(MailEvents?.Properties['ConfigurationSetName'], set) || MailEvents?.Properties['EventDestination'].Enabled !== true) faults.push('SES publishes nothing')
  for (const [type, event] of Object.entries({ BOUNCE: bounce(about, tags('ours')), COMPLAINT: complaint(about, tags('ours')), REJECT: rejection(about, tags('ours')) })) {
    if (!MailEvents?.Properties['EventDestination'].MatchingEventTypes.includes(type)) faults.push(`SES publishes no ${type}`)
    if (!passes(event)) faults.push(`the rule drops ${type}`)
  }
  for (const event of [bounce(about, tags('of-others')), bounce(about, { tags: {} }), { ...bounce(about, tags('ours')), source: 'mine' }]) if (passes(event)) faults.push('the rule passes on an event that is not ours')
  if (!same(target['Arn'], queues[0]) || !same(target['DeadLetterConfig'], { Arn: queues[1] }) || 'InputTransformer' in target) faults.push('the target is another one')
  const allowed = (MailReceiptsPolicy!.Properties['PolicyDocument'].Statement as Record<string, unknown>[]).filter(({ Effect }) => Effect === 'Allow').map(({ Sid, ...statement }) => statement)
  const expected = [{ Effect: 'Allow', Principal: { Service: 'events.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queues, Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': ['MailReceiptsRule', 'Arn'] } } } }]
  if (!same(allowed, expected)) faults.push('not the rule alone may send')
  if (!same(MailReceiptsMapping?.Properties['FunctionName'], { Ref: 'ApiFunction.Alias' }) || !MailReceiptsMapping?.Properties['FunctionResponseTypes'].includes('ReportBatchItemFailures')) faults.push('the function does not read them one by one')
  return faults
}

t.test('receipts of our mails, and of no others, reach the API function', async t => {
  for (const EmailWorker of ['embedded', 'extracted']) t.strictSame(receiptFaults(evaluate(loadTemplate(), { EmailWorker })), [])
  const spoil = (id: string, change: (properties: Record<string, any>) => void) => { // eslint-disable-line @typescript-eslint/no-explicit-any
    const template = loadTemplate()
    change(template.Resources[id]!.Properties)
    return receiptFaults(template)
  }
  t.strictSame(spoil('MailConfigurationSet', properties => { properties['SuppressionOptions'].SuppressedReasons.push('COMPLAINT') }), ["SES's own list stops mails"])
  t.strictSame(spoil('MailEvents', properties => { properties['EventDestination'].MatchingEventTypes.shift() }), ['SES publishes no BOUNCE'])
  t.strictSame(spoil('MailReceiptsRule', properties => { properties['EventPattern']['detail-type'].pop() }), ['the rule drops REJECT'])
  t.strictSame(spoil('MailReceiptsRule', properties => { delete properties['EventPattern'].detail }), ['the rule passes on an event that is not ours', 'the rule passes on an event that is not ours'])
  t.strictSame(spoil('MailReceiptsRule', properties => { delete properties['Targets'][0].DeadLetterConfig }), ['the target is another one'])
  t.strictSame(spoil('MailReceiptsPolicy', properties => { delete properties['PolicyDocument'].Statement[1].Condition }), ['not the rule alone may send'])
  t.strictSame(spoil('MailReceiptsMapping', properties => { properties['FunctionName'] = { Ref: 'EmailFunction.Alias' } }), ['the function does not read them one by one'])
})

t.test('queues and buckets are reached over TLS only', async t => {
  const template = evaluate(loadTemplate(), { LogArchive: 'true', SyntheticCanary: 'true' })
  const denied = resourcesOf(template, 'AWS::SQS::QueuePolicy', 'AWS::S3::BucketPolicy').flatMap(([, { Properties }]) => {
    const [statement] = Properties['PolicyDocument'].Statement as { Effect: string, Principal: string, Condition: object }[]
    t.match(statement, { Effect: 'Deny', Principal: '*', Condition: { Bool: { 'aws:SecureTransport': 'false' } } })
    return ([Properties['Queues'] ?? Properties['Bucket']].flat() as { Ref: string }[]).map(({ Ref }) => Ref)
  })
  t.strictSame(denied.sort(), resourcesOf(template, 'AWS::SQS::Queue', 'AWS::S3::Bucket').map(([id]) => id).sort(), 'each of them')
})

t.test('buckets are closed to the public, encrypted, and forget', async t => {
  for (const [id, { Properties }] of resourcesOf(evaluate(loadTemplate(), { LogArchive: 'true', SyntheticCanary: 'true' }), 'AWS::S3::Bucket')) {
    t.strictSame(Object.values(Properties['PublicAccessBlockConfiguration']), [true, true, true, true], id)
    t.ok(Properties['BucketEncryption'])
    t.ok(Properties['LifecycleConfiguration'].Rules.length)
  }
  t.match(evaluate(loadTemplate(), { LogArchive: 'true', SyntheticCanary: 'true' }).Resources['LogArchiveBucket']!.Properties['LifecycleConfiguration'].Rules[0].Transitions, [{ StorageClass: 'GLACIER' }])
})

t.test('all outboxes are read alike: new entries only, finite retries, failures reported one by one and kept', async t => {
  const mappings = resourcesOf(loadTemplate(), 'AWS::Lambda::EventSourceMapping').map(([, { Properties: { EventSourceArn, ...how } }]) => ({ source: EventSourceArn['Fn::GetAtt'] as [string, string], how }))
  const streams = mappings.filter(({ source: [, attribute] }) => attribute === 'StreamArn')
  for (const table of ['UsersTable', 'AuthTable']) t.ok(streams.some(({ source }) => source[0] === table), table)
  const one = streams[0]!.how
  const entries = { eventName: ['INSERT'], dynamodb: { NewImage: { kind: { S: ['outbox'] } } } }
  // Of the accounts, also those that the TTL removes, and no other removal.
  const expired = { eventName: ['REMOVE'], userIdentity: { type: ['Service'], principalId: ['dynamodb.amazonaws.com'] }, dynamodb: { OldImage: { kind: { S: ['user'] } } } }
  for (const { source, how: { FilterCriteria, ...how } } of streams) {
    t.strictSame(how, (({ FilterCriteria: _, ...rest }) => rest)(one), source[0])
    t.strictSame(FilterCriteria.Filters.map(({ Pattern }: { Pattern: string }) => JSON.parse(Pattern)), source[0] === 'UsersTable' ? [entries, expired] : [entries], source[0])
  }
  t.match(one, {
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    StartingPosition: 'TRIM_HORIZON',
    DestinationConfig: { OnFailure: { Destination: { 'Fn::GetAtt': ['RelayFailureQueue', 'Arn'] } } }
  })
  t.ok(one['MaximumRetryAttempts'] > 0 && one['MaximumRecordAgeInSeconds'] > 0, 'neither is -1, which is for ever')
  t.match(one['FunctionName'], { Ref: 'ApiFunction.Alias' }, 'by the alias, so that a canary takes its share')
})

t.test('mails are sent by one function at a time: the API, or the extracted worker', async t => {
  for (const [worker, fn] of [['embedded', 'ApiFunction'], ['extracted', 'EmailFunction']] as const) {
    const { Resources } = evaluate(loadTemplate(), { EmailWorker: worker })
    t.match(Resources['EmailQueueMapping']!.Properties, {
      FunctionName: { Ref: `${fn}.Alias` }, FunctionResponseTypes: ['ReportBatchItemFailures'], ScalingConfig: { MaximumConcurrency: { Ref: 'EmailMaximumConcurrency' } }
    })
    t.equal('EmailFunction' in Resources, worker === 'extracted')
  }
})

t.test('secrets are made at deployment and are never in the template', async t => {
  const secrets = resourcesOf(loadTemplate(), 'AWS::SecretsManager::Secret')
  t.strictSame(secrets.map(([id]) => id), ['RootSecret', 'CodeSecret'])
  for (const [id, { Properties }] of secrets) {
    t.notOk('SecretString' in Properties, id)
    t.ok(Properties['GenerateSecretString'].PasswordLength >= 64, id)
  }
})

t.test('secrets are rotated by a schedule only where there is one, each of them, and not by a deployment', async t => {
  const rotation = (parameters: Record<string, string>) => Object.keys(evaluate(loadTemplate(), parameters).Resources).filter(id => id.includes('Rotation')).sort()
  t.strictSame(rotation({}), [])
  t.strictSame(rotation({ SecretRotationDays: '0' }), [])
  t.strictSame(rotation({ SecretRotationDays: '90' }), ['CodeSecretRotation', 'RootSecretRotation', 'RotationErrorsAlarm', 'RotationFunction', 'RotationLogs', 'RotationPermission', 'RotationRole'])
  const template = loadTemplate()
  const schedules = resourcesOf(template, 'AWS::SecretsManager::RotationSchedule')
  t.strictSame(schedules.map(([, { Properties }]) => (Properties['SecretId'] as { Ref: string }).Ref), resourcesOf(template, 'AWS::SecretsManager::Secret').map(([id]) => id), 'each secret')
  for (const [id, { Properties }] of schedules) t.match(Properties, { RotationRules: { AutomaticallyAfterDays: { Ref: 'SecretRotationDays' } }, RotateImmediatelyOnUpdate: false }, id)
})

t.test('a worker of its own is given the secret of codes and not the root secret, in its environment and in its role', async t => {
  const { Globals, Resources } = evaluate(loadTemplate(), { EmailWorker: 'extracted' })
  const everyFunction = JSON.stringify([Globals, Resources['EmailFunction'], Resources['EmailFunctionRole']])
  t.notMatch(everyFunction, 'RootSecret')
  t.match(everyFunction, 'CodeSecret')
  t.match(JSON.stringify([Resources['ApiFunction'], Resources['ApiFunctionRole']]), 'RootSecret')
})

t.test('an upload is announced in S3\'s own form', async t => {
  const [target] = loadTemplate().Resources['UploadedRule']!.Properties['Targets'] as [{ InputTransformer: { InputPathsMap: Record<string, string>, InputTemplate: string } }]
  const { InputPathsMap, InputTemplate } = target.InputTransformer
  const event = { time: '2026-01-01T00:00:00Z', detail: { bucket: { name: 'uploads' }, object: { key: 'incoming/1', size: 5 } } }
  const valueAt = (path: string) => path.split('.').slice(1).reduce<any>((value, part) => value[part], event) // eslint-disable-line @typescript-eslint/no-explicit-any
  const text = InputTemplate.replace(/<(\w+)>/g, (_, name: string) => JSON.stringify(valueAt(InputPathsMap[name]!)))
  t.strictSame(JSON.parse(text), {
    Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', eventTime: event.time, s3: { bucket: { name: 'uploads' }, object: { key: 'incoming/1', size: 5 } } }]
  })
})
