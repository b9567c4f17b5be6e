import type { Resource, Template } from './evaluate.ts'

/**
 * Types of this template that moto's CloudFormation does not create. Where its API knows them, create_in_moto.py creates some from
 * their properties. The list is exact: test/template/moto.slow.test.ts fails when moto creates one of these, or no longer another one.
 */
export const NOT_CREATED: Record<string, string> = {
  'AWS::ApiGateway::Account': 'its API has it',
  'AWS::ApiGateway::ApiKey': 'its API has it',
  'AWS::ApiGateway::DomainName': 'its API has it',
  'AWS::ApiGateway::Stage': 'its API has it',
  'AWS::ApiGateway::UsagePlan': 'its API has it',
  'AWS::ApiGateway::UsagePlanKey': 'its API has it',
  'AWS::ApiGatewayV2::Api': 'its API has it',
  'AWS::ApiGatewayV2::ApiMapping': 'its API has it',
  'AWS::ApiGatewayV2::Stage': 'its API has it',
  'AWS::ApplicationAutoScaling::ScalableTarget': 'its API has it',
  'AWS::ApplicationAutoScaling::ScalingPolicy': 'its API has it',
  'AWS::ApplicationSignals::ServiceLevelObjective': 'its API does not have it either',
  'AWS::Backup::BackupPlan': 'its API has it',
  'AWS::Backup::BackupSelection': 'its API does not have it either',
  'AWS::Backup::BackupVault': 'its API has it',
  'AWS::Budgets::Budget': 'its API has it',
  'AWS::CE::AnomalyMonitor': 'its API does not have it either',
  'AWS::CE::AnomalySubscription': 'its API does not have it either',
  'AWS::CloudWatch::Alarm': 'created by its API, see create_in_moto.py',
  'AWS::CloudWatch::CompositeAlarm': 'its API does not have it either',
  'AWS::CodeDeploy::Application': 'its API has it',
  'AWS::CodeDeploy::DeploymentGroup': 'its API has it',
  'AWS::ElastiCache::ServerlessCache': 'its API does not have it either',
  'AWS::KinesisFirehose::DeliveryStream': 'its API has it',
  'AWS::Lambda::Alias': 'its API has it; the story below runs the app itself and needs no alias',
  'AWS::Lambda::EventInvokeConfig': 'its API has it',
  'AWS::Logs::LogStream': 'its API has it',
  'AWS::Logs::QueryDefinition': 'its API does not have it either',
  'AWS::Logs::SubscriptionFilter': 'its API has it',
  'AWS::S3::BucketPolicy': 'its API has it',
  'AWS::SES::ConfigurationSet': 'its API has it',
  'AWS::SES::ConfigurationSetEventDestination': 'its API has it',
  'AWS::SNS::Subscription': 'its API has it',
  'AWS::SNS::TopicPolicy': 'its API has it',
  'AWS::SQS::QueuePolicy': 'its API has it',
  'AWS::SecretsManager::Secret': 'created by its API, see create_in_moto.py',
  'AWS::SecretsManager::RotationSchedule': 'its API has it',
  'AWS::Synthetics::Canary': 'its API has it',
  'AWS::WAFv2::LoggingConfiguration': 'its API has it',
  'AWS::WAFv2::WebACL': 'its API has it',
  'AWS::WAFv2::WebACLAssociation': 'its API has it'
}

/** Types that it knows and cannot create from this template: left out, so that the rest is created. */
export const LEFT_OUT: Record<string, string> = {
  'AWS::ApiGateway::Deployment': 'it refuses an API without methods, and gives an API none of those in its Body'
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A template as moto can create it: what refers to a resource that it does not create gets a value in its place. An alias
 * is replaced by its function, which moto's event-source mappings look up: both are referred to by their ARN.
 */
export function forMoto (template: Template): Template {
  const isMissing = (id: string) => (template.Resources[id]?.Type ?? '') in { ...NOT_CREATED, ...LEFT_OUT }
  const valueOf = (id: string, attribute = ''): unknown => {
    const { Type, Properties } = template.Resources[id]!
    if (Type === 'AWS::Lambda::Alias') return { 'Fn::GetAtt': [Properties['FunctionName'].Ref, 'Arn'] }
    return `not-created-${id}${attribute === '' ? '' : `-${attribute}`}`
  }
  function fill (value: unknown): unknown {
    if (Array.isArray(value)) return value.map(fill)
    if (!isObject(value)) return value
    if (typeof value['Ref'] === 'string') {
      const target = template.Resources[value['Ref']]
      // Of these two, moto puts an object of its own in place of the name.
      if (target?.Type === 'AWS::Events::EventBus') return fill(target.Properties['Name'])
      if (target?.Type === 'AWS::Lambda::Version') return { 'Fn::Sub': `\${${String(target.Properties['FunctionName'].Ref)}.Arn}:1` }
      if (isMissing(value['Ref'])) return valueOf(value['Ref'])
    }
    if ('Fn::GetAtt' in value) {
      const [id, attribute] = value['Fn::GetAtt'] as [string, string]
      if (isMissing(id)) return valueOf(id, attribute)
    }
    if ('Fn::Sub' in value) {
      const [text, variables] = [value['Fn::Sub']].flat() as [string, object?]
      const filled = text.replace(/\$\{(\w+)(?:\.([\w.]+))?\}/g, (whole, id: string, attribute?: string) => isMissing(id) ? String(valueOf(id, attribute)) : whole)
      return { 'Fn::Sub': variables === undefined ? filled : [filled, fill(variables)] }
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]))
  }
  const DependsOn = (resource: Resource) => [resource.DependsOn ?? []].flat().filter(id => !isMissing(id))
  const Resources = Object.fromEntries(Object.entries(template.Resources).filter(([, { Type }]) => !(Type in LEFT_OUT)).map(([id, { DependsOn: _, ...resource }]) => {
    const others = DependsOn(template.Resources[id]!)
    const filled = fill(resource) as Resource
    // A property of type Json, which moto reads as a string.
    if (filled.Type === 'AWS::Events::Archive') filled.Properties['EventPattern'] = JSON.stringify(filled.Properties['EventPattern'])
    return [id, { ...filled, ...others.length === 0 ? {} : { DependsOn: others } }]
  }))
  return { ...template, Resources, Outputs: fill(template.Outputs) as Template['Outputs'] }
}
