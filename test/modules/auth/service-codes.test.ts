import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { ChallengeTicket } from '../../../src/modules/auth/contract.ts'
import { createService } from '../../../src/modules/auth/service.ts'
import { idFrom, newId, newNumberedId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept } from '../../faults.ts'
import { waiting } from '../../outbox.ts'
import { counted, itemAt, itemsOf, openChallenge, repositoryAt, serviceAt } from './support.ts'

const MINUTE = 60_000
const LIFETIME = 10 * MINUTE

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

const START = new Date('2026-11-27T12:00:00.700Z')
const clock = { now: START }
const after = (ms: number) => new Date(START.getTime() + ms)
t.beforeEach(() => { clock.now = START })

/** The service by the clock, which notes what it counts for each recipient domain. */
const domains: [domain: string, factor: number][] = []
const service = createService({
  repository: repositoryAt(app, clock),
  users: app.users,
  keys: app.keys,
  accessTokens: app.accessTokens,
  accessTokenTtl: 600,
  limitDomain: (domain, factor) => {
    domains.push([domain, factor])
    if (domain === 'full.example') throw Object.assign(new Error('full'), { statusCode: 429 })
  },
  count: app.metrics.count,
  now: () => clock.now
})

let n = 0
const newAddress = (domain = 'example.com') => `user-${++n}@${domain}`
const entryTo = async (email: string) => (await waiting(app, 'AuthTable')).find(({ subject }) => subject === email)
/** The counts of an address: how many codes are in each list, by the list's name. */
async function countsOf (email: string) {
  const item = await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all')
  return Object.fromEntries(Object.entries(item ?? {}).filter(([, value]) => Array.isArray(value)).map(([name, list]) => [name, (list as unknown[]).length]))
}
const listOf = (network: string) => `network#${app.keys.pseudonym(network)}`

/** An account with a session, written straight into the tables. */
async function newCaller () {
  const [userId, email, sid] = [newId(), newAddress(), newNumberedId(1)]
  const at = START.toISOString()
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId, kind: 'user', email, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1 } }))
  const repository = repositoryAt(app, clock)
  const { challengeId } = await openChallenge(app, email, START)
  await repository.startSession(challengeId, { userId, sid, currentHash: 'a', retired: [], familyKey: 'k', createdAt: at, lastUsedAt: at, expiresAt: START.getTime() / 1000 + 3600 })
  return { userId, email, sid }
}

t.test('a request for a code is one entry, whose ids all come from its own, and a repetition is the same one', async t => {
  for (const [said, operation] of [[undefined, undefined], [{ name: 'Ada', locale: 'en' }, undefined], [{ name: 'Ada', locale: 'en' }, { id: newId(), startedAt: after(-LIFETIME + 1) }]] as const) {
    const email = newAddress()
    const before = counted(app, 'RegistrationsRequested')
    const ticket = await service.requestCode({ email: email.toUpperCase(), ...(said === undefined ? {} : { registration: said }), network: '192.0.2.1', ...(operation === undefined ? {} : { operation }) }, 'corr-1')
    t.equal(counted(app, 'RegistrationsRequested') - before, said === undefined ? 0 : 1)
    const at = operation?.startedAt ?? START
    const { eventId, ...entry } = (await entryTo(email))!
    if (operation !== undefined) t.equal(eventId, operation.id)
    t.same(ticket, { challengeId: idFrom(eventId, 'challenge'), expiresAt: new Date(at.getTime() + LIFETIME).toISOString() })
    t.same(entry, {
      type: 'code.requested',
      subject: email,
      occurredAt: at.toISOString(),
      correlationId: 'corr-1',
      data: { ...ticket, email, userId: idFrom(eventId, 'user'), network: app.keys.pseudonym('192.0.2.1'), ...(said === undefined ? {} : { registration: said }) }
    })
    t.same(await countsOf(email), { codes: 1, [listOf('192.0.2.1')]: 1 })
  }
})

t.test('a request for a change of address is one entry too, and none when the session that asks has ended', async t => {
  const caller = await newCaller()
  const email = newAddress()
  const operation = { id: newId(), startedAt: after(-1000) }
  const ticket = await service.requestEmailChange(caller, { email: email.toUpperCase(), network: '192.0.2.1', operation }, 'corr-2')
  t.same(ticket, { challengeId: idFrom(operation.id, 'challenge'), expiresAt: after(-1000 + LIFETIME).toISOString() })
  t.same(await entryTo(email), {
    eventId: operation.id,
    type: 'email-change.requested',
    subject: email,
    occurredAt: operation.startedAt.toISOString(),
    correlationId: 'corr-2',
    data: { ...ticket, email, userId: caller.userId, sid: caller.sid, network: app.keys.pseudonym('192.0.2.1') }
  })
  const other = newAddress()
  await t.rejects(service.requestEmailChange({ ...caller, sid: newNumberedId(1) }, { email: other, network: '192.0.2.1', operation: { id: newId(), startedAt: START } }, 'x'), { code: 'AUTH_TOKEN_INVALID', statusCode: 401 })
  t.equal(await entryTo(other), undefined)
  t.same(await countsOf(other), {})
})

