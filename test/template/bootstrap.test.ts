import { readFileSync } from 'node:fs'
import t from 'tap'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'
import { allows, arnOf, loadBootstrap, policiesOf, resolve, STACK, statementsOf, type Statement } from './policies.ts'

/** What AWS's schema of each resource type says its handlers call; test/template/handlers.py writes it. */
const handlers = JSON.parse(readFileSync(new URL('handlers.json', import.meta.url), 'utf8')) as Record<string, { write: string[], read: string[] }>

const OTHER = 'other-service-prod'

/** What the schemas name for uses that are not in template.yaml. Patterns, by the reason. */
const UNUSED: [reason: string, ...actions: RegExp[]][] = [
  ['of tables: no import, no replica, no stream to Kinesis', /^kinesis:/, /^dynamodb:(?:AssociateTableReplica|CreateTableReplica|ImportTable|DescribeImport|.*KinesisStreamingDestination)$/, /^s3:GetObjectMetadata$/, /^logs:(?:CreateLogStream|PutLogEvents)$/],
  ['of items, by which replicas are made: CloudFormation needs none', /^dynamodb:(?:BatchWriteItem|(?:Delete|Get|Put|Update)Item|Query|Scan)$/],
  ['of buckets: no replication, website, object lock, ACL, inventory table', /^s3:(?:Delete|Put)BucketWebsite$/, /^s3:(?:DeleteObject|PutObjectAcl|PutObjectLockConfiguration|PutReplicationConfiguration|UpdateBucketMetadata.*|(?:Create|Delete|Get)BucketMetadataTableConfiguration)$/, /^s3tables:/],
  ['of functions: no file system, capacity provider', /^elasticfilesystem:/, /^s3files:/, /^lambda:(?:PassCapacityProvider|AssociateRuntimeAlias)$/],
  ['of objectives: no monitor of browsers', /^rum:/],
  ['of logs of web ACLs: no organization, no Firehose', /^iam:DescribeOrganization$/, /^firehose:ListDeliveryStreams$/],
  ['of log groups: no delivery to other services, no bearer tokens, no deletion protection', /^firehose:TagDeliveryStream$/, /^s3:REST\.PUT\.OBJECT$/, /^logs:(?:PutBearerTokenAuthentication|PutLogGroupDeletionProtection)$/],
  ['of VPCs: no lattice, tenancy, encryption control', /^vpc-lattice:/, /^vpce:/, /^ec2:(?:ModifyVpcTenancy|CreateVpcEncryptionControl)$/],
  ['of secrets: no replica', /^secretsmanager:(?:RemoveRegionsFromReplication|ReplicateSecretToRegions)$/],
  ['of web ACLs: only API Gateway is protected', /^(?:amplify|apprunner|appsync|bedrock-agentcore|cognito-idp|elasticloadbalancing|payments):/, /^ec2:.*VerifiedAccess/],
  ['of deployment groups: Lambda only', /^codedeploy:RegisterOnPremisesInstance$/],
  ['of roles: the boundary stays', /^iam:DeleteRolePermissionsBoundary$/],
  ['IAM has no such actions: tags of APIs are POST and DELETE', /^kms:ReEncrypt$/, /^apigateway:(?:Tag|Untag)Resource$/, /^synthetics:ReplicateCanary$/, /^backup-storage:Mount$/]
]
const isUnused = (action: string) => UNUSED.some(([, ...patterns]) => patterns.some(pattern => pattern.test(action)))

/** How a call of CloudFormation looks to IAM, for the conditions of the policies. */
function contextOf (action: string, bootstrap: Template): Record<string, string> {
  const boundary = String(resolve({ Ref: 'Boundary' }, bootstrap))
  return {
    'iam:PermissionsBoundary': boundary,
    'iam:PassedToService': 'lambda.amazonaws.com',
    'iam:AWSServiceName': 'elasticache.amazonaws.com',
    'iam:PolicyARN': 'arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole',
    'lambda:FunctionArn': arnOf('AWS::Lambda::Function')!,
    'aws:RequestedRegion': 'eu-central-1',
    ...(['secretsmanager:CreateSecret', 'kms:CreateKey'].includes(action) ? { 'aws:RequestTag/stack': STACK } : { 'aws:ResourceTag/stack': STACK })
  }
}

