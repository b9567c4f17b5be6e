import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { S3Event } from 'aws-lambda'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { notificationOf, startBucketMapping, type BucketHandler } from '../../local/bucket-notifications.ts'
import { startSqs } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'
import { until } from '../until.ts'

const { queues, buckets, bucketMappings: [mapping] } = readTemplate()
const app = 'http://localhost:5173'
const engine = await startSqs({ queues, buckets, origins: [app] })
t.teardown(() => engine.stop())
const client = { ...LOCAL_AWS, endpoint: engine.endpoint }
const s3 = new S3Client({ ...client, forcePathStyle: true })
const sqs = new SQSClient(client)
t.teardown(() => { s3.destroy(); sqs.destroy() })
const Bucket = mapping!.bucket
const put = async (Key: string, Body = 'x') => { await s3.send(new PutObjectCommand({ Bucket, Key, Body })) }
const remove = async (Key: string) => { await s3.send(new DeleteObjectCommand({ Bucket, Key })) }

/** Runs the mapping with a handler; what it reports is in `warnings`. */
function run (handler: BucketHandler) {
  const warnings: string[] = []
  const running = startBucketMapping({ mapping: mapping!, handler, s3, sqs, queueUrl: engine.queueUrl, backOff: () => 1, log: { warn: (_, message) => { warnings.push(message) } } })
  t.teardown(() => running.stop())
  return { warnings, stop: () => running.stop() }
}

t.test('a notification is what the template makes of the event of S3', async t => {
  t.strictSame(notificationOf(mapping!, { time: '2026-11-26T00:00:00Z', detail: { bucket: { name: 'b' }, object: { key: 'incoming/"1', size: 5 } } }), {
    Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', eventTime: '2026-11-26T00:00:00Z', s3: { bucket: { name: 'b' }, object: { key: 'incoming/"1', size: 5 } } }]
  })
})

t.test('each new object under the prefix is announced until it is handled, those from before a start too', async t => {
  await put('incoming/before')
  await put('other/key')
  const announced: string[] = []
  const { stop } = run(async ({ Records: [record] }: S3Event) => {
    const { key } = record!.s3.object
    announced.push(key)
    if (announced.filter(other => other === key).length < 2) throw new Error('not now')
    await remove(key)
  })
  await until(() => announced.length === 2)
  await put('incoming/after')
  await until(() => announced.length === 4)
  await put('incoming/before', 'again')
  await until(() => announced.length === 5)
  await stop()
  t.strictSame(announced, ['incoming/before', 'incoming/before', 'incoming/after', 'incoming/after', 'incoming/before'])
})

t.test('after its retries a notification is in the failure queue, and others do not wait for it', async t => {
  let calls = 0
  const done: string[] = []
  await put('incoming/bad')
  await put('incoming/good')
  const { warnings, stop } = run(async ({ Records: [record] }: S3Event) => {
    const { key } = record!.s3.object
    if (key === 'incoming/bad') {
      calls++
      throw new Error('never')
    }
    await remove(key)
    done.push(key)
  })
  const failures = () => engine.server.inspectQueue('RelayFailureQueue')!.messages.ready
  const message = await until(() => failures()[0])
  t.match(JSON.parse(message.body), { requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 }, requestPayload: { Records: [{ s3: { object: { key: 'incoming/bad' } } }] } })
  await put('incoming/later')
  await until(() => done.length === 2)
  await stop()
  t.equal(calls, 3)
  t.equal(failures().length, 1, 'once')
  t.strictSame(warnings, [`bucket ${Bucket}: discarded after 3 attempts`])
})

t.test('pages of the configured origins may use the bucket, and only it', async t => {
  const ask = async (path: string, headers: Record<string, string>, method = 'GET') => {
    const answer = await fetch(engine.endpoint + path, { method, headers })
    await answer.arrayBuffer()
    return { status: answer.status, allowed: answer.headers.get('access-control-allow-origin') }
  }
  await put('avatars/1')
  const page = { origin: app }
  t.strictSame(await ask(`/${Bucket}/avatars/1`, page), { status: 200, allowed: app })
  t.strictSame(await ask(`/${Bucket}`, { ...page, 'access-control-request-method': 'POST' }, 'OPTIONS'), { status: 204, allowed: app })
  for (const [path, headers] of [
    [`/${Bucket}/avatars/1`, { origin: 'http://evil.example' }],
    [`/${Bucket}-other/avatars/1`, page],
    ['/', page],
    [`/${Bucket}/avatars/1`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }],
    [`/${Bucket}/avatars/1?X-Amz-Signature=0`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'script' }],
    ['/?X-Amz-Signature=0', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }]
  ] as [string, Record<string, string>][]) t.strictSame(await ask(path, headers), { status: 403, allowed: null }, `${path} ${JSON.stringify(headers)}`)
  t.equal((await ask(`/${Bucket}/avatars/1?X-Amz-Signature=0`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' })).status, 200, 'a picture by its link, on any page')
})
