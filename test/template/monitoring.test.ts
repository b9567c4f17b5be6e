import { readFileSync } from 'node:fs'
import t from 'tap'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'
import { grantsOf } from './iam.ts'

// What failed is kept and seen: dead-letter queues, log groups that expire, outputs that name them.

const EVERYTHING = { EmailWorker: 'extracted', CreateAuthorizer: 'true', LogArchive: 'true', SyntheticCanary: 'true', Cache: 'valkey', AlarmEmail: 'a@a.example', ManageApiGatewayAccount: 'true' }

type Statement = { Sid: string, Effect: string, Principal: unknown, Action: string, Condition?: { ArnEquals?: { 'aws:SourceArn': unknown[] } } }

/** Rules whose undelivered events are lost. */
function undelivered (template: Template): string[] {
  return resourcesOf(template, 'AWS::Events::Rule').flatMap(([id, { Properties }]) => (Properties['Targets'] as { DeadLetterConfig?: { Arn: { 'Fn::GetAtt': [string, string] } } }[]).flatMap(({ DeadLetterConfig }) => {
    const queue = DeadLetterConfig?.Arn['Fn::GetAtt'][0]
    if (queue === undefined) return [`${id} has no dead-letter queue`]
    const statements = resourcesOf(template, 'AWS::SQS::QueuePolicy').filter(([, policy]) => (policy.Properties['Queues'] as { Ref: string }[]).some(({ Ref }) => Ref === queue)).flatMap(([, policy]) => policy.Properties['PolicyDocument'].Statement as Statement[])
    const allowed = statements.filter(({ Effect, Principal, Action }) => Effect === 'Allow' && JSON.stringify(Principal) === '{"Service":"events.amazonaws.com"}' && Action === 'sqs:SendMessage')
    return allowed.some(({ Condition }) => JSON.stringify(Condition?.ArnEquals?.['aws:SourceArn']).includes(`"${id}"`)) ? [] : [`${queue} does not accept the events of ${id}`]
  }))
}

t.test('what EventBridge cannot deliver is in a queue that accepts it from these rules only, and has an alarm', async t => {
  t.strictSame(undelivered(loadTemplate()), [])
  const { Resources } = loadTemplate()
  t.match(Resources['EventFailureAlarm']!.Properties['Dimensions'][0].Value, { 'Fn::GetAtt': ['EventFailureQueue', 'QueueName'] })
  const planted = loadTemplate()
  delete planted.Resources['SweepSchedule']!.Properties['Targets'][0].DeadLetterConfig
  const statements = planted.Resources['EventFailureQueuePolicy']!.Properties['PolicyDocument'].Statement as Statement[]
  statements.find(({ Sid }) => Sid === 'Undelivered')!.Condition!.ArnEquals!['aws:SourceArn'].pop()
  t.strictSame(undelivered(planted), ['SweepSchedule has no dead-letter queue', 'EventFailureQueue does not accept the events of UploadedRule'])
})

/** Log groups that AWS creates without an end of their retention unless the template does, and the resource that must wait for each. */
function unexpiring (template: Template): string[] {
  const groups = resourcesOf(template, 'AWS::Logs::LogGroup')
  const named = (part: string) => groups.find(([, { Properties }]) => String(Properties['LogGroupName']?.['Fn::Sub']).includes(part))
  const faults = groups.filter(([, { Properties }]) => Properties['RetentionInDays'] === undefined).map(([id]) => `${id} never expires`)
  const execution = named('API-Gateway-Execution-Logs_${Api}/${Stage}') // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  if (execution === undefined) faults.push('the execution logs of the API never expire')
  else if (!JSON.stringify(template.Resources['Api']!.Properties['Variables']).includes(`"${execution[0]}"`)) faults.push('the stage does not wait for the group of its execution logs')
  const canary = template.Resources['RegistrationCanary']
  if (canary !== undefined && named('/aws/lambda/cwsyn-${RegistrationCanary}-${RegistrationCanary.Id}') === undefined) faults.push('the logs of the canary never expire') // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  const firehose = template.Resources['LogArchiveStream']?.Properties['ExtendedS3DestinationConfiguration'].CloudWatchLoggingOptions as { Enabled: boolean, LogGroupName: { Ref: string }, LogStreamName: { Ref: string } } | undefined
  if ('LogArchiveStream' in template.Resources && (firehose?.Enabled !== true || !(firehose.LogGroupName.Ref in template.Resources) || !(firehose.LogStreamName.Ref in template.Resources))) faults.push('the errors of the archive are not logged')
  return faults
}

