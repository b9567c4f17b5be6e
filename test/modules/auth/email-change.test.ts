import { BatchWriteCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import t from 'tap'
import type { ChallengeTicket, Tokens } from '../../../src/modules/auth/contract.ts'
import type { UsersEntry } from '../../../src/modules/users/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, TABLES } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { breakQueueFor, intercept, loseOneAnswer, recordCalls } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../../outbox.ts'
import { report } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { counted, itemsOf, openChallenge, serviceAt } from './support.ts'

const DAY = 24 * 3600_000

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: { ...bus.env, ADMIN_EMAILS: 'root@example.com,chief@example.com' } })
const admin = await adminOf(app)
const { mailsTo } = engines

let n = 0
const address = (name = 'user') => `${name}-${++n}@example.com`

/** Writes accounts straight into the table, as they are once their address is proved: without mails and events. */
async function store (accounts: { id: string, email: string }[], name: string): Promise<void> {
  const at = new Date().toISOString()
  const items = accounts.flatMap(({ id, email }) => [
    { userId: id, kind: 'user', email, name, locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 2 },
    { userId: `email#${email}`, kind: 'claim', ownerId: id }
  ])
  while (items.length > 0) await app.dynamodb.send(new BatchWriteCommand({ RequestItems: { UsersTable: items.splice(0, 25).map(Item => ({ PutRequest: { Item } })) } }))
}

/** A signed-in user, who may have moved to another address since. */
async function newUser (email = address()) {
  const id = newId()
  await store([{ id, email }], 'Ada Lovelace')
  return { id, email, tokens: await signInAt(email) }
}
type Account = Awaited<ReturnType<typeof newUser>>

const bearer = ({ accessToken }: Tokens) => ({ authorization: `Bearer ${accessToken}` })
const post = (url: string, payload: object, headers: Record<string, string> = {}) => app.inject({ method: 'POST', url, payload, headers })
const ask = (tokens: Tokens, email: string) => post('/v2/users/me/email', { email }, bearer(tokens))
const verify = (challengeId: string, code = app.keys.codeOf(challengeId)) => post('/v2/auth/verify', { challengeId, code })
const exchange = (challengeId: string, code = app.keys.codeOf(challengeId)) => post('/v2/auth/tokens', { grantType: 'code', challengeId, code })
const refresh = ({ refreshToken }: Tokens) => post('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken })
const refreshed = async (tokens: Tokens) => (await refresh(tokens)).json<Tokens>()
const me = async (tokens: Tokens) => (await app.inject({ url: '/v2/users/me', headers: bearer(tokens) })).statusCode
const emailOf = async ({ id }: Pick<Account, 'id'>) => (await app.users.getFresh(id))?.email
/** Signs in by a code for an address, without its mail. */
async function signInAt (email: string): Promise<Tokens> {
  const { challengeId, code } = await openChallenge(app, email)
  return (await exchange(challengeId, code)).json<Tokens>()
}

/** Asks for a change and opens its challenge. */
async function asked (tokens: Tokens, email: string): Promise<string> {
  const answer = await ask(tokens, email)
  if (answer.statusCode !== 202) throw new Error(`${answer.statusCode} ${answer.body}`)
  await pump(app, engines)
  return answer.json<ChallengeTicket>().challengeId
}

/** Changes an address, and gives the tokens of the session that asked for it. */
async function change (tokens: Tokens, email: string): Promise<Tokens> {
  const answer = await verify(await asked(tokens, email))
  if (answer.statusCode !== 204) throw new Error(`${answer.statusCode} ${answer.body}`)
  await pump(app, engines)
  return await refreshed(tokens)
}

/** The link in the newest mail to an address. */
function linkTo (email: string) {
  const mail = mailsTo(email).at(-1)
  const found = /http\S+#(\S+)/.exec(mail?.text ?? '')?.[1]
  return found === undefined ? undefined : Object.fromEntries(new URLSearchParams(found)) as { challengeId: string, code: string, action?: string }
}
const undo = (email: string) => {
  const { challengeId, code } = linkTo(email)!
  return verify(challengeId, code)
}
const subjects = (email: string) => mailsTo(email).map(({ subject }) => subject)
const usersItems = async () => (await app.dynamodb.send(new ScanCommand({ TableName: app.config.USERS_TABLE, ConsistentRead: true }))).Items!
const claimOf = async (email: string) => (await usersItems()).find(({ userId }) => userId === `email#${email}`)

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

t.test('a pending account that proves the address while it is to give way keeps it', async (t) => {
  const ada = await newUser()
  const next = address()
  const pending = await app.users.register({ email: next, name: 'Faster' }, 'x')
  await pump(app, engines)
  const { challengeId: theirs } = linkTo(next)!
  const challengeId = await asked(ada.tokens, next)
  let swaps = 0
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    if (swaps++ === 0) t.equal((await verify(theirs)).statusCode, 204)
    return await send()
  })
  t.match((await verify(challengeId)).json(), { code: 'AUTH_EMAIL_TAKEN' })
  restore()
  t.match(await app.users.findByEmail(next), { id: pending.id, status: 'ACTIVE' })
  t.equal(await emailOf(ada), ada.email)
  await pump(app, engines)
})

