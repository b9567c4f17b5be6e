import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { Challenge } from '../../../src/modules/auth/schemas.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { counted, itemAt, repositoryAt, serviceAt } from './support.ts'

const DAY = 24 * 3600

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const START = new Date()
const seconds = Math.floor(START.getTime() / 1000)
const service = serviceAt(app, { now: START })
const repository = repositoryAt(app, { now: START })
const address = (email: string) => app.keys.pseudonym(email)

let n = 0
const newAddress = (name = 'user') => `${name}-${++n}@example.com`
/** An account with a session, written straight into the tables. */
async function newAccount (fields: object = {}) {
  const [id, email, sid] = [newId(), newAddress(), newNumberedId(1)]
  const at = START.toISOString()
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: id, kind: 'user', email, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...fields } }))
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: `email#${email}`, kind: 'claim', ownerId: id } }))
  await repository.startSession((await open({ userId: id, address: 'x' })).challengeId, { userId: id, sid, currentHash: 'a', retired: [], familyKey: 'k', createdAt: at, lastUsedAt: at, expiresAt: seconds + 3600 })
  return { id, email, sid }
}

/** A challenge that is open. */
async function open (challenge: Challenge) {
  const challengeId = newId()
  await repository.openChallenge({ ...challenge, challengeId, expiresAt: seconds + 600 })
  return {
    code: app.keys.codeOf(challengeId),
    challengeId,
    verify: async (code = app.keys.codeOf(challengeId)) => { await service.verify(challengeId, code, 'corr-1') },
    exchange: async (code = app.keys.codeOf(challengeId)) => await service.createTokens({ grantType: 'code', challengeId, code }, 'corr-1'),
    tries: async () => ((await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge'))?.['tries'] as Set<string> | undefined)?.size ?? 0
  }
}
const INVALID = { code: 'AUTH_CODE_INVALID', statusCode: 401 }
const emailOf = async ({ id }: { id: string }) => (await app.users.getFresh(id))?.email

t.test('a right code is good with blanks around it and takes no try, a wrong one takes one and is counted', async t => {
  const { id, email } = await newAccount()
  const { code, verify, exchange, tries } = await open({ userId: id, address: address(email) })
  const before = counted(app, 'CodeFailures')
  await verify(` ${code}\n`)
  t.equal(await tries(), 0)
  const wrong = code === '00000000' ? '00000001' : '00000000'
  await t.rejects(verify(wrong), INVALID)
  await t.rejects(exchange(wrong), INVALID)
  t.equal(await tries(), 2)
  t.match(await exchange(`\t${code} `), { user: { id, email } })
  await t.rejects(exchange(), INVALID)
  await t.rejects(verify(), INVALID)
  const unknown = newId()
  await t.rejects(service.verify(unknown, app.keys.codeOf(unknown), 'x'), INVALID)
  t.equal(counted(app, 'CodeFailures') - before, 5)
})

t.test('the code of a notice confirms, and starts no session, whoever has the address', async t => {
  for (const status of ['ACTIVE', 'SUSPENDED']) {
    const { id, email } = await newAccount({ status })
    const { verify, exchange } = await open({ userId: id, address: address(email), undoes: 'email-change' })
    await t.rejects(exchange(), INVALID)
    await verify()
    t.match(await app.users.getFresh(id), { email, status })
  }
  const suspended = await newAccount({ status: 'SUSPENDED' })
  const { verify, exchange } = await open({ userId: suspended.id, address: address(suspended.email) })
  await t.rejects(verify(), INVALID)
  await t.rejects(exchange(), INVALID)
})

t.test('the code of a notice gives a former address back, also to a suspended account', async t => {
  for (const status of ['ACTIVE', 'SUSPENDED']) {
    const former = newAddress('former')
    const challengeId = newId()
    const { id } = await newAccount({ status, formerAddresses: [{ email: former, until: seconds + DAY, challengeId }] })
    await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: `email#${former}`, kind: 'claim', ownerId: id, expiresAt: seconds + DAY } }))
    await repository.openChallenge({ challengeId, userId: id, address: address(former), undoes: 'email-change', expiresAt: seconds + DAY })
    await service.verify(challengeId, app.keys.codeOf(challengeId), 'corr-1')
    t.match(await app.users.getFresh(id), { email: former, status })
  }
})

t.test('the code of a change gives the account its address as long as the session that asked for it lives', async t => {
  for (const isLive of [true, false]) {
    const account = await newAccount()
    const email = newAddress('next')
    const { verify, exchange } = await open({ userId: account.id, address: address(email), emailChange: { email, sid: isLive ? account.sid : newNumberedId(1) } })
    if (isLive) await verify()
    else {
      await t.rejects(verify(), INVALID)
      await t.rejects(exchange(), INVALID)
    }
    t.equal(await emailOf(account), isLive ? email : account.email)
  }
})

t.test('who proves an address that they cannot have learns why, as often as they try', async t => {
  const other = await newAccount()
  const formerAddresses = Array.from({ length: 5 }, () => ({ email: newAddress('former'), until: seconds + DAY, challengeId: newId() }))
  for (const [code, fields, email] of [['AUTH_EMAIL_TAKEN', {}, other.email], ['AUTH_EMAIL_CHANGES_EXHAUSTED', { formerAddresses }, newAddress('next')]] as const) {
    const account = await newAccount(fields)
    const { verify, exchange, tries } = await open({ userId: account.id, address: address(email), emailChange: { email, sid: account.sid } })
    for (let i = 0; i < 3; i++) {
      await t.rejects(verify(), { code, statusCode: 409 })
      await t.rejects(exchange(), { code, statusCode: 409 })
    }
    t.equal(await tries(), 0)
    t.equal(await emailOf(account), account.email)
  }
})
