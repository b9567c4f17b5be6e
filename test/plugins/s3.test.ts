import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { completeEnv } from '../../local/env.ts'
import aws from '../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import s3 from '../../src/plugins/s3.ts'
import sqs from '../../src/plugins/sqs.ts'
import '../credentials.ts'

/** The clients of S3 and SQS alone. */
async function buildClients (t: Test, env: Record<string, string | undefined>) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ AWS_REGION: LOCAL_AWS.region, AWS_ENDPOINT_URL: undefined, AWS_ENDPOINT_URL_S3: undefined, AWS_ENDPOINT_URL_SQS: undefined, ...env })) })
  await app.register(aws, {})
  await app.register(sqs)
  await app.register(s3)
  await app.ready()
  return app
}

const OBJECT = { Bucket: 'photos', Key: 'a/b' }

t.test('objects are found at the address of the engine, or at the host name of their bucket', async t => {
  for (const [env, start] of [
    [{}, `https://photos.s3.${LOCAL_AWS.region}.amazonaws.com/a/b?`],
    [{ AWS_ENDPOINT_URL: 'http://engine:9001' }, 'http://engine:9001/photos/a/b?'],
    [{ AWS_ENDPOINT_URL_S3: 'http://objects:9002' }, 'http://objects:9002/photos/a/b?'],
    [{ AWS_ENDPOINT_URL: 'http://engine:9001', AWS_ENDPOINT_URL_S3: 'http://objects:9002' }, 'http://objects:9002/photos/a/b?']
  ] as const) {
    const client = await (await buildClients(t, env)).s3.client()
    const { requestChecksumCalculation, responseChecksumValidation } = client.config
    t.same([await requestChecksumCalculation(), await responseChecksumValidation()], ['WHEN_REQUIRED', 'WHEN_REQUIRED'])
    for (const command of [new GetObjectCommand(OBJECT), new PutObjectCommand(OBJECT)]) {
      const url = await getSignedUrl(client, command)
      t.ok(url.startsWith(start), url)
      t.notMatch(url, /checksum/i, 'a simple GET, and a PUT that needs no checksum')
    }
  }
})

t.test('queues are found at the address of the engine, or of AWS', async t => {
  for (const [env, host] of [
    [{}, undefined],
    [{ AWS_ENDPOINT_URL: 'http://engine:9001' }, 'engine'],
    [{ AWS_ENDPOINT_URL_SQS: 'http://queues:9002' }, 'queues']
  ] as const) {
    const { sqs } = await buildClients(t, env)
    t.equal((await sqs.config.endpoint?.())?.hostname, host)
  }
})

t.test('there is one client of each, which ends with the app, and none of S3 unless it is used', async t => {
  await (await buildClients(t, {})).close()
  const app = await buildClients(t, {})
  const client = await app.s3.client()
  t.equal(await app.s3.client(), client)
  const ended: string[] = []
  for (const [name, one] of Object.entries({ s3: client, sqs: app.sqs })) {
    const { destroy } = one
    one.destroy = () => { ended.push(name); destroy.call(one) }
  }
  await app.close()
  t.same(ended.sort(), ['s3', 'sqs'])
})