t.test('of changes of many accounts to one address at the same moment one wins, and each account has one address', async (t) => {
  const next = address('race')
  const accounts = []
  // One network may ask for one address five times an hour.
  for (let i = 0; i < 5; i++) {
    const account = await newUser()
    accounts.push({ ...account, challengeId: await asked(account.tokens, next) })
  }
  const answers = await Promise.all(accounts.map(({ challengeId }) => verify(challengeId)))
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, 409, 409, 409, 409])
  const winner = accounts[answers.findIndex(({ statusCode }) => statusCode === 204)]!
  t.match(await claimOf(next), { ownerId: winner.id })
  for (const account of accounts) {
    t.equal(await emailOf(account), account === winner ? next : account.email)
    t.match(await claimOf(account.email), { ownerId: account.id })
  }
  await pump(app, engines)
})

t.test('200 changes to one address at once: one wins, and none is a fault', async (t) => {
  const next = address('many')
  const changes = Array.from({ length: 200 }, () => ({ id: newId(), email: address('racer') }))
  await store(changes, 'Racer')
  // The engine answers 200 requests at once later than DynamoDB would.
  ;(app.dynamodb.config.requestHandler as unknown as NodeHttpHandler).updateHttpClientConfig('requestTimeout', 10_000)
  const outcomes = await Promise.all(changes.map(async ({ id }) => await app.users.changeEmail({ userId: id, email: next, sid: newId() }, 'x').catch((error: Error & { statusCode?: number }) => error.message)))
  const won = outcomes.filter(outcome => typeof outcome === 'object')
  t.equal(won.length, 1)
  t.same(new Set(outcomes.filter(outcome => typeof outcome !== 'object')), new Set(['taken']))
  const after = await usersItems()
  const claims = new Map(after.filter(({ kind }) => kind === 'claim').map(({ userId, ownerId }) => [userId, ownerId]))
  for (const item of after.filter(({ kind, name }) => kind === 'user' && name === 'Racer')) t.equal(claims.get(`email#${item['email']}`), item['userId'])
  await pump(app, engines)
})

t.test('changes, undos and deletions at the same moment leave each address with one account, and each account with its claims', async (t) => {
  const rounds = 12
  for (let round = 0; round < rounds; round++) {
    const [ada, bob] = [{ id: newId(), email: address('maze') }, { id: newId(), email: address('maze') }]
    const [next, third] = [address('maze'), address('maze')]
    await store([ada, bob], 'In The Maze')
    const sid = newId()
    await app.users.changeEmail({ userId: ada.id, email: next, sid }, 'x')
    const { challengeId } = (await usersItems()).find(({ userId }) => userId === ada.id)!['formerAddresses'][0]
    await Promise.all([
      app.users.changeEmail({ userId: ada.id, email: third, sid }, 'x'),
      app.users.changeEmail({ userId: bob.id, email: third, sid }, 'x'),
      app.users.changeEmail({ userId: bob.id, email: next, sid }, 'x'),
      app.users.restoreEmail(ada.id, challengeId, 'x'),
      app.users.register({ email: round % 2 === 0 ? third : ada.email, name: 'In The Maze' }, 'x'),
      ...(round % 3 === 0 ? [app.users.remove(admin, ada.id, 'x')] : [])
    ].map(async step => await step.catch((error: Error & { statusCode?: number }) => { if ((error.statusCode ?? 500) >= 500) throw error })))
  }
  const items = await usersItems()
  const users = items.filter(({ kind, name }) => kind === 'user' && name === 'In The Maze')
  const claims = items.filter(({ userId, kind }) => kind === 'claim' && String(userId).startsWith('email#maze'))
  t.ok(users.length >= rounds)
  const expected = users.flatMap(({ userId: ownerId, email, formerAddresses = [] }) => [email, ...(formerAddresses as { email: string }[]).map(former => former.email)].map(claimed => `${claimed} ${ownerId}`))
  t.same(claims.map(({ userId, ownerId }) => `${String(userId).slice('email#'.length)} ${ownerId}`).sort(), expected.sort())
  await pump(app, engines)
})

