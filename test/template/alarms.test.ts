import Fastify from 'fastify'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import { createLogger } from '../../src/plugins/logging.ts'
import metrics, { METRICS_NAMESPACE } from '../../src/plugins/metrics.ts'
import { countedNames, declared } from '../metric-names.ts'
import { evaluate, loadTemplate, resourcesOf, type Resource, type Template } from './evaluate.ts'

// What AWS emits, of what the alarms and the dashboard read: metric → sets of dimensions it comes with.
const LAMBDA = [['FunctionName'], ['FunctionName', 'Resource'], ['FunctionName', 'Resource', 'ExecutedVersion']]
const REST_API = [['ApiName'], ['ApiName', 'Stage']]
const HTTP_API = [['ApiId'], ['ApiId', 'Stage']]
const TABLE = [['TableName'], ['TableName', 'GlobalSecondaryIndexName']]
const EMITTED: Record<string, Record<string, string[][]>> = {
  // https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
  'AWS/Lambda': {
    Invocations: LAMBDA,
    Errors: LAMBDA,
    Throttles: LAMBDA,
    Duration: LAMBDA,
    ConcurrentExecutions: LAMBDA,
    IteratorAge: LAMBDA,
    ProvisionedConcurrentExecutions: [['FunctionName', 'Resource']],
    ProvisionedConcurrencySpilloverInvocations: [['FunctionName', 'Resource'], ['FunctionName', 'Resource', 'ExecutedVersion']],
    AsyncEventsDropped: LAMBDA,
    AsyncEventAge: LAMBDA,
    DestinationDeliveryFailures: LAMBDA,
    // of the account and region, without dimensions
    ClaimedAccountConcurrency: [[]]
  },
  // https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
  // and …/http-api-metrics.html
  'AWS/ApiGateway': {
    Count: [...REST_API, ...HTTP_API],
    Latency: [...REST_API, ...HTTP_API],
    IntegrationLatency: [...REST_API, ...HTTP_API],
    '4XXError': REST_API,
    '5XXError': REST_API,
    '4xx': HTTP_API,
    '5xx': HTTP_API
  },
  // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
  'AWS/SQS': { ApproximateAgeOfOldestMessage: [['QueueName']], ApproximateNumberOfMessagesVisible: [['QueueName']] },
  // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
  // ThrottledRequests comes by operation, so that one alarm a table would need one metric an operation; these two do not.
  'AWS/DynamoDB': { ReadThrottleEvents: TABLE, WriteThrottleEvents: TABLE, ConsumedReadCapacityUnits: TABLE, ConsumedWriteCapacityUnits: TABLE },
  // https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html: of the account, without dimensions
  'AWS/SES': { 'Reputation.BounceRate': [[]], 'Reputation.ComplaintRate': [[]] },
  // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
  'AWS/Events': { FailedInvocations: [['RuleName']] },
  // https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
  'AWS/Firehose': { 'DeliveryToS3.DataFreshness': [['DeliveryStreamName']] },
  // https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
  'AWS/WAFV2': { BlockedRequests: [['WebACL', 'Rule', 'Region']] },
  // https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/serverless-metrics-events-redis.html
  'AWS/ElastiCache': { ThrottledCmds: [['clusterId']], Evictions: [['clusterId']] },
  // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries_metrics.html
  CloudWatchSynthetics: { SuccessPercent: [['CanaryName']] },
  // what src counts
  [METRICS_NAMESPACE]: Object.fromEntries(countedNames.map(name => [name, [declared.get(name) === 'state' ? ['service', 'environment', 'dependency'] : ['service', 'environment']]]))
}

interface Metric { Namespace: string, MetricName: string, Dimensions?: { Name: string, Value: unknown }[] }

/** The template with one kind of API, and all else as it stands. */
function withApi (kind: 'rest' | 'http', template = loadTemplate()): Template {
  const choose = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(choose)
    if (typeof value !== 'object' || value === null) return value
    const [name, yes, no] = ('Fn::If' in value ? value['Fn::If'] : []) as [string?, unknown?, unknown?]
    if (name === 'IsHttpApi') return choose(kind === 'http' ? yes : no)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, choose(item)]))
  }
  return choose(template) as Template
}

function metricsOf ({ Properties }: Resource): Metric[] {
  const queries = Properties['Metrics'] as { MetricStat?: { Metric: Metric } }[] | undefined
  return queries === undefined ? [Properties as Metric] : queries.flatMap(({ MetricStat }) => MetricStat?.Metric ?? [])
}

