import { UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { ChallengeTicket, Tokens } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { CODE_LIMITS } from '../../../src/modules/auth/allowance.ts'
import { adminOf, codeIn, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, lineError, loseOneAnswer, recordCalls, transactionConflict } from '../../faults.ts'
import { report, SIZE, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { counted, itemAt, itemsOf, openChallenge, repositoryAt } from './support.ts'

/** Of six tries each: 1,000 and more. */
const CHALLENGES = workload({ short: 20, full: 170 })

if (SIZE !== 'short') t.setTimeout(300_000)

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

let n = 0
const newAddress = () => `user-${++n}@example.com`
const post = (url: string, payload: object, headers: Record<string, string> = {}) => app.inject({ method: 'POST', url, payload, headers })
const exchange = (challengeId: string, code: string) => post('/v2/auth/tokens', { grantType: 'code', challengeId, code })

/** The body of an answer, less what differs between any two. */
function sameness (answer: { statusCode: number, json: () => Record<string, unknown> }) {
  const { correlationId, ...body } = answer.json()
  return { status: answer.statusCode, body }
}

t.test('a code from the mail signs in, in version 2 and in version 1', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email, 'Ada')
  for (const version of ['v2', 'v1']) {
    const payload = (body: { success?: boolean, data?: unknown }) => {
      if (version === 'v2') return body as never
      t.equal(body.success, true)
      return body.data as never
    }
    const asked = await post(`/${version}/auth/challenges`, { email: email.toUpperCase() })
    t.equal(asked.statusCode, 202)
    const ticket: ChallengeTicket = payload(asked.json())
    t.same(Object.keys(ticket).sort(), ['challengeId', 'expiresAt'])
    await pump(app, engines)
    const answer = await post(`/${version}/auth/tokens`, { grantType: 'code', challengeId: ticket.challengeId, code: codeIn(engines, email) })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['cache-control'], 'no-store')
    const tokens: Tokens = payload(answer.json())
    t.same(Object.keys(tokens).sort(), ['accessToken', 'expiresIn', 'refreshToken', 'tokenType', 'user'])
    t.match(tokens, { tokenType: 'Bearer', expiresIn: 600, user: { email, name: 'Ada', status: 'ACTIVE', role: 'user' } })
    t.equal((await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${tokens.accessToken}` } })).statusCode, 200)
  }
})

t.test('blanks that copying leaves around a code are ignored, and take no try', async t => {
  const email = newAddress()
  await signIn(app, engines, email)
  for (const around of [(code: string) => ` ${code}`, (code: string) => `${code}\r\n`, (code: string) => `\t${code}\u00a0\u2028`]) {
    const { challengeId, code, wrongCode } = await openChallenge(app, email)
    for (let tries = 0; tries < 4; tries++) t.equal((await exchange(challengeId, around(wrongCode))).statusCode, 401)
    t.equal((await post('/v2/auth/verify', { challengeId, code: around(code) })).statusCode, 204)
    t.equal((await post('/v1/auth/tokens', { grantType: 'code', challengeId, code: around(code) })).statusCode, 200)
  }
  const { challengeId, code } = await openChallenge(app, email)
  for (const other of [`${code.slice(0, 4)} ${code.slice(4)}`, `${code}\u200b`, `${code}${' '.repeat(100)}`, '        ']) t.equal((await exchange(challengeId, other)).statusCode, 400)
  t.equal((await exchange(challengeId, code)).statusCode, 200)
})

t.test('the first code verifies the address of a new account', async (t) => {
  const email = newAddress()
  const { challengeId } = (await post('/v2/users', { email, name: 'Ada' })).json()
  await pump(app, engines)
  t.equal((await app.users.findByEmail(email))!.status, 'PENDING_VERIFICATION')
  t.equal((await exchange(challengeId, codeIn(engines, email))).json().user.status, 'ACTIVE')
})

t.test('asking for a code is one AWS call, and the same for known and unknown addresses', async (t) => {
  const known = newAddress()
  await signIn(app, engines, known)
  const mailsBefore = engines.mails.length
  const unknown = newAddress()
  const answers = []
  for (const email of [known, unknown]) {
    const calls = recordCalls(app)
    answers.push(await post('/v2/auth/challenges', { email }))
    t.same(calls.stop(), ['TransactWriteItemsCommand'])
  }
  t.same(answers.map(answer => [answer.statusCode, Object.keys(answer.json()).sort()]), [[202, ['challengeId', 'expiresAt']], [202, ['challengeId', 'expiresAt']]])
  await pump(app, engines)
  t.equal(engines.mails.length, mailsBefore + 1, 'only the known address gets a mail')

  const work = []
  for (const answer of answers) {
    const calls = recordCalls(app)
    t.equal((await exchange(answer.json().challengeId, '00000000')).statusCode, 401)
    work.push(calls.stop())
  }
  t.same(work[0], work[1], 'and a wrong code costs the same work')
})

t.test('bad input is refused with the field named, and nothing is asked of the table', async (t) => {
  const challengeId = '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'
  const code = '12345678'
  const bad: [url: string, body: object, pointer: string][] = [
    ['/auth/challenges', {}, '/email'],
    ['/auth/challenges', { email: 5 }, '/email'],
    ['/auth/challenges', { email: 'no-address' }, '/email'],
    ['/auth/challenges', { email: 'a@b.example\r\nBcc: c@d.example' }, '/email'],
    ['/auth/challenges', { email: 'a@example.com', role: 'admin' }, '/role'],
    ['/auth/tokens', {}, '/grantType'],
    ['/auth/tokens', { grantType: 'password' }, '/grantType'],
    ['/auth/tokens', { grantType: null, challengeId, code }, '/grantType'],
    ['/auth/tokens', { grantType: 'code', code }, '/challengeId'],
    ['/auth/tokens', { grantType: 'code', challengeId: 'x', code }, '/challengeId'],
    ['/auth/tokens', { grantType: 'code', challengeId }, '/code'],
    ['/auth/tokens', { grantType: 'code', challengeId, code: 12345678 }, '/code'],
    ['/auth/tokens', { grantType: 'code', challengeId, code: '1234567' }, '/code'],
    ['/auth/tokens', { grantType: 'code', challengeId, code: '１２３４５６７８' }, '/code'],
    ['/auth/tokens', { grantType: 'code', challengeId, code, refreshToken: 'x' }, '/refreshToken'],
    ['/auth/tokens', { grantType: 'refresh_token' }, '/refreshToken'],
    ['/auth/tokens', { grantType: 'refresh_token', refreshToken: ['x'] }, '/refreshToken'],
    ['/auth/tokens', { grantType: 'refresh_token', refreshToken: 'x', code }, '/code']
  ]
  const calls = recordCalls(app)
  for (const [url, body, pointer] of bad) {
    const v2 = await post(`/v2${url}`, body)
    t.equal(v2.statusCode, 400, JSON.stringify(body))
    t.same(v2.json().errors.map((error: { pointer: string }) => error.pointer), [pointer], JSON.stringify(body))
    const v1 = await post(`/v1${url}`, body)
    t.equal(v1.statusCode, 400)
    t.match(v1.json(), { success: false, error: pointer.slice(1) })
  }
  t.equal((await post('/v2/auth/revoke', {})).statusCode, 400)
  t.same(calls.stop(), [])
})

t.test('every kind of wrong code gets the same answer', async (t) => {
  const email = newAddress()
  const { user } = await signIn(app, engines, email)
  const answers: Record<string, ReturnType<typeof sameness>> = {}
  const tryCode = async (what: string, challengeId: string, code: string) => { answers[what] = sameness(await exchange(challengeId, code)) }
  const failuresBefore = counted(app, 'CodeFailures')

  await tryCode('unknown challenge', '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', '12345678')
  const challenge = await openChallenge(app, email)
  await tryCode('wrong code', challenge.challengeId, challenge.wrongCode)
  t.equal((await exchange(challenge.challengeId, challenge.code)).statusCode, 200)
  await tryCode('used', challenge.challengeId, challenge.code)
  const late = await openChallenge(app, email, new Date(Date.now() - 10 * 60_000 - 1000))
  t.ok(await itemAt(app.dynamodb, `challenge#${late.challengeId}`, 'challenge'), 'the table still has the expired one')
  await tryCode('expired', late.challengeId, late.code)
  const tried = await openChallenge(app, email)
  for (let i = 0; i < 5; i++) await exchange(tried.challengeId, tried.wrongCode)
  await tryCode('tried too often', tried.challengeId, tried.code)
  const unknown = await openChallenge(app, newAddress())
  await tryCode('no account', unknown.challengeId, unknown.code)
  await app.users.update(await adminOf(app), user.id, { status: 'SUSPENDED' }, 'test')
  const suspended = await openChallenge(app, email)
  await tryCode('suspended', suspended.challengeId, suspended.code)

  for (const [what, answer] of Object.entries(answers)) t.same(answer, answers['unknown challenge'], what)
  t.match(answers['used'], { status: 401, body: { code: 'AUTH_CODE_INVALID', status: 401 } })
  t.equal(counted(app, 'CodeFailures') - failuresBefore, Object.keys(answers).length + 5)
})

t.test('of 50 wrong codes at once, five are compared', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const { challengeId, code, wrongCode } = await openChallenge(app, email)
  const answers = await Promise.all(Array.from({ length: 50 }, () => exchange(challengeId, wrongCode)))
  t.same(new Set(answers.map(answer => answer.statusCode)), new Set([401]))
  const { tries } = (await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge'))!
  const compared = (tries as Set<string>).size
  report(t, { promise: 28, part: 'wrong codes', figure: `50 at once: ${compared} compared`, holds: compared === 5 })
  t.equal((await exchange(challengeId, code)).statusCode, 401)
})

t.test('of 50 right codes at once, one starts a session', async (t) => {
  const email = newAddress()
  const { user } = await signIn(app, engines, email)
  await repositoryAt(app, { now: new Date() }).deleteSessions(user.id, () => true)
  const signInsBefore = counted(app, 'SignIns')
  const { challengeId, code } = await openChallenge(app, email)
  const answers = await Promise.all(Array.from({ length: 50 }, () => exchange(challengeId, code)))
  const sessions = answers.filter(answer => answer.statusCode === 200).length
  report(t, { promise: 28, part: 'right codes', figure: `50 at once: ${sessions} session`, holds: sessions === 1 })
  t.equal(answers.filter(answer => answer.statusCode === 401).length, 49)
  t.equal((await itemsOf(app.dynamodb)).filter(item => item['pk'] === `user#${user.id}`).length, 1)
  t.equal(counted(app, 'SignIns') - signInsBefore, 1)
})

t.test('wrong codes from other clients never make the owner\'s right code fail', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const owner = await openChallenge(app, email)
  for (let i = 0; i < CHALLENGES; i++) {
    const { challengeId, wrongCode } = await openChallenge(app, email)
    await Promise.all(Array.from({ length: 6 }, () => exchange(challengeId, wrongCode)))
  }
  const { statusCode } = await exchange(owner.challengeId, owner.code)
  report(t, { promise: 28, part: 'the owner', figure: `${CHALLENGES * 6} hostile tries: ${statusCode === 401 ? 1 : 0} × 401 for the owner`, holds: statusCode === 200 })
})

t.test('a try whose answer from the table is lost is one try, the fifth too', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const { challengeId, code, wrongCode } = await openChallenge(app, email)
  for (let i = 0; i < 4; i++) t.equal((await exchange(challengeId, wrongCode)).statusCode, 401)
  const fault = loseOneAnswer(app.dynamodb, 'UpdateItemCommand')
  const answer = await exchange(challengeId, code)
  fault.stop()
  t.ok(fault.wasLost())
  t.equal(answer.statusCode, 200)
})