t.test('a change whose answer is lost is one change, and a repeated one none', async (t) => {
  const ada = await newUser()
  const next = address()
  const lost = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  const answer = await ask(ada.tokens, next)
  lost.stop()
  t.ok(lost.wasLost())
  t.equal(answer.statusCode, 202)
  await pump(app, engines)
  const { challengeId } = answer.json<ChallengeTicket>()
  const swap = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  const { statusCode } = await verify(challengeId)
  swap.stop()
  report(t, { promise: 2, part: 'change of address', figure: `its answer was lost: ${statusCode}`, holds: swap.wasLost() && statusCode === 204 })
  t.equal((await verify(challengeId)).statusCode, 204, 'as a client does whose answer was lost')
  const twice = await Promise.all([verify(challengeId), verify(challengeId)])
  t.same(twice.map(({ statusCode }) => statusCode), [204, 204])
  t.match(await app.users.getFresh(ada.id), { email: next, version: 3 })
  t.equal((await usersItems()).filter(({ kind, ownerId }) => kind === 'claim' && ownerId === ada.id).length, 2, 'the new address, and the old one until the undo ends')
  await pump(app, engines)
  t.equal(mailsTo(next).length, 1)
  t.equal(subjects(ada.email).filter(subject => subject === 'Your e-mail address has been changed').length, 1)
  t.equal(bus.eventsOf(ada.id).filter(({ type }) => type === 'user.email-changed').length, 1)
})

t.test('a change that meets a change of the profile loses neither', async (t) => {
  const ada = await newUser()
  const next = address()
  const challengeId = await asked(ada.tokens, next)
  let writes = 0
  const restore = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    if (writes++ === 0) await app.users.update({ userId: ada.id }, ada.id, { name: 'Ada King' }, 'x')
    return await send()
  })
  t.equal((await verify(challengeId)).statusCode, 204)
  restore()
  t.match(await app.users.getFresh(ada.id), { email: next, name: 'Ada King', version: 4 })
  await pump(app, engines)
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

t.test('an entry that is late, for an account that moved on, or comes again mails nothing, or one mail', async (t) => {
  const ada = await newUser()
  async function entryFor (email: string) {
    await ask(ada.tokens, email)
    return (await waiting(app, 'AuthTable')).find(({ type }) => type === 'email-change.requested')!
  }
  const again = await entryFor(address())
  for (let i = 0; i < 3; i++) {
    await leaveBehind(app, again)
    t.same(await deliver(app, entryRecord(again)), [])
  }
  await pump(app, engines)
  t.equal(mailsTo(again.subject).length, 1)

  const before = counted(app, 'CodesExpired')
  const late = await entryFor(address())
  const expired = { ...late, data: { ...late.data as object, expiresAt: new Date(Date.now() - 1).toISOString() } }
  await leaveBehind(app, expired)
  t.same(await deliver(app, entryRecord(expired)), [])
  await pump(app, engines)
  t.same(mailsTo(late.subject), [])
  t.equal(counted(app, 'CodesExpired') - before, 1)

  const gone = await entryFor(address())
  await app.users.remove(admin, ada.id, 'x')
  await pump(app, engines)
  await leaveBehind(app, gone)
  t.same(await deliver(app, entryRecord(gone)), [])
  await pump(app, engines)
  t.same(mailsTo(gone.subject), [])
  t.notMatch(JSON.stringify(await itemsOf(app.dynamodb)), ada.id)
})

