import type { APIGatewayProxyEvent, APIGatewayProxyEventV2, Context } from 'aws-lambda'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { adminOf, bearerOf } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { evaluate, loadTemplate, textOf, type Template } from '../template/evaluate.ts'
import { albEvent, functionUrlEvent, httpDomainEvent, httpEvent, httpStageEvent, restEvent, type WireRequest } from './transports.ts'

const engines = await startEngines(t)
const DOMAIN = 'api.example.com'

async function functionAt (publicUrl: string) {
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: publicUrl } })
  const handler = createDispatch(app)
  return async (event: object) => await handler(event, {} as Context) as { statusCode: number, headers: Record<string, string>, body: string }
}

const get = (target: string): WireRequest => ({ method: 'GET', target })

/** As a REST API under a custom domain with a base path writes it, for a resource of its own or the one that takes all. */
function restMapped (base: string, target: string, resource = '/{proxy+}', pathParameters?: Record<string, string> | null): APIGatewayProxyEvent {
  const event = restEvent(get(`${base}${target}`))
  const path = event.path
  return {
    ...event,
    resource,
    pathParameters: pathParameters === undefined ? { proxy: decodeURIComponent(target.split('?')[0]!.slice(1)) } : pathParameters,
    requestContext: { ...event.requestContext, resourcePath: resource, domainName: DOMAIN, path }
  }
}

/** As an HTTP API under a custom domain with an API mapping writes it. */
function httpMapped (base: string, target: string, routeKey = '$default', pathParameters?: Record<string, string>): APIGatewayProxyEventV2 {
  const event = httpDomainEvent('prod')(get(`${base}${target}`)) as APIGatewayProxyEventV2
  return { ...event, routeKey, ...(pathParameters === undefined ? {} : { pathParameters }) }
}

t.test('behind a base path or an API mapping, the path is what comes after it', async t => {
  const invoke = await functionAt(`https://${DOMAIN}/users-api`)
  for (const [what, event] of Object.entries({
    'REST API': restMapped('/users-api', '/health/live'),
    'REST API, two levels': restMapped('/internal/users-api', '/health/live'),
    'REST API, a resource of its own': restMapped('/users-api', '/health/live', '/health/live', null),
    'REST API, a resource with a parameter': restMapped('/users-api', '/health/live', '/health/{probe}', { probe: 'live' }),
    'REST API, an escape in the path': restMapped('/users-api', '/health/l%69ve'),
    'HTTP API': httpMapped('/users-api', '/health/live'),
    'HTTP API, a greedy route': httpMapped('/users-api', '/health/live', 'ANY /{proxy+}', { proxy: 'health/live' }),
    'HTTP API, a route of its own': httpMapped('/users-api', '/health/live', 'GET /health/live')
  })) t.equal((await invoke(event)).statusCode, 200, what)
})

t.test('links in answers begin with the path that clients use', async t => {
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: `https://${DOMAIN}/users-api` } })
  const created = await app.inject({ method: 'POST', url: '/v1/users', payload: { email: 'linked@example.com', name: 'Ada' } })
  t.match(created.headers.location, /^\/users-api\/v1\/users\/[\w-]{36}$/)
  t.equal(created.headers.link, '</users-api/openapi/v2.json>; rel="successor-version"')
  await app.users.register({ email: 'linked-2@example.com', name: 'Ada' }, 'c')
  const { userId } = await adminOf(app)
  const page = await app.inject({ url: '/v2/users?limit=1', headers: await bearerOf(app, userId) })
  t.match(page.headers.link, /^<\/users-api\/v2\/users\?limit=1&cursor=/)
})

t.test('the event decides, and not only PUBLIC_URL', async t => {
  const invoke = await functionAt('https://elsewhere.example')
  t.equal((await invoke(restMapped('/users-api', '/health/live'))).statusCode, 200)
  t.equal((await invoke(httpMapped('/users-api', '/health/live', 'ANY /{proxy+}', { proxy: 'health/live' }))).statusCode, 200)
  t.equal((await invoke(httpMapped('/users-api', '/health/live'))).statusCode, 404, 'nothing in this event says what the mapping is')
})

t.test('an event that leaves out the parameters of its resource is served by its path', async t => {
  const invoke = await functionAt('https://elsewhere.example')
  for (const parameters of [{}, null]) t.equal((await invoke(restMapped('', '/health/live', '/{proxy+}', parameters))).statusCode, 200)
  t.equal((await invoke(httpMapped('', '/health/live', 'ANY /{proxy+}'))).statusCode, 200)
})

