import { ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs'
import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { codeIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, TABLES } from '../engines.ts'
import { intercept, lineError } from '../faults.ts'
import { report, workload } from '../promise.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

const engines = await startEngines(t, { redis: true })
const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'trace' } })

const rounds = workload({ short: 1, full: 20 })
/** What no log line may hold, by what it is. */
const canaries = new Map<string, string>()
/** What is in no table and no queue either. */
const secrets = new Set<string>()
let requests = 0

function canary (value: string, what: string): string {
  canaries.set(value, what)
  return value
}

function secret (value: string, what: string): string {
  secrets.add(value)
  return canary(value, what)
}

async function call (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, { token, payload, headers = {} }: { token?: string, payload?: object | string, headers?: Record<string, string> } = {}) {
  requests++
  return await app.inject({
    method,
    url,
    remoteAddress: `192.0.2.${requests % 250}`,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(typeof payload === 'string' ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(payload === undefined ? {} : { payload })
  })
}

function tokensOf (answer: { json: () => unknown }): Tokens {
  const body = answer.json() as Tokens & { data?: Tokens }
  const tokens = body.data ?? body
  secret(tokens.accessToken, 'an access token')
  secret(tokens.refreshToken, 'a refresh token')
  return tokens
}

/** The hits in what was logged so far, each as what was found and the line. */
function hitsInLogs (): string[] {
  const lines = app.logLines.map(line => JSON.stringify(line))
  return [...canaries].flatMap(([value, what]) => lines.filter(line => line.includes(value) || line.includes(encodeURIComponent(value))).map(line => `${what} in ${line}`))
}

async function hitsInStores (): Promise<string[]> {
  const texts: string[] = []
  for (const TableName of TABLES) {
    const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true }))
    texts.push(...Items.map(item => `${TableName} ${JSON.stringify(item, (_key, value) => value instanceof Set ? [...value] : value)}`))
  }
  for (const queue of ['EmailQueue', 'EmailDeadLetterQueue', 'RelayFailureQueue']) {
    const { Messages = [] } = await app.sqs.send(new ReceiveMessageCommand({ QueueUrl: engines.queueUrl(queue), MaxNumberOfMessages: 10, VisibilityTimeout: 0 }))
    texts.push(...Messages.map(({ Body }) => `${queue} ${Body}`))
  }
  return [...secrets].flatMap(value => texts.filter(text => text.includes(value)).map(text => `${canaries.get(value)} in ${text}`))
}

