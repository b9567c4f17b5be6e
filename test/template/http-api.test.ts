import t from 'tap'
import { httpEvent } from '../lambda/transports.ts'
import { evaluate, loadTemplate, referencesOf, refusals, resourcesOf, textOf, type Template } from './evaluate.ts'

interface Integration { type: string, payloadFormatVersion: string, timeoutInMillis: number, uri: unknown }
interface Operation { isDefaultRoute?: boolean, 'x-amazon-apigateway-integration': Integration }
interface Throttle { ThrottlingRateLimit: unknown, ThrottlingBurstLimit: unknown }

const HTTP = { ApiType: 'http' }
const API = { AWS_REST: 'AWS::Serverless::Api', AWS_HTTP: 'AWS::ApiGatewayV2::Api' }

const operationsOf = (template: Template) => Object.entries(template.Resources['HttpApi']!.Properties['Body'].paths as Record<string, Record<string, Operation>>)
  .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ key: operation.isDefaultRoute === true ? '$default' : `${method.toUpperCase()} ${path}`, operation })))

t.test('a stack has one front door, a REST API unless the parameter says otherwise', async t => {
  const rest = evaluate(loadTemplate())
  t.equal(resourcesOf(rest, API.AWS_REST).length, 1)
  t.strictSame(Object.keys(rest.Resources).filter(id => id.startsWith('HttpApi')), [])
  const http = evaluate(loadTemplate(), HTTP)
  t.equal(resourcesOf(http, API.AWS_HTTP).length, 1)
  t.strictSame(Object.values(http.Resources).filter(({ Type }) => /^AWS::(?:Serverless::Api|ApiGateway::|WAFv2::)/.test(Type)), [])
})

t.test('with the HTTP API nothing refers to the REST API, whichever part is on', async t => {
  for (const given of [{}, { Cache: 'valkey' }, { Tracing: 'Active' }, { Waf: 'true' }, { ApiKeyRequired: 'true' }, { CreateAuthorizer: 'true' }, { DomainName: 'a.example', CertificateArn: 'arn', HostedZoneId: 'Z1' }]) {
    const { Resources, Outputs } = evaluate(loadTemplate(), { ...given, ...HTTP })
    t.notOk(referencesOf({ Resources, Outputs }).includes('Api'), JSON.stringify(given))
  }
})

t.test('every request to the HTTP API reaches the function by its alias, as an event of format 2.0', async t => {
  const operations = operationsOf(evaluate(loadTemplate(), HTTP))
  t.ok(operations.some(({ key }) => key === '$default'))
  for (const { key, operation } of operations) {
    const { type, payloadFormatVersion, timeoutInMillis, uri } = operation['x-amazon-apigateway-integration']
    t.strictSame({ type, payloadFormatVersion }, { type: 'aws_proxy', payloadFormatVersion: '2.0' }, key)
    t.ok(timeoutInMillis <= 30_000, 'the longest that an HTTP API waits')
    t.match(textOf(uri, { 'AWS::Partition': 'aws', 'AWS::Region': 'eu-central-1', 'ApiFunction.Arn': 'ARN' }), /\/functions\/ARN:live\/invocations$/)
  }
})

t.test('what the tests of parity send as an HTTP API is what this one sends', async t => {
  const stage = evaluate(loadTemplate(), HTTP).Resources['HttpApiStage']!.Properties
  for (const { key } of operationsOf(evaluate(loadTemplate(), HTTP))) {
    const [method, target] = key === '$default' ? ['GET', '/v2/users/me'] : key.split(' ') as [string, string]
    t.match(httpEvent({ method, target }), { version: '2.0', routeKey: key, rawPath: target, requestContext: { routeKey: key, stage: stage['StageName'] as string, http: { method, path: target } } })
  }
})

function throttleFaults (template: Template): string[] {
  const rest = (template.Resources['Api']!.Properties['MethodSettings'] as (Throttle & { ResourcePath: string, HttpMethod: string })[])
    .map(({ ResourcePath, HttpMethod, ThrottlingRateLimit, ThrottlingBurstLimit }) => [HttpMethod === '*' ? '$default' : `${HttpMethod} ${ResourcePath.slice(1).replaceAll('~1', '/')}`, { ThrottlingRateLimit, ThrottlingBurstLimit }] as const)
  const { DefaultRouteSettings, RouteSettings } = template.Resources['HttpApiStage']!.Properties as { DefaultRouteSettings: Throttle, RouteSettings: Record<string, Throttle> }
  const http: Record<string, Throttle> = { $default: DefaultRouteSettings, ...RouteSettings }
  const keys = operationsOf(template).map(({ key }) => key)
  return [
    ...rest.filter(([key, { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst }]) => JSON.stringify([http[key]?.ThrottlingRateLimit, http[key]?.ThrottlingBurstLimit]) !== JSON.stringify([rate, burst])).map(([key]) => `${key} has another throttle`),
    ...Object.keys(http).filter(key => !rest.some(([other]) => other === key)).map(key => `${key} has no throttle in the REST API`),
    // API Gateway refuses a setting of a route that is not there.
    ...Object.keys(http).filter(key => !keys.includes(key)).map(key => `${key} is no route`)
  ]
}

t.test('both APIs have the same throttles, on routes that exist', async t => {
  t.strictSame(throttleFaults(loadTemplate()), [])
  const template = loadTemplate()
  const settings = template.Resources['HttpApiStage']!.Properties['RouteSettings']
  settings['POST /v2/users'].ThrottlingRateLimit = 21
  settings['POST /v3/users'] = settings['POST /v1/users']
  t.strictSame(throttleFaults(template), ['POST /v2/users has another throttle', 'POST /v3/users has no throttle in the REST API', 'POST /v3/users is no route'], 'another one is found')
})

