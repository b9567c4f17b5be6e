import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTables, startDynamodb } from '../../local/dynamodb.ts'
import { startSqs, type SqsEngine } from '../../local/sqs.ts'
import { readTemplate, type Template } from '../../local/template.ts'
import type { Context } from './bench.ts'

/** The table and queue of the peers. The table is the article's: one key, no stream. */
const PEER_TABLE = 'BenchTable'
const PEER_QUEUE = 'BenchQueue'

export interface BenchEngines {
  template: Template
  dynamodb: string
  sqs: SqsEngine
  /** endpoint of a Secrets Manager that knows only this one secret */
  secrets: string
  secret: string
  /** for every contender */
  env: Record<string, string>
}

/** The root secret of the service under test, and the key of the peers' tokens. */
const SECRET = 'a root secret for benchmarks that everyone can read'

/** As much of Secrets Manager as a cold start needs: one version of one secret. */
async function startSecrets (teardown: Context['teardown']): Promise<string> {
  async function answer (request: IncomingMessage, response: ServerResponse) {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const { SecretId, VersionStage } = JSON.parse(text) as { SecretId: string, VersionStage?: string }
    const isCurrent = VersionStage !== 'AWSPREVIOUS'
    response.writeHead(isCurrent ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' })
    // Each secret is another one: the service rejects a secret of codes that equals the root secret.
    response.end(JSON.stringify(isCurrent ? { ARN: SecretId, Name: 'secret', VersionId: '1', VersionStages: ['AWSCURRENT'], SecretString: SecretId.includes('Code') ? `${SECRET}, for codes` : SECRET } : { __type: 'ResourceNotFoundException', message: 'no such version' }))
  }
  const server = createServer((request, response) => { void answer(request, response) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The engines that all contenders work on: DynamoDB in memory, SQS, and a stand-in for Secrets Manager. */
export async function startBenchEngines ({ say, teardown }: Pick<Context, 'say' | 'teardown'>): Promise<BenchEngines> {
  say('starting the engines')
  const template = readTemplate()
  const dynamodb = await startDynamodb()
  teardown(() => dynamodb.stop('SIGKILL'))
  await createTables(dynamodb.endpoint, {
    ...template.tables,
    [PEER_TABLE]: { AttributeDefinitions: [{ AttributeName: 'userId', AttributeType: 'S' }], KeySchema: [{ AttributeName: 'userId', KeyType: 'HASH' }] }
  })
  const sqs = await startSqs({ queues: { ...template.queues, [PEER_QUEUE]: { VisibilityTimeout: 300, MessageRetentionPeriod: 1_209_600 } }, buckets: template.buckets })
  teardown(() => sqs.stop())
  const secrets = await startSecrets(teardown)
  return {
    template,
    dynamodb: dynamodb.endpoint,
    sqs,
    secrets,
    secret: SECRET,
    env: peerEnv({ dynamodb: dynamodb.endpoint, sqs: sqs.endpoint, queueUrl: sqs.queueUrl(PEER_QUEUE), secrets })
  }
}

/** The environment of the peers. Without engines, for stubbed calls. */
export function peerEnv ({ dynamodb = 'http://127.0.0.1:1', sqs = 'http://127.0.0.1:1', queueUrl = 'http://127.0.0.1:1/000000000000/BenchQueue', secrets = 'http://127.0.0.1:1' } = {}): Record<string, string> {
  return {
    NODE_ENV: 'production',
    BENCH_TABLE: PEER_TABLE,
    BENCH_QUEUE_URL: queueUrl,
    JWT_SECRET: SECRET,
    AWS_ENDPOINT_URL_DYNAMODB: dynamodb,
    AWS_ENDPOINT_URL_SQS: sqs,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets,
    // Where Lambda puts a role's credentials and the names of the function.
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_SESSION_TOKEN: 'bench',
    AWS_LAMBDA_FUNCTION_NAME: 'bench',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    TZ: ':UTC'
  }
}