type Widget = { type: string, properties: { title: string, metrics?: (string | object)[][] } }

/** The dashboard's widgets, with those of optional parts. */
function widgetsOf (template: Template): Widget[] {
  const [text, parts = {}] = template.Resources['Dashboard']!.Properties['DashboardBody']['Fn::Sub'] as [string, Record<string, unknown>?]
  const textOf = (part: unknown): string => {
    if (typeof part === 'string') return part
    const { 'Fn::If': choice, 'Fn::Sub': sub, Ref } = part as { 'Fn::If'?: [string, unknown, unknown], 'Fn::Sub'?: string, Ref?: string }
    return choice === undefined ? sub ?? `\${${Ref!}}` : textOf(choice[1])
  }
  return (JSON.parse(text.replace(/\$\{(\w+)\}/g, (whole, name: string) => name in parts ? textOf(parts[name]) : whole)) as { widgets: Widget[] }).widgets
}

function metricFault ({ Namespace, MetricName, Dimensions = [] }: Metric): string | undefined {
  const sets = EMITTED[Namespace]?.[MetricName]
  if (sets === undefined) return `nothing emits ${Namespace} ${MetricName}`
  const names = Dimensions.map(({ Name }) => Name)
  if (!sets.some(set => set.length === names.length && set.every(name => names.includes(name)))) return `${Namespace} ${MetricName} does not come with the dimensions ${names.join(', ') || 'none'}`
  return undefined
}

/** What a dimension must refer to for its metric to be that of this stack. */
const TARGETS: Record<string, (template: Template, value: any) => boolean> = { // eslint-disable-line @typescript-eslint/no-explicit-any
  FunctionName: (template, value) => ['AWS::Serverless::Function', 'AWS::Lambda::Function'].includes(template.Resources[value.Ref]?.Type ?? ''),
  Resource: (template, value) => template.Resources[/^\$\{(\w+)\}:live$/.exec(value['Fn::Sub'])?.[1] ?? '']?.Type === 'AWS::Serverless::Function',
  ExecutedVersion: (_template, value) => /^\w+\.Version\.Version$/.test([value['Fn::GetAtt']].flat().join('.')),
  ApiName: (template, value) => JSON.stringify(template.Resources['Api']?.Properties['Name']) === JSON.stringify(value),
  Stage: (template, value) => value.Ref === 'HttpApiStage' || JSON.stringify(template.Resources['Api']?.Properties['StageName']) === JSON.stringify(value),
  ApiId: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::ApiGatewayV2::Api',
  // The metric name of a web ACL, and all of its rules.
  WebACL: (template, value) => JSON.stringify(template.Resources['WebAcl']?.Properties['VisibilityConfig'].MetricName) === JSON.stringify(value),
  Rule: (_template, value) => value === 'ALL',
  Region: (_template, value) => value.Ref === 'AWS::Region',
  QueueName: (template, value) => value['Fn::GetAtt'][1] === 'QueueName' && template.Resources[value['Fn::GetAtt'][0]]?.Type === 'AWS::SQS::Queue',
  TableName: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::DynamoDB::Table',
  GlobalSecondaryIndexName: (template, value) => resourcesOf(template, 'AWS::DynamoDB::Table').some(([, { Properties }]) => (Properties['GlobalSecondaryIndexes'] as { IndexName: string }[] | undefined)?.some(index => index.IndexName === value)),
  RuleName: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::Events::Rule',
  DeliveryStreamName: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::KinesisFirehose::DeliveryStream',
  clusterId: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::ElastiCache::ServerlessCache',
  CanaryName: (template, value) => template.Resources[value.Ref]?.Type === 'AWS::Synthetics::Canary',
  // The base fields of every log line, plugins/logging.ts.
  service: (template, value) => template.Globals?.['Function'].Environment.Variables.SERVICE_NAME === value,
  environment: (template, value) => JSON.stringify(template.Globals?.['Function'].Environment.Variables.STAGE) === JSON.stringify(value)
}

function alarmFaults (template: Template): string[] {
  return resourcesOf(template, 'AWS::CloudWatch::Alarm').flatMap(([id, resource]) => metricsOf(resource).flatMap(metric => [
    metricFault(metric),
    ...(metric.Dimensions ?? []).map(({ Name, Value }) => TARGETS[Name]?.(template, Value) === true ? undefined : `${Name} is ${JSON.stringify(Value)}`)
  ]).filter(fault => fault !== undefined).map(fault => `${id}: ${fault}`))
}