t.test('confirming an address starts no session, and leaves the code good for one', async (t) => {
  const email = newAddress()
  const { challengeId } = (await post('/v2/users', { email, name: 'Two Devices' })).json()
  await pump(app, engines)
  const code = codeIn(engines, email)
  const { id } = (await app.users.findByEmail(email))!
  for (let i = 0; i < 7; i++) {
    const answer = await post('/v2/auth/verify', { challengeId, code })
    t.equal(answer.statusCode, 204, 'as often as wanted: a right code takes no try')
    t.equal(answer.body, '')
  }
  t.equal((await app.users.getFresh(id))!.status, 'ACTIVE')
  t.same((await itemsOf(app.dynamodb)).filter(item => item['pk'] === `user#${id}`), [], 'no session')
  const signedIn = await exchange(challengeId, code)
  t.equal(signedIn.statusCode, 200)
  t.match(signedIn.json().user, { id, status: 'ACTIVE' })
  t.equal((await exchange(challengeId, code)).statusCode, 401, 'once')
  t.equal((await post('/v2/auth/verify', { challengeId, code })).statusCode, 401, 'and then it confirms nothing any more')
})

t.test('confirming with a wrong code uses a try, and gets the same answer as every other wrong code', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const { challengeId, code, wrongCode } = await openChallenge(app, email)
  for (let i = 0; i < 5; i++) t.match(sameness(await post('/v2/auth/verify', { challengeId, code: wrongCode })), { status: 401, body: { code: 'AUTH_CODE_INVALID' } })
  t.equal((await post('/v2/auth/verify', { challengeId, code })).statusCode, 401)
  t.equal((await exchange(challengeId, code)).statusCode, 401)
})