const serviceOf = (action: string) => action.split(':')[0]
/** Actions that have no resource, or whose resource is another one than that of the type whose handler calls them. */
const ELSEWHERE = /^(?:iam:PassRole|kms:.*Alias(?:es)?|kms:CreateKey|iam:CreateServiceLinkedRole|secretsmanager:GetRandomPassword|cloudwatch:GetMetricData|codedeploy:.*|lambda:(?:GetCodeSigningConfig|GetLayerVersion)|logs:.*Polic(?:y|ies)|logs:CreateLogDelivery|events:.*|s3:GetObject(?:Version)?)$/

/** What of the handlers' calls a role may not do, by resource type. */
function lacking (statements: Statement[], bootstrap: Template, kinds: ('write' | 'read')[], types = Object.keys(handlers)): string[] {
  return types.flatMap(type => [...new Set(kinds.flatMap(kind => handlers[type]![kind]))].filter(action => !isUnused(action)).filter(action => {
    const arn = arnOf(type)
    const own = arn !== undefined && arn.split(':')[2] === serviceOf(action) && !ELSEWHERE.test(action)
    return !allows(statements, action, own ? arn : undefined, contextOf(action, bootstrap))
  }).map(action => `${type}: ${action}`))
}

t.test('AWS’s schema of every resource type of the template is known', async t => {
  const types = [...new Set(Object.values(loadTemplate().Resources).map(({ Type }) => Type))].filter(type => !type.startsWith('AWS::Serverless::'))
  t.ok(types.length > 40)
  for (const type of types) t.ok(type in handlers, `${type} is not in test/template/handlers.json: run test/template/handlers.py as .ci/template-checks does, and give the execution role what its handlers call`)
})

t.test('CloudFormation may create, change, read and delete every resource type of the template', async t => {
  const bootstrap = loadBootstrap()
  const statements = statementsOf(bootstrap, ...policiesOf(bootstrap, 'ExecutionRole'))
  t.strictSame(lacking(statements, bootstrap, ['write', 'read']), [])
  const without = statements.filter(({ Sid }) => Sid !== 'Queues')
  t.strictSame(lacking(without, bootstrap, ['write'], ['AWS::SQS::Queue', 'AWS::SNS::Topic']), ['CreateQueue', 'DeleteQueue', 'GetQueueAttributes', 'GetQueueUrl', 'ListQueueTags', 'SetQueueAttributes', 'TagQueue', 'UntagQueue'].map(action => `AWS::SQS::Queue: sqs:${action}`), 'a missing statement is found')
  const used = Object.values(handlers).flatMap(({ write, read }) => [...write, ...read])
  for (const [reason, ...patterns] of UNUSED) for (const pattern of patterns) t.ok(used.some(action => pattern.test(action)), `${pattern} is still an exception of something: ${reason}`)
})

/** What a role may do to resources of another stack that have names. */
function reach (statements: Statement[], bootstrap: Template): string[] {
  return Object.entries(handlers).flatMap(([type, { write }]) => {
    const arn = arnOf(type, 'Resource', OTHER)
    if (arn === undefined || arn === arnOf(type)) return []
    const context = { ...contextOf('', bootstrap), 'aws:ResourceTag/stack': OTHER, 'lambda:FunctionArn': arn }
    return write.filter(action => arn.split(':')[2] === serviceOf(action) && allows(statements, action, arn, context)).map(action => `${type}: ${action}`)
  })
}

