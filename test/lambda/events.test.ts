import { DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb'
import { marshall } from '@aws-sdk/util-dynamodb'
import type { SQSBatchResponse } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import type { User } from '../../src/modules/users/contract.ts'
import { codeIn } from '../accounts.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'
import { buildArtifact, functionEnv } from './artifact.ts'
import { runtimeClient, startRuntime, type FunctionError, type Runtime } from './runtime.ts'
import { overLambda, restEvent } from './transports.ts'

/** The artifact's two workers, as AWS calls them: events in, answers out. */
const workersOf = (runtime: Runtime) => ({
  consumers: { deliver: (event: object) => runtime.invoke(event) }
} as unknown as Parameters<typeof pump>[0])

const JSON_TYPE: [string, string] = ['Content-Type', 'application/json']

const client = await runtimeClient(t)
if (client !== undefined) {
  const directory = await buildArtifact(t)

  t.test('a user registers, gets the mail, proves the address and reads the profile, each step an event of the one function', async (t) => {
    const engines = await startEngines(t)
    // Lambda's trace header, and a socket that stands for X-Ray's daemon.
    const packets: string[] = []
    const daemon = createSocket('udp4', message => { packets.push(message.toString()) })
    daemon.bind(0, '127.0.0.1')
    await once(daemon, 'listening')
    t.teardown(() => daemon.close())
    const runtime = await startRuntime(t, client, {
      directory,
      env: { ...functionEnv(engines), AWS_XRAY_DAEMON_ADDRESS: `127.0.0.1:${daemon.address().port}` },
      traceHeader: 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1'
    })
    const send = overLambda(event => runtime.invoke(event), restEvent)
    const post = async (target: string, body: object) => {
      const response = await send({ method: 'POST', target, headers: [JSON_TYPE, ['X-Correlation-Id', 'from-the-client']], body: JSON.stringify(body) })
      return { status: response.status, body: JSON.parse(response.body.toString()) as never }
    }

    const registration = await post('/v2/users', { email: 'zoe@example.com', name: 'Zoë' }) as { status: number, body: { challengeId: string } }
    t.equal(registration.status, 202)
    t.equal(engines.mails.length, 0, 'nothing is sent on the request path')

    await pump(workersOf(runtime), engines)
    t.equal(engines.mails.length, 1)
    t.match(engines.mails[0]!.text, 'Zoë')

    const exchange = await post('/v2/auth/tokens', { grantType: 'code', challengeId: registration.body.challengeId, code: codeIn(engines, 'zoe@example.com') }) as { status: number, body: Tokens }
    t.equal(exchange.status, 200)
    const profile = await send({ method: 'GET', target: '/v2/users/me', headers: [['Authorization', `Bearer ${exchange.body.accessToken}`]] })
    t.match(JSON.parse(profile.body.toString()) as User, { email: 'zoe@example.com', name: 'Zoë', status: 'ACTIVE' })

    const known = await post('/v2/users', { email: 'zoe@example.com', name: 'Ada' })
    t.equal(known.status, 202)
    await pump(workersOf(runtime), engines)
    t.equal(engines.mails.length, 2, 'who is known already gets another mail, and the client the same answer')
    t.ok(runtime.lines.some(line => line.includes('"correlationId":"from-the-client"') && line.includes('mail')), 'the client\'s correlation id reaches the worker')
    await until(() => packets.length > 20)
    t.ok(packets.every(packet => packet.includes('"trace_id":"1-5759e988-bd862e3fe1be46a994272793","parent_id":"53995c3f42cd8ad8"')), 'the calls of each event are subsegments of its trace')
    t.notMatch(packets.join(), /zoe|Zoë|@example/)
  })

  t.test('of a batch with a poison message that one is reported, and the others are sent', async (t) => {
    const engines = await startEngines(t)
    const runtime = await startRuntime(t, client, { directory, env: functionEnv(engines) })
    const message = (body: object) => ({
      messageId: randomUUID(),
      receiptHandle: 'handle',
      body: JSON.stringify(body),
      attributes: { ApproximateReceiveCount: '1' },
      messageAttributes: { correlationId: { stringValue: 'a', dataType: 'String' } },
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:eu-central-1:000000000000:EmailQueue'
    })
    const mail = (email: string) => message({ type: 'WELCOME_EMAIL', messageId: randomUUID(), userId: randomUUID(), email, name: 'Ab', challengeId: randomUUID() })
    const poison = message({ type: 'WELCOME_EMAIL', email: 'a@example.com\r\nBcc: b@example.com' })
    const result = await runtime.invoke({ Records: [mail('a@example.com'), poison, mail('b@example.com')] }) as SQSBatchResponse
    t.same(result.batchItemFailures, [{ itemIdentifier: poison.messageId }])
    t.equal(engines.mails.length, 2)
  })

  t.test('the schedule sends again what the stream could not deliver', async (t) => {
    const engines = await startEngines(t)
    const runtime = await startRuntime(t, client, { directory, env: functionEnv(engines) })
    const send = overLambda(event => runtime.invoke(event), restEvent)
    await send({ method: 'POST', target: '/v2/users', headers: [JSON_TYPE], body: '{"email":"late@example.com","name":"Late"}' })
    t.same(await runtime.invoke({ source: 'aws.events', 'detail-type': 'Scheduled Event' }), { resent: 0, isIncomplete: false }, 'what is young is left to the stream')

    await makeOverdue(engines.dynamodbEndpoint)
    t.same(await runtime.invoke({ source: 'aws.events', 'detail-type': 'Scheduled Event' }), { resent: 1, isIncomplete: false })
    await pump(workersOf(runtime), engines)
    t.equal(engines.mails.length, 1)
  })

  t.test('what the function does not know fails the invocation', async (t) => {
    const engines = await startEngines(t)
    const runtime = await startRuntime(t, client, { directory, env: functionEnv(engines) })
    for (const event of [{}, { Records: [] }, { Records: [{ eventSource: 'aws:s3' }] }, { Records: [{ eventSource: 'aws:kinesis' }] }, null, 'text']) {
      await t.rejects(runtime.invoke(event), { name: 'FunctionError' })
    }
    t.match(await runtime.invoke(restEvent({ method: 'GET', target: '/health/live' })), { statusCode: 200 }, 'and harms nothing else')
  })

  t.test('a bad configuration fails the initialisation in one line that names the variable', async (t) => {
    const engines = await startEngines(t)
    const broken: [string, Record<string, string | undefined>, RegExp][] = [
      ['a missing variable', { USERS_TABLE: undefined }, /USERS_TABLE is missing/],
      ['a bad value', { CACHE_TTL_SECONDS: 'soon' }, /CACHE_TTL_SECONDS is not valid/],
      ['no secret', { JWT_SECRET: undefined }, /JWT_SECRET is missing/]
    ]
    for (const [name, env, message] of broken) {
      const runtime = await startRuntime(t, client, { directory, env: { ...functionEnv(engines), ...env } })
      const error = await runtime.ready.then(() => undefined, (error: FunctionError) => error)
      t.equal(error?.errorType, 'ConfigError', name)
      t.match(error?.message, message)
      t.not(await runtime.exited, 0)
      const { lines } = runtime
      t.match(lines[0], message, 'the first line says it all')
      t.notOk(lines.some(line => line.startsWith('    at ')), 'and no stack follows')
    }
  })

  t.test('the secret is fetched once, while the app is built; without it the initialisation fails', async (t) => {
    const engines = await startEngines(t)
    const asked: string[] = []
    let secret: string | undefined = 'a root secret of more than 32 characters'
    const secretsManager = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const { VersionStage } = JSON.parse(body) as { VersionStage: string }
      asked.push(VersionStage)
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      if (secret === undefined || VersionStage === 'AWSPREVIOUS') response.writeHead(400).end('{"__type":"ResourceNotFoundException","Message":"no such version"}')
      else response.end(JSON.stringify({ SecretString: secret, VersionStages: [VersionStage] }))
    })
    await new Promise<void>(resolve => { secretsManager.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => secretsManager.close())
    const env = {
      ...functionEnv(engines),
      JWT_SECRET: undefined,
      JWT_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:jwt',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(secretsManager.address() as AddressInfo).port}`
    }

    const runtime = await startRuntime(t, client, { directory, env })
    await runtime.ready
    const fetched = [...asked].sort()
    t.same(fetched, ['AWSCURRENT', 'AWSPREVIOUS'])
    for (let i = 0; i < 5; i++) t.match(await runtime.invoke(restEvent({ method: 'GET', target: '/.well-known/jwks.json' })), { statusCode: 200 })
    t.equal(asked.length, 2, 'requests do not ask for it again')

    secret = undefined
    const without = await startRuntime(t, client, { directory, env })
    await t.rejects(without.ready, { name: 'FunctionError' })
    t.not(await without.exited, 0)
    t.ok(await until(() => without.lines.some(line => line.includes('JWT_SECRET_ARN'))), 'the line names the variable')
  })
}

/** Turns the outbox entries of the auth table ten minutes older, as the sweeper finds them when the stream stood still. */
async function makeOverdue (endpoint: string): Promise<void> {
  const dynamodb = new DynamoDBClient({ ...LOCAL_AWS, endpoint })
  try {
    const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: 'AuthTable' }))
    for (const item of Items.filter(({ kind }) => kind?.S === 'outbox')) {
      await dynamodb.send(new PutItemCommand({ TableName: 'AuthTable', Item: { ...item, ...marshall({ occurredAt: new Date(Date.now() - 600_000).toISOString() }) } }))
    }
  } finally {
    dynamodb.destroy()
  }
}
