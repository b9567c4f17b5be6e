import { GetItemCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { SendEmailCommand, SESv2Client } from '@aws-sdk/client-sesv2'
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import Fastify from 'fastify'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import aws, { type Aws } from '../../src/plugins/aws/index.ts'
import { createJsonClient } from '../../src/plugins/aws/json-client.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { report, workload } from '../promise.ts'
import { startTcpProxy } from '../tcp-proxy.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)

/** Moves the clock, and no timer with it: what a process sees after it was frozen. */
function freeze (t: Test, ms: number) {
  const { now } = Date
  const began = now()
  Date.now = () => now() + ms
  t.teardown(() => { Date.now = now })
  return began
}

/** A service that answers everything with an empty object, and a line to it. */
async function startService (t: Test) {
  let requests = 0
  let held: (() => void)[] = []
  let isHolding = false
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests++
      const answer = () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      if (isHolding) held.push(answer)
      else answer()
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return {
    proxy: await startTcpProxy(t, (server.address() as AddressInfo).port),
    get requests () { return requests },
    /** Answers nothing until as many requests as this have arrived: each has a connection of its own. */
    async together (count: number, send: () => Promise<unknown>) {
      isHolding = true
      const sent = Array.from({ length: count }, send)
      while (held.length < count) await new Promise(resolve => setImmediate(resolve))
      isHolding = false
      for (const answer of held) answer()
      held = []
      await Promise.all(sent)
    }
  }
}

async function openAws (t: Test) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(engines.env) })
  await app.register(aws)
  return app.aws
}

