import type { APIGatewayProxyEvent } from 'aws-lambda'
import t, { type Test } from 'tap'
import type { App } from '../../src/app.ts'
import { createDirect } from '../../src/lambda/direct.ts'
import { createHttp } from '../../src/lambda/http.ts'
import type { HttpAnswer, Serve } from '../../src/lambda/serve.ts'
import { SECURITY_HEADERS } from '../../src/plugins/security-headers.ts'
import { buildEcho } from './echo.ts'
import { albEvent, albListsEvent, functionUrlEvent, httpEvent, restEvent } from './transports.ts'

const REST_LIMIT = 6_291_556
const ALB_LIMIT = 1_048_576

const get = (target: string) => ({ method: 'GET', target })
const rest = (path: string, change: object = {}) => ({ ...restEvent(get('/')), path, resource: '/{proxy+}', pathParameters: null, ...change }) as APIGatewayProxyEvent

interface Line { level: string, fields: Record<string, unknown>, text: string }

/** The adapter of HTTP events around an app that echoes, with the lines that it logs. */
async function build (t: Test, serve?: Serve) {
  const echo = await buildEcho()
  t.teardown(() => echo.close())
  const lines: Line[] = []
  const log = Object.fromEntries(['info', 'warn', 'error'].map(level => [level, (fields: Line['fields'], text: string) => { lines.push({ level, fields, text }) }]))
  const app = Object.create(echo, { log: { value: log } }) as App
  const direct = serve ?? createDirect(echo)
  const targets: string[] = []
  const http = createHttp(app, request => {
    targets.push(request.target)
    return direct(request)
  })
  return { http, lines, targets }
}

const answerOf = (body: string): HttpAnswer => ({ statusCode: 200, headers: {}, body, isBase64Encoded: false })

t.test('a method that HTTP servers do not know is a 501 in the format of the path\'s version', async t => {
  const { http, lines, targets } = await build(t)
  const v2 = await http(rest('/v2/users', { httpMethod: 'BREW', multiValueHeaders: { 'x-correlation-id': ['from-the-client'] } }))
  t.equal(v2.statusCode, 501)
  t.strictSame(JSON.parse(v2.body), { type: 'urn:user-service:problem:method-not-implemented', title: 'Not Implemented', status: 501, detail: 'This method is not supported', instance: '/v2/users', code: 'METHOD_NOT_IMPLEMENTED', correlationId: 'from-the-client' })
  t.strictSame(v2.headers, { ...SECURITY_HEADERS, 'content-type': 'application/problem+json; charset=utf-8', 'x-correlation-id': 'from-the-client', 'cache-control': 'no-store' })
  t.equal(v2.isBase64Encoded, false)
  t.strictSame(lines, [{ level: 'info', fields: { correlationId: 'from-the-client', statusCode: 501, code: 'METHOD_NOT_IMPLEMENTED' }, text: 'answered' }])

  const v1 = await http(rest('/v1/users', { httpMethod: 'BREW' }))
  t.strictSame(JSON.parse(v1.body), { success: false, error: 'This method is not supported', correlationId: v1.headers!['x-correlation-id'] })
  t.match(v1.headers, { deprecation: /^@/, sunset: / GMT$/, 'content-type': 'application/json; charset=utf-8' })
  t.match(JSON.parse((await http(rest('/nowhere', { httpMethod: 'BREW' }))).body), { code: 'METHOD_NOT_IMPLEMENTED', instance: '/nowhere' }, 'a path of no version')
  for (const method of ['CONNECT', 'get', '']) t.equal((await http(rest('/v2/users', { httpMethod: method }))).statusCode, 501, method)
  t.strictSame(targets, [], 'the app is not asked')
})

t.test('what cannot be a request is a 400 that repeats at most 256 characters of its path', async t => {
  const { http, lines, targets } = await build(t)
  const path = `no-slash${'x'.repeat(1000)}`
  const answer = await http(rest(path))
  t.equal(answer.statusCode, 400)
  const { code, detail, instance } = JSON.parse(answer.body) as Record<string, string>
  t.strictSame({ code, detail, instance }, { code: 'REQUEST_MALFORMED', detail: 'The request cannot be understood', instance: path.slice(0, 256) })
  t.match(lines[0], { level: 'warn', fields: { err: { name: 'URIError' } } })
  t.equal((JSON.parse((await http(rest('/', { path: undefined }))).body) as { instance: string }).instance, '/')
  t.strictSame(targets, [])
})

