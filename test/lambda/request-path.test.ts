import type { APIGatewayProxyEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import t from 'tap'
import { pathOf, withoutBasePath, withoutStage } from '../../src/lambda/request-path.ts'
import { albEvent, functionUrlEvent, httpDomainEvent, httpEvent, httpStageEvent, restEvent } from './transports.ts'

const DOMAIN = 'api.example.com'
const get = (target: string) => ({ method: 'GET', target })

interface Mapped { resource?: string, parameters?: Record<string, string> | null }

/** A REST API's event for a path, by a domain of one's own. */
function rest (path: string, { resource = '/{proxy+}', parameters = null }: Mapped = {}): APIGatewayProxyEvent {
  const event = restEvent(get('/'))
  return { ...event, path, resource, pathParameters: parameters, requestContext: { ...event.requestContext, domainName: DOMAIN } }
}

/** An HTTP API's, whose path is decoded. */
function http (path: string, { resource = '$default', parameters = null }: Mapped = {}): APIGatewayProxyEventV2 {
  const { pathParameters: _, ...event } = httpDomainEvent('prod')(get('/')) as APIGatewayProxyEventV2
  return { ...event, rawPath: path, routeKey: resource, ...(parameters === null ? {} : { pathParameters: parameters }) }
}

const given = (event: object) => String('rawPath' in event ? event.rawPath : (event as { path: string }).path)

t.test('only the stage that an HTTP API writes in front of the path is removed', async t => {
  t.equal(withoutStage(httpStageEvent('prod')(get('/v2/users')) as APIGatewayProxyEventV2), '/v2/users')
  t.equal(withoutStage(httpStageEvent('v2')(get('/v2/users')) as APIGatewayProxyEventV2), '/v2/users')
  const named = httpStageEvent('prod')(get('/')) as APIGatewayProxyEventV2
  t.equal(withoutStage({ ...named, rawPath: '/products' }), '/products', 'a path that only begins like it')
  t.equal(withoutStage({ ...named, rawPath: '/prod' }), '/prod')
  t.equal(withoutStage({ ...named, rawPath: '/prod/a', requestContext: { ...named.requestContext, domainName: DOMAIN } }), '/prod/a')
  t.equal(withoutStage(restEvent(get('/prod/a'), 'prod')), '/prod/a')
  t.equal(withoutStage(albEvent(get('/prod/a')) as never), '/prod/a')
})

t.test('the resource of an event says where its path begins', async t => {
  const PUBLIC = '/elsewhere'
  for (const [event, path, what] of [
    [rest('/base/v2/users', { parameters: { proxy: 'v2/users' } }), '/v2/users', 'all that follows'],
    [rest('/base/v2/users/', { parameters: { proxy: 'v2/users/' } }), '/v2/users/', 'a slash at the end stays'],
    [rest('/base/v2/users/', { parameters: { proxy: 'v2/users' } }), '/v2/users/', 'a slash that the parameter leaves out'],
    [rest('/base/v2/users', { parameters: { proxy: 'v2/users/' } }), '/v2/users', 'a slash that the path leaves out'],
    [rest('/base/v2/users', { resource: '/v2/users' }), '/v2/users', 'a resource without parameters'],
    [rest('/base/v2/users/42/avatar', { resource: '/v2/users/{id}/avatar', parameters: { id: '42' } }), '/v2/users/42/avatar', 'a parameter in the middle'],
    [rest('/base/v2/a/b/c/d', { resource: '/v2/{one}/b/{two+}', parameters: { one: 'a', two: 'c/d' } }), '/v2/a/b/c/d', 'two parameters'],
    [rest('/base/a%2Fb', { parameters: { proxy: 'a%2Fb' } }), '/a%2Fb', 'an escape, in both as written'],
    [rest('/base/a%20b', { parameters: { proxy: 'a b' } }), '/a%20b', 'an escape, in the parameter decoded'],
    [rest('/base/a%2fb', { parameters: { proxy: 'a%2Fb' } }), '/a%2fb', 'an escape, written in two ways'],
    [rest('/base/a%2520b', { parameters: { proxy: 'a%20b' } }), '/a%2520b', 'an escape of an escape'],
    [rest('/base/50%', { parameters: { proxy: '50%' } }), '/50%', 'what is no escape'],
    [rest('/base/50%/a%20b', { parameters: { proxy: '50%/a b' } }), '/base/50%/a%20b', 'what is no escape, and one: not described'],
    [rest('/base', { resource: '/' }), '/', 'the base path itself'],
    [rest('/base/', { resource: '/' }), '/', 'with a slash'],
    [rest('/base/v2/users', { resource: '/other' }), '/base/v2/users', 'a resource that is not in the path'],
    [rest('/base/undefined', { parameters: {} }), '/base/undefined', 'without the parameter'],
    [rest('/base/undefined', { parameters: null }), '/base/undefined', 'without parameters'],
    [http('/base/v2/users', { resource: 'GET /v2/users' }), '/v2/users', 'a route'],
    [http('/base/v2/users', { resource: 'ANY /{proxy+}', parameters: { proxy: 'v2/users' } }), '/v2/users', 'a greedy route'],
    [http('/base/v2', { resource: 'a GET /v2' }), '/base/v2', 'what is no route'],
    [http('/base/v2', { resource: 'GET /v2 b' }), '/base/v2', 'what is no route, with an end'],
    [http('/base/v2/users'), '/base/v2/users', 'the default route describes nothing']
  ] as const) t.equal(withoutBasePath(given(event), event, PUBLIC), path, what)
  const { routeKey: _, ...bare } = http('/base/v2')
  t.equal(withoutBasePath('/base/v2', bare as APIGatewayProxyEventV2, PUBLIC), '/base/v2', 'an event without a route')
  t.equal(withoutBasePath('/base/v2', { ...rest('/base/v2'), resource: undefined } as never, PUBLIC), '/base/v2', 'an event without a resource')
})

t.test('what no resource describes begins after the path of PUBLIC_URL, by a domain of one\'s own', async t => {
  for (const [event, publicPath, path] of [
    [http('/base/v2/users'), '/base', '/v2/users'],
    [http('/base'), '/base', '/'],
    [http('/base/'), '/base', '/'],
    [http('/bases/v2'), '/base', '/bases/v2'],
    [http('/v2/users'), '', '/v2/users'],
    [http('//v2'), '', '//v2'],
    [{ ...httpEvent(get('/base/v2')), routeKey: '$default' }, '/base', '/base/v2'],
    [functionUrlEvent(get('/base/v2')), '/base', '/base/v2'],
    [albEvent(get('/base/v2')), '/base', '/base/v2'],
    [{ ...albEvent(get('/base/v2')), resource: '/v2' }, '/base', '/base/v2']
  ] as const) t.equal(withoutBasePath(given(event), event as never, publicPath), path, `${publicPath}: ${path}`)
  const { domainName: _, ...context } = rest('/base/v2').requestContext
  t.equal(withoutBasePath('/base/v2', { ...rest('/base/v2'), requestContext: context } as never, '/base'), '/base/v2', 'an event without the name of a host')
})

t.test('characters and segments that a URL parser would change are escaped', async t => {
  for (const [path, escaped] of [
    ['/a b', '/a%20b'],
    ['/a?b#c', '/a%3Fb%23c'],
    ['/a\\b', '/a%5Cb'],
    ['/a/../b', '/a/%252e%252e/b'],
    ['/a/./b', '/a/%252e/b'],
    ['/a/%2E%2e', '/a/%252e%252e'],
    ['/a/.%2e/b', '/a/%252e%252e/b'],
    ['/a/.../b', '/a/.../b'],
    ['/.well-known/a.b', '/.well-known/a.b'],
    ['/a/é', '/a/é']
  ] as const) t.equal(pathOf(rest(path, { parameters: { proxy: path.slice(1) } }), ''), escaped, path)
  t.equal(pathOf(http('/a/é %'), ''), '/a/%C3%A9%20%25', 'an HTTP API has decoded it')
  t.equal(pathOf(functionUrlEvent(get('/a%20b')) as APIGatewayProxyEventV2, ''), '/a%20b', 'a Function URL has not')
  t.throws(() => pathOf({ ...rest('/'), path: 'a' }, ''), { name: 'URIError', message: 'The path does not start with a slash' })
})