t.test('each alarm reads a metric that is emitted, with the dimensions it is emitted with', async t => {
  t.ok(resourcesOf(loadTemplate(), 'AWS::CloudWatch::Alarm').length >= 25, 'alarms were looked at')
  for (const kind of ['rest', 'http'] as const) t.strictSame(alarmFaults(withApi(kind)), [], kind)
  const planted = withApi('http')
  planted.Resources['ApiLatencyAlarm']!.Properties['Metrics'][2].MetricStat.Metric.MetricName = '5XXError'
  t.strictSame(alarmFaults(planted), ['ApiLatencyAlarm: AWS/ApiGateway 5XXError does not come with the dimensions ApiId, Stage'], 'a name of the other kind of API is found')
})

t.test('an alarm on a metric that nothing emits, or of something else, is found', async t => {
  const spoil = (change: (properties: Record<string, any>) => void, id = 'CodeFailuresAlarm') => { // eslint-disable-line @typescript-eslint/no-explicit-any
    const template = withApi('rest')
    change(template.Resources[id]!.Properties)
    return alarmFaults(template)
  }
  t.strictSame(spoil(properties => { properties['MetricName'] = 'CodeFailure' }), ['CodeFailuresAlarm: nothing emits UserService CodeFailure'])
  t.strictSame(spoil(properties => { properties['Dimensions'].pop() }), ['CodeFailuresAlarm: UserService CodeFailures does not come with the dimensions service'])
  t.strictSame(spoil(properties => { properties['Dimensions'][0].Value = 'users' }), ['CodeFailuresAlarm: service is "users"'])
  t.strictSame(spoil(properties => { properties['Dimensions'][0].Value = { Ref: 'EmailQueue' } }, 'ApiErrorsAlarm'), ['ApiErrorsAlarm: FunctionName is {"Ref":"EmailQueue"}'])
})

t.test('the app emits its metrics as the alarms read them, at every log level that the template offers', async t => {
  for (const level of loadTemplate().Parameters['LogLevel']!.AllowedValues as string[]) {
    const settings = loadConfig(completeEnv({ STAGE: 'prod', LOG_LEVEL: level }))
    const lines: string[] = []
    const app = Fastify({ loggerInstance: createLogger(settings, { write: (line: string) => { lines.push(line) } }) })
    await app.register(config, { config: settings })
    await app.register(metrics)
    await app.ready()
    app.metrics.count('CodeFailures')
    t.match(lines.map(line => JSON.parse(line) as { _aws?: object }).find(({ _aws }) => _aws !== undefined), {
      service: 'user-service',
      environment: 'prod',
      CodeFailures: 1,
      _aws: { CloudWatchMetrics: [{ Namespace: 'UserService', Dimensions: [['service', 'environment']], Metrics: [{ Name: 'CodeFailures' }] }] }
    }, level)
  }
})

// One for the account and the region: every stack sees the same values.
const OF_THE_ACCOUNT = ['AWS/SES Reputation.BounceRate', 'AWS/SES Reputation.ComplaintRate', 'AWS/Lambda ClaimedAccountConcurrency']

/** What a second stack of the same stage, in the same account and region, would share. */
function sharedNames (template: Template): string[] {
  // The stack's name, or a resource, which CloudFormation names.
  const isOwn = (value: unknown) => /AWS::StackName|"Ref":"(?!Stage")\w+"|Fn::GetAtt|\$\{\w+\}:/.test(JSON.stringify(value))
  const watched = resourcesOf(template, 'AWS::CloudWatch::Alarm').flatMap(([id, resource]) => metricsOf(resource).map(({ Namespace, MetricName, Dimensions }) => [`${id}: ${Namespace} ${MetricName}`, Dimensions] as const))
  const shown = widgetsOf(template).flatMap(({ properties: { title, metrics = [] } }) => metrics.map(metric => [`Dashboard, ${title}: ${metric.slice(0, 2).join(' ')}`, metric] as const))
  const tokens = Object.entries({ ...template.Globals?.['Function'].Environment.Variables, ...template.Resources['AuthorizerFunction']!.Properties['Environment'].Variables } as Record<string, unknown>)
    .filter(([name]) => ['STAGE', 'JWT_ISSUER', 'JWT_AUDIENCE'].includes(name))
  return [
    ...watched.filter(([name, value]) => !OF_THE_ACCOUNT.some(metric => name.endsWith(`: ${metric}`)) && !isOwn(value)).map(([name]) => name),
    ...shown.filter(([, metric]) => !/AWS::StackName|\$\{(?!Stage\})\w+(\.\w+)?\}/.test(JSON.stringify(metric))).map(([name]) => name),
    ...tokens.filter(([, value]) => !isOwn(value)).map(([name]) => name)
  ]
}

