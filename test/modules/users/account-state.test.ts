import t from 'tap'
import { accountNow, hasEnded, isActing, openAddresses, publicUser, withoutMail } from '../../../src/modules/users/account-state.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'

const at = '2026-11-26T12:00:00.000Z'
const NOW = new Date(at)
const seconds = NOW.getTime() / 1000
const ada: StoredUser = { id: newId(), email: 'ada@example.com', name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 5 }
const mail = { status: 'bounced', since: at } as const

t.test('what is shown of an account has nothing that only the table needs', async t => {
  t.strictSame(publicUser({ ...ada, mail, expiresAt: 5, avatar: { order: 5 }, sessions: { since: 2 }, formerAddresses: [] }), { ...ada, mail })
  t.strictSame(withoutMail({ ...ada, mail }), ada)
})

t.test('a session has ended when the account ended its sessions after it began, unless it is the one that was kept', async t => {
  const [third, fourth] = [newNumberedId(3), newNumberedId(4)]
  for (const [sessions, sid, ended] of [
    [undefined, third, false],
    [{ since: 4 }, third, true],
    [{ since: 4 }, fourth, false],
    [{ since: 4, kept: third }, third, false],
    [{ since: 4, kept: fourth }, third, true],
    [{ since: 4 }, newId(), true]
  ] as const) {
    const user = { ...ada, ...(sessions === undefined ? {} : { sessions }) }
    t.equal(hasEnded(user, sid), ended)
    t.equal(isActing(user, { sid }), !ended)
    t.equal(accountNow(user, NOW).hasEnded(sid), ended)
  }
  t.equal(accountNow(undefined, NOW).hasEnded(third), true, 'and when the account is gone')
})

t.test('who may act: an account that is there and not suspended, by a token that names its address', async t => {
  for (const [user, token, may] of [
    [ada, undefined, true],
    [{ ...ada, status: 'PENDING_VERIFICATION' }, undefined, true],
    [{ ...ada, status: 'SUSPENDED' }, undefined, false],
    [undefined, undefined, false],
    [{ ...ada, sessions: { since: 4 } }, {}, true],
    [ada, { email: 'ada@example.com' }, true],
    [ada, { email: 'before@example.com' }, false]
  ] as [StoredUser | undefined, { email?: string } | undefined, boolean][]) t.equal(isActing(user, token), may, JSON.stringify([user?.status, token]))
})

t.test('an address can be had back until its time has come, by its own code', async t => {
  const former = (email: string, until: number) => ({ email, until, challengeId: `of ${email}` })
  const user = { ...ada, formerAddresses: [former('over', seconds - 1), former('now', seconds), former('first', seconds + 1), former('second', seconds + 2)] }
  t.same(openAddresses(user, NOW).map(({ email }) => email), ['first', 'second'])
  t.strictSame(openAddresses(ada, NOW), [])
  for (const [email, can] of [['over', false], ['now', false], ['first', true], ['second', true], ['other', false]] as const) {
    t.equal(accountNow(user, NOW).canUndo(`of ${email}`), can, email)
    t.equal(accountNow(undefined, NOW).canUndo(`of ${email}`), false)
  }
})
