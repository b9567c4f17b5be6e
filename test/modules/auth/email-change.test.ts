import t from 'tap'
import type { ChallengeTicket } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { recordCalls } from '../../faults.ts'
import { waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { startEmailChanges, type Account } from './email-change-support.ts'
import { serviceAt } from './support.ts'

const { engines, bus, app, admin, mailsTo, address, newUser, bearer, post, ask, verify, exchange, refresh, refreshed, me, emailOf, signInAt, asked, linkTo, subjects, claimOf } = await startEmailChanges(t)

t.test('a user changes their address: a code to the new one, the swap, a notice to the old one, and the event', async (t) => {
  const ada = await newUser()
  const other = await signInAt(ada.email)
  const next = address()
  const calls = recordCalls(app)
  const answer = await ask(ada.tokens, next.toUpperCase())
  t.same(calls.stop(), ['TransactWriteItemsCommand'], 'asking is one write')
  t.equal(answer.statusCode, 202)
  const { challengeId, expiresAt } = answer.json<ChallengeTicket>()
  t.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000) < 5000)
  await pump(app, engines)
  t.same(subjects(next), ['Confirm your new e-mail address'])
  t.same(linkTo(next), { challengeId, code: app.keys.codeOf(challengeId), action: 'change' })
  t.equal(await emailOf(ada), ada.email, 'nothing has changed yet')

  t.equal((await verify(challengeId)).statusCode, 204)
  t.match(await app.users.getFresh(ada.id), { email: next, version: 3, name: 'Ada Lovelace', status: 'ACTIVE' })
  t.match(await app.users.findByEmail(next), { id: ada.id })
  t.equal(await app.users.findByEmail(ada.email), undefined)
  await pump(app, engines)
  t.same(subjects(ada.email), ['Your e-mail address has been changed'])
  t.match(mailsTo(ada.email).at(-1)!.text, /Hello Ada Lovelace,/)
  t.equal(linkTo(ada.email)!.action, 'undo')
  t.same(mailsTo(next).length, 1)
  const event = bus.eventsOf(ada.id).at(-1)!
  t.match(event, { type: 'user.email-changed', version: 1, data: { userId: ada.id, userVersion: 3, email: next, changed: ['email'] } })
  t.notMatch(JSON.stringify(event), ada.email)
  t.same(Object.keys(event.data as object).sort(), ['changed', 'createdAt', 'email', 'locale', 'name', 'role', 'status', 'updatedAt', 'userId', 'userVersion'])

  t.equal(await me(ada.tokens), 401, 'the token of the session that asked names the old address')
  t.equal(await me(other), 401)
  t.equal((await refresh(other)).statusCode, 401, 'another session has ended')
  const again = await refreshed(ada.tokens)
  t.equal(again.user.email, next, 'the session that asked goes on')
  t.equal(await me(again), 200)
  t.same(await waiting(app), [])
})

t.test('the code of a change signs in with the new address, once', async (t) => {
  for (const verifiedBefore of [false, true]) {
    const ada = await newUser()
    const next = address()
    const challengeId = await asked(ada.tokens, next)
    if (verifiedBefore) t.equal((await verify(challengeId)).statusCode, 204)
    if (verifiedBefore) await pump(app, engines)
    const answer = await exchange(challengeId)
    t.equal(answer.statusCode, 200)
    t.match(answer.json(), { user: { id: ada.id, email: next } })
    t.equal(await me(answer.json()), 200)
    t.equal((await exchange(challengeId)).statusCode, 401)
    t.equal((await verify(challengeId)).statusCode, 401)
    await pump(app, engines)
    t.equal((await app.users.getFresh(ada.id))!.version, 3, 'it changed once')
    t.equal(mailsTo(ada.email).length, 1)
  }
})

t.test('a wrong, expired, used or foreign code changes nothing, with one answer', async (t) => {
  const [ada, eve] = [await newUser(), await newUser()]
  const next = address()
  const bodies = new Set<string>()
  async function refused (challengeId: string, code?: string) {
    const answer = await verify(challengeId, code)
    t.equal(answer.statusCode, 401)
    const { correlationId, ...body } = answer.json()
    bodies.add(JSON.stringify(body))
  }
  const challengeId = await asked(ada.tokens, next)
  const others = await asked(eve.tokens, address())
  const wrong = app.keys.codeOf(challengeId) === '00000000' ? '00000001' : '00000000'
  await refused(challengeId, wrong)
  await refused(challengeId, app.keys.codeOf(others))
  await refused(newId())
  const late = serviceAt(app, { now: new Date(Date.now() + 601_000) })
  await t.rejects(late.verify(challengeId, app.keys.codeOf(challengeId), 'x'), { code: 'AUTH_CODE_INVALID' })
  for (let i = 0; i < 3; i++) await refused(challengeId, wrong)
  await refused(challengeId)
  t.equal(bodies.size, 1)
  t.equal(await emailOf(ada), ada.email)
  t.equal(await claimOf(next), undefined)
})