t.test('the base path itself is the root, and a path is never cut twice', async t => {
  const invoke = await functionAt(`https://${DOMAIN}/users-api`)
  const instanceOf = async (event: object) => (JSON.parse((await invoke(event)).body) as { instance: string }).instance
  t.equal(await instanceOf(restMapped('/users-api', '', '/', null)), '/')
  t.equal(await instanceOf(restMapped('/users-api', '/', '/', null)), '/')
  t.equal(await instanceOf(httpMapped('/users-api', '')), '/')
  t.equal(await instanceOf(restMapped('/users-api', '/users-api/health/live')), '/users-api/health/live')
  t.equal(await instanceOf(httpMapped('/users-api', '/users-api/health/live')), '/users-api/health/live')
  t.equal(await instanceOf(restMapped('/users-api', '/nowhere/a%2Fb')), '/nowhere/a%2Fb')
  t.equal(await instanceOf(httpMapped('/users-apis', '/nowhere')), '/users-apis/nowhere', 'a name that only begins like it')
  const brew = await invoke({ ...restMapped('/users-api', '/v1/users'), httpMethod: 'BREW' })
  t.equal(brew.statusCode, 501)
  t.match(JSON.parse(brew.body), { success: false })
  t.match(brew.headers, { deprecation: /^@/, sunset: / GMT$/, 'content-security-policy': /./, 'x-content-type-options': 'nosniff' })
})

t.test('a stage or a path that is called like the one in PUBLIC_URL is left as it is elsewhere', async t => {
  const invoke = await functionAt('https://abc123.execute-api.eu-central-1.amazonaws.com/v1')
  for (const [what, event] of Object.entries({
    'REST API': restEvent(get('/v1/health'), 'v1'),
    'HTTP API': httpEvent(get('/v1/health')),
    'HTTP API, stage v1': httpStageEvent('v1')(get('/v1/health')),
    'Function URL': functionUrlEvent(get('/v1/health')),
    'load balancer': albEvent(get('/v1/health'))
  })) t.equal((await invoke(event)).statusCode, 200, what)
  const custom = await functionAt(`https://${DOMAIN}/v1`)
  t.equal((await custom(restMapped('/v1', '/v1/health'))).statusCode, 200)
  t.equal((await custom(httpMapped('/v1', '/v1/health'))).statusCode, 200)
})

/** Where a stack's clients reach it, the path of its mapping, and its resources or routes. */
function stackWith (parameters: Record<string, string>) {
  const source = loadTemplate()
  // The globals are not a resource, and are evaluated as if they were one.
  source.Resources['Globals'] = { Type: 'Globals', Properties: source.Globals!['Function'] }
  const { Resources } = evaluate(source as Template, parameters)
  const definition = Resources['Api']?.Properties['DefinitionBody'] ?? Resources['HttpApi']!.Properties['Body']
  const key = Resources['DomainMapping']!.Properties['ApiMappingKey'] as unknown
  return {
    publicUrl: textOf(Resources['Globals']!.Properties['Environment'].Variables.PUBLIC_URL, parameters),
    base: key === undefined ? '' : `/${textOf(key, parameters)}`,
    paths: Object.keys(definition.paths as object)
  }
}

t.test('a stack with a path below its domain serves every resource and route of its API there', async t => {
  const given = { DomainName: DOMAIN, CertificateArn: 'arn' }
  for (const BasePath of ['', 'users-service', 'team/v1']) {
    const rest = stackWith({ ...given, BasePath })
    const http = stackWith({ ...given, BasePath, ApiType: 'http' })
    t.equal(rest.publicUrl, `https://${DOMAIN}${rest.base}`)
    t.same([http.publicUrl, http.base], [rest.publicUrl, rest.base], 'the same for both APIs')
    const invoke = await functionAt(rest.publicUrl)
    // A BREW is a 501 that names the path of the request.
    const pathOf = async (event: object) => (JSON.parse((await invoke(event)).body) as { instance?: string, success?: boolean })
    for (const resource of rest.paths) {
      const path = resource.replace('{proxy+}', 'some/thing')
      const event = restMapped(rest.base, path, resource, resource.includes('{proxy+}') ? { proxy: 'some/thing' } : null)
      t.match(await pathOf({ ...event, httpMethod: 'BREW' }), path.startsWith('/v1') ? { success: false } : { instance: path }, `REST API ${rest.base} ${resource}`)
    }
    for (const route of http.paths) {
      const path = route === '/$default' ? '/v2/some/thing' : route
      const event = httpMapped(http.base, path, route === '/$default' ? '$default' : `POST ${route}`)
      event.requestContext.http.method = 'BREW'
      t.match(await pathOf(event), path.startsWith('/v1') ? { success: false } : { instance: path }, `HTTP API ${http.base} ${route}`)
    }
    t.equal((await invoke(restMapped(rest.base, '/health/live'))).statusCode, 200)
    t.equal((await invoke(httpMapped(http.base, '/health/live'))).statusCode, 200)
  }
})

t.test('an event of an unknown kind fails without a word of what is in it', async t => {
  const invoke = await functionAt('https://elsewhere.example')
  await t.rejects(invoke({ 'ada@example.com': 1 }), { message: 'An event of unknown kind, with 1 keys' })
  await t.rejects(invoke({ Records: [{ eventSource: 'ada@example.com' }] }), { message: 'Records of an unknown source: none' })
})
