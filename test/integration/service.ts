// The service from outside, wherever it runs: `npm run test:integration -- --help` lists what can be set. Mails of a
// deployed stage go to the SES mailbox simulator.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { UUID_PATTERN } from '../../src/shared/ids.ts'

// May have a path: the address of an API without a domain ends with the name of its stage.
const base = (process.env['PUBLIC_URL'] ?? 'http://localhost:3000').replace(/\/$/, '')
const isLocal = ['localhost', '127.0.0.1'].includes(new URL(base).hostname)
const inbox = (process.env['INBOX_URL'] ?? (isLocal ? 'http://localhost:1080' : '')) || undefined
const key = process.env['API_KEY']

interface Answer { status: number, headers: Headers, body: any } // eslint-disable-line @typescript-eslint/no-explicit-any -- what came, to be matched

async function ask (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(base + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(key === undefined ? {} : { 'x-api-key': key }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000)
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: /json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : text }
}

/** An address of its own for each test; on AWS the mailbox simulator takes what is sent to it. */
const address = () => `success+${randomUUID()}@simulator.amazonses.com`

/** The newest code that was mailed to an address. */
async function codeFor (email: string): Promise<string> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) {
    const mails = await (await fetch(`${inbox!}/api/email`)).json() as { to: { address: string }[], text: string }[]
    const code = /\b\d{8}\b/.exec(mails.findLast(({ to }) => to.some(({ address }) => address === email))?.text ?? '')?.[0]
    if (code !== undefined) return code
  }
  throw new Error('no mail within 30 s')
}

t.test('it is alive, and so is what it depends on', async t => {
  t.equal((await ask('GET', '/health/live')).status, 200)
  t.match(await ask('GET', '/health/ready'), { status: 200, body: { status: 'healthy', checks: { dynamodb: { status: 'healthy' }, sqs: { status: 'healthy' } } } })
})

t.test('its documents and signing keys are public', async t => {
  for (const version of ['v1', 'v2']) t.match((await ask('GET', `/openapi/${version}.json`)).body, { openapi: /^3\.1/ })
  t.match((await ask('GET', '/.well-known/jwks.json')).body, { keys: [{ kty: 'OKP', alg: 'EdDSA' }] })
  t.match(await ask('GET', '/verify'), { status: 200, body: /<html/i })
})

t.test('v1 registers a user once', async t => {
  const user = { email: address(), name: 'Ada Lovelace' }
  const first = await ask('POST', '/v1/users', user)
  t.match(first, { status: 201, body: { success: true, data: { ...user, userId: new RegExp(UUID_PATTERN) } } })
  t.ok(first.headers.get('location') && first.headers.get('deprecation') && first.headers.get('sunset'))
  t.match(await ask('POST', '/v1/users', user), { status: 409, body: { success: false, error: 'User already exists' } })
})

t.test('v2 answers a new and a known address alike', async t => {
  const user = { email: address(), name: 'Ada Lovelace' }
  const answers = [await ask('POST', '/v2/users', user), await ask('POST', '/v2/users', user)]
  for (const answer of answers) t.match(answer, { status: 202, body: { challengeId: String, expiresAt: String } })
  t.same(Object.keys(answers[0]!.body), Object.keys(answers[1]!.body))
})

t.test('what it refuses, it refuses as the contract says', async t => {
  t.match(await ask('POST', '/v2/users', { email: 'not an address', name: 'A' }), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ pointer: String, detail: String }] } })
  t.match(await ask('POST', '/v2/users', '{', {}), { status: 400 })
  t.match(await ask('POST', '/v2/users', 'email=a', { 'content-type': 'text/plain' }), { status: 415 })
  t.match(await ask('POST', '/v2/users', { email: address(), name: 'x'.repeat(70_000) }), { status: 413 })
  t.match(await ask('GET', '/v2/nothing'), { status: 404, body: { status: 404 } })
  const wrongMethod = await ask('PUT', '/v2/users', {})
  t.equal(wrongMethod.status, 405)
  t.match(wrongMethod.headers.get('allow'), /POST/)
  const anonymous = await ask('GET', '/v2/users/me')
  t.match(anonymous, { status: 401, body: { code: 'AUTH_TOKEN_INVALID' } })
  t.ok(anonymous.headers.get('www-authenticate'))
  t.match(await ask('POST', '/v2/auth/tokens', { grantType: 'code', challengeId: randomUUID(), code: '00000000' }), { status: 401, body: { code: 'AUTH_CODE_INVALID' } })
})

t.test('an answer carries the correlation id of its request', async t => {
  const id = randomUUID()
  t.equal((await ask('GET', '/health/live', undefined, { 'x-correlation-id': id })).headers.get('x-correlation-id'), id)
  t.ok((await ask('GET', '/health/live')).headers.get('x-correlation-id'))
})

t.test('a user registers, proves the address, reads and changes the profile, and deletes the account', { skip: inbox === undefined ? 'mails cannot be read here' : false }, async t => {
  const email = address()
  const { body: { challengeId } } = await ask('POST', '/v2/users', { email, name: 'Ada Lovelace' })
  const tokens = await ask('POST', '/v2/auth/tokens', { grantType: 'code', challengeId, code: await codeFor(email) })
  t.match(tokens, { status: 200, body: { tokenType: 'Bearer', user: { email, status: 'ACTIVE' } } })
  const authorization = `Bearer ${String(tokens.body.accessToken)}`
  t.match(await ask('GET', '/v2/users/me', undefined, { authorization }), { status: 200, body: { email, name: 'Ada Lovelace' } })
  t.match(await ask('PATCH', '/v2/users/me', { name: 'Countess Lovelace' }, { authorization }), { status: 200, body: { name: 'Countess Lovelace' } })
  t.match(await ask('GET', '/v2/users/me', undefined, { authorization }), { body: { name: 'Countess Lovelace' } })
  t.match(await ask('POST', '/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.body.refreshToken }), { status: 200, body: { refreshToken: String } })
  t.match(await ask('DELETE', '/v2/users/me', undefined, { authorization }), { status: 204 })
  t.match(await ask('GET', '/v2/users/me', undefined, { authorization }), { status: /^40[14]$/ })
})
