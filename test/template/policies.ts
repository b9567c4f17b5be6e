import { readFileSync } from 'node:fs'
import { parseTemplate } from '../../local/template.ts'
import { resourcesOf, type Template } from './evaluate.ts'

/** The stage for which bootstrap.yaml is evaluated. */
export const STACK = 'user-service-prod'
const VALUES: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-central-1',
  'AWS::AccountId': '123456789012',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': STACK,
  'AWS::StackId': 'arn:aws:cloudformation:eu-central-1:123456789012:stack/bootstrap-user-service-prod/1'
}

/** `bootstrap.yaml` as it stands, a new copy each time. */
export const loadBootstrap = (): Template => parseTemplate(readFileSync(new URL('../../bootstrap.yaml', import.meta.url), 'utf8')) as unknown as Template

export interface Statement {
  Sid?: string
  Effect: 'Allow' | 'Deny'
  Action?: string | string[]
  Resource?: unknown
  NotResource?: unknown
  Condition?: Record<string, Record<string, unknown>>
}

/** Names as CloudFormation makes them: most begin with the stack's name, some only have the logical id. */
const ARNS: Record<string, (id: string, stack: string) => string> = {
  'AWS::ApiGateway::RestApi': () => 'arn:aws:apigateway:eu-central-1::/restapis/abc',
  'AWS::Backup::BackupVault': (_, stack) => `arn:aws:backup:eu-central-1:123456789012:backup-vault:${stack}`,
  'AWS::CloudWatch::Alarm': (id, stack) => `arn:aws:cloudwatch:eu-central-1:123456789012:alarm:${stack}-${id}-1`,
  'AWS::CloudWatch::CompositeAlarm': (id, stack) => `arn:aws:cloudwatch:eu-central-1:123456789012:alarm:${stack}-${id}-1`,
  'AWS::CodeDeploy::Application': (id, stack) => `arn:aws:codedeploy:eu-central-1:123456789012:application:${stack}-${id}-1`,
  'AWS::CodeDeploy::DeploymentGroup': (id, stack) => `arn:aws:codedeploy:eu-central-1:123456789012:deploymentgroup:${stack}-App-1/${stack}-${id}-1`,
  'AWS::DynamoDB::Table': (id, stack) => `arn:aws:dynamodb:eu-central-1:123456789012:table/${stack}-${id}-1`,
  'AWS::Events::EventBus': (id, stack) => `arn:aws:events:eu-central-1:123456789012:event-bus/${stack}-events`,
  'AWS::Events::Rule': (id, stack) => `arn:aws:events:eu-central-1:123456789012:rule/${stack}-${id}-1`,
  'AWS::IAM::Role': (id, stack) => `arn:aws:iam::123456789012:role/${stack}-${id}-1`,
  'AWS::KinesisFirehose::DeliveryStream': (id, stack) => `arn:aws:firehose:eu-central-1:123456789012:deliverystream/${stack}-${id}-1`,
  'AWS::KMS::Key': id => `arn:aws:kms:eu-central-1:123456789012:key/${id}`,
  'AWS::Lambda::Alias': (id, stack) => `arn:aws:lambda:eu-central-1:123456789012:function:${stack}-${id}-1:live`,
  'AWS::Lambda::Function': (id, stack) => `arn:aws:lambda:eu-central-1:123456789012:function:${stack}-${id}-1`,
  'AWS::Lambda::Permission': (id, stack) => `arn:aws:lambda:eu-central-1:123456789012:function:${stack}-${id}-1`,
  'AWS::Lambda::Version': (id, stack) => `arn:aws:lambda:eu-central-1:123456789012:function:${stack}-${id}-1:1`,
  'AWS::Logs::LogGroup': (id, stack) => `arn:aws:logs:eu-central-1:123456789012:log-group:${stack}-${id}-1:*`,
  'AWS::Logs::SubscriptionFilter': (id, stack) => `arn:aws:logs:eu-central-1:123456789012:log-group:${stack}-${id}-1:*`,
  'AWS::S3::Bucket': (id, stack) => `arn:aws:s3:::${stack}-${id.toLowerCase()}-1`,
  'AWS::S3::BucketPolicy': (id, stack) => `arn:aws:s3:::${stack}-${id.toLowerCase()}-1`,
  'AWS::SecretsManager::Secret': id => `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${id}-1-a`,
  'AWS::SNS::Topic': (id, stack) => `arn:aws:sns:eu-central-1:123456789012:${stack}-${id}-1`,
  'AWS::SNS::TopicPolicy': (id, stack) => `arn:aws:sns:eu-central-1:123456789012:${stack}-${id}-1`,
  'AWS::SQS::Queue': (id, stack) => `arn:aws:sqs:eu-central-1:123456789012:${stack}-${id}-1`,
  'AWS::SQS::QueuePolicy': (id, stack) => `arn:aws:sqs:eu-central-1:123456789012:${stack}-${id}-1`,
  // Before the transform.
  'AWS::Serverless::Function': (id, stack) => `arn:aws:lambda:eu-central-1:123456789012:function:${stack}-${id}-1`
}