t.test('a code proves the address it was mailed to and no other', async (t) => {
  const email = newAddress()
  const { user } = await signIn(app, engines, email)
  const { challengeId, code } = await openChallenge(app, email)
  // As an account whose address has changed since.
  await app.dynamodb.send(new UpdateCommand({ TableName: 'UsersTable', Key: { userId: user.id }, UpdateExpression: 'SET email = :other', ExpressionAttributeValues: { ':other': newAddress() } }))
  t.equal((await exchange(challengeId, code)).statusCode, 401)
})

t.test('a challenge that is opened again keeps what has happened to it', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const challenge = await openChallenge(app, email)
  for (let i = 0; i < 4; i++) await exchange(challenge.challengeId, challenge.wrongCode)
  const address = app.keys.pseudonym(email)
  const reopen = async () => await repositoryAt(app, { now: new Date() }).openChallenge({
    challengeId: challenge.challengeId, userId: newId(), address, expiresAt: Math.ceil(Date.now() / 1000) + 600
  }, { address, limits: CODE_LIMITS })
  await reopen()
  t.equal((await exchange(challenge.challengeId, challenge.code)).statusCode, 200, 'the fifth try')
  await reopen()
  t.equal((await exchange(challenge.challengeId, challenge.code)).statusCode, 401)
})