t.test('the owner of the old address undoes the change: the address is back, every session ends, and the new one cannot undo that', async (t) => {
  const ada = await newUser()
  const evil = address('evil')
  const thief = await change(ada.tokens, evil)
  const byCode = await signInAt(evil)
  const link = linkTo(ada.email)!
  t.equal((await exchange(link.challengeId, link.code)).statusCode, 401, 'a code that lies in a mailbox for days starts no session')
  t.equal(await emailOf(ada), evil)
  const lost = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  t.equal((await undo(ada.email)).statusCode, 204)
  lost.stop()
  t.ok(lost.wasLost())
  t.match(await app.users.getFresh(ada.id), { email: ada.email, version: 4 })
  for (const tokens of [thief, byCode, ada.tokens]) {
    t.equal(await me(tokens), 401)
    t.equal((await refresh(tokens)).statusCode, 401)
  }
  await pump(app, engines)
  t.equal((await verify(link.challengeId, link.code)).statusCode, 204, 'undone twice is undone')
  t.match(await app.users.getFresh(ada.id), { version: 4 })
  t.match(bus.eventsOf(ada.id).at(-1), { type: 'user.email-changed', data: { email: ada.email, userVersion: 4 } })
  t.same(subjects(evil).at(-1), 'Your e-mail address has been changed')
  t.equal(linkTo(evil), undefined, 'the notice to the address that is given up has no way back')
  t.equal(await claimOf(evil), undefined, 'and the address is free')
  t.notOk('expiresAt' in (await claimOf(ada.email))!)
  const back = await signInAt(ada.email)
  t.equal(back.user.email, ada.email)
  const next = await change(back, address())
  t.equal((await verify(link.challengeId, link.code)).statusCode, 401, 'a later change of the owner is undone by its own link only')
  t.equal(await me(next), 200)
})

t.test('the old address is kept for the account: no other account can have it, and it starts no session', async (t) => {
  const [ada, eve] = [await newUser(), await newUser()]
  await change(ada.tokens, address())
  const before = mailsTo(ada.email).length
  t.equal((await post('/v1/users', { email: ada.email, name: 'Eve' })).statusCode, 409)
  t.equal((await post('/v2/users', { email: ada.email, name: 'Eve' })).statusCode, 202)
  t.equal((await post('/v2/auth/challenges', { email: ada.email })).statusCode, 202)
  await pump(app, engines)
  t.equal(mailsTo(ada.email).length, before)
  t.match((await verify(await asked(eve.tokens, ada.email))).json(), { code: 'AUTH_EMAIL_TAKEN' })
  t.equal(await emailOf(eve), eve.email)
})

t.test('after seven days a change cannot be undone, and the address is free', async (t) => {
  const [ada, bob] = [await newUser(), await newUser()]
  const next = address()
  const tokens = await change(ada.tokens, next)
  const { challengeId, code } = linkTo(ada.email)!
  const { expiresAt } = (await claimOf(ada.email))!
  t.ok(Math.abs(Number(expiresAt) * 1000 - Date.now() - 7 * DAY) < 10_000)
  const at = (days: number) => ({ now: new Date(Date.now() + days * DAY) })
  await t.rejects(serviceAt(app, at(7.01)).verify(challengeId, code, 'x'), { code: 'AUTH_CODE_INVALID' })
  // As after those days.
  await app.dynamodb.send(new UpdateCommand({
    TableName: 'UsersTable', Key: { userId: `email#${ada.email}` }, UpdateExpression: 'SET expiresAt = :past', ExpressionAttributeValues: { ':past': Math.floor(Date.now() / 1000) - 1 }
  }))
  await app.dynamodb.send(new UpdateCommand({
    TableName: 'UsersTable', Key: { userId: ada.id }, UpdateExpression: 'SET formerAddresses[0].#until = :past', ExpressionAttributeNames: { '#until': 'until' }, ExpressionAttributeValues: { ':past': Math.floor(Date.now() / 1000) - 1 }
  }))
  t.equal((await verify(challengeId, code)).statusCode, 401)
  await change(bob.tokens, ada.email)
  t.equal(await emailOf(bob), ada.email)
  t.equal((await verify(challengeId, code)).statusCode, 401)
  await app.users.update({ userId: ada.id }, ada.id, { name: 'Forgets' }, 'x')
  t.notMatch(JSON.stringify((await usersItems()).find(({ userId }) => userId === ada.id)), ada.email, 'the next write of the account forgets the address')
  await app.users.remove({ userId: ada.id }, ada.id, 'x')
  t.equal(await emailOf(bob), ada.email, 'and its deletion leaves the new owner alone')
  t.match(await claimOf(ada.email), { ownerId: bob.id })
  t.ok(tokens)
  await pump(app, engines)
})

