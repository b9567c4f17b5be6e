import t from 'tap'
import { codeIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { startTcpProxy } from '../tcp-proxy.ts'

// A network delivers bytes, and not messages: a request or an answer may arrive in pieces of any size.

const SLICE_BYTES = 5

t.test('a story whose every connection carries a few bytes at a time ends as any other', async t => {
  const engines = await startEngines(t, { redis: true })
  const lines = await Promise.all([engines.dynamodbEndpoint, engines.sqsEndpoint, engines.redisUrl!, engines.env['SMTP_URL']!].map(url => startTcpProxy(t, Number(new URL(url).port))))
  const [dynamodb, sqs, redis, smtp] = lines.map(({ port }) => `127.0.0.1:${port}`)
  const app = await buildTestApp(t, engines, {
    env: {
      AWS_ENDPOINT_URL_DYNAMODB: `http://${dynamodb}`,
      AWS_ENDPOINT_URL_SQS: `http://${sqs}`,
      REDIS_URL: `redis://${redis}`,
      SMTP_URL: `smtp://${smtp}`
    }
  })
  const server = await startTcpProxy(t, Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
  for (const line of [...lines, server]) line.set({ sliceBytes: SLICE_BYTES })
  const call = async (method: string, path: string, { body, token }: { body?: object, token?: string } = {}) => {
    const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return { status: response.status, body: await response.json() as Record<string, string> }
  }

  const email = 'sliced@example.com'
  const registration = await call('POST', '/v2/users', { body: { email, name: 'Zoë Ångström' } })
  t.equal(registration.status, 202)
  await pump(app, engines)
  const exchange = await call('POST', '/v2/auth/tokens', { body: { grantType: 'code', challengeId: registration.body['challengeId'], code: codeIn(engines, email) } })
  t.equal(exchange.status, 200)
  for (const source of ['the table', 'the cache']) {
    t.match(await call('GET', '/v2/users/me', { token: exchange.body['accessToken']! }), { status: 200, body: { email, name: 'Zoë Ångström' } }, `${source}: characters of several bytes were cut, and are whole`)
  }
  t.match(await call('PATCH', '/v2/users/me', { token: exchange.body['accessToken']!, body: { name: 'Zoë Ö' } }), { status: 200, body: { name: 'Zoë Ö' } })
  t.equal(engines.mailsTo(email).length, 1)
  for (const [i, { slices }] of [...lines, server].entries()) t.ok(slices > 10, `connection ${i} carried ${slices} pieces`)
})
