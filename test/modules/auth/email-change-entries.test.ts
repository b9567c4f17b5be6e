import t from 'tap'
import type { Tokens } from '../../../src/modules/auth/contract.ts'
import type { UsersEntry } from '../../../src/modules/users/contract.ts'
import { breakQueueFor } from '../../faults.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'
import { startEmailChanges } from './email-change-support.ts'
import { counted, itemsOf } from './support.ts'

const { engines, bus, app, admin, mailsTo, address, newUser, bearer, ask, verify, refresh, refreshed, me, signInAt, asked, change, linkTo, undo, subjects, usersItems } = await startEmailChanges(t)

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
