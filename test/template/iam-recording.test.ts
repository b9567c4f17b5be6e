import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, type Engines } from '../engines.ts'
import { pump } from '../pump.ts'
import { deliverMails, sqsRecord } from '../modules/email/records.ts'
import { bounce, receiptRecord } from '../modules/email/ses-events.ts'
import { png } from '../modules/uploads/pictures.ts'
import { avatarsOf } from '../modules/uploads/support.ts'
import { report } from '../promise.ts'
import { missing, MODULES, USED, type Grants } from './iam.ts'

// What the two functions really call, seen on the wire: each has an AWS end point of its own, which writes down the actions
// that a request would be authorised for, passes on what an engine answers, and answers for the services that have none here.

const engines = await startEngines(t)

/** Actions and resources of a request, as IAM would look at it. */
function grantsFor (target: string, path: string, body: any): [action: string, resource: string][] { // eslint-disable-line @typescript-eslint/no-explicit-any -- five services' requests
  const operation = target.split('.').at(-1)!
  if (target.startsWith('DynamoDB_')) {
    if (operation === 'TransactWriteItems') {
      return (body.TransactItems as Record<string, { TableName: string }>[]).map(item => {
        const [[kind, { TableName }] = ['', { TableName: '' }]] = Object.entries(item)
        return [`dynamodb:${kind === 'ConditionCheck' ? 'ConditionCheckItem' : `${kind}Item`}`, TableName]
      })
    }
    if (operation === 'BatchGetItem' || operation === 'BatchWriteItem') return Object.keys(body.RequestItems).map(table => [`dynamodb:${operation}`, table])
    return [[`dynamodb:${operation}`, body.IndexName === undefined ? body.TableName : `${body.TableName}/index/${body.IndexName}`]]
  }
  if (target.startsWith('AmazonSQS.')) return [[`sqs:${operation}`, String(body.QueueUrl).split('/').at(-1)!]]
  if (target.startsWith('AWSEvents.')) return [[`events:${operation}`, 'EventBus']]
  if (target.startsWith('secretsmanager.')) return [[`secretsmanager:${operation}`, String(body.SecretId).split(':').at(-1)!]]
  // Version 2 of SES has one operation for both, and two names for it in policies.
  if (path === '/v2/email/outbound-emails') {
    const on = ['ses:identity/SesIdentity', ...(body.ConfigurationSetName === undefined ? [] : [`ses:configuration-set/${body.ConfigurationSetName}`])]
    return on.flatMap(resource => ['ses:SendEmail', 'ses:SendRawEmail'].map((action): [string, string] => [action, resource]))
  }
  throw new Error(`no action is known for ${target} ${path}`)
}

const BUCKET = engines.env['UPLOADS_BUCKET']!

/** The same for S3, which has no operation in a header: those that the service uses. */
function s3GrantsFor ({ method, url, headers }: IncomingMessage, sent: Buffer): [action: string, resource: string][] {
  const { pathname, searchParams } = new URL(url!, 'http://s3')
  const [, bucket, key = ''] = /^\/([^/]+)\/?(.*)$/.exec(pathname)!
  if (bucket !== BUCKET) throw new Error(`another bucket: ${bucket}`)
  const on = (key: string) => `UploadsBucket/${key.split('/')[0]!}/*`
  const text = sent.toString('latin1')
  if (method === 'GET' && key !== '') return [['s3:GetObject', on(key)]]
  if (method === 'GET' && searchParams.get('list-type') === '2') return [['s3:ListBucket', 'UploadsBucket']]
  if (method === 'DELETE') return [['s3:DeleteObject', on(key)]]
  if (method === 'PUT') return [['s3:PutObject', on(key)], ['s3:GetObject', on(String(headers['x-amz-copy-source']).replace(`${BUCKET}/`, ''))]]
  if (method === 'POST' && searchParams.has('delete')) return [...text.matchAll(/<Key>([^<]+)/g)].map(([, key]) => ['s3:DeleteObject', on(key!)])
  // A form: authorised as the one who signed it.
  const [, formKey] = /name="key"\r\n\r\n(.+)\r\n/.exec(text) ?? []
  if (method === 'POST' && formKey !== undefined) return [['s3:PutObject', on(formKey)]]
  throw new Error(`no action is known for ${method} ${url}`)
}

const SECRETS: Record<string, string> = { AWSCURRENT: randomBytes(32).toString('hex'), AWSPREVIOUS: randomBytes(32).toString('hex') }
let refuseMails = false

