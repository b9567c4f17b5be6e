import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { Problem } from '../../src/shared/problem.ts'
import { evaluate, loadTemplate, type Template } from './evaluate.ts'

interface Rule { Name: string, Action?: { Block: { CustomResponse: CustomResponse } }, OverrideAction?: object, Statement: Record<string, any>, VisibilityConfig: { SampledRequestsEnabled: boolean } } // eslint-disable-line @typescript-eslint/no-explicit-any -- CloudFormation's own shapes
interface CustomResponse { ResponseCode: number, CustomResponseBodyKey: string, ResponseHeaders: { Name: string, Value: string }[] }
interface GatewayResponse { statusCode: number, responseTemplates: Record<string, string> }

const withWaf = () => evaluate(loadTemplate(), { Waf: 'true' })
const acl = (template: Template) => template.Resources['WebAcl']!.Properties as { Rules: Rule[], CustomResponseBodies: Record<string, { ContentType: string, Content: string }>, VisibilityConfig: object, DataProtectionConfig: { DataProtections: { Action: string, Field: { FieldType: string, FieldKeys?: string[] } }[] } }
const customOf = (template: Template) => acl(template).Rules.flatMap(({ Name, Action }) => Action === undefined ? [] : [[Name, Action.Block.CustomResponse] as const])

t.test('without the parameter there is no firewall, and with it one that refuses what the app would not read', async t => {
  t.strictSame(Object.keys(evaluate(loadTemplate()).Resources).filter(id => id.startsWith('WebAcl')), [])
  const { Resources } = withWaf()
  t.match(acl(withWaf()).Rules[0], { Statement: { SizeConstraintStatement: { ComparisonOperator: 'GT', Size: 64 * 1024, FieldToMatch: { Body: { OversizeHandling: 'MATCH' } } } } })
  t.ok(Resources['WebAclAssociation'])
})

/** What a client would find wrong with the answers that the firewall gives by itself. */
function answerFaults (template: Template): string[] {
  const gateway = Object.values(template.Resources['Api']!.Properties['DefinitionBody']['x-amazon-apigateway-gateway-responses'] as Record<string, GatewayResponse>)
    .map(({ statusCode, responseTemplates }) => ({ statusCode, ...JSON.parse(responseTemplates['application/json']!) as { code: string, detail: string } }))
  const bodies = acl(template).CustomResponseBodies
  return customOf(template).flatMap(([name, { ResponseCode, CustomResponseBodyKey, ResponseHeaders }]) => {
    const { ContentType, Content } = bodies[CustomResponseBodyKey] ?? {}
    const body = JSON.parse(Content ?? '{}') as Problem & { success: boolean, error: string }
    const headers = Object.fromEntries(ResponseHeaders.map(({ Name, Value }) => [Name.toLowerCase(), Value]))
    const faults: string[] = []
    if (ContentType !== 'APPLICATION_JSON' || !Value.Check(Problem, body)) faults.push(`${name}: no problem`)
    if (body.status !== ResponseCode) faults.push(`${name}: says another status`)
    if (body.success !== false || body.error !== body.detail) faults.push(`${name}: no envelope of v1`)
    // The same code and words as the gateway's own answer with this status.
    if (!gateway.some(({ statusCode, code, detail }) => statusCode === ResponseCode && code === body.code && detail === body.detail)) faults.push(`${name}: not what the gateway says`)
    if (ResponseCode === 429 && !/^\d+$/.test(headers['retry-after'] ?? '')) faults.push(`${name}: does not say when to come back`)
    if (headers['cache-control'] !== 'no-store' || headers['x-content-type-options'] !== 'nosniff' || headers['strict-transport-security'] === undefined) faults.push(`${name}: lacks a header`)
    // AWS WAF refuses it: the type follows from the body.
    if ('content-type' in headers) faults.push(`${name}: sets the content type`)
    return faults
  })
}