/** The ARN that a resource of a stack would have, where the account of its type names resources by stack or logical id. */
export const arnOf = (type: string, id = 'Resource', stack = STACK): string | undefined => ARNS[type]?.(id, stack)

/** A value of a template with its references decided: parameters as given, resources by the ARN they would have. */
export function resolve (value: unknown, template: Template, parameters: Record<string, string> = {}): unknown {
  const nameOf = (name: string): string => {
    const [id = '', attribute] = name.split('.')
    const known = parameters[name] ?? VALUES[name] ?? template.Parameters[name]?.Default
    if (known !== undefined) return String(known)
    const { Type } = template.Resources[id] ?? { Type: undefined }
    if (Type === undefined) return `(${name})`
    if (Type === 'AWS::CodeDeploy::Application') return `${STACK}-${id}-1`
    const arn = arnOf(Type, id) ?? `arn:aws:unknown:eu-central-1:123456789012:${id}`
    return attribute === 'StreamArn' ? `${arn}/stream/1` : arn
  }
  if (Array.isArray(value)) return value.map(item => resolve(item, template, parameters)).filter(item => item !== undefined)
  if (typeof value !== 'object' || value === null) return value
  const { Ref, 'Fn::GetAtt': attribute, 'Fn::Sub': sub, 'Fn::If': condition } = value as { Ref?: string, 'Fn::GetAtt'?: string | string[], 'Fn::Sub'?: string, 'Fn::If'?: unknown[] }
  if (Ref === 'AWS::NoValue') return undefined
  if (Ref !== undefined) return nameOf(Ref)
  if (attribute !== undefined) return nameOf([attribute].flat().join('.'))
  // The transform's application has a name that begins with the stack's; it is not in the template.
  if (sub !== undefined) return String(sub).replace(/\$\{([^}]+)\}/g, (_, name: string) => name === 'ServerlessDeploymentApplication' ? `${STACK}-${name}-1` : nameOf(name))
  // Both ways: whatever a condition allows, and signing is on.
  if (condition !== undefined) return resolve(condition[1], template, parameters)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, template, parameters)]))
}

/** The statements of managed policies of bootstrap.yaml, for the stage prod. */
export function statementsOf (bootstrap: Template, ...ids: string[]): Statement[] {
  return ids.flatMap(id => (resolve(bootstrap.Resources[id]!.Properties['PolicyDocument'], bootstrap, { Stage: 'prod' }) as { Statement: Statement[] }).Statement)
}

/** The managed policies of a role of bootstrap.yaml, by logical id: those that it names, and those that name it. */
export const policiesOf = (bootstrap: Template, role: string): string[] => [
  ...(bootstrap.Resources[role]!.Properties['ManagedPolicyArns'] as { Ref: string }[]).map(({ Ref }) => Ref),
  ...resourcesOf(bootstrap, 'AWS::IAM::ManagedPolicy').filter(([, { Properties }]) => (Properties['Roles'] as { Ref: string }[] | undefined)?.some(({ Ref }) => Ref === role)).map(([id]) => id)
]

const matches = (pattern: string, text: string): boolean => new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(text)
const isIn = (patterns: unknown, text: string): boolean => [patterns].flat().some(pattern => matches(String(pattern), text))

/** A condition as IAM reads it, for the few operators that are used here. A missing key does not match, but for …IfExists. */
function holds (condition: Statement['Condition'], context: Record<string, string>): boolean {
  return Object.entries(condition ?? {}).every(([operator, keys]) => {
    if (!/^(?:StringEquals|StringLike|ArnEquals|ArnLike)(?:IfExists)?$/.test(operator)) throw new TypeError(`${operator} is not known here`)
    return Object.entries(keys).every(([key, wanted]) => {
      const given = context[key]
      return given === undefined ? operator.endsWith('IfExists') : isIn(wanted, given)
    })
  })
}

/** What IAM decides about a call: whether a statement allows it, and none denies it. Without a resource: on any at all. */
export function allows (statements: Statement[], action: string, resource?: string, context: Record<string, string> = {}): boolean {
  const isAbout = ({ Action, Resource, NotResource, Condition }: Statement) =>
    [Action].flat().some(pattern => matches(String(pattern).toLowerCase(), action.toLowerCase())) &&
    (resource === undefined || (Resource !== undefined && isIn(Resource, resource)) || (NotResource !== undefined && !isIn(NotResource, resource))) &&
    holds(Condition, context)
  return statements.some(statement => statement.Effect === 'Allow' && isAbout(statement)) && !statements.some(statement => statement.Effect === 'Deny' && isAbout(statement))
}