t.test('free, used and own addresses get the same answer, by the same work', async (t) => {
  const [ada, bob] = [await newUser(), await newUser()]
  const pending = address()
  await app.users.register({ email: pending, name: 'Not Yet' }, 'x')
  await pump(app, engines)
  const work = []
  for (const email of [address(), bob.email, pending, ada.email]) {
    const calls = recordCalls(app)
    const answer = await ask(ada.tokens, email)
    work.push([answer.statusCode, Object.keys(answer.json()).sort(), calls.stop()])
  }
  for (const one of work) t.same(one, [202, ['challengeId', 'expiresAt'], ['TransactWriteItemsCommand']])
  await pump(app, engines)
  t.same(mailsTo(ada.email), [], 'an address that the account has needs no code')
})

t.test('asking counts towards the share of the new address', async (t) => {
  const ada = await newUser()
  const next = address()
  for (let i = 0; i < 5; i++) t.equal((await ask(ada.tokens, next)).statusCode, 202)
  const answer = await ask(ada.tokens, next.replace('@', '+tag@'))
  t.match(answer.json(), { status: 429, code: 'AUTH_CODES_EXHAUSTED' })
  t.ok(Number(answer.headers['retry-after']) > 3000)
  t.equal((await post('/v2/auth/challenges', { email: next })).statusCode, 429, 'the share is one with that of signing in')
  t.equal((await ask(ada.tokens, 'no address')).json().errors[0].pointer, '/email')
  await pump(app, engines)
})

t.test('an address of another account: its owner gets a code that moves nothing, and who has it learns why', async (t) => {
  const [ada, bob] = [await newUser(), await newUser()]
  const challengeId = await asked(ada.tokens, bob.email)
  t.same(subjects(bob.email), ['Confirm your new e-mail address'])
  for (let i = 0; i < 7; i++) t.match((await verify(challengeId)).json(), { status: 409, code: 'AUTH_EMAIL_TAKEN' }, 'a right code takes no try')
  t.match((await exchange(challengeId)).json(), { status: 409, code: 'AUTH_EMAIL_TAKEN' })
  t.match((await post('/v1/auth/tokens', { grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) })).json(), { success: false })
  t.equal(await emailOf(ada), ada.email)
  t.equal(await emailOf(bob), bob.email)
  t.equal(await me(bob.tokens), 200)
})

t.test('a pending account that holds the address without a proof gives way', async (t) => {
  const ada = await newUser()
  const next = address()
  const pending = await app.users.register({ email: next, name: 'Squatter' }, 'x')
  await pump(app, engines)
  const { challengeId: theirs } = linkTo(next)!
  const challengeId = await asked(ada.tokens, next)
  t.equal((await verify(challengeId)).statusCode, 204)
  await pump(app, engines)
  t.equal(await emailOf(ada), next)
  t.equal(await app.users.getFresh(pending.id), undefined)
  t.match(await claimOf(next), { ownerId: ada.id })
  t.notOk('expiresAt' in (await claimOf(next))!, 'for good')
  t.equal(bus.eventsOf(pending.id).at(-1)!.type, 'user.deleted')
  t.equal((await exchange(theirs)).statusCode, 401, 'its own code is for nothing any more')
  t.equal(await emailOf(ada), next)
})

t.test('a change ends with the session that asked for it', async (t) => {
  for (const [how, ends] of [
    ['signed out', async ({ tokens }) => await post('/v2/auth/revoke', { refreshToken: tokens.refreshToken })],
    ['ended by another session', async ({ email, tokens }) => await app.inject({ method: 'DELETE', url: `/v2/users/me/sessions/${app.jwt.decode<{ payload: { sid: string } }>(tokens.accessToken)!.payload.sid}`, headers: bearer(await signInAt(email)) })],
    ['logged out everywhere', async ({ tokens }) => await app.inject({ method: 'DELETE', url: '/v2/users/me/sessions', headers: bearer(tokens) })],
    ['suspended and active again', async ({ id }) => {
      await app.users.update(admin, id, { status: 'SUSPENDED' }, 'x')
      await app.users.update(admin, id, { status: 'ACTIVE' }, 'x')
    }]
  ] as [string, (account: Account) => Promise<unknown>][]) {
    const ada = await newUser()
    const next = address()
    const challengeId = await asked(ada.tokens, next)
    await ends(ada)
    t.equal((await verify(challengeId)).statusCode, 401, how)
    t.equal((await exchange(challengeId)).statusCode, 401, how)
    t.equal((await ask(ada.tokens, address())).statusCode, how.startsWith('suspended') ? 202 : 401, `${how}: what is asked with its token`)
    await pump(app, engines)
    t.equal(await emailOf(ada), ada.email, how)
    t.equal(await claimOf(next), undefined)
  }
})

t.test('a change of a suspended or deleted account does not happen', async (t) => {
  const [suspended, deleted] = [await newUser(), await newUser()]
  for (const account of [suspended, deleted]) {
    const next = address()
    const challengeId = await asked(account.tokens, next)
    if (account === suspended) await app.users.update(admin, account.id, { status: 'SUSPENDED' }, 'x')
    else await app.users.remove(admin, account.id, 'x')
    t.equal((await verify(challengeId)).statusCode, 401)
    await pump(app, engines)
    t.equal((await verify(challengeId)).statusCode, 401)
    t.equal(await claimOf(next), undefined)
    t.same(mailsTo(account.email), [])
  }
})
