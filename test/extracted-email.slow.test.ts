import { GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildService, foreignFiles } from '../examples/extracted-email/build.ts'
import { VARIABLES } from '../examples/extracted-email/src/config.ts'
import { LOCAL_AWS } from '../local/aws.ts'
import { createTables } from '../local/dynamodb.ts'
import { parseTemplate, type TableDefinition } from '../local/template.ts'
import emailClient from '../src/modules/email/client.ts'
import { ConfigSchema } from '../src/plugins/config.ts'
import { codeIn } from './accounts.ts'
import { buildTestApp } from './app.ts'
import { startEngines } from './engines.ts'
import { pump } from './pump.ts'
import { until } from './until.ts'
import { emailMessage } from './modules/email/records.ts'

// The monolith without its e-mail worker, and the extracted service as a process of its own, from its build alone.

const ROOT = join(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'examples/extracted-email')
const template = parseTemplate(readFileSync(join(FOLDER, 'template.yaml'), 'utf8'))
const { dependencies: listed } = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }

const engines = await startEngines(t)
const dist = join(engines.dir, 'extracted')
const metafile = await buildService(dist)

// Its own table and queues, as its template has them, but that a failed message comes back within a second.
const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: engines.sqsEndpoint })
t.teardown(() => sqs.destroy())
await createTables(engines.dynamodbEndpoint, { MailTable: template.Resources['MailTable']!.Properties as unknown as TableDefinition })
const { maxReceiveCount } = template.Resources['MailQueue']!.Properties!['RedrivePolicy'] as { maxReceiveCount: number }
engines.sqs.createQueue('MailDeadLetterQueue')
engines.sqs.createQueue('MailQueue', { attributes: { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:MailDeadLetterQueue', maxReceiveCount: String(maxReceiveCount) }) } })
const { QueueUrl: queueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'MailQueue' }))

const secret = 'the secret of codes, which signs nothing at all'
const FROM_ENGINES = ['NODE_ENV', 'AWS_REGION', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL_SQS', 'EMAIL_FROM', 'PUBLIC_URL', 'SMTP_URL']
const env = { ...Object.fromEntries(FROM_ENGINES.map(name => [name, engines.env[name]])), EMAIL_TABLE: 'MailTable', EMAIL_QUEUE_URL: queueUrl!, CODE_SECRET: secret }

let log = ''
function startService (changes: Record<string, string | undefined> = {}) {
  const child = spawn(process.execPath, ['consumer.mjs'], { cwd: dist, env: { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', ...env, ...changes }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', chunk => { log += chunk })
  return child
}

// This app has no mail server, no table of mails, and the queue of the other service.
const app = await buildTestApp(t, engines, { email: emailClient, env: { EMAIL_QUEUE_URL: queueUrl!, EMAIL_TABLE: 'AnotherServicesTable', SMTP_URL: 'smtp://127.0.0.1:1', CODE_SECRET: secret } })
const service = startService()
const messagesIn = (queue: string) => Object.values(engines.sqs.inspectQueue(queue)!.messages).flat().length

t.test('a user registers, and the extracted service sends the mail whose code signs the user in', async t => {
  await until(() => log !== '', { timeoutMs: 60_000 })
  t.match(log, 'reading the queue', 'it has started')
  const registration = await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'ada@example.com', name: 'Ada' } })
  t.equal(registration.statusCode, 202)
  await pump(app, engines)
  await until(() => engines.mailsTo('ada@example.com').length === 1, { timeoutMs: 20_000 })
  const { challengeId } = registration.json<{ challengeId: string }>()
  const tokens = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, 'ada@example.com') } })
  t.equal(tokens.statusCode, 200, tokens.body)
  await until(() => messagesIn('MailQueue') === 0)
  t.match(log, String(registration.headers['x-correlation-id']), 'the request can be followed into its log')
  t.notMatch(log, 'ada@example.com')
})

t.test('a repeated message sends no second mail', async t => {
  const message = emailMessage({ email: 'twice@example.com' })
  const send = async () => await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify(message) }))
  await send()
  await until(() => engines.mailsTo('twice@example.com').length === 1)
  await until(() => messagesIn('MailQueue') === 0)
  await send()
  await until(() => messagesIn('MailQueue') === 0)
  t.equal(engines.mailsTo('twice@example.com').length, 1)
})

t.test('a message that is none is in the dead-letter queue after three receives, and holds up no other', async t => {
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: '{"type":"WELCOME_EMAIL"}' }))
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify(emailMessage({ email: 'after@example.com' })) }))
  await until(() => engines.mailsTo('after@example.com').length === 1)
  await until(() => messagesIn('MailDeadLetterQueue') === 1, { timeoutMs: 20_000 })
  t.equal(messagesIn('MailQueue'), 0)
  t.equal(log.match(/EMAIL_MESSAGE_INVALID/g)?.length, 3)
})

t.test('it stops when it is asked to, and a missing variable ends it with one line', async t => {
  t.ok(service.kill('SIGTERM'), 'it runs')
  await until(() => service.exitCode !== null || service.signalCode !== null)
  t.equal(service.exitCode, 0)
  log = ''
  const [code] = await once(startService({ EMAIL_TABLE: undefined }), 'exit') as [number]
  t.equal(code, 1)
  t.match(log, /^Configuration: EMAIL_TABLE is missing [^\n]*\n$/)
})

t.test('it consists of the module, plugins and shared files, and its package.json lists their packages', async t => {
  t.same(foreignFiles(metafile), [])
  t.ok(Object.keys(metafile.inputs).includes('src/modules/email/worker.ts'), 'the build was looked at')
  const imported = new Set<string>()
  for (const [file, { imports }] of Object.entries(metafile.inputs)) {
    if (file.startsWith('node_modules/')) continue
    for (const { path } of imports) {
      const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]
      if (name !== undefined) imported.add(name)
    }
  }
  t.same(Object.keys(listed).sort(), [...imported].sort())
  t.same(listed, Object.fromEntries(Object.keys(listed).map(name => [name, own.dependencies[name]])), 'in the versions of the user service')
})

t.test('it names every variable that its code reads', async t => {
  const code = Object.keys(metafile.inputs).filter(file => /^(?:src|examples)\//.test(file) && file !== 'src/plugins/config.ts' && file !== 'examples/extracted-email/src/config.ts').map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n')
  // Of the keys plugin: a process without a root secret signs nothing.
  const others = ['JWT_SECRET', 'JWT_SECRET_PREVIOUS', 'JWT_SECRET_ARN']
  const read = Object.keys(ConfigSchema.properties).filter(name => new RegExp(`\\b${name}\\b`).test(code))
  t.same(read.filter(name => !others.includes(name) && !(VARIABLES as readonly string[]).includes(name)), [])
  t.same(VARIABLES.filter(name => !read.includes(name)), [])
  const inTemplate = Object.keys((template.Resources['MailFunction']!.Properties!['Environment'] as { Variables: object }).Variables)
  t.same(inTemplate.filter(name => !(VARIABLES as readonly string[]).includes(name)), [])
})

t.test('a build that would contain another module fails, and leaves nothing', async t => {
  const directory = join(engines.dir, 'planted')
  await t.rejects(buildService(directory, { index: 'src/lambda.ts', consumer: '../../src/modules/users/index.ts' }), { message: /do not belong to it: .*src\/modules\/users\/service\.ts/ })
  t.notOk(existsSync(directory))
})
