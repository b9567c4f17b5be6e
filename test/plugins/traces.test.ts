import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SendEmailCommand, SESv2Client } from '@aws-sdk/client-sesv2'
import { GetCommand } from '@aws-sdk/lib-dynamodb'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)

const ROOT = '1-5759e988-bd862e3fe1be46a994272793'
const PARENT = '53995c3f42cd8ad8'
const SAMPLED = `Root=${ROOT};Parent=${PARENT};Sampled=1`

interface Subsegment {
  name: string
  trace_id: string
  parent_id: string
  start_time: number
  end_time: number
  aws: { operation: string, table_name?: string, table_names?: string[], queue_url?: string, retries: number }
  http?: { response: { status: number } }
  error?: boolean
  fault?: boolean
  cause?: { exceptions: { type: string }[] }
}

/** A socket that stands for X-Ray's daemon. */
async function startDaemon (t: Test) {
  const packets: string[] = []
  const socket = createSocket('udp4', message => { packets.push(message.toString()) })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  return { packets, address: `127.0.0.1:${(socket.address() as AddressInfo).port}`, subsegments: () => packets.map(packet => JSON.parse(packet.split('\n')[1]!) as Subsegment) }
}

async function tracedApp (t: Test, env: Record<string, string> = {}) {
  const daemon = await startDaemon(t)
  let header: string | undefined = SAMPLED
  const app = await buildTestApp(t, engines, { env, tracing: { daemon: daemon.address, header: () => header } })
  return { app, daemon, setHeader (value: string | undefined) { header = value } }
}

t.test('each call of an AWS service is a subsegment of the sampled trace, with what it was about', async t => {
  const { app, daemon } = await tracedApp(t)
  const before = Date.now() / 1000
  await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'traced@example.com', name: 'Ada Traced' } })
  await app.inject({ url: '/health/ready' })
  await until(() => daemon.packets.length >= 3)
  for (const packet of daemon.packets) t.match(packet, /^\{"format":"json","version":1\}\n\{.+\}$/, 'the header of the daemon, a line, a document')
  const found = daemon.subsegments()
  for (const subsegment of found) {
    t.match(subsegment, { type: 'subsegment', trace_id: ROOT, parent_id: PARENT, namespace: 'aws', id: /^[0-9a-f]{16}$/, aws: { region: LOCAL_AWS.region, operation: String }, http: { response: { status: 200 } } })
    t.ok(subsegment.start_time >= before && subsegment.end_time >= subsegment.start_time)
    t.notOk('error' in subsegment || 'fault' in subsegment)
  }
  const named = found.map(({ name, aws: { operation, table_name: table, table_names: tables, queue_url: queue } }) => [name, operation, table ?? tables?.length ?? queue])
  t.ok(named.some(([name, operation]) => name === 'DynamoDB' && operation === 'TransactWriteItems'), JSON.stringify(named))
  t.ok(named.some(([name, operation, table]) => name === 'DynamoDB' && operation === 'GetItem' && table === engines.env['USERS_TABLE']))
  t.ok(named.some(([name, operation, queue]) => name === 'SQS' && operation === 'GetQueueAttributes' && queue === engines.env['EMAIL_QUEUE_URL']))
})

t.test('no subsegment holds a name, an address, an id of a user, a code or a token', async t => {
  const { app, daemon } = await tracedApp(t)
  const { accessToken, refreshToken, user } = await signIn(app, engines, 'canary-in-traces@example.com', 'Canary Intraces')
  const bearer = { authorization: `Bearer ${accessToken}` }
  await app.inject({ method: 'PATCH', url: '/v2/users/me', headers: bearer, payload: { name: 'Canary Renamed' } })
  await app.inject({ url: '/v2/users?email=canary-in-traces@example.com', headers: bearer })
  await app.inject({ method: 'DELETE', url: '/v2/users/me', headers: bearer })
  await pump(app, engines)
  await until(() => daemon.packets.length >= 10)
  const all = daemon.packets.join('\n')
  const code = engines.mails.map(({ text }) => /\b\d{8}\b/.exec(text ?? '')?.[0]).filter(found => found !== undefined)
  for (const secret of ['canary-in-traces', 'Canary', user.id, accessToken, refreshToken, ...code]) t.notMatch(all, secret)
})

t.test('a trace that is not sampled, or none, sends nothing', async t => {
  const { app, daemon, setHeader } = await tracedApp(t)
  for (const header of [undefined, '', `Root=${ROOT};Parent=${PARENT};Sampled=0`, `Root=${ROOT};Parent=${PARENT}`, 'Root=x;Parent=y;Sampled=1', 'Sampled=1']) {
    setHeader(header)
    t.equal((await app.inject({ url: '/health/ready' })).statusCode, 200)
    await app.dynamodb.send(new GetCommand({ TableName: engines.env['USERS_TABLE'], Key: { userId: 'nobody' } }))
  }
  setHeader(SAMPLED)
  await app.dynamodb.send(new GetCommand({ TableName: engines.env['USERS_TABLE'], Key: { userId: 'last' } }))
  await until(() => daemon.packets.length > 0)
  t.equal(daemon.packets.length, 1, 'only the last call, which is sampled')
})

t.test('a failed call says of what type its error was, and whose fault, and nothing of its message', async t => {
  const { app, daemon } = await tracedApp(t)
  await t.rejects(app.dynamodb.send(new GetCommand({ TableName: 'a-table-that-is-missing', Key: { userId: 'x' } })))
  await until(() => daemon.packets.length === 1)
  t.match(daemon.subsegments()[0], { name: 'DynamoDB', error: true, http: { response: { status: 400 } }, cause: { exceptions: [{ type: 'ResourceNotFoundException' }] }, aws: { table_name: 'a-table-that-is-missing' } })
  t.notOk('fault' in daemon.subsegments()[0]!)

  // Nothing listens there: the error quotes an address, and SES's error would quote that of the recipient.
  const ses = app.aws.traced(new SESv2Client({ ...app.aws.clientOptions({ endpoint: 'http://127.0.0.1:9', maxAttempts: 2 }) }))
  t.teardown(() => ses.destroy())
  await t.rejects(ses.send(new SendEmailCommand({ Destination: { ToAddresses: ['ada@example.com'] }, Content: { Raw: { Data: new Uint8Array() } } })))
  await until(() => daemon.packets.length === 2)
  const [, failed] = daemon.subsegments()
  t.match(failed, { name: 'SESv2', fault: true, aws: { operation: 'SendEmail' }, cause: { exceptions: [{ remote: false }] } })
  t.notMatch(daemon.packets[1]!, /ada|127\.0\.0\.1:9/)
})

t.test('a daemon that is not there, or an address that is none, harms no call', async t => {
  for (const daemon of ['127.0.0.1:9', 'tcp:127.0.0.1:2000 udp:127.0.0.1:2000', '']) {
    const app = await buildTestApp(t, engines, { tracing: { daemon, header: () => SAMPLED } })
    for (let i = 0; i < 3; i++) t.equal((await app.inject({ url: '/health/ready' })).statusCode, 200, daemon)
  }
})

t.test('without tracing a client has no middleware of ours', async t => {
  const app = await buildTestApp(t, engines)
  t.notOk(app.sqs.middlewareStack.identify().some(entry => entry.startsWith('trace ')))
  const { app: traced } = await tracedApp(t)
  t.ok(traced.sqs.middlewareStack.identify().some(entry => entry.startsWith('trace ')))
})