t.test('log groups have names that CloudFormation may create', async t => {
  const bootstrap = loadBootstrap()
  const statements = statementsOf(bootstrap, ...policiesOf(bootstrap, 'ExecutionRole'))
  const named = resourcesOf(loadTemplate(), 'AWS::Logs::LogGroup').filter(([, { Properties }]) => Properties['LogGroupName'] !== undefined)
  t.ok(named.length >= 3)
  for (const [id, { Properties }] of named) {
    // The id of an API, and the name and id of the canary, are known to AWS alone.
    const name = String((Properties['LogGroupName'] as { 'Fn::Sub': string })['Fn::Sub']).replaceAll('${AWS::StackName}', STACK).replace('${RegistrationCanary}', `${STACK}-canary`) // eslint-disable-line no-template-curly-in-string -- CloudFormation's
    t.ok(allows(statements, 'logs:CreateLogGroup', `arn:aws:logs:eu-central-1:123456789012:log-group:${name}:*`), `${id}: ${name}`)
  }
  t.notOk(allows(statements, 'logs:CreateLogGroup', `arn:aws:logs:eu-central-1:123456789012:log-group:${OTHER}-a:*`))
})

t.test('CloudFormation changes only what has the name or the tag of its stack', async t => {
  const bootstrap = loadBootstrap()
  const statements = statementsOf(bootstrap, ...policiesOf(bootstrap, 'ExecutionRole'))
  const reads = [...new Set(reach(statements, bootstrap).map(fault => fault.split(': ')[1]!))].filter(action => !/:(?:Describe|Get|List)/.test(action))
  // Deliveries and the policies of CloudWatch Logs belong to the region, and no narrower resource is accepted.
  t.strictSame(reads.sort(), ['logs:CreateLogDelivery', 'logs:DeleteResourcePolicy', 'logs:PutResourcePolicy'])
  t.ok(reach([...statements, { Effect: 'Allow', Action: 'sqs:*', Resource: '*' }], bootstrap).includes('AWS::SQS::Queue: sqs:DeleteQueue'), 'a wider statement is found')
  for (const action of ['secretsmanager:GetSecretValue', 'secretsmanager:UpdateSecret', 'secretsmanager:TagResource']) {
    const arn = arnOf('AWS::SecretsManager::Secret')!
    t.ok(allows(statements, action, arn, { 'aws:ResourceTag/stack': STACK }), action)
    t.notOk(allows(statements, action, arn, { 'aws:ResourceTag/stack': OTHER, 'aws:RequestTag/stack': STACK }), `${action} of the secret of another stack`)
  }
})

