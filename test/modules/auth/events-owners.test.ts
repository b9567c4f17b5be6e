import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import { idFrom, newId, newNumberedId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { startHandlers } from './handlers-support.ts'
import { itemAt } from './support.ts'

const { app, repository, service, readmitted, after, newAddress, newAccount, handle, follow, receipt, startSession, mailsTo, challenge } = await startHandlers(t)

const LIFETIME = 600_000
const inSeconds = Math.floor(after(LIFETIME).getTime() / 1000)
const spend = async (challengeId: string) => await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item: { pk: `challenge#${challengeId}`, sk: 'challenge', usedBy: 'erasure', expiresAt: inSeconds } }))
const codes = async (email: string) => (await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all'))?.['codes']
const asked = (email: string) => outboxEntry('code.requested', { subject: email, correlationId: 'x', now: after(0), data: { ...newChallenge(after(0)), email, userId: newId(), network: 'x' } })

t.test('a welcome whose code was erased with the last account of the address is mailed with a fresh one', async t => {
  const user = await newAccount({ status: 'PENDING_VERIFICATION' })
  const entry = outboxEntry('user.registered', { subject: user.id, correlationId: 'x', now: after(0), data: { user, welcome: true } })
  await spend(idFrom(entry.eventId, 'challenge'))
  await follow(entry, user)
  t.match(mailsTo(user.email), [{ type: 'WELCOME_EMAIL', messageId: idFrom(entry.eventId, 'fresh code'), challengeId: entry.eventId, expiresAt: after(LIFETIME).toISOString() }])
  t.match(await challenge(entry.eventId), { userId: user.id })
  t.ok(await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(user.email)}`, `challenge#${entry.eventId}`), 'an erasure finds it')
})

t.test('a code that was used leaves what was counted for its address, as long as the account is there', async t => {
  const { email } = await newAccount()
  const entry = asked(email)
  await service.countCode(email, entry.data.challengeId, after(0))
  await spend(entry.data.challengeId)
  await handle(entry)
  t.same(mailsTo(email), [])
  t.match(await codes(email), [/./])
})

t.test('a deletion spends the codes of the address but those of its next owner', async t => {
  const email = newAddress()
  const former = await newAccount({ email })
  const deleted = () => outboxEntry('user.deleted', { subject: former.id, correlationId: 'x', now: after(0), data: { userId: former.id, userVersion: 2, email } })
  /** A code of the address that is open, of any account. */
  async function openFor (userId: string) {
    const challengeId = newId()
    await service.countCode(email, challengeId, after(0))
    await repository.openChallenge({ challengeId, userId, address: app.keys.pseudonym(email), expiresAt: inSeconds })
    return challengeId
  }
  const next = await newAccount({ email })
  const [theirs, own, nobodys] = [await openFor(next.id), await openFor(former.id), await openFor(newId())]
  await follow(deleted(), undefined)
  t.match(await challenge(theirs), { userId: next.id })
  for (const challengeId of [own, nobodys]) t.equal(await repository.isSpent(challengeId), true)

  const free = newAddress()
  const gone = await newAccount()
  const challengeId = newId()
  await service.countCode(free, challengeId, after(0))
  await repository.openChallenge({ challengeId, userId: newId(), address: app.keys.pseudonym(free), expiresAt: inSeconds })
  await follow(outboxEntry('user.deleted', { subject: gone.id, correlationId: 'x', now: after(0), data: { userId: gone.id, userVersion: 2, email: free } }), undefined)
  t.equal(await repository.isSpent(challengeId), true, 'all of them when nobody has it')
})

t.test('what is reported about an address that the account has left changes nothing, whoever has signed in since', async t => {
  const { id } = await newAccount()
  await startSession(id, newNumberedId(1), after(1000))
  await receipt({ userId: id, email: newAddress('former'), status: 'bounced', at: after(0) })
  t.same(readmitted, [])
  t.equal((await app.users.getFresh(id))!.mail, undefined)
})
