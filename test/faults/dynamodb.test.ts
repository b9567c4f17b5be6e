import t from 'tap'
import { buildTestApp, pump, startEngines, until, type TestApp } from '../helper.ts'
import { startTcpProxy } from '../tcp-proxy.ts'

const engines = await startEngines(t)
const proxy = await startTcpProxy(t, Number(new URL(engines.dynamodbEndpoint).port))
const app = await buildTestApp(t, engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${proxy.port}`, CACHE_TTL_SECONDS: '0' } })

/** Counts what goes over the line: each attempt, the SDK's own repetitions included. `before` may answer in its place. */
function watchAttempts (app: TestApp, before: () => void = () => {}) {
  let attempts = 0
  app.dynamodb.middlewareStack.add(next => async (args) => {
    attempts++
    before()
    return await next(args)
  }, { step: 'deserialize', priority: 'low', name: 'watchAttempts', override: true })
  return { get attempts () { return attempts }, stop: () => app.dynamodb.middlewareStack.remove('watchAttempts') }
}

const register = (n: number | string) => app.inject({ method: 'POST', url: '/v1/users', payload: { email: `fault-${n}@example.com`, name: 'Fault' } })
const id = (await register('first')).json().data.userId
const headers = { authorization: `Bearer ${await app.accessTokens.sign({ sub: id, email: 'fault-first@example.com', role: 'user', sid: id })}` }

const requests = {
  'v1 registration': () => register('new'),
  'v2 registration': () => app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'fault@example.com', name: 'Fault' } }),
  'sign-in request': () => app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'fault@example.com' } }),
  'token request': () => app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId: id, code: '12345678' } }),
  'uncached read': () => app.inject({ url: '/v2/users/me', headers })
}

for (const line of ['silent', 'reset'] as const) {
  for (const [what, request] of Object.entries(requests)) {
    t.test(`a ${what} on a ${line} line to DynamoDB is a 503 with a retry hint within 2.5 s and three attempts`, async (t) => {
      const watch = watchAttempts(app)
      t.teardown(() => { proxy.set('clear'); watch.stop() })
      proxy.set(line)
      let answer, took
      // A busy machine may stall for longer than what is between the time-outs and the promise, but not three times.
      for (let round = 1; round <= 3; round++) {
        const [start, before] = [performance.now(), watch.attempts]
        answer = await request()
        took = performance.now() - start
        t.comment(`${Math.round(took)} ms, ${watch.attempts - before} attempts`)
        t.ok(watch.attempts - before <= 3, `${watch.attempts - before} attempts`)
        if (took <= 2500) break
      }
      t.ok(took! <= 2500, `${took} ms`)
      t.equal(answer!.statusCode, 503)
      t.match(answer!.headers['retry-after'], /^\d+$/)
      const body = answer!.json()
      t.equal(body.code ?? 'DEPENDENCY_UNAVAILABLE', 'DEPENDENCY_UNAVAILABLE')
      for (const leak of ['Table', 'AWS', 'Dynamo', '127.0.0.1', 'at ']) t.notMatch(answer!.body, leak)
    })
  }
}

t.test('once DynamoDB answers again, so does the service', async (t) => {
  await until(async () => (await requests['uncached read']()).statusCode === 200)
  t.equal((await register('after')).statusCode, 201)
})

t.test('a throttled table is not asked more than 1.5 times a request', async (t) => {
  const watch = watchAttempts(app, () => {
    throw Object.assign(new Error('throttled'), { name: 'ProvisionedThroughputExceededException', $fault: 'client', $metadata: { httpStatusCode: 400 }, $retryable: { throttling: true } })
  })
  t.teardown(watch.stop)
  const ROUNDS = 400
  const answers = await Promise.all(Array.from({ length: ROUNDS }, () => requests['sign-in request']()))
  t.same(answers.filter(answer => answer.statusCode !== 503), [])
  t.comment(`${watch.attempts / ROUNDS} calls a request`)
  t.ok(watch.attempts / ROUNDS <= 1.5, `${watch.attempts} calls`)
})

t.test('what was acknowledged before the engine was killed is there, and its mail is sent, after it is back', async (t) => {
  // A client of its own: the other's retry budget is spent.
  const app = await buildTestApp(t, engines)
  const acknowledged = new Set<string>()
  let n = 0
  for (let round = 0; round < 3; round++) {
    let killed = false
    const clients = Array.from({ length: 10 }, async () => {
      while (!killed) {
        const email = `kept-${n++}@example.com`
        const answer = await app.inject({ method: 'POST', url: n % 2 === 0 ? '/v1/users' : '/v2/users', payload: { email, name: 'Kept' } })
        if (answer.statusCode < 300) acknowledged.add(email)
        else t.equal(answer.statusCode, 503)
      }
    })
    await until(() => acknowledged.size >= 30 * (round + 1))
    await engines.faults.dynamodb.stop('SIGKILL')
    killed = true
    await Promise.all(clients)
    await engines.faults.dynamodb.start()
  }
  await until(async () => { await pump(app, engines); return true })
  // What the engine's stream forgot when it was killed is still in the outbox.
  for await (const entry of app.users.outbox.pending(-60_000)) t.comment(`left to the sweeper: ${entry.type}`)
  await sweepAll(app)
  await pump(app, engines)
  const mailed = new Set(engines.mails.flatMap(mail => JSON.stringify(mail.to).match(/kept-\d+@example\.com/g) ?? []))
  const lost = [...acknowledged].filter(email => !mailed.has(email))
  t.comment(`${acknowledged.size} acknowledged, ${mailed.size} mailed, ${lost.length} lost`)
  t.same(lost, [])
  for (const email of acknowledged) t.match(await app.users.findByEmail(email), { email }, email)
})

/** The sweeper takes entries a minute old: here it is given a clock of its own by asking for all of them. */
async function sweepAll (app: TestApp) {
  const { pending } = app.users.outbox
  Object.assign(app.users.outbox, { pending: () => pending(-60_000) })
  await app.relay.sweep()
  Object.assign(app.users.outbox, { pending })
}
