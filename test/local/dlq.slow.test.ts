import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { CreateQueueCommand, SendMessageBatchCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createTables, startDynamodb } from '../../local/dynamodb.ts'
import { startSqs } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'
import { workload } from '../promise.ts'
import { until } from '../until.ts'
import { emailMessage } from '../modules/email/records.ts'
import { bounce } from '../modules/email/ses-events.ts'

const SCRIPT = new URL('../../scripts/dlq.ts', import.meta.url).pathname

async function setUp (t: Test) {
  const engine = await startSqs({ queues: readTemplate().queues })
  t.teardown(() => engine.stop())
  const dir = mkdtempSync(join(tmpdir(), 'user-service-dlq-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engine.endpoint })
  t.teardown(() => sqs.destroy())
  const env: Record<string, string> = {
    AWS_REGION: LOCAL_AWS.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL_SQS: engine.endpoint,
    EMAIL_QUEUE_URL: engine.queueUrl('EmailQueue')
  }

  async function put (queue: string, body: string, correlationId?: string) {
    await sqs.send(new SendMessageCommand({
      QueueUrl: engine.queueUrl(queue),
      MessageBody: body,
      MessageAttributes: correlationId === undefined ? undefined : { correlationId: { DataType: 'String', StringValue: correlationId } }
    }))
  }
  async function dlq (args: string[], given = env) {
    const run = promisify(execFile)(process.execPath, [SCRIPT, ...args], { cwd: dir, env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...given } })
    return await run.then(({ stdout }) => ({ code: 0, stdout, stderr: '' }), (error: { code: number, stdout: string, stderr: string }) => error)
  }
  const ready = (queue: string) => engine.server.inspectQueue(queue)!.messages.ready
  return { engine, sqs, env, dir, put, dlq, ready }
}

const mail = (messageId: string) => JSON.stringify({ type: 'WELCOME_EMAIL', messageId, userId: 'u-1', email: 'ada@example.com', name: 'Ada', challengeId: 'c-1' })

t.test('list shows the messages without a name or an address, and leaves them in the queue', async t => {
  const { put, dlq, ready } = await setUp(t)
  await put('EmailDeadLetterQueue', mail('m-1'), 'corr-1')
  await put('EmailDeadLetterQueue', 'no JSON, <ada@example.com>')
  const { code, stdout } = await dlq(['list'])
  t.equal(code, 0)
  t.match(stdout, /^TYPE +MESSAGE +CORRELATION +AGE +RECEIVES +WHY$/m)
  t.match(stdout, /^WELCOME_EMAIL +m-1 +corr-1 +0 min +1 +The message is not valid: messageId$/m)
  t.match(stdout, /^\? +[0-9a-f-]{36} +\? +0 min +1 +The message is not valid: not JSON$/m)
  t.match(stdout, /^2 in the dead-letter queue of mails$/m)
  t.notMatch(stdout, /ada|Ada|@/)
  t.equal(ready('EmailDeadLetterQueue').length, 2, 'both can be received at once')
})

t.test('redrive moves every message with its body and its correlation id', async t => {
  const { put, dlq, ready } = await setUp(t)
  for (let i = 0; i < 25; i++) await put('EmailDeadLetterQueue', mail(`m-${i}`), `corr-${i}`)
  const { code, stdout } = await dlq(['redrive'])
  t.equal(code, 0)
  t.match(stdout, /^25 sent to the queue of mails again$/m)
  t.equal(ready('EmailDeadLetterQueue').length, 0)
  const moved = ready('EmailQueue').map(({ body, messageAttributes }) => [(JSON.parse(body) as { messageId: string }).messageId, messageAttributes['correlationId']?.StringValue])
  t.strictSame(new Map(moved as [string, string][]), new Map(Array.from({ length: 25 }, (_, i) => [`m-${i}`, `corr-${i}`])))
})

t.test('redrive loses nothing when the e-mail queue does not take a message', async t => {
  const { engine, sqs, env, put, dlq } = await setUp(t)
  // A queue with another one's dead-letter queue, that takes bodies of at most 1 KiB.
  const policy = JSON.stringify({ deadLetterTargetArn: `arn:aws:sqs:${LOCAL_AWS.region}:000000000000:EmailDeadLetterQueue`, maxReceiveCount: 3 })
  await sqs.send(new CreateQueueCommand({ QueueName: 'Narrow', Attributes: { MaximumMessageSize: '1024', RedrivePolicy: policy } }))
  await put('EmailDeadLetterQueue', 'x'.repeat(2000))
  const { code } = await dlq(['redrive'], { ...env, EMAIL_QUEUE_URL: engine.queueUrl('Narrow') })
  t.equal(code, 1)
  const { ready, inflight } = engine.server.inspectQueue('EmailDeadLetterQueue')!.messages
  t.equal(ready.length + inflight.length, 1)
})

t.test('purge removes them all', async t => {
  const { put, dlq, ready } = await setUp(t)
  await put('EmailDeadLetterQueue', mail('m-1'))
  await put('EmailQueue', mail('m-2'))
  const { code, stdout } = await dlq(['purge', '--yes'])
  t.equal(code, 0)
  t.match(stdout, /^1 removed from the dead-letter queue of mails$/m)
  t.equal(ready('EmailDeadLetterQueue').length, 0)
  t.equal(ready('EmailQueue').length, 1, 'the e-mail queue is left alone')
})

t.test('receipts have a dead-letter queue of their own', async t => {
  const { engine, env, put, dlq, ready } = await setUp(t)
  const given = { ...env, MAIL_RECEIPTS_QUEUE_URL: engine.queueUrl('MailReceiptsQueue') }
  const about = emailMessage({ email: 'ada@example.com' })
  await put('MailReceiptsDeadLetterQueue', JSON.stringify(bounce(about, { correlationId: 'corr-1' })))
  for (const body of ['{"detail":{"mail":{"headers":["x"],"tags":{"messageId":"ada@example.com"}}}}', 'null', 'ada@example.com']) await put('MailReceiptsDeadLetterQueue', body)
  const { code, stdout } = await dlq(['list', 'receipts'], given)
  t.equal(code, 0)
  t.match(stdout, new RegExp(`^Bounce +${about.messageId} +corr-1 +0 min +1 +the service failed in each receive$`, 'm'))
  t.notMatch(stdout, /ada|@/)
  t.match((await dlq(['redrive', 'receipts'], given)).stdout, /^4 sent to the queue of receipts again$/m)
  t.equal(ready('MailReceiptsQueue').length, 4)
  t.equal((await dlq(['list', 'receipt'], given)).code, 2)
  t.match((await dlq(['list', 'receipts'], env)).stderr, 'MAIL_RECEIPTS_QUEUE_URL is missing')
})

t.test('without an environment it takes that of the npm start that is running', async t => {
  const { env, dir, dlq } = await setUp(t)
  const nowhere = await dlq(['list'], {})
  t.equal(nowhere.code, 2)
  t.match(nowhere.stderr, 'EMAIL_QUEUE_URL is missing, and no npm start is running (no .local/env)')

  writeFileSync(join(dir, 'env'), Object.entries(env).map(([name, value]) => `${name}=${value}\n`).join(''))
  const { code, stdout } = await dlq(['list'], { LOCAL_DATA_DIR: dir })
  t.equal(code, 0)
  t.match(stdout, '0 in the dead-letter queue of mails')
})

t.test('what EventBridge and Lambda gave up on is listed, and started again where it must be', async t => {
  const { engine, env, put, dlq, ready } = await setUp(t)
  const invoked: { path: string, type: string, event: Record<string, unknown> }[] = []
  const lambda = createServer((request, response) => {
    void text(request).then(body => {
      invoked.push({ path: decodeURIComponent(request.url!), type: String(request.headers['x-amz-invocation-type']), event: JSON.parse(body) as Record<string, unknown> })
      response.writeHead(202).end()
    })
  })
  await new Promise<void>(resolve => { lambda.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { lambda.closeAllConnections(); lambda.close() })
  const given = { ...env, AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}` }
  const upload = (key: string) => ({ source: 'aws.s3', 'detail-type': 'Object Created', time: '2026-11-26T05:00:00Z', detail: { bucket: { name: 'uploads' }, object: { key, size: 70, etag: 'x' } } })
  const record = (key: string) => ({ Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', eventTime: '2026-11-26T05:00:00Z', s3: { bucket: { name: 'uploads' }, object: { key, size: 70 } } }] })
  const bodies = [
    upload('incoming/a'), // EventBridge, the event
    record('incoming/b'), // EventBridge, the input made of it
    { requestContext: { condition: 'RetriesExhausted' }, requestPayload: record('incoming/c') }, // Lambda, asynchronous
    { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} },
    { requestContext: {}, DDBStreamBatchInfo: { shardId: 's' } },
    { somethingElse: 1 }
  ]
  for (const body of bodies) await put('EventFailureQueue', JSON.stringify(body))
  const at = ['--queue-url', engine.queueUrl('EventFailureQueue')]

  const listed = await dlq(['list', ...at])
  t.equal(listed.stdout.match(/^upload /gm)?.length, 3)
  for (const line of [/^sweep /m, /^stream-batch /m, /^\? /m, /^6 in the queue$/m]) t.match(listed.stdout, line)

  t.match(await dlq(['redrive', ...at], given), { code: 2, stderr: /needs --function/ })
  t.equal(ready('EventFailureQueue').length, 6, 'nothing is done without it')
  const { code, stdout } = await dlq(['redrive', ...at, '--function', 'api:live'], given)
  t.equal(code, 0)
  t.match(stdout, /^3 checks of uploads started again, 2 sweeps and stream batches removed, 1 of an unknown kind left in the queue$/m)
  t.strictSame(invoked.map(({ event }) => event).sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1), [record('incoming/a'), record('incoming/b'), record('incoming/c')])
  t.ok(invoked.every(({ path, type }) => path.includes('api:live') && type === 'Event'))
  t.equal(ready('EventFailureQueue').length, 1)

  const purged = await dlq(['purge', '--yes', ...at])
  t.equal(purged.code, 0)
  t.equal(ready('EventFailureQueue').length, 0)
})

t.test('an event stays in its queue when the function cannot be invoked', async t => {
  const { engine, env, put, dlq } = await setUp(t)
  await put('EventFailureQueue', JSON.stringify({ requestPayload: { Records: [{ eventSource: 'aws:s3' }] } }))
  const { code } = await dlq(['redrive', '--queue-url', engine.queueUrl('EventFailureQueue'), '--function', 'api:live'], { ...env, AWS_ENDPOINT_URL_LAMBDA: 'http://127.0.0.1:9', AWS_MAX_ATTEMPTS: '1' })
  t.equal(code, 1)
  const { ready, inflight } = engine.server.inspectQueue('EventFailureQueue')!.messages
  t.equal(ready.length + inflight.length, 1)
})

t.test('a verb it does not know is answered with those it does', async t => {
  const { dlq } = await setUp(t)
  const { code, stderr } = await dlq(['empty'])
  t.equal(code, 2)
  t.match(stderr, 'Expected one of list, show, redrive, purge')
  t.match((await dlq(['--help'])).stdout, 'npm run dlq -- list | show | redrive | purge')
  t.match(await dlq(['list', '--queue', 'x']), { code: 2, stderr: /--help lists the options/ })
  t.match(await dlq(['list', '--function', 'x']), { code: 2, stderr: /needs --queue-url/ })
})

t.test('every queue is listed by its name, with why each message failed', async t => {
  const { engine, sqs, env, put, dlq } = await setUp(t)
  const given = { ...env, MAIL_RECEIPTS_QUEUE_URL: engine.queueUrl('MailReceiptsQueue') }
  const say = async (queue: string, body: object, attributes: Record<string, string>) => await sqs.send(new SendMessageCommand({
    QueueUrl: engine.queueUrl(queue),
    MessageBody: JSON.stringify(body),
    MessageAttributes: Object.fromEntries(Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]))
  }))
  await say('EmailDeadLetterQueue', emailMessage(), { correlationId: 'corr-1', attempt: '9' })
  await say('EmailDeadLetterQueue', emailMessage(), { correlationId: 'corr-2', attempt: '3', unconfirmed: '3' })
  await say('EmailDeadLetterQueue', emailMessage(), { correlationId: 'corr-3' })
  await put('MailReceiptsDeadLetterQueue', '{}')
  const all = await dlq(['list'], given)
  for (const line of [
    / corr-1 .* the mail could not be sent 9 times$/m, / corr-2 .* the mail server did not confirm it 3 times$/m, / corr-3 .* the worker failed in each receive$/m,
    /^3 in the dead-letter queue of mails$/m, / The receipt is not valid: source$/m, /^1 in the dead-letter queue of receipts$/m
  ]) t.match(all.stdout, line)

  await say('EventFailureQueue', { source: 'aws.events' }, { ERROR_CODE: 'NO_PERMISSIONS', ERROR_MESSAGE: 'not \u001b[2Jauthorized', EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts', RETRY_ATTEMPTS: '3' })
  await put('EventFailureQueue', JSON.stringify({ requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 }, responseContext: { statusCode: 200, functionError: 'Unhandled' }, responsePayload: { errorType: 'TimeoutError', errorMessage: 'of ada@example.com' }, requestPayload: { source: 'aws.scheduler' } }))
  const { stdout } = await dlq(['list', '--queue-url', engine.queueUrl('EventFailureQueue')])
  t.match(stdout, / EventBridge: NO_PERMISSIONS, not \\u001b\[2Jauthorized; gave up by MaximumRetryAttempts after 3 times$/m)
  t.match(stdout, / Lambda: RetriesExhausted after 3 times \(status 200, Unhandled, TimeoutError\)$/m)
  t.notMatch(stdout, /ada@/)
})

t.test('show has one message whole, what is true now, and no personal data unless it is asked for', async t => {
  const { env, put, dlq, ready } = await setUp(t)
  const dynamodb = await startDynamodb({ dataDir: mkdtempSync(join(tmpdir(), 'user-service-dlq-')) })
  t.teardown(() => dynamodb.stop('SIGKILL'))
  await createTables(dynamodb.endpoint, readTemplate().tables)
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: dynamodb.endpoint }))
  t.teardown(() => client.destroy())
  const given = { ...env, AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint, USERS_TABLE: 'UsersTable', EMAIL_TABLE: 'EmailTable' }
  const message = emailMessage({ name: 'Ada \u001b]0;Lovelace\u0007\u202e', email: 'ada@example.com' })
  await put('EmailDeadLetterQueue', JSON.stringify(message), 'corr-1')

  const unknown = await dlq(['show'], given)
  for (const line of [/^record: none: no worker has begun to send it$/m, /^account: does not exist any more$/m, /^code: good for 10 min$/m, /^correlationId: corr-1$/m]) t.match(unknown.stdout, line)
  t.match(unknown.stdout, /"email": "\*\*\* \(15 characters\)"/)
  t.match(unknown.stdout, `"userId": "${message.userId}"`)
  t.notMatch(unknown.stdout, /Ada|ada|[^\x20-\x7e\n]/)

  await client.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: message.userId, kind: 'user', email: 'ada@example.org', status: 'SUSPENDED' } }))
  await client.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'sending', leaseUntil: Date.now() - 1 } }))
  await put('EmailDeadLetterQueue', JSON.stringify(emailMessage()))
  t.match(await dlq(['show'], given), { code: 2, stderr: /--message ID says which one/ })
  const { stdout } = await dlq(['show', 'mails', '--message', message.messageId, '--personal'], given)
  for (const line of [/^record: a worker began to send it and did not end$/m, /^account: SUSPENDED, its address is another one now$/m]) t.match(stdout, line)
  t.match(stdout, String.raw`"name": "Ada \u001b]0;Lovelace\u0007\u202e"`)
  t.notMatch(stdout, /[^\x20-\x7e\n]/, 'nothing that a terminal acts on')

  await client.send(new PutCommand({ TableName: 'EmailTable', Item: { messageId: message.messageId, state: 'sent' } }))
  t.match((await dlq(['show', '--message', message.messageId], given)).stdout, /^record: the mail was sent; a redrive sends it no second time$/m)
  t.match((await dlq(['show', '--message', message.messageId], { ...given, EMAIL_TABLE: 'Missing', AWS_MAX_ATTEMPTS: '1' })).stdout, /^record: not looked up: ResourceNotFoundException$/m)
  t.match(await dlq(['show', '--message', 'x'], given), { code: 1, stderr: /There is no message x/ })
  t.equal(ready('EmailDeadLetterQueue').length, 2, 'both can be received at once')
})

t.test('purge asks, and where it cannot ask it refuses', async t => {
  const { put, dlq, ready } = await setUp(t)
  await put('EmailDeadLetterQueue', mail('m-1'))
  t.match(await dlq(['purge']), { code: 2, stderr: /^Nothing was changed\. There is no terminal to ask on: repeat it with --yes$/m })
  t.equal(ready('EmailDeadLetterQueue').length, 1)
})

t.test('however many messages there are, each is redriven once', async t => {
  const { sqs, engine, dlq, ready } = await setUp(t)
  const count = workload({ short: 300, full: 5000 })
  for (let i = 0; i < count; i += 10) {
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: engine.queueUrl('EmailDeadLetterQueue'), Entries: Array.from({ length: 10 }, (_, n) => ({ Id: String(n), MessageBody: mail(`m-${i + n}`) })) }))
  }
  t.match((await dlq(['redrive'])).stdout, new RegExp(`^${count} sent to the queue of mails again$`, 'm'))
  t.equal(new Set(ready('EmailQueue').map(({ body }) => body)).size, count)
  t.equal(ready('EmailQueue').length, count)
})

t.test('an interruption leaves every message in one of its two queues, and none hidden', async t => {
  const { engine, sqs, env, dir, dlq, ready } = await setUp(t)
  const count = 300
  for (let i = 0; i < count; i += 10) {
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: engine.queueUrl('EmailDeadLetterQueue'), Entries: Array.from({ length: 10 }, (_, n) => ({ Id: String(n), MessageBody: mail(`m-${i + n}`) })) }))
  }
  for (const [verb, isWorking] of [
    ['list', () => engine.server.inspectQueue('EmailDeadLetterQueue')!.messages.inflight.length > 20],
    ['redrive', () => ready('EmailQueue').length > 20]
  ] as const) {
    const child = spawn(process.execPath, [SCRIPT, verb], { cwd: dir, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    const [complaint, code] = [text(child.stderr), new Promise<number | null>(resolve => { child.once('exit', resolve) })]
    await until(isWorking)
    child.kill('SIGINT')
    t.equal(await code, 130)
    t.equal(await complaint, 'Interrupted. All messages that were not handled are in their queue\n')
    const { ready: left, inflight } = engine.server.inspectQueue('EmailDeadLetterQueue')!.messages
    t.equal(inflight.length, 0)
    t.equal(left.length + ready('EmailQueue').length, count, verb)
    t.ok(left.length > 0, 'it did not come to its end')
  }
  t.match((await dlq(['redrive'])).stdout, /sent to the queue of mails again/)
  t.equal(new Set(ready('EmailQueue').map(({ body }) => body)).size, count)
})

t.test('a queue that only a stack names needs one', async t => {
  const { env, dlq } = await setUp(t)
  t.match(await dlq(['list', 'relay']), { code: 2, stderr: /^relay needs --stack/ })
  t.match(await dlq(['list', 'mails', '--queue-url', 'http://x/y']), { code: 2, stderr: /leave out its name/ })
  const answers: Record<string, string> = {}
  const names = ['EmailDeadLetterQueueUrl', 'EmailQueueUrl', 'MailReceiptsDeadLetterQueueUrl', 'MailReceiptsQueueUrl', 'RelayFailureQueueUrl', 'EventFailureQueueUrl']
  for (const name of names) answers[name] = `${env['AWS_ENDPOINT_URL_SQS']}/000000000000/${name.replace(/Url$/, '')}`
  for (const [name, value] of [['ApiFunctionName', 'api'], ['UsersTableName', 'UsersTable'], ['EmailTableName', 'EmailTable']] as const) answers[name] = value
  const members = Object.entries(answers).map(([name, value]) => `<member><OutputKey>${name}</OutputKey><OutputValue>${value}</OutputValue></member>`).join('')
  const cloudformation = createServer((_, response) => {
    response.end(`<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>${members}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
  })
  await new Promise<void>(resolve => { cloudformation.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { cloudformation.closeAllConnections(); cloudformation.close() })
  const { EMAIL_QUEUE_URL: _, ...rest } = env
  const given = { ...rest, AWS_ENDPOINT_URL_CLOUDFORMATION: `http://127.0.0.1:${(cloudformation.address() as AddressInfo).port}` }
  const { code, stdout } = await dlq(['list', '--stack', 's'], given)
  t.equal(code, 0)
  t.match(stdout, '0 in the dead-letter queue of mails\n0 in the dead-letter queue of receipts\n0 in the queue of what Lambda gave up on\n0 in the queue of what EventBridge gave up on\n')
  t.match((await dlq(['redrive', 'events', '--stack', 's'], given)).stdout, /^0 checks of uploads started again/)
})
