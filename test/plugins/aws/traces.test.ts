import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createRecorder } from '../../../src/plugins/aws/traces.ts'
import { until } from '../../until.ts'

// The recorder alone; test/plugins/traces.test.ts has it behind real clients.

const ROOT = '1-5759e988-bd862e3fe1be46a994272793'
const PARENT = '53995c3f42cd8ad8'
const HEADER = `Root=${ROOT};Parent=${PARENT};Sampled=1`
const CALL = { context: { clientName: 'DynamoDBClient', commandName: 'GetItemCommand' }, input: {} }
const answered = (metadata?: object) => async () => ({ output: metadata === undefined ? {} : { $metadata: metadata } })

/** A recorder with a socket that stands for X-Ray's daemon; `record` makes a call at a fixed time, and resolves to its subsegment. */
async function start (t: Test, host = '127.0.0.1') {
  const packets: string[] = []
  const socket = createSocket('udp4', message => { packets.push(message.toString()) })
  socket.bind(0, host)
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const { port } = socket.address() as AddressInfo
  const recorder = createRecorder(`${host}:${port}`, 'eu-central-1')
  t.teardown(() => recorder.close())
  return {
    recorder,
    packets,
    port,
    async record (call: object, run: () => Promise<unknown> = answered()) {
      const before = packets.length
      const { now } = Date
      Date.now = () => 1_795_780_800_500
      await recorder.record(HEADER, { ...CALL, ...call }, run).catch(() => {}).finally(() => { Date.now = now })
      await until(() => packets.length > before, { timeoutMs: 5000 })
      return JSON.parse(packets.at(-1)!.split('\n')[1]!) as Record<string, unknown>
    }
  }
}