/** What no deployment may do: each action, on a resource, in a context. */
const NEVER: [action: string, resource: string, context?: Record<string, string>][] = [
  ['iam:CreateRole', arnOf('AWS::IAM::Role')!],
  ['iam:CreateRole', arnOf('AWS::IAM::Role')!, { 'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/AdministratorAccess' }],
  ['iam:PutRolePolicy', arnOf('AWS::IAM::Role')!],
  ['iam:AttachRolePolicy', arnOf('AWS::IAM::Role')!, { 'iam:PermissionsBoundary': 'arn:aws:unknown:eu-central-1:123456789012:Boundary', 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' }],
  ['iam:DeleteRolePermissionsBoundary', arnOf('AWS::IAM::Role')!],
  ['iam:PassRole', arnOf('AWS::IAM::Role')!, { 'iam:PassedToService': 'ec2.amazonaws.com' }],
  ['iam:PassRole', 'arn:aws:iam::123456789012:role/Admin', { 'iam:PassedToService': 'lambda.amazonaws.com' }],
  ['iam:UpdateAssumeRolePolicy', `arn:aws:iam::123456789012:role/bootstrap/${STACK}-DeployRole-1`],
  ['iam:CreatePolicyVersion', `arn:aws:iam::123456789012:policy/bootstrap/${STACK}-Boundary-1`],
  ['iam:CreateUser', 'arn:aws:iam::123456789012:user/a'],
  ['iam:CreateAccessKey', 'arn:aws:iam::123456789012:user/a'],
  ['iam:CreateServiceLinkedRole', 'arn:aws:iam::123456789012:role/aws-service-role/a', { 'iam:AWSServiceName': 'ec2.amazonaws.com' }],
  ['organizations:LeaveOrganization', '*'],
  ['account:CloseAccount', '*'],
  ['sts:AssumeRole', arnOf('AWS::IAM::Role')!],
  ['dynamodb:GetItem', arnOf('AWS::DynamoDB::Table')!],
  ['dynamodb:Scan', arnOf('AWS::DynamoDB::Table')!],
  ['s3:GetObject', `${arnOf('AWS::S3::Bucket', 'Uploads')!}/avatars/1`],
  ['sqs:ReceiveMessage', arnOf('AWS::SQS::Queue')!],
  ['lambda:InvokeFunction', arnOf('AWS::Lambda::Function')!],
  ['logs:GetLogEvents', arnOf('AWS::Logs::LogGroup')!],
  ['kms:Decrypt', 'arn:aws:kms:eu-central-1:123456789012:key/1']
]

const forbidden = (statements: Statement[], cases = NEVER) => cases.filter(([action, resource, context]) => allows(statements, action, resource, context)).map(([action, resource]) => `${action} on ${resource}`)

t.test('neither role of a deployment can widen itself, leave the boundary, or read what users stored', async t => {
  const bootstrap = loadBootstrap()
  for (const role of ['ExecutionRole', 'DeployRole']) {
    const statements = statementsOf(bootstrap, ...policiesOf(bootstrap, role))
    t.strictSame(forbidden(statements), [], role)
    t.strictSame(forbidden([...statements, { Effect: 'Allow', Action: 'iam:*', Resource: '*' }]).length, NEVER.filter(([action]) => action.startsWith('iam:')).length, 'iam:* is found')
  }
})

t.test('the pipeline starts deployments with the execution role alone, and cannot delete the stack', async t => {
  const bootstrap = loadBootstrap()
  const statements = statementsOf(bootstrap, ...policiesOf(bootstrap, 'DeployRole'))
  const stack = `arn:aws:cloudformation:eu-central-1:123456789012:stack/${STACK}/1`
  const role = String(resolve({ 'Fn::GetAtt': ['ExecutionRole', 'Arn'] }, bootstrap))
  const may = (action: string, resource: string, context?: Record<string, string>) => allows(statements, action, resource, context)
  t.ok(may('cloudformation:CreateChangeSet', stack, { 'cloudformation:RoleArn': role }))
  t.ok(may('cloudformation:CreateChangeSet', 'arn:aws:cloudformation:eu-central-1:aws:transform/Serverless-2016-10-31'))
  t.notOk(may('cloudformation:CreateChangeSet', stack), 'not with its own permissions')
  t.notOk(may('cloudformation:CreateChangeSet', stack, { 'cloudformation:RoleArn': 'arn:aws:iam::123456789012:role/Admin' }))
  t.ok(may('iam:PassRole', role, { 'iam:PassedToService': 'cloudformation.amazonaws.com' }))
  t.notOk(may('iam:PassRole', role, { 'iam:PassedToService': 'lambda.amazonaws.com' }))
  for (const action of ['DeleteStack', 'UpdateStack', 'CreateStack']) t.notOk(may(`cloudformation:${action}`, stack), action)
  const other = stack.replace(STACK, OTHER)
  for (const action of ['ExecuteChangeSet', 'SetStackPolicy', 'UpdateTerminationProtection', 'DetectStackDrift']) {
    t.ok(may(`cloudformation:${action}`, stack), action)
    t.notOk(may(`cloudformation:${action}`, other), `${action} of another stack`)
  }
  t.ok(may('cloudformation:DescribeStacks', `arn:aws:cloudformation:eu-central-1:123456789012:stack/bootstrap-${STACK}/1`), 'it reads the outputs of its bootstrap stack')
})

t.test('the check for drift may read the settings of every resource that it compares, and no secret', async t => {
  const bootstrap = loadBootstrap()
  const statements = statementsOf(bootstrap, 'DriftPolicy')
  // npm run drift leaves secrets out, see scripts/drift.ts.
  const compared = Object.keys(handlers).filter(type => type !== 'AWS::SecretsManager::Secret')
  // The schemas name a few calls as reads that change something; a comparison makes none of them.
  const isRead = (action: string) => /^(?:[\w-]+:(?:BatchDescribe|Detect|Describe|Get|List|View)|apigateway:GET)/.test(action)
  t.strictSame(lacking(statements, bootstrap, ['read'], compared).filter(fault => isRead(fault.split(': ')[1]!)), [])
  t.strictSame(lacking(statements.filter(({ Sid }) => Sid !== 'Unnamed'), bootstrap, ['read'], ['AWS::CloudWatch::Alarm']), ['AWS::CloudWatch::Alarm: cloudwatch:DescribeAlarms', 'AWS::CloudWatch::Alarm: cloudwatch:ListTagsForResource'], 'a missing statement is found')
  t.strictSame(statements.flatMap(({ Action }) => [Action].flat() as string[]).filter(action => !isRead(action)), [], 'and nothing that changes')
  t.notOk(allows(statements, 'secretsmanager:GetSecretValue'))
  t.notOk(allows(statements, 'apigateway:GET', 'arn:aws:apigateway:eu-central-1::/apikeys/1'), 'nor the value of an API key')
})

// AWS's managed policies of the template, by what they allow (IAM's console, policy version 3 of the first, 1 of the second).
const MANAGED: Record<string, string[]> = {
  AWSLambdaVPCAccessExecutionRole: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'ec2:CreateNetworkInterface', 'ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets', 'ec2:DeleteNetworkInterface', 'ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses'],
  AmazonAPIGatewayPushToCloudWatchLogs: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogGroups', 'logs:DescribeLogStreams', 'logs:PutLogEvents', 'logs:GetLogEvents', 'logs:FilterLogEvents']
}

/** What the roles of the template allow and the boundary does not. */
function outside (boundary: Statement[], template: Template, parameters: Record<string, string>): string[] {
  return resourcesOf(template, 'AWS::IAM::Role').flatMap(([id, { Properties }]) => {
    const policies = (Properties['Policies'] ?? []) as { PolicyDocument: { Statement: Statement[] } }[]
    const own = policies.flatMap(policy => policy.PolicyDocument.Statement).filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap(action => ([resolve(Resource, template, parameters)].flat() as string[]).map(resource => [action!, resource] as const)))
    const managed = ((Properties['ManagedPolicyArns'] ?? []) as { 'Fn::Sub': string }[]).flatMap(arn => {
      const name = arn['Fn::Sub'].split('/').at(-1)!
      return (MANAGED[name] ?? [`unknown:${name}`]).map(action => [action, undefined] as const)
    })
    return [...own, ...managed].filter(([action, resource]) => !allows(boundary, action, resource, { 'aws:ResourceTag/stack': STACK })).map(([action, resource]) => `${id}: ${action} on ${resource}`)
  })
}