t.test('both APIs log the same fields, and never a path', async t => {
  const { Resources } = loadTemplate()
  const rest = Resources['Api']!.Properties['AccessLogSetting'].Format as string
  const http = Resources['HttpApiStage']!.Properties['AccessLogSettings'].Format as string
  t.strictSame(Object.keys(JSON.parse(http) as object), Object.keys(JSON.parse(rest) as object))
  t.notMatch(http, /\$context\.path\b|\n/)
  // What an HTTP API does not know it would log as it stands.
  t.notMatch(http, /\$context\.(?:resourcePath|identity\.apiKeyId|waf)/)
})

t.test('what an HTTP API cannot do is refused, with the reason', async t => {
  const given = { EmailFrom: 'a@a.example', SesIdentity: 'a.example' }
  t.strictSame(refusals(loadTemplate(), { ...given, ...HTTP }), [])
  t.match(refusals(loadTemplate(), { ...given, ...HTTP, Waf: 'true' }), [/^Waf needs ApiType=rest/])
  t.match(refusals(loadTemplate(), { ...given, ...HTTP, ApiKeyRequired: 'true' }), [/^ApiKeyRequired needs ApiType=rest/])
  t.strictSame(refusals(loadTemplate(), { ...given, Waf: 'true', ApiKeyRequired: 'true' }), [], 'a REST API can')
  t.match(refusals(loadTemplate(), { ...given, BasePath: 'users' }), [/^BasePath needs DomainName/])
})

t.test('API Gateway may invoke the alias for this API alone', async t => {
  const names = { 'AWS::Partition': 'aws', 'AWS::Region': 'eu-central-1', 'AWS::AccountId': '1', Stage: 'dev', Api: 'REST', HttpApi: 'HTTP' }
  const sourceOf = (parameters: Record<string, string>) => textOf(evaluate(loadTemplate(), parameters).Resources['ApiPermission']!.Properties['SourceArn'], names)
  t.equal(sourceOf({}), 'arn:aws:execute-api:eu-central-1:1:REST/dev/*')
  t.equal(sourceOf(HTTP), 'arn:aws:execute-api:eu-central-1:1:HTTP/*')
})

t.test('the address of an API is that of its stage, and the default stage of an HTTP API has no path', async t => {
  const names = { 'AWS::Region': 'eu-central-1', 'AWS::URLSuffix': 'amazonaws.com', Stage: 'dev', Api: 'REST', HttpApi: 'HTTP' }
  t.equal(textOf(evaluate(loadTemplate()).Outputs['ApiUrl']!.Value, names), 'https://REST.execute-api.eu-central-1.amazonaws.com/dev')
  t.equal(textOf(evaluate(loadTemplate(), HTTP).Outputs['ApiUrl']!.Value, names), 'https://HTTP.execute-api.eu-central-1.amazonaws.com')
  t.equal(loadTemplate().Resources['HttpApiStage']!.Properties['StageName'], '$default')
})

t.test('a domain has one mapping, which changes its API and its path in place', async t => {
  for (const [parameters, api, stage] of [[{}, 'Api', 'Api.Stage'], [HTTP, 'HttpApi', 'HttpApiStage']] as const) {
    const domain = { ...parameters, DomainName: 'api.example.com', CertificateArn: 'arn' }
    const { Resources } = evaluate(loadTemplate(), { ...domain, BasePath: 'users-service' })
    t.match(Resources['DomainMapping'], { Type: 'AWS::ApiGatewayV2::ApiMapping', Properties: { ApiId: { Ref: api }, Stage: { Ref: stage }, ApiMappingKey: { Ref: 'BasePath' } } })
    t.notOk('ApiMappingKey' in evaluate(loadTemplate(), domain).Resources['DomainMapping']!.Properties, 'none without a path')
    t.equal(Resources['Domain']!.Type, 'AWS::ApiGateway::DomainName')
  }
})

t.test('the links of a service below a path contain it', async t => {
  const given = { DomainName: 'api.example.com', BasePath: 'team/users-service', CertificateArn: 'arn', CreateAuthorizer: 'true', SyntheticCanary: 'true' }
  const { Globals } = evaluate(loadTemplate(), given)
  const template = evaluate({ ...loadTemplate(), Resources: { ...loadTemplate().Resources, Globals: { Type: 'globals', Properties: Globals! } } }, given)
  t.equal(textOf(template.Resources['Globals']!.Properties['Function'].Environment.Variables.PUBLIC_URL, given), 'https://api.example.com/team/users-service')
  t.equal(textOf(template.Resources['AuthorizerFunction']!.Properties['Environment'].Variables.JWKS_URL, given), 'https://api.example.com/team/users-service/.well-known/jwks.json')
  t.equal(textOf(template.Outputs['PublicUrl']!.Value, given), 'https://api.example.com/team/users-service')
  t.equal(textOf(template.Resources['RegistrationCanary']!.Properties['RunConfig'].EnvironmentVariables.BASE_URL, given), 'https://api.example.com/team/users-service')
  const pattern = new RegExp((template.Parameters['BasePath'] as unknown as { AllowedPattern: string }).AllowedPattern)
  for (const path of ['', 'users', 'team/users-service']) t.match(path, pattern)
  for (const path of ['/users', 'users/', 'a//b', 'a b', '../a', 'a?b']) t.notMatch(path, pattern)
})