t.test('a target that a URL parser would change goes through the adapter, and every other one straight to the app', async t => {
  const { http, targets } = await build(t)
  for (const [target, isDirect] of [
    ['/echo/a', true], ['/echo/', true], ['/echo/a-.~!$&()*+,;=:@_9', true], ['/echo/%20', true], ["/echo/it's", true],
    ['/echo/a?b=c', true], ['/echo/a?b=c&d=%2F?/:@!$()*+,;', true], ["/echo/a?b='", false],
    ['/echo/a?b="', false], ['/echo/a?b=<', false], ['/echo/a|b', false], ['/echo/a|b/c', false], ['/echo/a"b', false], ['/echo/{a}', false], ['/echo/a?', true], ['/echo/a?b=|c', false]
  ] as const) {
    targets.length = 0
    const answer = await http(functionUrlEvent(get(target)) as never)
    t.equal(answer.statusCode, 200, target)
    t.equal((JSON.parse(answer.body) as { ip: string }).ip, '127.0.0.1')
    t.equal(targets.length, isDirect ? 1 : 0, `${target} ${isDirect ? 'goes straight' : 'goes through the adapter'}`)
  }
  const cookies = await http({ ...httpEvent(get('/cookies')), rawQueryString: '|' } as never)
  t.same(cookies.cookies, ['a=1; Path=/', 'b=2; Secure'], 'the adapter answers an HTTP API with a list of cookies')
  t.same((await http(rest('/cookies|'))).statusCode, 404)
  const echoed = JSON.parse((await http({ ...rest('/echo/a|'), multiValueHeaders: { 'X-A': ['b'] }, requestContext: { ...rest('/').requestContext, identity: { sourceIp: '203.0.113.9' } } } as never)).body) as { ip: string, headers: object }
  t.equal(echoed.ip, '203.0.113.9')
  t.strictSame(echoed.headers, { host: 'localhost:80', 'x-a': 'b' }, 'and adds no header of its own')
})

t.test('a request that the app gives no answer to is a 500', async t => {
  const { http, lines } = await build(t, async () => { throw new Error('destroyed') })
  const answer = await http(rest('/v2/users'))
  t.equal(answer.statusCode, 500)
  t.match(JSON.parse(answer.body), { code: 'INTERNAL', instance: '/v2/users' })
  t.match(lines[0], { level: 'error', fields: { err: { message: 'destroyed' } } })
})

t.test('an answer that Lambda or a load balancer would not pass on is a 500', async t => {
  let body = ''
  const { http, lines } = await build(t, async () => answerOf(body))
  const statusOf = async (event: object, text: string) => {
    body = text
    return (await http(event as APIGatewayProxyEvent)).statusCode
  }
  const around = Buffer.byteLength(JSON.stringify(answerOf('')))
  for (const [event, limit] of [[rest('/a'), REST_LIMIT], [albEvent(get('/a')), ALB_LIMIT]] as const) {
    const most = limit - around
    t.equal(await statusOf(event, 'x'.repeat(most)), 200, 'as large as can be')
    t.equal(await statusOf(event, 'x'.repeat(most + 1)), 500, 'one byte more')
    // JSON writes these characters as six bytes each.
    t.equal(await statusOf(event, '\u0001'.repeat(Math.floor(most / 6))), 200)
    t.equal(await statusOf(event, '\u0001'.repeat(Math.ceil((most + 1) / 6))), 500, 'it counts what is sent')
    t.match(lines.find(({ level }) => level === 'error'), { fields: { bytes: most + 1 } })
    lines.length = 0
  }
})

t.test('a load balancer that sends lists of headers gets lists', async t => {
  const { http } = await build(t)
  const single = await http(albEvent(get('/cookie')) as never)
  t.equal(single.headers!['set-cookie'], 'a=1; Path=/')
  t.notOk(single.multiValueHeaders)
  const lists = await http(albListsEvent(get('/cookies')) as never)
  t.notOk('headers' in lists)
  t.match(lists, { statusCode: 200, body: 'two', isBase64Encoded: false, multiValueHeaders: { 'set-cookie': ['a=1; Path=/', 'b=2; Secure'], 'content-type': ['text/plain; charset=utf-8'] } })
  t.strictSame((await http(albListsEvent(get('/binary')) as never)).isBase64Encoded, true)
  t.ok((await http({ ...restEvent(get('/cookie')) } as never)).headers, 'only a load balancer')
})