/** Every optional part on and off, so that every role and statement is there in one of them. */
const VARIANTS = ['true', 'false'].flatMap(on => [
  { EmailWorker: 'embedded' }, { EmailWorker: 'extracted' }
].map(worker => ({
  Stage: 'prod',
  EmailFrom: 'a@example.com',
  SesIdentity: 'example.com',
  PermissionsBoundaryArn: 'arn:boundary',
  CodeSigningConfigArn: 'arn:signatures',
  ...worker,
  ...Object.fromEntries(Object.entries(loadTemplate().Parameters).filter(([, { AllowedValues }]) => JSON.stringify(AllowedValues) === '["true","false"]').map(([name]) => [name, on])),
  ...(on === 'true' ? { Cache: 'valkey', Tracing: 'Active', DomainName: 'api.example.com', CertificateArn: 'arn:aws:acm:x', HostedZoneId: 'Z1', AlarmEmail: 'a@example.com', SecretRotationDays: '30' } : {})
})))

t.test('the permissions boundary allows all that the roles of the template do, and little else', async t => {
  const bootstrap = loadBootstrap()
  const boundary = statementsOf(bootstrap, 'Boundary')
  const roles = new Set<string>()
  for (const parameters of VARIANTS) {
    const template = evaluate(loadTemplate(), parameters)
    for (const [id] of resourcesOf(template, 'AWS::IAM::Role')) roles.add(id)
    t.strictSame(outside(boundary, template, parameters), [], JSON.stringify(parameters))
  }
  t.strictSame([...roles].sort(), resourcesOf(loadTemplate(), 'AWS::IAM::Role').map(([id]) => id).sort(), 'every role was looked at')

  const template = evaluate(loadTemplate(), VARIANTS[0]!)
  t.ok(outside(boundary.filter(({ Sid }) => Sid !== 'Events'), template, VARIANTS[0]!).includes(`ApiFunctionRole: events:PutEvents on ${arnOf('AWS::Events::EventBus', 'EventBus')}`), 'a missing statement is found')
  // What the roles do to their own is allowed here; all the rest of the list is not.
  const data = /^(?:dynamodb:GetItem|s3:GetObject|sqs:ReceiveMessage|lambda:InvokeFunction|logs:GetLogEvents)$/
  t.strictSame(forbidden(boundary, NEVER.filter(([action]) => !data.test(action))), [])
  const foreign: [string, string, Record<string, string>?][] = [
    ['dynamodb:GetItem', arnOf('AWS::DynamoDB::Table', 'Users', OTHER)!],
    ['s3:GetObject', `${arnOf('AWS::S3::Bucket', 'Uploads', OTHER)!}/avatars/1`],
    ['sqs:ReceiveMessage', arnOf('AWS::SQS::Queue', 'Queue', OTHER)!],
    ['lambda:InvokeFunction', arnOf('AWS::Lambda::Function', 'Function', OTHER)!],
    ['secretsmanager:GetSecretValue', arnOf('AWS::SecretsManager::Secret')!, { 'aws:ResourceTag/stack': OTHER }],
    ['dynamodb:DeleteTable', arnOf('AWS::DynamoDB::Table')!],
    ['dynamodb:UpdateTable', arnOf('AWS::DynamoDB::Table')!],
    ['lambda:UpdateFunctionCode', arnOf('AWS::Lambda::Function')!],
    ['s3:PutBucketPolicy', arnOf('AWS::S3::Bucket')!]
  ]
  t.strictSame(forbidden(boundary, foreign), [], 'nothing of other stacks, and no settings')
  t.strictSame(forbidden([{ Effect: 'Allow', Action: '*', Resource: '*' }, ...boundary], [['iam:CreateUser', '*'], ['organizations:LeaveOrganization', '*']]), [], 'and a wider statement would not allow these')
})