t.test('two stacks of one stage in one account share no metric, no alarm and no issuer of tokens', async t => {
  for (const kind of ['rest', 'http'] as const) t.strictSame(sharedNames(withApi(kind)), [], kind)
  const template = withApi('rest')
  template.Globals!['Function'].Environment.Variables.STAGE = { Ref: 'Stage' }
  template.Globals!['Function'].Environment.Variables.JWT_ISSUER = { 'Fn::Sub': 'user-service-${Stage}' } // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  template.Resources['CodeFailuresAlarm']!.Properties['Dimensions'][1].Value = { Ref: 'Stage' }
  const dashboard = template.Resources['Dashboard']!.Properties['DashboardBody'] as { 'Fn::Sub': [string] }
  dashboard['Fn::Sub'][0] = dashboard['Fn::Sub'][0].replace('"SignIns", "service", "user-service", "environment", "${AWS::StackName}"', '"SignIns", "service", "user-service", "environment", "${Stage}"') // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  delete (template.Resources['AuthorizerFunction']!.Properties['Environment'].Variables as Record<string, unknown>)['JWT_ISSUER']
  t.strictSame(sharedNames(template), ['CodeFailuresAlarm: UserService CodeFailures', 'Dashboard, Users: UserService SignIns', 'STAGE', 'JWT_ISSUER'], 'what names the stage alone is found')
})

/** GitHub's anchor of a heading. */
const anchorOf = (heading: string) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-')

t.test('each alarm says in words what it means, and links to the page of the runbook that says what to do', async t => {
  const anchors = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/^#+ (.+)$/gm)].map(match => anchorOf(match[1]!))
  for (const [id, { Properties }] of resourcesOf(loadTemplate(), 'AWS::CloudWatch::Alarm', 'AWS::CloudWatch::CompositeAlarm')) {
    const [, words = '', anchor = ''] = /^(.+) \$\{RunbookUrl\}#([a-z0-9-]+)$/.exec(String(Properties['AlarmDescription']?.['Fn::Sub'])) ?? []
    t.ok(words.length > 10, `${id} says what it means`)
    t.ok(anchors.includes(anchor), `${id} links to #${anchor}`)
  }
})

t.test('every alarm notifies an operator, or is part of one that does, or of a rollback', async t => {
  const template = loadTemplate()
  const silent = resourcesOf(template, 'AWS::CloudWatch::Alarm').filter(([, { Properties }]) => Properties['AlarmActions'] === undefined).map(([id]) => id)
  const rules = resourcesOf(template, 'AWS::CloudWatch::CompositeAlarm').map(([, { Properties }]) => String(Properties['AlarmRule']['Fn::Sub'])).join()
  const rollbacks = JSON.stringify(resourcesOf(template, 'AWS::Serverless::Function').map(([, { Properties }]) => Properties['DeploymentPreference']))
  for (const id of silent) t.ok(rules.includes(`"\${${id}}"`) || rollbacks.includes(`"Ref":"${id}"`), id)
  for (const [, name] of rules.matchAll(/\$\{(\w+)\}/g)) t.ok(name! in template.Resources, `${name!} of a rule is an alarm`)
})

t.test("the article's alarm is there: ten errors in 300 s", async t => {
  t.match(loadTemplate().Resources['ApiErrorsAlarm']!.Properties, { MetricName: 'Errors', Statistic: 'Sum', Period: 300, EvaluationPeriods: 1, Threshold: 10 })
})

t.test('duration alarms ring before the time-out does', async t => {
  const template = loadTemplate()
  const api = template.Globals!['Function'].Timeout as number
  for (const [alarm, seconds] of [['ApiDurationAlarm', api], ['ApiCanaryDurationAlarm', api], ['EmailDurationAlarm', template.Resources['EmailFunction']!.Properties['Timeout'] as number]] as const) {
    const stats = (template.Resources[alarm]!.Properties['Metrics'] as { MetricStat?: { Stat: string } }[]).map(({ MetricStat }) => MetricStat?.Stat)
    t.ok(stats.includes(`PR(:${seconds * 1000 * 0.8})`), alarm)
  }
})

