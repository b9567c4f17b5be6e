import { HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import t from 'tap'
import { LOCAL_AWS } from '../../../local/aws.ts'
import { createRepository, type Probe } from '../../../src/modules/uploads/repository.ts'
import { startEngines } from '../../engines.ts'
import { intercept } from '../../faults.ts'

const engines = await startEngines(t)
const bucket = engines.env['UPLOADS_BUCKET']!
const s3 = new S3Client({ ...LOCAL_AWS, endpoint: engines.s3Endpoint, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' })
t.teardown(() => s3.destroy())
const repository = createRepository({ client: async () => s3, bucket })

const BYTES = Buffer.from(Array.from({ length: 100 }, (_, i) => i))
const put = async (Key: string, Body = BYTES, more = {}) => { await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentType: 'image/png', ...more })) }
const keys = async (prefix: string) => ((await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))).Contents ?? []).map(({ Key }) => Key!)

/** Counts the calls of a command, and changes their answers. */
function watch (command: string, change: (output: Record<string, unknown>) => void = () => {}, input: Record<string, unknown> = {}) {
  const inputs: Record<string, unknown>[] = []
  const stop = intercept(s3, { command, onTheLine: false }, async ({ input: given, send }) => {
    inputs.push(Object.assign(given, input))
    const answer = await send() as { output: Record<string, unknown> }
    change(answer.output)
    return answer
  })
  return { inputs, stop }
}

t.test('a look at an object reads its first and last bytes, and what S3 knows about it', async t => {
  for (const length of [1, 11, 12, 13, 32, 33, 100]) {
    const file = BYTES.subarray(0, length)
    await put('incoming/look', file, { Metadata: { 'correlation-id': 'corr-1' } })
    const probe = await repository.probe('incoming/look')
    t.match(probe, { size: length, contentType: 'image/png', etag: /^"[0-9a-f]+"$/, correlationId: 'corr-1' })
    t.strictSame(Buffer.from(probe!.head), file.subarray(0, 32), `${length} bytes`)
    t.strictSame(Buffer.from(await repository.tail('incoming/look', probe!)), file.subarray(-12), `${length} bytes`)
  }
  await put('incoming/plain')
  t.equal((await repository.probe('incoming/plain'))!.correlationId, undefined)
})

t.test('an object that is empty or not there is no failure, and everything else is', async t => {
  await put('incoming/empty', Buffer.alloc(0))
  t.strictSame(await repository.probe('incoming/empty'), { head: new Uint8Array(), size: 0, contentType: undefined, etag: '', correlationId: undefined })
  t.equal(await repository.probe('incoming/none'), undefined)
  await t.rejects(createRepository({ client: async () => s3, bucket: 'another-bucket' }).probe('incoming/plain'), { name: 'NoSuchBucket' })
})

t.test('a store that sends a whole object in place of its start is understood too', async t => {
  await put('incoming/whole')
  const { stop } = watch('GetObjectCommand', output => {
    delete output['ContentRange']
    delete output['Metadata']
    output['ContentLength'] = 100
  })
  t.match(await repository.probe('incoming/whole'), { size: 100, contentType: 'image/png', correlationId: undefined })
  stop()
})

t.test('an object that has changed since the look is neither read nor copied', async t => {
  await put('incoming/changing')
  const probe = (await repository.probe('incoming/changing'))!
  await put('incoming/changing', Buffer.from('x'.repeat(100)))
  await t.rejects(repository.tail('incoming/changing', probe), { name: 'PreconditionFailed' })
  // The engine copies whatever it is told to expect.
  const { inputs, stop } = watch('CopyObjectCommand')
  await repository.publish('incoming/changing', 'avatars/changing', probe, 'image/png')
  stop()
  t.match(inputs, [{ CopySourceIfMatch: probe.etag }])
})

t.test('a copy has the type that was checked, and nothing that the uploader said', async t => {
  await put('incoming/copied', BYTES, { Metadata: { mine: 'x' }, CacheControl: 'no-store', ContentDisposition: 'attachment' })
  const probe = await repository.probe('incoming/copied') as Probe
  await repository.publish('incoming/copied', 'avatars/copied', probe, 'image/webp')
  const { ContentType, CacheControl, ContentDisposition, Metadata, ContentLength } = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: 'avatars/copied' }))
  t.strictSame({ ContentType, CacheControl, ContentDisposition, Metadata, ContentLength }, { ContentType: 'image/webp', CacheControl: 'private, max-age=86400, immutable', ContentDisposition: 'inline', Metadata: {}, ContentLength: 100 })
})

t.test('a form is for one key, one type, one size and one request, and a link for one object', async t => {
  const { url, fields } = await repository.form({ key: 'incoming/asked', type: 'image/webp', size: 4711, expiresIn: 60, correlationId: 'corr-2' })
  t.match(fields, { key: 'incoming/asked', 'Content-Type': 'image/webp', 'x-amz-meta-correlation-id': 'corr-2', bucket })
  const policy = JSON.parse(Buffer.from(fields['Policy']!, 'base64').toString()) as { expiration: string, conditions: unknown[] }
  t.strictSame(policy.conditions.filter(Array.isArray), [['content-length-range', 4711, 4711]])
  t.ok(Math.abs(Date.parse(policy.expiration) - Date.now() - 60_000) < 5_000)
  t.ok(url.startsWith(engines.s3Endpoint))

  await put('avatars/linked')
  const link = await repository.link('avatars/linked', 77)
  t.equal(new URL(link).searchParams.get('X-Amz-Expires'), '77')
  t.strictSame(Buffer.from(await (await fetch(link)).arrayBuffer()), BYTES)
})

t.test('objects are deleted one by one or by their prefix, however many pages there are', async t => {
  const all = ['a', 'b', 'c', 'd', 'e'].map(name => `avatars/one/${name}`)
  const fill = () => Promise.all([...all, 'avatars/other/a'].map(key => put(key)))
  await fill()
  await repository.remove('avatars/one/a')
  await repository.remove('avatars/one/a')
  t.same(await keys('avatars/one/'), all.slice(1))

  await fill()
  const lists = watch('ListObjectsV2Command', () => {}, { MaxKeys: 2 })
  const deletes = watch('DeleteObjectsCommand', output => t.notOk(output['Deleted'], 'no list of what was deleted'))
  await repository.removeAll('avatars/one/', key => !key.endsWith('c') && !key.endsWith('d'))
  t.equal(lists.inputs.length, 3)
  t.equal(deletes.inputs.length, 2, 'of one page nothing was to be deleted, which S3 refuses')
  t.same(await keys('avatars/one/'), ['avatars/one/c', 'avatars/one/d'])
  await repository.removeAll('avatars/one/')
  await repository.removeAll('avatars/one/')
  lists.stop()
  deletes.stop()
  t.same([await keys('avatars/one/'), await keys('avatars/other/')], [[], ['avatars/other/a']])
})

t.test('a deletion that S3 refuses for some objects is a failure', async t => {
  for (const [Errors, message] of [
    [[{ Code: 'AccessDenied' }, { Code: 'SlowDown' }], 'S3 did not delete 2 objects: AccessDenied'], [[{}], 'S3 did not delete 1 objects: no reason given'], [[], undefined]
  ] as const) {
    await put('avatars/kept/a')
    const { stop } = watch('DeleteObjectsCommand', output => { output['Errors'] = Errors })
    const removal = repository.removeAll('avatars/kept/')
    if (message === undefined) await removal
    else await t.rejects(removal, { message })
    stop()
  }
})
