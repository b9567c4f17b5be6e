import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { ChallengeTicket } from '../../../src/modules/auth/contract.ts'
import { codeIn, signIn } from '../../accounts.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, loseOneAnswer, recordCalls } from '../../faults.ts'
import { report, SIZE, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { until } from '../../until.ts'
import { alter, forgetRecords, recordsOf } from '../../plugins/idempotency/support.ts'
import { itemAt } from './support.ts'

const KEYS = workload({ short: 60, full: 500 })

if (SIZE !== 'short') t.setTimeout(300_000)

const MINUTE = 60_000

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const other = await buildTestApp(t, engines)

t.beforeEach(() => forgetRecords(app))

let n = 0
const newRequest = () => ({ key: crypto.randomUUID(), email: `user-${++n}@example.com` })
type Request = ReturnType<typeof newRequest>
const register = ({ key, email }: Request, to: TestApp = app) => to.inject({ method: 'POST', url: '/v2/users', payload: { email, name: 'Ada' }, headers: { 'idempotency-key': key } })
const askForCode = ({ key, email }: Request, to: TestApp = app) => to.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email }, headers: { 'idempotency-key': key } })

async function codesOf (email: string): Promise<number> {
  const list = await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all')
  return (list?.['codes'] as string[] | undefined)?.length ?? 0
}

t.test(`${KEYS} keys, each sent three times at once over two instances, are ${KEYS} registrations`, async t => {
  const before = engines.mails.length
  const requests = Array.from({ length: KEYS }, newRequest)
  const statuses: number[] = []
  const bodies: string[][] = []
  const waiting = requests.values()
  // Twenty keys at a time: more would only wait for a connection to the database.
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (const request of waiting) {
      const answers = await Promise.all([app, other, app].map(to => register(request, to)))
      // A client repeats it until it knows: after a 409, and after a 503 of a busy machine.
      answers.push(await until(async () => {
        const answer = await register(request, other)
        return answer.statusCode === 202 && answer
      }, { timeoutMs: 30_000 }))
      statuses.push(...answers.map(({ statusCode }) => statusCode))
      bodies.push(answers.filter(({ statusCode }) => statusCode === 202).map(({ body }) => body))
    }
  }))
  t.same([...new Set(statuses)].filter(status => ![202, 409, 503].includes(status)), [])
  t.same(bodies.filter(([first, ...rest]) => rest.some(body => body !== first)), [], 'each key has one answer')
  t.equal(new Set(bodies.flat()).size, KEYS)
  await pump(app, engines)
  t.equal(engines.mails.length - before, KEYS)
  const codes = new Set<number>()
  for (const { email } of requests) codes.add(await codesOf(email))
  t.same([...codes], [1])
  const effects = engines.mails.length - before
  report(t, { promise: 10, figure: `${KEYS} keys × 3 at once over two instances, then again: ${effects} effects, ${statuses.filter(status => status === 409).length} × 409 while the first ran`, holds: effects === KEYS && codes.size === 1 && codes.has(1) })
})

t.test('a repetition gets the challenge of the first request, and its code signs in', async t => {
  for (const ask of [register, askForCode]) {
    const request = newRequest()
    if (ask === askForCode) await signIn(app, engines, request.email)
    const first = await ask(request)
    await pump(app, engines)
    const mails = engines.mailsTo(request.email).length
    const second = await ask(request)
    t.equal(second.statusCode, 202)
    t.equal(second.body, first.body)
    await pump(app, engines)
    t.equal(engines.mailsTo(request.email).length, mails)
    const { challengeId } = second.json<ChallengeTicket>()
    t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, request.email) } })).statusCode, 200)
  }
})

t.test('the same key for another address is a 422', async t => {
  const { key, email } = newRequest()
  t.equal((await register({ key, email })).statusCode, 202)
  t.equal((await register({ key, email: `other-${email}` })).statusCode, 422)
  t.equal((await askForCode({ key, email })).statusCode, 422)
})

t.test('who has had their share of codes may repeat the request under the same key when they may have one again', async t => {
  const { email, key } = newRequest()
  for (let i = 0; i < 5; i++) t.equal((await askForCode({ email, key: `${key}-${i}` })).statusCode, 202)
  t.equal((await askForCode({ email, key })).json().code, 'AUTH_CODES_EXHAUSTED')
  t.equal((await recordsOf(app)).length, 5)
  t.equal((await askForCode({ email, key: `${key}-0` })).statusCode, 202, 'and a repetition of one that was sent counts as none')
})

/** Starts a request that ends between two steps, as with a killed process: its write is sent, or not, and no answer comes. */
async function die (request: Request, isSent: boolean) {
  let isThere = false
  const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    if (isSent) await send()
    isThere = true
    return await new Promise(() => {})
  })
  void register(request)
  await until(() => isThere)
  stop()
  const { statusCode } = await register(request, other)
  if (statusCode !== 409) throw new Error(`the lease does not hold: ${statusCode}`)
  await alter(app, { lease: Date.now() })
  const [record] = await recordsOf(app)
  return record!
}