t.test('a call is a packet with all that X-Ray needs of it, and no more', async t => {
  const { packets, record } = await start(t)
  const { id, ...subsegment } = await record({ input: { TableName: 'Users' } }, answered({ httpStatusCode: 200, requestId: 'r-1', attempts: 3 }))
  t.match(id, /^[0-9a-f]{16}$/)
  t.strictSame(subsegment, {
    type: 'subsegment',
    trace_id: ROOT,
    parent_id: PARENT,
    name: 'DynamoDB',
    namespace: 'aws',
    start_time: 1_795_780_800.5,
    end_time: 1_795_780_800.5,
    aws: { operation: 'GetItem', region: 'eu-central-1', request_id: 'r-1', retries: 2, table_name: 'Users' },
    http: { response: { status: 200 } }
  })
  t.match(packets[0], /^\{"format":"json","version":1\}\n\{/)
  t.not((await record({})).id, id)
})

t.test('what an answer does not say is left out', async t => {
  const { record } = await start(t)
  for (const run of [answered(), async () => ({ output: undefined }), async () => ({ output: { $metadata: null } })]) {
    const subsegment = await record({ context: {} }, run)
    t.match(subsegment, { name: '', aws: { operation: '', retries: 0 } })
    for (const name of ['http', 'error', 'fault', 'throttle', 'cause']) t.notOk(name in subsegment, name)
  }
  t.match(await record({ context: { clientName: 'ClientOfClients', commandName: 'CommandIt' } }), { name: 'ClientOfClients', aws: { operation: 'CommandIt' } }, 'only an end is cut off')
})

t.test('the resource of a call is named, and nothing else of its input', async t => {
  const { record } = await start(t)
  const common = { operation: 'GetItem', region: 'eu-central-1', retries: 0 }
  for (const [input, resource] of [
    [{ TableName: 'Users', Key: { id: 'secret' } }, { table_name: 'Users' }],
    [{ TableName: 'Users', IndexName: 'byEmail' }, { table_name: 'Users', index_name: 'byEmail' }],
    [{ QueueUrl: 'http://localhost/queue', MessageBody: 'secret' }, { queue_url: 'http://localhost/queue' }],
    [{ Bucket: 'pictures', Key: 'secret' }, { bucket_name: 'pictures' }],
    [{ TransactItems: [{ Put: { TableName: 'Users', Item: 'secret' } }, { Update: { TableName: 'Users' } }] }, { table_name: 'Users' }],
    [{ TransactItems: [{ Put: { TableName: 'Users' } }, { Update: { TableName: 'Auth' } }] }, { table_names: ['Users', 'Auth'] }],
    [{ TransactItems: [null, 'Users', { Put: null }, { Put: 'Users' }, { Put: { TableName: 7 } }, { Put: { TableName: 'Auth' }, Also: { TableName: 'Users' } }] }, { table_names: ['Auth', 'Users'] }],
    [{ TransactItems: 'Users' }, {}],
    [{ RequestItems: { Users: ['secret'] } }, { table_name: 'Users' }],
    [{ RequestItems: { Users: [], Auth: [] } }, { table_names: ['Users', 'Auth'] }],
    [{ RequestItems: 'Users' }, {}],
    [{ TableName: 7, IndexName: ['x'], QueueUrl: {}, Bucket: null }, {}],
    [null, {}], [undefined, {}], ['Users', {}]
  ] as const) t.strictSame((await record({ input })).aws, { ...common, ...resource }, JSON.stringify(input))
})

t.test('a failure is the caller\'s or the service\'s, or a throttled call, by its name and its status', async t => {
  const { record, recorder } = await start(t)
  for (const [name, status, flags] of [
    ['ResourceNotFoundException', 400, { error: true }],
    ['Odd', 499, { error: true }],
    ['Odd', 429, { error: true, throttle: true }],
    ['ThrottlingException', 400, { error: true, throttle: true }],
    ['TooManyRequestsException', 400, { error: true, throttle: true }],
    ['ProvisionedThroughputExceededException', 400, { error: true, throttle: true }],
    ['SlowDown', 503, { fault: true, throttle: true }],
    ['InternalServerError', 500, { fault: true }],
    ['TimeoutError', undefined, { fault: true }]
  ] as const) {
    const failure = Object.assign(new Error('hush'), { name, ...(status === undefined ? {} : { $metadata: { httpStatusCode: status, attempts: 2 } }) })
    const { error, fault, throttle, cause, http, aws } = await record({}, async () => { throw failure })
    t.same(JSON.parse(JSON.stringify({ error, fault, throttle })), flags, name)
    t.match(cause, { exceptions: [{ id: /^[0-9a-f]{16}$/, type: name, remote: status !== undefined }] })
    t.same((cause as { exceptions: object[] }).exceptions.map(exception => Object.keys(exception)), [['id', 'type', 'remote']])
    t.same(http, status === undefined ? undefined : { response: { status } })
    t.match(aws, { retries: status === undefined ? 0 : 1 })
    await t.rejects(recorder.record(HEADER, CALL, async () => { throw failure }), { message: 'hush' }, 'who called gets the error itself')
  }
})

t.test('nothing is sent for a presigned URL, or outside of a trace, and the call is made all the same', async t => {
  const { packets, recorder, record } = await start(t)
  const presigned = { output: { presigned: {} } }
  t.equal(await recorder.record(HEADER, CALL, async () => presigned), presigned)
  for (const header of ['', `Root=${ROOT};Sampled=1`, `Parent=${PARENT};Sampled=1`, `Root=1-5759e98-${'0'.repeat(24)};Parent=${PARENT}`, `Root=1-5759e988-${'0'.repeat(23)};Parent=${PARENT}`, `Root=2-5759e988-${'0'.repeat(24)};Parent=${PARENT}`, `Root=${ROOT.toUpperCase().replace('BD', 'XY')};Parent=${PARENT}`, `Root=${ROOT};Parent=53995c3f42cd8ad`, `Root=${ROOT};Parent=53995c3f42cd8adg`]) {
    t.equal(await recorder.record(header, CALL, async () => 'made'), 'made', header)
  }
  await record({})
  t.equal(packets.length, 1)
})

t.test('the daemon may have any address of four numbers', async t => {
  t.match(await (await start(t, '127.100.101.102')).record({}), { name: 'DynamoDB' })
})

t.test('an address that is none harms no call, and is sent nothing', async t => {
  const { packets, port, record } = await start(t)
  for (const address of ['', `localhost:${port}`, `tcp:127.0.0.1:2000 udp:127.0.0.1:${port}`, '127.0.0.1', '127.0.0.1:', `x127.0.0.1:${port}`, `127.0.0.1:${port}x`]) {
    const recorder = createRecorder(address, 'eu-central-1')
    t.teardown(() => recorder.close())
    t.equal(await recorder.record(HEADER, CALL, async () => 'made'), 'made', address)
  }
  await record({})
  t.equal(packets.length, 1)
})

t.test('a recorder keeps no process from ending', async t => {
  const waitsFor = () => process.getActiveResourcesInfo().filter(name => name === 'UDPWRAP').length
  const { record } = await start(t)
  const before = waitsFor()
  await record({})
  t.equal(waitsFor(), before)
})
