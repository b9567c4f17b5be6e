import { ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { signIn } from '../../accounts.ts'
import { TABLES } from '../../engines.ts'
import { loseOneAnswer } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { startEmailChanges } from './email-change-support.ts'
import { serviceAt } from './support.ts'

const { engines, bus, app, admin, mailsTo, address, newUser, post, verify, exchange, refresh, me, emailOf, signInAt, asked, change, linkTo, undo, subjects, usersItems, claimOf } = await startEmailChanges(t)

const DAY = 24 * 3600_000

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
