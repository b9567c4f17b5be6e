import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { Problem } from '../../src/shared/problem.ts'
import { CORRELATION_ID_PATTERN } from '../../src/shared/ids.ts'
import { evaluate, loadTemplate, type Template } from './evaluate.ts'

interface Method { security?: object[], 'x-amazon-apigateway-integration': { type: string, httpMethod: string, uri: { 'Fn::Sub': string } } }
type Paths = Record<string, Record<string, Method>>
interface GatewayResponse { statusCode?: number, responseParameters: Record<string, string>, responseTemplates: Record<string, string> }
interface Setting { ResourcePath: string, HttpMethod: string, ThrottlingRateLimit: unknown, ThrottlingBurstLimit: unknown }

const ANY = 'x-amazon-apigateway-any-method'
const pathsOf = (template: Template) => template.Resources['Api']!.Properties['DefinitionBody'].paths as Paths
const settingsOf = (template: Template) => template.Resources['Api']!.Properties['MethodSettings'] as Setting[]
const responsesOf = (template: Template) => template.Resources['Api']!.Properties['DefinitionBody']['x-amazon-apigateway-gateway-responses'] as Record<string, GatewayResponse>

t.test('every request reaches the function, by its alias', async t => {
  const paths = pathsOf(evaluate(loadTemplate()))
  t.ok(paths['/']?.[ANY] && paths['/{proxy+}']?.[ANY])
  for (const [path, methods] of Object.entries(paths)) {
    t.ok(methods[ANY], `${path} leaves no method without an answer`)
    for (const { 'x-amazon-apigateway-integration': integration } of Object.values(methods)) {
      t.match(integration, { type: 'aws_proxy', httpMethod: 'POST', uri: { 'Fn::Sub': /\/functions\/\$\{ApiFunction\.Arn\}:live\/invocations$/ } })
    }
    // A resource that has a path of its own hides {proxy+} from what is below it, as long as nothing stands beside it.
    const parent = path.split('/').slice(0, -1).join('/')
    if (parent !== '' && !path.endsWith('{proxy+}')) t.ok(paths[`${parent}/{proxy+}`], `${parent}/{proxy+} stands beside ${path}`)
  }
})

function throttleFaults (template: Template): string[] {
  const settings = settingsOf(template)
  const strict = ['/v1/users', '/v1/auth/challenges', '/v1/auth/tokens', '/v2/users', '/v2/auth/challenges', '/v2/auth/tokens', '/v2/auth/verify']
  const faults = strict.filter(path => !settings.some(({ ResourcePath, HttpMethod, ThrottlingRateLimit }) =>
    ResourcePath === `/${path.replaceAll('/', '~1')}` && HttpMethod === 'POST' && Number(ThrottlingRateLimit) <= 50)).map(path => `POST ${path} has no stricter throttle`)
  for (const { ResourcePath, HttpMethod } of settings.filter(({ HttpMethod }) => HttpMethod !== '*')) {
    // The API of CloudFormation takes the path with its slashes escaped, and a setting for a method that is not there has no effect.
    if (pathsOf(template)[ResourcePath.slice(1).replaceAll('~1', '/')]?.[HttpMethod.toLowerCase()] === undefined) faults.push(`${HttpMethod} ${ResourcePath} is throttled and does not exist`)
  }
  return faults
}

t.test('requests that write without a token, mail or check a code have stricter throttles', async t => {
  t.strictSame(throttleFaults(loadTemplate()), [])
  t.match(settingsOf(loadTemplate())[0], { ResourcePath: '/*', HttpMethod: '*', ThrottlingRateLimit: { Ref: 'ThrottleRate' }, DataTraceEnabled: false })
})

t.test('no method logs bodies, which hold codes and tokens', async t => {
  for (const setting of settingsOf(loadTemplate())) t.match(setting, { LoggingLevel: 'ERROR', DataTraceEnabled: false, MetricsEnabled: false }, setting.ResourcePath)
})