t.test('neither codes nor tokens nor, once the code was used, the address are in the table', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const { challengeId } = (await post('/v2/auth/challenges', { email })).json()
  await pump(app, engines)
  const code = codeIn(engines, email)
  const tokens = (await exchange(challengeId, code)).json()
  const text = JSON.stringify(await itemsOf(app.dynamodb))
  for (const secret of [code, tokens.refreshToken, tokens.accessToken]) t.notOk(text.includes(secret))
  t.notOk(text.includes(email))
})

t.test('a transaction that meets another is tried again, and when it always does the answer is 503 and the code still good', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const challenge = await openChallenge(app, email)
  let restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand' }, async () => { throw transactionConflict() })
  const refused = await exchange(challenge.challengeId, challenge.code)
  restore()
  t.equal(refused.statusCode, 503)
  t.ok(refused.headers['retry-after'])
  restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand' }, async ({ send, attempt }) => { if (attempt <= 2) throw transactionConflict(); return await send() })
  const answer = await exchange(challenge.challengeId, challenge.code)
  restore()
  t.equal(answer.statusCode, 200)
})

t.test('a sign-in whose answer from the table is lost is a sign-in', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const challenge = await openChallenge(app, email)
  let sent = 0
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand' }, async ({ send, attempt }) => {
    const answer = await send()
    sent = attempt
    if (attempt === 1) throw lineError()
    return answer
  })
  const { statusCode } = await exchange(challenge.challengeId, challenge.code)
  restore()
  report(t, { promise: 2, part: 'sign-in', figure: `${sent} attempts: ${statusCode}`, holds: sent === 2 && statusCode === 200 })
})

t.test('with the table out of reach every route says 503, and works again afterwards', async (t) => {
  const email = newAddress()
  const { refreshToken } = await signIn(app, engines, email)
  const { challengeId, code } = await openChallenge(app, email)
  await engines.faults.dynamodb.stop('SIGKILL')
  for (const [url, body] of [
    ['/v2/auth/challenges', { email }],
    ['/v2/auth/tokens', { grantType: 'code', challengeId, code }],
    ['/v2/auth/tokens', { grantType: 'refresh_token', refreshToken }],
    ['/v2/auth/revoke', { refreshToken }]
  ] as const) {
    const answer = await post(url, body)
    t.equal(answer.statusCode, 503, url)
    t.ok(answer.headers['retry-after'])
    t.notMatch(answer.body, /AuthTable|127\.0\.0\.1|ECONN/)
  }
  await engines.faults.dynamodb.start()
  t.equal((await exchange(challengeId, code)).statusCode, 200)
  t.equal((await post('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken })).statusCode, 200)
})