/** Roles of a template without the boundary, functions without the signatures. */
function unbounded (template: Template): string[] {
  return [
    ...resourcesOf(template, 'AWS::IAM::Role').filter(([, { Properties }]) => JSON.stringify(Properties['PermissionsBoundary']) !== '{"Ref":"PermissionsBoundaryArn"}'),
    ...resourcesOf(template, 'AWS::Lambda::Function', 'AWS::Serverless::Function').filter(([, { Properties }]) => JSON.stringify(Properties['CodeSigningConfigArn']) !== '{"Ref":"CodeSigningConfigArn"}')
  ].map(([id]) => id)
}

t.test('every role of the template carries the boundary, and every function asks for signed code, where they are given', async t => {
  for (const parameters of VARIANTS) t.strictSame(unbounded(evaluate(loadTemplate(), parameters)), [], JSON.stringify(parameters))
  t.notMatch(JSON.stringify(evaluate(loadTemplate(), { EmailWorker: 'extracted' }).Resources), /PermissionsBoundary|CodeSigningConfigArn/, 'and none where not')
  const template = evaluate(loadTemplate(), VARIANTS[0]!)
  delete template.Resources['DeploymentRole']!.Properties['PermissionsBoundary']
  delete template.Resources['ApiSmokeFunction']!.Properties['CodeSigningConfigArn']
  t.strictSame(unbounded(template), ['DeploymentRole', 'ApiSmokeFunction'], 'a missing one is found')
})