t.test('every log expires, also those that AWS would create by itself', async t => {
  t.strictSame(unexpiring(evaluate(loadTemplate(), EVERYTHING)), [])
  const template = evaluate(loadTemplate(), EVERYTHING)
  delete template.Resources['SmokeLogs']!.Properties['RetentionInDays']
  delete (template.Resources['Api']!.Properties['Variables'] as Record<string, unknown>)['executionLogs']
  delete template.Resources['CanaryLogs']
  delete template.Resources['LogArchiveErrorStream']
  t.strictSame(unexpiring(template), ['SmokeLogs never expires', 'the stage does not wait for the group of its execution logs', 'the logs of the canary never expire', 'the errors of the archive are not logged'])
})

t.test('the archive moves small objects to Glacier too, and Firehose may write its errors and nothing else', async t => {
  const { Resources } = evaluate(loadTemplate(), EVERYTHING)
  t.equal(Resources['LogArchiveBucket']!.Properties['LifecycleConfiguration'].TransitionDefaultMinimumObjectSize, 'varies_by_storage_class')
  const grants = grantsOf(evaluate(loadTemplate(), EVERYTHING), 'LogArchiveStreamRole')
  const [errors, ...others] = Object.entries(grants).filter(([, actions]) => actions.some(action => action.startsWith('logs:')))
  t.match(errors![0], /LogArchiveErrors.*:log-stream:delivery$/)
  t.strictSame([errors![1], others], [['logs:PutLogEvents'], []])
})

/** Functions and log groups that no output names. */
function unnamed (template: Template): string[] {
  const outputs = JSON.stringify(Object.values(template.Outputs).map(({ Value }) => Value))
  return resourcesOf(template, 'AWS::Serverless::Function', 'AWS::Logs::LogGroup', 'AWS::SQS::Queue').map(([id]) => id)
    .concat(resourcesOf(template, 'AWS::Lambda::Function').map(([id]) => id).filter(id => !id.endsWith('SmokeFunction')))
    .filter(id => !outputs.includes(`{"Ref":"${id}"}`))
}

t.test('the outputs name each function, log group and queue, those of optional parts too', async t => {
  t.strictSame(unnamed(evaluate(loadTemplate())), [])
  t.strictSame(unnamed(evaluate(loadTemplate(), EVERYTHING)), [])
  const template = evaluate(loadTemplate(), EVERYTHING)
  delete template.Outputs['EmailLogGroup']
  t.strictSame(unnamed(template), ['EmailFunctionLogs'])
})

t.test('the dashboard shows the extracted worker and the authorizer where they are', async t => {
  const shown = (parameters: Record<string, string>) => {
    const [text, parts] = evaluate(loadTemplate(), parameters).Resources['Dashboard']!.Properties['DashboardBody']['Fn::Sub'] as [string, Record<string, string | { 'Fn::Sub': string }>]
    const body = text.replace(/\$\{(\w+)\}/g, (whole, name: string) => { const part = parts[name]; return part === undefined ? whole : typeof part === 'string' ? part : part['Fn::Sub'] })
    return (JSON.parse(body) as { widgets: { properties: { title: string } }[] }).widgets.map(({ properties: { title } }) => title)
  }
  t.notOk(shown({}).some(title => ['E-mail worker', 'Authorizer'].includes(title)))
  t.strictSame(shown(EVERYTHING).filter(title => ['E-mail worker', 'Authorizer'].includes(title)), ['E-mail worker', 'Authorizer'])
})