type Client = { send: () => Promise<unknown>, destroy: () => void }
type Open = (options: Aws['clientOptions']) => Client
const CLIENTS: Record<string, Open> = {
  DynamoDB (options) {
    const client = new DynamoDBClient(options())
    return { send: () => client.send(new GetItemCommand({ TableName: 'table', Key: { id: { S: 'x' } } })), destroy: () => client.destroy() }
  },
  SQS (options) {
    const client = new SQSClient(options())
    return { send: () => client.send(new GetQueueAttributesCommand({ QueueUrl: 'http://localhost/queue' })), destroy: () => client.destroy() }
  },
  EventBridge (options) {
    const client = new EventBridgeClient(options())
    return { send: () => client.send(new PutEventsCommand({ Entries: [{ Source: 'x', DetailType: 'x', Detail: '{}' }] })), destroy: () => client.destroy() }
  },
  'Secrets Manager' (options) {
    const client = createJsonClient(options(), { name: 'secretsmanager', target: 'secretsmanager', clientName: 'SecretsManagerClient', endpointVariable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER' })
    return { send: () => client.call('GetSecretValue', { SecretId: 'x' }), destroy: () => client.destroy() }
  },
  // One attempt: what was sent may have become a mail.
  SES (options) {
    const client = new SESv2Client(options({ maxAttempts: 1 }))
    return { send: () => client.send(new SendEmailCommand({ Content: { Raw: { Data: Buffer.from('mail') } } })), destroy: () => client.destroy() }
  }
}

/** A service behind a proxy, and a client of it. */
async function startWithClient (t: Test, open: Open) {
  const service = await startService(t)
  const { clientOptions } = await openAws(t)
  const client = open(more => clientOptions({ endpoint: `http://127.0.0.1:${service.proxy.port}`, ...more }))
  t.teardown(() => client.destroy())
  return { service, client }
}

const DEAD = 16

for (const [name, open] of Object.entries(CLIENTS)) {
  const isRepeatable = name !== 'SES'

  async function prepare (t: Test) {
    const { service, client } = await startWithClient(t, open)
    await service.together(DEAD, client.send)
    t.equal(service.proxy.accepted, DEAD, `${DEAD} connections are kept`)
    return { service, client }
  }

  t.test(`${name}: connections that were idle while the process was frozen are not used`, async t => {
    for (const how of ['silent', 'reset'] as const) {
      const { service, client } = await prepare(t)
      freeze(t, 60_000)
      service.proxy.strand(how)
      for (let i = 0; i < 5; i++) await client.send()
      t.equal(service.requests, DEAD + 5, 'each request was sent once')
      t.equal(service.proxy.accepted, DEAD + 1, 'over one new connection')
    }
  })

  t.test(`${name}: the first reset of a kept connection empties the pool${isRepeatable ? ', and the request goes out again at once' : '; the request is not sent twice'}`, async t => {
    const { service, client } = await prepare(t)
    service.proxy.strand('reset')
    if (!isRepeatable) await t.rejects(client.send())
    for (let i = 0; i < 5; i++) await client.send()
    t.equal(service.requests, DEAD + 5)
    t.equal(service.proxy.accepted, DEAD + 1)
  })

  t.test(`${name}: the first timeout of a kept connection empties the pool`, async t => {
    const { service, client } = await prepare(t)
    service.proxy.strand('silent')
    if (!isRepeatable) await t.rejects(client.send(), { name: 'TimeoutError' })
    for (let i = 0; i < 5; i++) await client.send()
    t.equal(service.requests, DEAD + 5)
    t.equal(service.proxy.accepted, DEAD + 1)
  })
}

t.test('connections that are in use are kept, those used just now are used again', async t => {
  const { service, client: { send } } = await startWithClient(t, CLIENTS['DynamoDB']!)
  for (let i = 0; i < 20; i++) await send()
  t.equal(service.proxy.accepted, 1)
})

t.test('a clock that was set back costs one new connection', async t => {
  const { service, client: { send } } = await startWithClient(t, CLIENTS['DynamoDB']!)
  await send()
  freeze(t, -3600_000)
  for (let i = 0; i < 5; i++) await send()
  t.equal(service.proxy.accepted, 2)
})

t.test('a reset line is not asked more than three attempts and one repetition', async t => {
  const { service, client: { send } } = await startWithClient(t, CLIENTS['DynamoDB']!)
  await send()
  service.proxy.strand('reset')
  service.proxy.set('reset')
  await t.rejects(send())
  t.equal(service.proxy.accepted, 1 + 3)
})

for (const [what, { how, frozen }] of Object.entries({
  'that were closed while it was frozen': { how: 'reset', frozen: true },
  'that went silent while it was frozen': { how: 'silent', frozen: true },
  'that answer with a reset': { how: 'reset', frozen: false },
  'that went silent a moment ago': { how: 'silent', frozen: false }
} as const)) {
  t.test(`five requests after ${DEAD} connections ${what}: five times 202, none after a second`, async t => {
    const proxy = await startTcpProxy(t, Number(new URL(engines.dynamodbEndpoint).port))
    const app = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${proxy.port}` } })
    const register = async (n: number) => (await app.inject({ method: 'POST', url: '/v2/users', payload: { email: `dead-${how}-${frozen}-${n}@example.com`, name: 'Dead' } })).statusCode
    await Promise.all(Array.from({ length: DEAD }, (_, n) => register(n)))
    const before = proxy.accepted
    t.ok(proxy.strand(how) > 1, `${before} connections are dead`)
    if (frozen) freeze(t, 60_000)
    const times: number[] = []
    const statuses: number[] = []
    for (let n = 0; n < 5; n++) {
      const start = performance.now()
      statuses.push(await register(n))
      times.push(performance.now() - start)
    }
    t.same(statuses, [202, 202, 202, 202, 202])
    t.ok(proxy.accepted - before <= 2, `${proxy.accepted - before} new connections`)
    // Held is how often the network is asked; on a busy machine a second may pass by itself.
    t.ok(Math.max(...times) < 2000)
    t.comment(`${before} dead connections (${how}${frozen ? ', frozen' : ''}): ${statuses.join(' ')}, slowest ${Math.max(...times).toFixed(0)} ms`)
  })
}

t.test('clients see no error after any number of freezes in which every connection is reset', async t => {
  const [dynamodb, sqs] = await Promise.all([engines.dynamodbEndpoint, engines.sqsEndpoint].map(endpoint => startTcpProxy(t, Number(new URL(endpoint).port))))
  const app = await buildTestApp(t, engines, {
    env: { AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${dynamodb!.port}`, AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${sqs!.port}`, CACHE_TTL_SECONDS: '0' }
  })
  const rounds = workload({ short: 4, full: 100 })
  const { now } = Date
  t.teardown(() => { Date.now = now })
  let [requests, errors, dead, frozen, slowest] = [0, 0, 0, 0, 0]
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    // Reads and writes, as many as a function has connections after a batch of the stream.
    const answers = await Promise.all(Array.from({ length: DEAD }, (_, n) => n % 2 === 0
      ? app.inject({ method: 'POST', url: '/v2/users', payload: { email: `thawed-${round}-${n}@example.com`, name: 'Thawed' } })
      : app.inject('/health/ready')))
    slowest = Math.max(slowest, performance.now() - start)
    requests += answers.length
    errors += answers.filter(({ statusCode }) => statusCode >= 400).length
    if (answers.some(answer => answer.json().status === 'degraded')) errors++
    dead += dynamodb!.strand('reset') + sqs!.strand('reset')
    // The clock of a frozen process continues. Every other time it was frozen for less than a connection may be idle.
    if (round % 2 === 0) {
      frozen += 60_000
      Date.now = () => now() + frozen
    }
  }
  t.ok(dead > rounds * 2, 'connections were reset')
  await until(() => app.breakers.stateOf('dynamodb') === 'closed')
  report(t, { promise: 18, figure: `${rounds} freezes, ${dead.toLocaleString('en')} connections reset: ${errors} errors in ${requests.toLocaleString('en')} requests, slowest round ${Math.round(slowest)} ms`, holds: errors === 0 })
})