t.test('GitHub may assume the deploy role from one environment of one repository, with either form of the subject', async t => {
  const bootstrap = loadBootstrap()
  const parameters = { Stage: 'prod', GitHubOwner: 'example', GitHubOwnerId: '1234567', GitHubRepository: 'user-service', GitHubRepositoryId: '7654321' }
  const { Statement } = resolve(bootstrap.Resources['DeployRole']!.Properties['AssumeRolePolicyDocument'], bootstrap, parameters) as { Statement: Statement[] }
  const issuer = 'token.actions.githubusercontent.com'
  const may = (sub: string, claims: Record<string, string> = {}) => allows(Statement.map(statement => ({ ...statement, Resource: '*' })), 'sts:AssumeRoleWithWebIdentity', '*', { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: sub, [`${issuer}:repository_id`]: '7654321', ...claims })
  for (const sub of ['repo:example/user-service:environment:prod', 'repo:example@1234567/user-service@7654321:environment:prod']) t.ok(may(sub), sub)
  for (const sub of [
    'repo:example/user-service:environment:dev', 'repo:example/user-service:ref:refs/heads/main', 'repo:example/user-service:pull_request', 'repo:other/user-service:environment:prod',
    'repo:example@1/user-service@7654321:environment:prod', 'repo:example@1234567/user-service@1:environment:prod'
  ]) t.notOk(may(sub), sub)
  t.notOk(may('repo:example/user-service:environment:prod', { [`${issuer}:repository_id`]: '1' }), 'a repository of the same name that is another one')
  t.notOk(may('repo:example/user-service:environment:prod', { [`${issuer}:aud`]: 'https://github.com/example' }))
})

/** Characters of each managed policy, as IAM counts them: without blanks. */
function tooLarge (bootstrap: Template): string[] {
  return resourcesOf(bootstrap, 'AWS::IAM::ManagedPolicy').filter(([id]) => JSON.stringify({ Version: '2012-10-17', Statement: statementsOf(bootstrap, id) }).length > 6144).map(([id]) => id)
}

t.test('the policies are not larger than IAM accepts', async t => {
  const bootstrap = loadBootstrap()
  t.strictSame(tooLarge(bootstrap), [])
  for (const role of ['DeployRole', 'ExecutionRole']) t.ok(policiesOf(bootstrap, role).length <= 10, `${role} has not more policies than a role may have`)
  bootstrap.Resources['Boundary']!.Properties['PolicyDocument'].Statement.push({ Effect: 'Deny', Action: Array.from({ length: 500 }, (_, n) => `iam:Action${n}`), Resource: '*' })
  t.strictSame(tooLarge(bootstrap), ['Boundary'])
})

t.test('bootstrap.yaml is small enough to be deployed without a bucket, which it creates', async t => {
  t.ok(readFileSync(new URL('../../bootstrap.yaml', import.meta.url)).length <= 51_200, 'the size of a template that is sent with the call')
})

t.test('the artifact bucket is private, encrypted, versioned, reached over TLS only, and forgets', async t => {
  const { Artifacts, ArtifactsOverTlsOnly } = loadBootstrap().Resources
  t.strictSame(Object.values(Artifacts!.Properties['PublicAccessBlockConfiguration']), [true, true, true, true])
  t.match(Artifacts, { DeletionPolicy: 'RetainExceptOnCreate', Properties: { BucketEncryption: Object, VersioningConfiguration: { Status: 'Enabled' }, LifecycleConfiguration: { Rules: [{ NoncurrentVersionExpiration: { NoncurrentDays: 30 } }] } } })
  t.match(ArtifactsOverTlsOnly!.Properties['PolicyDocument'].Statement, [{ Effect: 'Deny', Principal: '*', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }])
})