for (const [where, isSent, isHandled] of [['between the lease and the write', false, false], ['between the write and the answer', true, false], ['between the write and the answer, and whose mail has been sent since', true, true]] as const) {
  t.test(`a request that dies ${where} is one registration after its repetition`, async t => {
    const request = newRequest()
    const { startedAt } = await die(request, isSent)
    if (isHandled) await pump(app, engines)
    const answers = [await register(request, other), await register(request), await register(request, other)]
    t.same(answers.map(({ statusCode }) => statusCode), [202, 202, 202])
    t.equal(new Set(answers.map(({ body }) => body)).size, 1)
    const { challengeId, expiresAt } = answers[0]!.json<ChallengeTicket>()
    t.equal(Date.parse(expiresAt), Date.parse(startedAt) + 10 * MINUTE, 'the time of the first attempt')
    t.equal(await codesOf(request.email), 1)
    await pump(app, engines)
    t.equal(engines.mailsTo(request.email).length, 1)
    const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, request.email) } })
    t.equal(exchange.statusCode, 200, 'the code in that mail is the challenge\'s')
  })
}

t.test('the request that was counted stays known while its code is good, however many follow', async t => {
  const request = newRequest()
  await die(request, true)
  for (let i = 0; i < 14; i++) await app.auth.requestCode({ email: request.email, network: `network ${i}` }, 'test')
  await pump(app, engines)
  const mails = engines.mailsTo(request.email).length
  t.equal((await register(request)).statusCode, 202)
  await pump(app, engines)
  t.equal(await codesOf(request.email), 15)
  t.equal(engines.mailsTo(request.email).length, mails)
})

t.test('a repetition after the code has expired gets a new code', async t => {
  const request = newRequest()
  await die(request, false)
  await alter(app, { startedAt: new Date(Date.now() - 60 * MINUTE).toISOString() })
  const answer = await register(request)
  t.equal(answer.statusCode, 202)
  const { challengeId, expiresAt } = answer.json<ChallengeTicket>()
  t.ok(Date.parse(expiresAt) > Date.now() + 9 * MINUTE)
  await pump(app, engines)
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, request.email) } })).statusCode, 200)
})

t.test('a lost answer of any write is no second registration', async t => {
  for (const command of ['PutItemCommand', 'TransactWriteItemsCommand', 'UpdateItemCommand']) {
    const request = newRequest()
    const fault = loseOneAnswer(app.dynamodb, command)
    const first = await register(request)
    fault.stop()
    t.ok(fault.wasLost(), command)
    t.equal(first.statusCode, 202)
    t.equal((await register(request, other)).body, first.body)
    t.equal(await codesOf(request.email), 1)
  }
})

t.test('the answers of no attempt arrive, five times, and it is one registration', async t => {
  const request = newRequest()
  const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand' }, async ({ send }) => {
    await send()
    throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET' })
  })
  for (let i = 0; i < 5; i++) t.ok([202, 503].includes((await register(request)).statusCode))
  stop()
  t.equal((await register(request)).statusCode, 202)
  t.equal(await codesOf(request.email), 1)
  await pump(app, engines)
  t.equal(engines.mailsTo(request.email).length, 1)
})

t.test('a registration without a key is one AWS call as before, with one three', async t => {
  const { email, key } = newRequest()
  const plain = recordCalls(app)
  await app.inject({ method: 'POST', url: '/v2/users', payload: { email, name: 'Ada' } })
  t.same(plain.stop(), ['TransactWriteItemsCommand'])
  const keyed = recordCalls(app)
  await register({ email, key })
  t.same(keyed.stop(), ['PutItemCommand', 'TransactWriteItemsCommand', 'UpdateItemCommand'])
})

/** Stands between a process and DynamoDB. Carries out everything, and swallows the answer of the first transaction. */
async function startSwallower (t: { teardown (fn: () => unknown): void }) {
  let swallowed = false
  const server = createServer((request, response) => {
    void (async () => {
      const body = await buffer(request)
      const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !['host', 'connection', 'content-length', 'expect'].includes(name))) as Record<string, string>
      const answer = await fetch(engines.dynamodbEndpoint + request.url!, { method: 'POST', headers, body: new Uint8Array(body) })
      const bytes = new Uint8Array(await answer.arrayBuffer())
      if (String(request.headers['x-amz-target']).endsWith('.TransactWriteItems')) {
        swallowed = true
        return
      }
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(bytes)
    })().catch(() => response.destroy())
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hasSwallowed: () => swallowed }
}

t.test('a process that is killed between the write and the answer leaves one registration', async t => {
  const swallower = await startSwallower(t)
  const server = spawn(process.execPath, ['src/server.ts'], {
    env: { ...engines.env, AWS_ENDPOINT_URL_DYNAMODB: swallower.url, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => server.kill('SIGKILL'))
  let url: string | undefined
  for await (const line of createInterface(server.stdout)) {
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (url !== undefined) break
  }
  server.stdout.resume()
  const request = newRequest()
  const first = fetch(`${url}/v2/users`, { method: 'POST', body: JSON.stringify({ email: request.email, name: 'Ada' }), headers: { 'content-type': 'application/json', 'idempotency-key': request.key } })
  await until(() => swallower.hasSwallowed())
  server.kill('SIGKILL')
  await t.rejects(first)
  t.equal((await register(request)).statusCode, 409, 'the lease of the killed process')
  await alter(app, { lease: Date.now() })
  const second = await register(request)
  t.equal(second.statusCode, 202)
  t.equal((await register(request)).body, second.body)
  t.equal(await codesOf(request.email), 1)
  await pump(app, engines)
  t.equal(engines.mailsTo(request.email).length, 1)
})