t.test('what a user says, and what proves who it is, is in no log line of any flow', async t => {
  let inStores: string[] = []
  for (let round = 0; round < rounds; round++) {
    const mark = randomBytes(6).toString('hex')
    const email = canary(`canary-${mark}@example.com`, 'an address')
    const other = canary(`other-${mark}@example.com`, 'an address')
    const name = canary(`Ada Canary ${mark}`, 'a name')
    const renamed = canary(`Countess ${mark}`, 'a name')

    // Registration and sign-in, in both versions, and what is wrong with them.
    t.equal((await call('POST', '/v1/users', { payload: { email, name } })).statusCode, 201)
    await pump(app, engines) // its mail is not the last one below
    const { challengeId } = (await call('POST', '/v2/users', { payload: { email, name }, headers: { 'idempotency-key': `canary-${mark}` } })).json()
    await call('POST', '/v2/users', { payload: { email: `${email}\r\nBcc: ${other}`, name } })
    await call('POST', '/v2/users', { payload: { email, name, role: 'admin' } })
    await call('POST', '/v1/users', { payload: `{"email":"${email}","name":"${name}"` })
    await pump(app, engines)
    const code = secret(codeIn(engines, email), 'a code')
    inStores = [...inStores, ...await hitsInStores()]
    await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId, code: code === '00000000' ? '00000001' : '00000000' } })
    await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId, code, email } })
    await call('POST', '/v2/auth/verify', { payload: { challengeId, code } })
    const first = tokensOf(await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId, code } }))
    const again = (await call('POST', '/v1/auth/challenges', { payload: { email } })).json().data
    await pump(app, engines)
    const second = tokensOf(await call('POST', '/v1/auth/tokens', { payload: { grantType: 'code', challengeId: again.challengeId, code: secret(codeIn(engines, email), 'a code') } }))

    // Tokens where they do not belong, and where they are refused.
    await call('GET', `/v2/users/me?access_token=${first.accessToken}&email=${encodeURIComponent(email)}`)
    await call('GET', `/${first.refreshToken}`)
    await call('GET', '/v2/users/me', { token: `${first.accessToken}x` })
    await call('GET', '/v2/users/me', { token: first.refreshToken })
    await call('GET', '/v2/users/me', { token: first.accessToken, headers: { 'x-correlation-id': email, cookie: first.refreshToken } })
    const rotated = tokensOf(await call('POST', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken: second.refreshToken } }))
    await call('POST', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken: `${second.refreshToken}x` } })
    await call('POST', '/v2/auth/revoke', { payload: { refreshToken: rotated.refreshToken } })

    // Reads and changes, also while a dependency fails.
    const token = first.accessToken
    for (const url of ['/v2/users/me', '/v2/users/me/export', '/v2/users/me/sessions', `/v2/users?email=${encodeURIComponent(email)}`]) await call('GET', url, { token })
    t.equal((await call('PATCH', '/v2/users/me', { token, payload: { name: renamed } })).statusCode, 200)
    await call('PATCH', '/v2/users/me', { token, payload: { name: renamed, email: other } })
    const stop = intercept(app.dynamodb, {}, async () => { throw lineError() })
    t.equal((await call('POST', '/v2/auth/challenges', { payload: { email } })).statusCode, 503)
    await call('PATCH', '/v2/users/me', { token, payload: { name } })
    stop()
    // The breaker lets a trial through, and then everything.
    await until(async () => (await call('GET', '/v2/users/me/sessions', { token })).statusCode === 200)

    // A mail server that quotes the mail in its refusal.
    engines.faults.smtp.refuse = mail => `550 <${email}> ${mail.subject} ${mail.text?.slice(0, 200).replaceAll(/\s+/g, ' ')}`
    t.equal((await call('POST', '/v2/users/me/email', { token, payload: { email: other } })).statusCode, 202)
    await pump(app, engines)
    engines.faults.smtp.refuse = undefined
    const change = (await call('POST', '/v2/users/me/email', { token, payload: { email: other } })).json()
    await pump(app, engines)
    await call('POST', '/v2/auth/verify', { payload: { challengeId: change.challengeId, code: secret(codeIn(engines, other), 'a code') } })
    await pump(app, engines)
    inStores = [...inStores, ...await hitsInStores()]
    const last = (await call('POST', '/v2/auth/challenges', { payload: { email: other } })).json()
    await pump(app, engines)
    const final = tokensOf(await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId: last.challengeId, code: secret(codeIn(engines, other), 'a code') } }))
    t.equal((await call('DELETE', '/v2/users/me', { token: final.accessToken })).statusCode, 204)
    await pump(app, engines)
    await app.outbox.sweep({ minAge: -60_000 })
    inStores = [...inStores, ...await hitsInStores()]
  }
  const inLogs = hitsInLogs()
  t.same(inLogs, [])
  t.same(inStores, [])
  t.ok(app.logLines.length > requests, `${app.logLines.length} lines`)
  report(t, {
    promise: 33,
    figure: `${requests} requests, ${canaries.size} canaries, ${app.logLines.length} log lines at trace: ${inLogs.length} found in them; ${secrets.size} codes and tokens: ${inStores.length} found in tables and queues`,
    holds: inLogs.length === 0 && inStores.length === 0
  })
})

t.test('a canary in a log line, and a code in a table, would be found', async t => {
  const [email] = [...canaries.keys()] as [string]
  const [code] = [...secrets] as [string]
  app.log.trace({ planted: { deep: email } }, 'planted')
  t.match(hitsInLogs(), [/^an address in .*planted/])
  await app.sqs.send(new SendMessageCommand({ QueueUrl: engines.queueUrl('RelayFailureQueue'), MessageBody: `{"planted":"${code}"}` }))
  t.match(await hitsInStores(), [/RelayFailureQueue/])
})