t.test('a throttle that is missing, or on nothing, is found', async t => {
  const template = loadTemplate()
  template.Resources['Api']!.Properties['MethodSettings'][4].ResourcePath = '/v2/users'
  t.strictSame(throttleFaults(template), ['POST /v2/users has no stricter throttle', 'POST /v2/users is throttled and does not exist'])
})

t.test('no key is asked for, unless client applications are metered', async t => {
  const template = evaluate(loadTemplate())
  for (const methods of Object.values(pathsOf(template))) for (const { security = [] } of Object.values(methods)) t.strictSame(security, [])
  for (const id of ['UsagePlan', 'ClientKey', 'ClientKeyInPlan']) t.notOk(id in template.Resources)
})

t.test('with keys, the link of a mail, preflights, health, documents and signing keys still need none', async t => {
  const template = evaluate(loadTemplate(), { ApiKeyRequired: 'true' })
  const paths = pathsOf(template)
  const needsKey = (path: string, method: string) => (paths[path]?.[method] ?? paths[path]?.[ANY])?.security?.length === 1
  for (const [path, method] of [['/v2/users', 'post'], ['/v2/users/{proxy+}', ANY], ['/v2/auth/challenges', 'post'], ['/v1/users', 'post'], ['/v1/{proxy+}', ANY]] as const) {
    t.ok(needsKey(path, method), `${method} ${path} needs one`)
    t.notOk(needsKey(path, 'options'), 'its preflight does not')
  }
  for (const [path, method] of [['/v2/auth/tokens', 'post'], ['/v2/auth/verify', 'post'], ['/v1/auth/tokens', 'post'], ['/{proxy+}', ANY], ['/', ANY], ['/v1/health', ANY]] as const) t.notOk(needsKey(path, method), `${method} ${path} needs none`)
  for (const id of ['UsagePlan', 'ClientKey', 'ClientKeyInPlan']) t.ok(id in template.Resources)
})

t.test("what the gateway itself answers is a problem, as the app's answers are, and a v1 envelope", async t => {
  const responses = responsesOf(loadTemplate())
  for (const [type, { statusCode, responseParameters, responseTemplates }] of Object.entries(responses)) {
    // What API Gateway knows in a response; `status` it knows in access logs only.
    const context: Record<string, string> = { requestId: 'f8b3e9a0-7f6b-4a0e-9d0e-0a1b2c3d4e5f', resourcePath: '/v2/users' }
    const body = JSON.parse(responseTemplates['application/json']!.replace(/\$context\.(\w+)/g, (_, name: string) => context[name]!)) as Record<string, unknown>
    t.ok(Value.Check(Problem, body), `${type} is a problem`)
    t.equal(body['status'], statusCode, `${type} says the status it has`)
    t.match(body, { success: false, error: body['detail'] as string })
    t.match(String(body['correlationId']), CORRELATION_ID_PATTERN)
    t.match(responseParameters, { 'gatewayresponse.header.Content-Type': /^'application\/problem\+json/, 'gatewayresponse.header.x-correlation-id': 'context.requestId' })
    const retry = responseParameters['gatewayresponse.header.Retry-After']
    if ([429, 503].includes(statusCode ?? 0)) t.match(retry, /^'\d+'$/, `${type} says when to come back`)
  }
  t.match(responses, { THROTTLED: { statusCode: 429 }, REQUEST_TOO_LARGE: { statusCode: 413 }, MISSING_AUTHENTICATION_TOKEN: { statusCode: 404 }, INTEGRATION_FAILURE: { statusCode: 503 }, DEFAULT_4XX: { statusCode: 400 }, DEFAULT_5XX: { statusCode: 500 } })
})

t.test('each access is logged as JSON, by route and never by path', async t => {
  const { AccessLogSetting: { Format } } = loadTemplate().Resources['Api']!.Properties as { AccessLogSetting: { Format: string } }
  t.equal(Format.includes('\n'), false, 'on one line')
  t.ok(JSON.parse(Format))
  t.notMatch(Format, /\$context\.path\b/)
})