t.test('a variant watches the functions it has', async t => {
  const embedded = evaluate(loadTemplate(), { EmailWorker: 'embedded' })
  const extracted = evaluate(loadTemplate(), { EmailWorker: 'extracted' })
  const added = resourcesOf(extracted, 'AWS::CloudWatch::Alarm').map(([id]) => id).filter(id => !(id in embedded.Resources))
  t.strictSame(added, ['EmailErrorsAlarm', 'EmailCanaryErrorsAlarm', 'EmailThrottlesAlarm', 'EmailDurationAlarm'])
})

t.test('the saved queries about what functions log read the logs of the extracted worker too', async t => {
  const groupsOf = (id: string, parameters: Record<string, string>) => (evaluate(loadTemplate(), parameters).Resources[id]!.Properties['LogGroupNames'] as { Ref: string }[]).map(({ Ref }) => Ref)
  for (const id of ['ErrorsQuery', 'CorrelationQuery', 'ColdStartsQuery']) {
    t.strictSame(groupsOf(id, {}), ['ApiFunctionLogs'], id)
    t.strictSame(groupsOf(id, { EmailWorker: 'extracted' }), ['ApiFunctionLogs', 'EmailFunctionLogs'], id)
  }
})

/** Metrics of the service that neither an alarm nor the dashboard reads. */
function unseen (template: Template, counted: string[]): string[] {
  const alarms = resourcesOf(template, 'AWS::CloudWatch::Alarm').flatMap(([, resource]) => metricsOf(resource)).filter(({ Namespace }) => Namespace === METRICS_NAMESPACE).map(({ MetricName }) => MetricName)
  const shown = widgetsOf(template).flatMap(({ properties: { metrics = [] } }) => metrics).filter(([namespace]) => namespace === METRICS_NAMESPACE).map(([, name]) => name)
  return counted.filter(name => !alarms.includes(name) && !shown.includes(name)).map(name => `${name} is counted and never looked at: add it to Dashboard in template.yaml`)
}

t.test('each metric that the service counts is on the dashboard or has an alarm', async t => {
  t.strictSame(unseen(loadTemplate(), countedNames), [])
  t.strictSame(unseen(loadTemplate(), ['ThingsPlanted', 'SignIns']), ['ThingsPlanted is counted and never looked at: add it to Dashboard in template.yaml'], 'one that is not is found')
})

t.test('the dashboard is JSON, and shows metrics that are emitted', async t => {
  for (const { type, properties: { title, metrics = [] } } of [...widgetsOf(withApi('rest')), ...widgetsOf(withApi('http'))]) {
    if (type !== 'metric') continue
    for (const metric of metrics) {
      const [Namespace, MetricName, ...rest] = metric.filter(part => typeof part === 'string')
      const Dimensions = rest.filter((_, index) => index % 2 === 0).map((Name, index) => ({ Name, Value: rest[index * 2 + 1] }))
      t.equal(metricFault({ Namespace: Namespace!, MetricName: MetricName!, Dimensions }), undefined, `${title}: ${MetricName!}`)
      // An object ends a metric; what follows it would count as another dimension.
      t.ok(metric.slice(0, -1).every(part => typeof part === 'string'), `${title}: options come last`)
    }
  }
})

t.test('docs/cost.md counts the metrics that the alarms of each stage watch, but for the alarms of a module or two', async t => {
  const stages = readFileSync('samconfig.toml', 'utf8')
  const [, ...said] = /^\| alarms \| (\d+), (\d+) and (\d+) metrics watched × 0\.10, three composite × 0\.50 \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$/m.exec(readFileSync('docs/cost.md', 'utf8')) ?? []
  for (const [i, stage] of ['dev', 'staging', 'prod'].entries()) {
    const [, section = ''] = stages.split(`[${stage}.deploy.parameters]`)
    const parameters = Object.fromEntries([...section.split(/^\[/m)[0]!.matchAll(/^\s*["']([A-Za-z0-9]+)=(.*)["'],$/gm)].map(match => [match[1]!, match[2]!]))
    t.equal(parameters['Stage'], stage)
    const template = evaluate(loadTemplate(), parameters)
    t.equal(resourcesOf(template, 'AWS::CloudWatch::CompositeAlarm').length, 3)
    const watched = resourcesOf(template, 'AWS::CloudWatch::Alarm').flatMap(([, resource]) => metricsOf(resource)).length
    // A dollar for ten: adding a module does not mean editing the page.
    t.ok(Math.abs(watched - Number(said[i])) <= 5, `${stage}: ${watched} metrics, the page says ${said[i] ?? 'none'}`)
    t.equal(said[i + 3], (Number(said[i]) * 0.1 + 3 * 0.5).toFixed(2))
  }
})