t.test('a request that is repeated once its code has expired asks for a new one', async t => {
  const caller = await newCaller()
  for (const ask of [
    async (email: string, operation: { id: string, startedAt: Date }) => await service.requestCode({ email, network: 'x', operation }, 'x'),
    async (email: string, operation: { id: string, startedAt: Date }) => await service.requestEmailChange(caller, { email, network: 'x', operation }, 'x')
  ]) {
    const email = newAddress()
    const operation = { id: newId(), startedAt: after(-LIFETIME) }
    const { challengeId, expiresAt } = await ask(email, operation)
    t.equal(expiresAt, after(LIFETIME).toISOString())
    t.match(await entryTo(email), { eventId: /./, occurredAt: START.toISOString() })
    t.not((await entryTo(email))!.eventId, operation.id)
    t.not(challengeId, idFrom(operation.id, 'challenge'))
  }
})

t.test('who is over the share learns after how many whole seconds the next code is free, one at the least', async t => {
  const email = newAddress()
  const ask = async () => await service.requestCode({ email, network: '192.0.2.1', operation: { id: newId(), startedAt: asked } }, 'x')
  let asked = START
  for (let i = 0; i < 5; i++) await ask()
  for (const [at, now, retryAfter] of [[0, 0, 3600], [30 * MINUTE, 30 * MINUTE - 1, 1801], [60 * MINUTE - 1, 60 * MINUTE - 1, 1], [60 * MINUTE, 60 * MINUTE, 1]] as const) {
    asked = after(at)
    clock.now = after(now)
    await t.rejects(ask(), { code: 'AUTH_CODES_EXHAUSTED', statusCode: 429, retryAfter }, `${at} ms`)
  }
  asked = clock.now = after(60 * MINUTE + 1)
  t.ok(await ask())
})

t.test('what is no address is refused with the field named, by each way to ask, and is counted nowhere', async t => {
  const caller = await newCaller()
  const seen = domains.length
  for (const ask of [
    async () => await service.requestCode({ email: 'nobody', network: 'x' }, 'x'),
    async () => await service.requestCode({ email: 'nobody', registration: { name: 'Ada', locale: 'en' }, network: 'x' }, 'x'),
    async () => await service.requestEmailChange(caller, { email: 'nobody', network: 'x', operation: { id: newId(), startedAt: START } }, 'x')
  ]) await t.rejects(ask(), { statusCode: 400, code: 'VALIDATION_FAILED', errors: [{ pointer: '/email', detail: 'is not an e-mail address' }] })
  t.equal(domains.length, seen)
})

t.test('an IPv6 client is counted by its network and its site, and a recipient by its domain', async t => {
  const email = newAddress('gmail.com')
  await service.requestCode({ email, network: '2001:db8:1:2::/64' }, 'x')
  t.same(await countsOf(email), { codes: 1, [listOf('2001:db8:1:2::/64')]: 1, [listOf('2001:db8:1::/48')]: 1 })
  t.same(domains.at(-1), ['gmail.com', 200])
  await service.requestCode({ email: newAddress('small.example'), network: 'x' }, 'x')
  t.same(domains.at(-1), ['small.example', 20])
  const full = newAddress('full.example')
  await t.rejects(service.requestCode({ email: full, network: 'x' }, 'x'), /full/)
  t.same([await entryTo(full), await countsOf(full)], [undefined, {}], 'a domain that is full costs the address nothing')
})

t.test('a code that another module mails is counted once, as of no client, and puts no entry', async t => {
  const email = newAddress()
  const challengeId = newId()
  const expected: ChallengeTicket = { challengeId, expiresAt: after(LIFETIME - 5000).toISOString() }
  for (let i = 0; i < 2; i++) t.same(await service.countCode(email, challengeId, after(-5000)), expected)
  t.same(await countsOf(email), { codes: 1, [listOf('registration')]: 1 })
  t.equal(await entryTo(email), undefined)
})

t.test('a try that met a fault is used up, as long as it is not known whether its code was right for something', async t => {
  const { challengeId, code } = await openChallenge(app, (await newCaller()).email, START)
  const restore = intercept(app.dynamodb, { command: 'GetItemCommand', onTheLine: false }, async () => { throw new Error('the table is down') })
  await t.rejects(serviceAt(app, clock).verify(challengeId, code, 'x'), /the table is down/)
  restore()
  const { tries } = (await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge'))!
  t.equal((tries as Set<string>).size, 1)
})

t.test('no item has the address or the network that asked', async t => {
  const text = JSON.stringify((await itemsOf(app.dynamodb)).filter(({ kind }) => kind !== 'outbox'))
  for (const word of ['@', '192.0.2.1', '2001:db8']) t.notOk(text.includes(word), word)
})