t.test('Lambda Insights adds the layer and one permission, and an endpoint where the function has no internet', async t => {
  const layer = 'arn:aws:lambda:eu-central-1:580247275435:layer:LambdaInsightsExtension-Arm64:31'
  t.match(layer, new RegExp((loadTemplate().Parameters['LambdaInsightsLayer'] as unknown as { AllowedPattern: string }).AllowedPattern))
  for (const [parameters, isOn, hasEndpoint] of [[{}, false, false], [{ LambdaInsightsLayer: layer }, true, false], [{ LambdaInsightsLayer: layer, Cache: 'valkey' }, true, true]] as const) {
    const template = evaluate(loadTemplate(), { ...parameters, EmailWorker: 'extracted' })
    for (const role of ['ApiFunctionRole', 'EmailFunctionRole']) {
      const insights = Object.entries(grantsOf(template, role)).filter(([resource]) => resource.includes('/aws/lambda-insights'))
      t.strictSame(insights.map(([, actions]) => actions), isOn ? [['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents']] : [], role)
    }
    t.equal('LogsEndpoint' in template.Resources, hasEndpoint)
  }
  t.match(readFileSync('bootstrap.yaml', 'utf8'), /Action: lambda:GetLayerVersion\n\s+Resource: !Sub '\S+:\*:layer:LambdaInsightsExtension-Arm64:\*'/, 'who deploys may read the layer')
  t.strictSame(loadTemplate().Globals!['Function'].Layers, { 'Fn::If': ['HasInsights', [{ Ref: 'LambdaInsightsLayer' }], { Ref: 'AWS::NoValue' }] })
})

t.test('the objective in Application Signals is that of the alarms', async t => {
  const { AvailabilityObjective, FastBurnLongAlarm } = evaluate(loadTemplate(), { ServiceLevelObjective: 'true' }).Resources
  const { AttainmentGoal } = AvailabilityObjective!.Properties['Goal'] as { AttainmentGoal: number }
  // 14.4 times what the objective leaves.
  t.ok(Math.abs(FastBurnLongAlarm!.Properties['Threshold'] - 14.4 * (100 - AttainmentGoal)) < 1e-9)
  const { TotalRequestCountMetric: [total], MonitoredRequestCountMetric: { BadCountMetric: [bad] } } = AvailabilityObjective!.Properties['RequestBasedSli'].RequestBasedSliMetric
  const [, failed, requests] = FastBurnLongAlarm!.Properties['Metrics']
  t.strictSame([total.MetricStat.Metric, bad.MetricStat.Metric], [requests.MetricStat.Metric, failed.MetricStat.Metric])
  t.notOk('AvailabilityObjective' in evaluate(loadTemplate()).Resources)
})

t.test('unexpected cost is mailed by the monitor of the account, or by one of our own where there is none', async t => {
  const arn = 'arn:aws:ce::123456789012:anomalymonitor/01234567-89ab-cdef-0123-456789abcdef'
  const ids = (parameters: Record<string, string>) => ['CostMonitor', 'CostAnomalies'].filter(id => id in evaluate(loadTemplate(), parameters).Resources)
  t.strictSame(ids({ AlarmEmail: 'a@a.example' }), [])
  t.strictSame(ids({ CostAnomalyUsd: '20' }), [], 'without an address there is nothing to mail to')
  t.strictSame(ids({ AlarmEmail: 'a@a.example', CostAnomalyUsd: '20' }), ['CostMonitor', 'CostAnomalies'])
  t.strictSame(ids({ AlarmEmail: 'a@a.example', CostAnomalyUsd: '20', CostAnomalyMonitorArn: arn }), ['CostAnomalies'])
})