t.test("what the firewall answers is a problem with the gateway's code and words, and a v1 envelope", async t => {
  t.strictSame(answerFaults(withWaf()), [])
  t.strictSame(customOf(withWaf()).map(([name, { ResponseCode }]) => [name, ResponseCode]), [['body-size', 413], ['flood', 429]])
  const template = withWaf()
  const [, flood] = customOf(template).find(([name]) => name === 'flood')!
  flood.ResponseHeaders = flood.ResponseHeaders.filter(({ Name }) => Name !== 'Retry-After')
  flood.ResponseCode = 403
  t.strictSame(answerFaults(template), ['flood: says another status', 'flood: not what the gateway says'], 'another answer is found')
  flood.ResponseCode = 429
  t.strictSame(answerFaults(template), ['flood: does not say when to come back'])
})

t.test('a flood is over, at the latest, when the window that counts it is', async t => {
  const [, flood] = customOf(withWaf()).find(([name]) => name === 'flood')!
  const { Statement } = acl(withWaf()).Rules.find(({ Name }) => Name === 'flood')!
  t.equal(Number(flood.ResponseHeaders.find(({ Name }) => Name === 'Retry-After')!.Value), Statement['RateBasedStatement'].EvaluationWindowSec)
})

t.test("the managed rules' refusals are the gateway's to answer, with the request's id", async t => {
  for (const { Name, Statement, OverrideAction } of acl(withWaf()).Rules.slice(2)) {
    t.ok(Statement['ManagedRuleGroupStatement'], Name)
    // Anything else, and a group could not block.
    t.strictSame(OverrideAction, { None: {} })
  }
  const { responseTemplates } = (withWaf().Resources['Api']!.Properties['DefinitionBody']['x-amazon-apigateway-gateway-responses'] as Record<string, GatewayResponse>)['WAF_FILTERED']!
  t.match(JSON.parse(responseTemplates['application/json']!), { code: 'REQUEST_REFUSED', correlationId: '$context.requestId' })
})

const SECRET = ['authorization', 'cookie', 'referer', 'x-api-key']

t.test('the log of the firewall has what was refused, without tokens, queries and paths', async t => {
  const { Resources } = withWaf()
  const logging = Resources['WebAclLogging']!.Properties
  t.match(Resources['WebAclLogs']!.Properties, { LogGroupName: { 'Fn::Sub': /^aws-waf-logs-/ }, RetentionInDays: { Ref: 'LogRetentionDays' } })
  t.strictSame(withWaf().Outputs['WebAclLogGroup']!.Value, { Ref: 'WebAclLogs' })
  t.match(logging['LogDestinationConfigs'], [{ 'Fn::Sub': /:log-group:\$\{WebAclLogs\}$/ }])
  t.strictSame(logging['LoggingFilter'], {
    DefaultBehavior: 'DROP',
    Filters: [{ Behavior: 'KEEP', Requirement: 'MEETS_ANY', Conditions: ['BLOCK', 'COUNT'].map(Action => ({ ActionCondition: { Action } })) }]
  })
  t.strictSame(logging['RedactedFields'], [{ UriPath: {} }, { QueryString: {} }, ...SECRET.map(Name => ({ SingleHeader: { Name } }))])
})

t.test('requests are sampled where they were refused, without tokens and queries; those of users are not', async t => {
  const { Rules, VisibilityConfig, DataProtectionConfig: { DataProtections } } = acl(withWaf())
  t.match(VisibilityConfig, { SampledRequestsEnabled: false })
  for (const { Name, VisibilityConfig } of Rules) t.match(VisibilityConfig, { SampledRequestsEnabled: true, CloudWatchMetricsEnabled: true, MetricName: Name })
  t.strictSame(DataProtections.map(({ Action, Field }) => [Action, Field.FieldType, Field.FieldKeys]), [['SUBSTITUTION', 'SINGLE_HEADER', SECRET], ['SUBSTITUTION', 'QUERY_STRING', undefined]])
})

t.test('an id in an answer leads to the log of the firewall, by the access log', async t => {
  const { Format } = withWaf().Resources['Api']!.Properties['AccessLogSetting'] as { Format: string }
  // AWS WAF logs the extended id of a request to API Gateway, and clients get the other one.
  t.match(JSON.parse(Format), { requestId: '$context.requestId', extendedRequestId: '$context.extendedRequestId', waf: '$context.wafResponseCode' })
})