function standIn (target: string, body: any): { status?: number, json: object } { // eslint-disable-line @typescript-eslint/no-explicit-any -- as above
  if (target.startsWith('AWSEvents.')) return { json: { FailedEntryCount: 0, Entries: body.Entries.map(() => ({ EventId: 'e' })) } }
  if (target.startsWith('secretsmanager.')) return { json: { SecretString: SECRETS[body.VersionStage] + body.SecretId } }
  return refuseMails ? { status: 400, json: { message: 'not now' } } : { json: { MessageId: 'm' } }
}

async function endpointOf (engines: Engines): Promise<{ url: string, calls: Grants }> {
  const calls: Grants = {}
  async function answer (request: IncomingMessage): Promise<{ status?: number, type?: string, headers?: Record<string, string>, json: object | string | Buffer }> {
    const target = String(request.headers['x-amz-target'] ?? '')
    const raw = await buffer(request)
    if (request.url!.startsWith(`/${BUCKET}`)) {
      for (const [action, resource] of s3GrantsFor(request, raw)) (calls[resource] ??= []).includes(action) || calls[resource].push(action)
      const { host, connection, 'content-length': _, expect, ...headers } = request.headers as Record<string, string>
      const response = await fetch(engines.s3Endpoint + request.url!, { method: request.method!, headers, ...(raw.length === 0 ? {} : { body: new Uint8Array(raw) }) })
      const passed = ['content-type', 'content-range', 'etag'].flatMap(name => response.headers.has(name) ? [[name, response.headers.get(name)!] as const] : [])
      return { status: response.status, headers: Object.fromEntries(passed), json: Buffer.from(await response.arrayBuffer()) }
    }
    const sent = raw.toString()
    const body = sent === '' ? {} : JSON.parse(sent)
    for (const [action, resource] of grantsFor(target, request.url!, body)) (calls[resource] ??= []).includes(action) || calls[resource].push(action)
    const engine = target.startsWith('DynamoDB_') ? engines.dynamodbEndpoint : target.startsWith('AmazonSQS.') ? engines.sqsEndpoint : undefined
    if (engine === undefined) return standIn(target, body)
    const response = await fetch(engine + request.url!, { method: 'POST', headers: { 'x-amz-target': target, 'content-type': request.headers['content-type']!, authorization: request.headers.authorization!, 'x-amz-date': String(request.headers['x-amz-date']) }, body: sent })
    return { status: response.status, type: response.headers.get('content-type') ?? '', json: await response.text() }
  }
  const server = createServer((request, response) => {
    answer(request).then(({ status = 200, type = 'application/json', headers = { 'content-type': type }, json }) => {
      response.writeHead(status, headers).end(typeof json === 'string' || Buffer.isBuffer(json) ? json : JSON.stringify(json))
    }, error => { response.writeHead(418).end(String(error)) })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

async function functionBehind ({ url }: { url: string }, secrets: Record<string, string>) {
  return await buildTestApp(t, engines, {
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_ENDPOINT_URL_DYNAMODB: url,
      AWS_ENDPOINT_URL_SQS: url,
      AWS_ENDPOINT_URL_S3: url,
      EMAIL_QUEUE_URL: url + new URL(engines.env['EMAIL_QUEUE_URL']!).pathname,
      SES_CONFIGURATION_SET: 'MailConfigurationSet',
      EVENT_BUS_NAME: 'EventBus',
      ADMIN_EMAILS: 'admin@example.com',
      JWT_SECRET: undefined,
      ...secrets,
      SMTP_URL: undefined
    }
  })
}

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:'
const apiEndpoint = await endpointOf(engines)
const workerEndpoint = await endpointOf(engines)
const api = await functionBehind(apiEndpoint, { JWT_SECRET_ARN: `${ARN}RootSecret`, CODE_SECRET_ARN: `${ARN}CodeSecret` })
const worker = await functionBehind(workerEndpoint, { CODE_SECRET_ARN: `${ARN}CodeSecret` })
const settle = () => pump(api, engines, worker)
const avatars = avatarsOf(t, api, engines)

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
async function ask (method: Method, url: string, payload?: object, authorization?: string) {
  const response = await api.inject({ method, url, ...(payload === undefined ? {} : { payload }), ...(authorization === undefined ? {} : { headers: { authorization } }) })
  if (response.statusCode >= 400) throw new Error(`${method} ${url}: ${response.statusCode} ${response.body}`)
  return response
}

/** A life of an account, with everything that the service does behind it. */
async function live (email: string) {
  await ask('GET', '/health/ready')
  await ask('POST', '/v1/users', { email, name: 'Ada Lovelace' })
  await ask('POST', '/v2/users', { email, name: 'Ada Lovelace' })
  await ask('POST', '/v2/users', { email: `new.${email}`, name: 'Ada Lovelace' })
  await settle()
  const { challengeId } = (await ask('POST', '/v2/auth/challenges', { email })).json<{ challengeId: string }>()
  await settle()
  const tokens = (await ask('POST', '/v2/auth/tokens', { grantType: 'code', challengeId, code: api.keys.codeOf(challengeId) })).json<Tokens>()
  const bearer = `Bearer ${tokens.accessToken}`
  await ask('GET', '/v2/users/me', undefined, bearer)
  await ask('PATCH', '/v2/users/me', { name: 'Countess Lovelace' }, bearer)
  for (const file of [png('one'), png('other')]) {
    const form = await avatars.form(tokens, file)
    await avatars.send(form, file)
    await settle()
    await fetch((await ask('GET', new URL((await avatars.me(tokens)).avatarUrl!).pathname)).headers.location!)
  }
  await ask('GET', '/v2/users/me/sessions', undefined, bearer)
  for (const { use } of MODULES) await use((method, url, payload) => ask(method, url, payload, bearer))
  const change = (await ask('POST', '/v2/users/me/email', { email: `moved.${email}` }, bearer)).json<{ challengeId: string }>()
  await settle()
  await ask('POST', '/v2/auth/verify', { challengeId: change.challengeId, code: api.keys.codeOf(change.challengeId) })
  await settle()
  const { accessToken, refreshToken } = (await ask('POST', '/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.refreshToken })).json<{ accessToken: string, refreshToken: string }>()
  await ask('POST', '/v2/auth/revoke', { refreshToken })
  await api.consumers.deliver({ Records: [receiptRecord(bounce({ messageId: randomUUID(), userId: tokens.user.id, type: 'SIGN_IN_CODE', email: `moved.${email}` }))] })
  await ask('DELETE', '/v2/users/me', undefined, `Bearer ${accessToken}`)
  await api.outbox.sweep()
  await settle()
}

/** What an admin does. */
async function administer (email: string) {
  const { challengeId } = (await ask('POST', '/v2/users', { email, name: 'Grace Hopper' })).json<{ challengeId: string }>()
  await settle()
  const { accessToken } = (await ask('POST', '/v2/auth/tokens', { grantType: 'code', challengeId, code: api.keys.codeOf(challengeId) })).json<{ accessToken: string }>()
  const bearer = `Bearer ${accessToken}`
  const { results: [row] } = (await ask('POST', '/v2/users/batch', { users: [{ email: 'batch@example.com', name: 'Ada Lovelace' }] }, bearer)).json<{ results: [{ id: string }] }>()
  await ask('POST', '/v2/users/invitations', { email: 'batch@example.com', name: 'Ada Lovelace' }, bearer)
  for (const query of ['', '?status=PENDING_VERIFICATION', `?email=${email}`]) await ask('GET', `/v2/users${query}`, undefined, bearer)
  await ask('POST', '/v2/users/batch-get', { ids: [row.id] }, bearer)
  await ask('GET', `/v2/users/${row.id}/audit`, undefined, bearer)
  await settle()
}

t.test('the functions call what iam.ts says they call, and so what the template allows them', async t => {
  await live('ada@example.com')
  await administer('admin@example.com')
  refuseMails = true
  await ask('POST', '/v2/users', { email: 'late@example.com', name: 'Grace Hopper' })
  await settle()
  await deliverMails(worker, { Records: [sqsRecord('poison')] })

  const { ApiFunction, EmailFunction } = USED.extracted
  t.strictSame(missing(apiEndpoint.calls, ApiFunction!), [], 'the API function calls nothing that is not listed')
  t.strictSame(missing(ApiFunction!, apiEndpoint.calls), [], 'and everything that is')
  t.strictSame(missing(workerEndpoint.calls, EmailFunction!), [], 'the worker calls nothing that is not listed')
  t.strictSame(missing(EmailFunction!, workerEndpoint.calls), [], 'and everything that is')
  const differences = [[apiEndpoint.calls, ApiFunction!], [workerEndpoint.calls, EmailFunction!]].flatMap(([called, listed]) => [...missing(called!, listed!), ...missing(listed!, called!)])
  const count = (grants: Grants) => Object.values(grants).flat().length
  report(t, {
    promise: 34,
    part: 'permissions',
    figure: `${count(ApiFunction!)} actions of the API function and ${count(EmailFunction!)} of the worker, ${differences.length} more or fewer than it uses`,
    holds: differences.length === 0
  })
})
