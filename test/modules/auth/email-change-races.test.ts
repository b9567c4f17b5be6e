import type { NodeHttpHandler } from '@smithy/node-http-handler'
import t from 'tap'
import type { ChallengeTicket } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { intercept, loseOneAnswer } from '../../faults.ts'
import { report } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { startEmailChanges } from './email-change-support.ts'

const { engines, bus, app, admin, mailsTo, address, store, newUser, ask, verify, emailOf, asked, linkTo, subjects, usersItems, claimOf } = await startEmailChanges(t)

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