t.test('two changes in a row: each former address can have the account back, and the first one undoes both', async (t) => {
  for (const order of [['first'], ['second', 'first']]) {
    const ada = await newUser()
    const [second, third] = [address(), address()]
    await change(await change(ada.tokens, second), third)
    const links = { first: linkTo(ada.email)!, second: linkTo(second)! }
    t.match(links, { first: { action: 'undo' }, second: { action: 'undo' } })
    const expected = { first: ada.email, second }
    for (const which of order as ('first' | 'second')[]) {
      t.equal((await verify(links[which].challengeId, links[which].code)).statusCode, 204)
      t.equal(await emailOf(ada), expected[which])
      await pump(app, engines)
    }
    t.equal((await verify(links.second.challengeId, links.second.code)).statusCode, 401, 'what came after the undone change undoes nothing')
    t.equal(await emailOf(ada), ada.email)
    for (const email of [second, third]) t.equal(await claimOf(email), undefined)
    t.equal((await usersItems()).filter(({ kind, ownerId }) => kind === 'claim' && ownerId === ada.id).length, 1)
  }
})

t.test('no number of changes makes the first one permanent: after five in seven days a further one is refused', async (t) => {
  const ada = await newUser()
  let tokens = ada.tokens
  for (let i = 0; i < 5; i++) tokens = await change(tokens, address())
  const challengeId = await asked(tokens, address())
  t.match((await verify(challengeId)).json(), { status: 409, code: 'AUTH_EMAIL_CHANGES_EXHAUSTED' })
  t.equal((await undo(ada.email)).statusCode, 204)
  t.equal(await emailOf(ada), ada.email)
  t.equal((await usersItems()).filter(({ kind, ownerId }) => kind === 'claim' && ownerId === ada.id).length, 1)
  await pump(app, engines)
})

t.test('who returns to a former address by a code has undone the change from it: the address that is given up has no way back', async (t) => {
  const ada = await newUser()
  const evil = address('evil')
  const tokens = await change(ada.tokens, evil)
  await change(tokens, ada.email)
  t.equal(await emailOf(ada), ada.email)
  t.equal(linkTo(evil), undefined)
  t.equal(await claimOf(evil), undefined)
  t.notOk('formerAddresses' in (await usersItems()).find(({ userId }) => userId === ada.id)!)
})

t.test('a suspended account gets its address back and stays suspended', async (t) => {
  const ada = await newUser()
  await change(ada.tokens, address())
  await app.users.update(admin, ada.id, { status: 'SUSPENDED' }, 'x')
  t.equal((await undo(ada.email)).statusCode, 204)
  t.match(await app.users.getFresh(ada.id), { email: ada.email, status: 'SUSPENDED' })
  await pump(app, engines)
})

t.test('an undo after the account was deleted changes nothing, and the deletion frees both addresses and leaves no trace', async (t) => {
  const ada = await newUser()
  const next = address()
  await change(ada.tokens, next)
  const { challengeId, code } = linkTo(ada.email)!
  await app.users.remove({ userId: ada.id }, ada.id, 'x')
  t.equal((await verify(challengeId, code)).statusCode, 401)
  await pump(app, engines)
  t.equal((await verify(challengeId, code)).statusCode, 401)
  for (const TableName of TABLES) {
    const { Items } = await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true }))
    for (const trace of [ada.id, ada.email, next]) t.notMatch(JSON.stringify(Items), trace, TableName)
  }
  for (const email of [ada.email, next]) t.not((await signIn(app, engines, email)).user.id, ada.id, 'both addresses can register')
})

