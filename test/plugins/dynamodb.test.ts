import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import aws from '../../src/plugins/aws/index.ts'
import breakers from '../../src/plugins/breakers.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import dynamodb from '../../src/plugins/dynamodb.ts'
import metrics from '../../src/plugins/metrics.ts'
import { isOutage } from '../../src/shared/aws-errors.ts'
import '../credentials.ts'
import { setVariables } from '../environment.ts'
import { until } from '../until.ts'

/** Resolves to the server's URL. */
async function listen (t: Test, server: Server): Promise<string> {
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The plugin alone, with a DynamoDB that answers each attempt as the test says. */
async function build (t: Test, answer: (response: ServerResponse) => void) {
  const asked: Record<string, unknown>[] = []
  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    asked.push(await json(request) as Record<string, unknown>)
    response.setHeader('content-type', 'application/x-amz-json-1.0')
    answer(response)
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const url = await listen(t, server)
  const counted: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ENDPOINT_URL_DYNAMODB: url })) })
  await app.register(aws)
  await app.register(metrics, { metrics: { scraped: { count (name) { counted.push(name) }, observe () {}, show () {} } } })
  await app.register(breakers)
  await app.register(dynamodb)
  await app.ready()
  return { app, asked, sockets, counted, read: () => app.dynamodb.send(new GetCommand({ TableName: 'Users', Key: { userId: 'x' } })) }
}

t.test('what is undefined in an item is not written', async t => {
  const { app, asked } = await build(t, response => response.end('{}'))
  await app.dynamodb.send(new PutCommand({ TableName: 'Users', Item: { userId: 'x', name: undefined, deep: { name: undefined } } }))
  t.match(asked, [{ TableName: 'Users' }])
  t.strictSame(asked[0]!['Item'], { userId: { S: 'x' }, deep: { M: {} } })
})

t.test('after five calls without an answer no more are made until one a second later is answered, and both are counted', async t => {
  const { now } = Date
  let ahead = 0
  Date.now = () => now() + ahead
  t.teardown(() => { Date.now = now })
  let isDown = true
  const { app, asked, counted, read } = await build(t, response => isDown ? response.writeHead(500).end('{"__type":"InternalServerError"}') : response.end('{}'))
  // No pause between the attempts of a call.
  const { random } = Math
  Math.random = () => 0
  t.teardown(() => { Math.random = random })
  for (let i = 0; i < 5; i++) await t.rejects(read(), { name: 'InternalServerError' })
  t.equal(asked.length, 15, 'a call is three attempts, and fails once')
  t.ok(app.dynamodb.middlewareStack.identify().includes('breaker - initialize'))
  t.same([counted, app.breakers.stateOf('dynamodb')], [['DatabaseUnavailable'], 'open'])
  await t.rejects(read(), { name: 'BreakerOpen' })
  t.equal(asked.length, 15)
  isDown = false
  ahead = 1000
  await read()
  t.same([counted, app.breakers.stateOf('dynamodb')], [['DatabaseUnavailable', 'DatabaseRestored'], 'closed'])
})

t.test('a call that is refused was answered', async t => {
  const { app, asked, counted, read } = await build(t, response => response.writeHead(400).end('{"__type":"ResourceNotFoundException"}'))
  for (let i = 0; i < 6; i++) await t.rejects(read(), { name: 'ResourceNotFoundException' })
  t.same([asked.length, counted, app.breakers.stateOf('dynamodb')], [6, [], 'closed'])
})

t.test('a machine whose credentials cannot be had now has an outage, and works when it has them', async t => {
  let isAway = true
  const server = createServer((_request, response) => {
    if (isAway) response.writeHead(500).end()
    else response.setHeader('content-type', 'application/json').end(JSON.stringify({ AccessKeyId: 'x', SecretAccessKey: 'y', Token: 'z', Expiration: new Date(Date.now() + 3_600_000) }))
  })
  t.teardown(setVariables({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: await listen(t, server),
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    ...Object.fromEntries(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'].map(name => [name, undefined]))
  }))
  const { asked, read } = await build(t, response => response.end('{}'))
  const error = await read().catch((error: Error) => error)
  t.ok(isOutage(error), String(error))
  t.equal(asked.length, 0)
  isAway = false
  await read()
  t.equal(asked.length, 1)
})

t.test('the connections end with the app', async t => {
  const { app, sockets, read } = await build(t, response => response.end('{}'))
  await read()
  t.equal(sockets.size, 1)
  await app.close()
  // Before the server ends them, which it does after five seconds.
  await until(() => sockets.size === 0, { timeoutMs: 3000 })
})

t.test('it does not start without what it needs', async t => {
  const needed = ['config', 'metrics', 'breakers', 'aws']
  for (const missing of needed) {
    const app = Fastify()
    for (const name of needed) if (name !== missing) await app.register(fp(async () => {}, { name }))
    await t.rejects(async () => await app.register(dynamodb), { message: `The dependency '${missing}' of plugin 'dynamodb' is not registered` })
  }
})
