import { CreateQueueCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { startSqs } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'
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
    const run = promisify(execFile)(process.execPath, [SCRIPT, ...args], { cwd: dir, env: { PATH: process.env['PATH'], ...given } })
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
  t.match(stdout, /^TYPE +MESSAGE +CORRELATION +AGE +RECEIVES$/m)
  t.match(stdout, /^WELCOME_EMAIL +m-1 +corr-1 +0 min +1$/m)
  t.match(stdout, /^\? +\? +\? +0 min +1$/m)
  t.match(stdout, /^2 in the dead-letter queue$/m)
  t.notMatch(stdout, /ada|Ada|@/)
  t.equal(ready('EmailDeadLetterQueue').length, 2, 'both can be received at once')
})

t.test('redrive moves every message with its body and its correlation id', async t => {
  const { put, dlq, ready } = await setUp(t)
  for (let i = 0; i < 25; i++) await put('EmailDeadLetterQueue', mail(`m-${i}`), `corr-${i}`)
  const { code, stdout } = await dlq(['redrive'])
  t.equal(code, 0)
  t.match(stdout, /^25 sent to the e-mail queue again$/m)
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
  const { code, stdout } = await dlq(['purge'])
  t.equal(code, 0)
  t.match(stdout, /^1 removed$/m)
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
  t.match(stdout, new RegExp(`^Bounce +${about.messageId} +corr-1 +0 min +1$`, 'm'))
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
  t.match(stdout, '0 in the dead-letter queue')
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

  const purged = await dlq(['purge', ...at])
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
  t.match(stderr, 'Expected list, redrive or purge.')
  t.match((await dlq(['--help'])).stdout, 'npm run dlq -- list | redrive | purge')
  t.match(await dlq(['list', '--queue', 'x']), { code: 2, stderr: /--help lists the options/ })
  t.match(await dlq(['list', '--function', 'x']), { code: 2, stderr: /needs --queue-url/ })
})