t.test('the entry of a change that is late, or comes again, mails one notice, none to an address that the account has again, and no way back that is gone', async (t) => {
  const ada = await newUser()
  const [second, third] = [address(), address()]
  async function changeEntry (tokens: Tokens, email: string) {
    await verify(await asked(tokens, email))
    return (await waiting(app, 'UsersTable')).find(({ type, subject }) => type === 'user.email-changed' && subject === ada.id) as Extract<UsersEntry, { type: 'user.email-changed' }>
  }
  async function deliverLate (entry: UsersEntry) {
    await leaveBehind(app, entry)
    t.same(await deliver(app, entryRecord(entry)), [])
    await pump(app, engines)
  }
  const first = await changeEntry(ada.tokens, second)
  const restore = breakQueueFor(app, ada.email)
  t.equal((await deliver(app, entryRecord(first))).length, 1, 'the queue is down')
  restore()
  for (let i = 0; i < 3; i++) await deliverLate(first)
  t.equal(mailsTo(ada.email).length, 1)

  const tokens = await refreshed(ada.tokens)
  const next = await changeEntry(tokens, third)
  t.equal((await undo(ada.email)).statusCode, 204)
  const anew = await signInAt(ada.email)
  await deliverLate(next)
  t.match(subjects(second), ['Confirm your new e-mail address', 'Your e-mail address has been changed'])
  t.equal(linkTo(second), undefined, 'the change was undone with the first one')
  await deliverLate(first)
  t.equal(mailsTo(ada.email).length, 1, 'the account has this address again')
  t.equal(await me(anew), 200)
  t.equal((await refresh(anew)).statusCode, 200, 'no session ends that started since')
})

t.test('an address of ADMIN_EMAILS makes an admin when a change proves it; the role stays when the account leaves it, and an undo takes it back', async (t) => {
  const root = await newUser('root@example.com')
  t.equal(root.tokens.user.role, 'admin')
  const left = await change(root.tokens, address())
  t.equal(left.user.role, 'admin')
  const ada = await newUser()
  t.equal(ada.tokens.user.role, 'user')
  t.equal((await change(ada.tokens, 'chief@example.com')).user.role, 'admin')
  t.match(bus.eventsOf(ada.id).at(-1), { type: 'user.email-changed', data: { role: 'admin', changed: ['email', 'role'] } })
  t.equal((await undo(ada.email)).statusCode, 204)
  t.match(await app.users.getFresh(ada.id), { role: 'user', email: ada.email })
  t.equal((await undo('root@example.com')).statusCode, 204)
  t.match(await app.users.getFresh(root.id), { role: 'admin', email: 'root@example.com' })
  await pump(app, engines)
})

t.test('an undo takes the role back even from the only admin: the owner of the admin address becomes one by proving it', async (t) => {
  const ada = await newUser()
  t.equal((await change(ada.tokens, 'chief@example.com')).user.role, 'admin')
  await app.dynamodb.send(new UpdateCommand({ TableName: 'UsersTable', Key: { userId: 'admins' }, UpdateExpression: 'SET ids = :ids', ExpressionAttributeValues: { ':ids': new Set([ada.id]) } }))
  t.equal((await undo(ada.email)).statusCode, 204)
  t.match(await app.users.getFresh(ada.id), { role: 'user', email: ada.email })
  await pump(app, engines)
})

t.test('former addresses and what undoes a change are in no answer but the export, and in no event', async (t) => {
  const ada = await newUser()
  const tokens = await change(ada.tokens, address())
  for (const url of ['/v2/users/me', `/v1/users/${ada.id}`]) {
    const answer = await app.inject({ url, headers: bearer(tokens) })
    t.equal(answer.statusCode, 200)
    t.notMatch(answer.body, new RegExp(`${ada.email}|formerAddresses|until|undo`))
  }
  t.notMatch(JSON.stringify(bus.eventsOf(ada.id).slice(-1)), new RegExp(`${ada.email}|formerAddresses|until|undo`))
})

t.test('addresses and codes are in no log line', async (t) => {
  const ada = await newUser(address('canary-old'))
  const challengeId = await asked(ada.tokens, address('canary-new'))
  await verify(challengeId)
  await pump(app, engines)
  const { code } = linkTo(ada.email)!
  await undo(ada.email)
  await pump(app, engines)
  const log = JSON.stringify(app.logLines)
  for (const secret of ['canary-old', 'canary-new', code, app.keys.codeOf(challengeId)]) t.notOk(log.includes(secret), secret)
  const tables = JSON.stringify([await itemsOf(app.dynamodb), await usersItems()])
  for (const secret of [code, app.keys.codeOf(challengeId)]) t.notOk(tables.includes(secret))
})
