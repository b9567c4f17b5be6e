import t from 'tap'
import { newId } from '../../../src/shared/ids.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, stored, entriesOf, before } = await startUsers(t)
const users = usersAt(app, { now: new Date() })
const SINCE = '2026-11-26T12:00:00.000Z'
const [earlier, then, later] = [-1, 0, 1].map(ms => new Date(Date.parse(SINCE) + ms)) as [Date, Date, Date]

t.test('what is noted of a mail: the newest receipt about the address that the account has', async t => {
  for (const [what, mark, status, at, isNoted, isWritten] of [
    ['the first one', undefined, 'bounced', then, true, true],
    ['a newer one', 'bounced', 'complained', later, true, true],
    ['a newer one that says the same', 'bounced', 'bounced', later, true, true],
    ['the same one again', 'bounced', 'bounced', then, true, false],
    ['another one of the same moment', 'bounced', 'complained', then, false, false],
    ['an older one', 'bounced', 'complained', earlier, false, false],
    ['an older one that says the same', 'bounced', 'bounced', earlier, false, false]
  ] as const) {
    const user = await stored(mark === undefined ? {} : { mail: { status: mark, since: SINCE } })
    t.strictSame(await users.noteMail(user.id, { email: user.email, status, at }, 'corr'), isNoted, what)
    const { mail, version } = (await users.getFresh(user.id))!
    t.strictSame({ mail, version }, isWritten ? { mail: { status, since: at.toISOString() }, version: 6 } : { mail: user.mail, version: 5 }, what)
    t.match(await entriesOf(user.id), isWritten ? [{ type: 'user.updated', correlationId: 'corr', data: { changed: ['mail'], user: { mail: { status }, version: 6 } } }] : [])
  }
})

t.test('nothing is noted on an account that has another address by now, or is gone', async t => {
  const { id, email } = await stored()
  t.strictSame(await users.noteMail(id, { email: `former-${email}`, status: 'bounced', at: then }, 'c'), false)
  t.strictSame(await users.noteMail(newId(), { email, status: 'bounced', at: then }, 'c'), false)
  t.match(await users.getFresh(id), { version: 5 })
})

t.test('a note that another change overtakes is made on the account as it is then', async t => {
  const { id, email } = await stored()
  const isOvertaken = before('TransactWriteItemsCommand', () => users.update({ userId: id }, id, { name: 'Ada King' }, 'c'))
  t.strictSame(await users.noteMail(id, { email, status: 'complained', at: then }, 'c'), true)
  t.ok(isOvertaken())
  t.match(await users.getFresh(id), { name: 'Ada King', mail: { status: 'complained', since: SINCE }, version: 7 })
})
