import { Value } from '@sinclair/typebox/value'
import t, { type Test } from 'tap'
import { Proposal, StoredAuditLine, StoredUser, UserPatch, USERS_ENTRIES } from '../../../src/modules/users/schemas.ts'

// What TypeBox checks of what is read from the table, the cache and the outbox. What clients send and get is in the API documents.

const ID = '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'
const AT = '2026-11-22T12:00:00.000Z'
const profile = { id: ID, email: 'ada@example.com', name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: AT, updatedAt: AT, version: 1 }
const former = { email: 'old@example.com', until: 1, challengeId: 'c' }

/** Each of these changes of a valid value makes it invalid, or leaves it valid. */
function check (t: Test, schema: Parameters<typeof Value.Check>[0], value: object, { good, bad }: { good: object[], bad: object[] }): void {
  t.ok(Value.Check(schema, value), JSON.stringify([...Value.Errors(schema, value)]))
  for (const change of good) t.ok(Value.Check(schema, { ...value, ...change }), `with ${JSON.stringify(change)}`)
  for (const change of bad) t.notOk(Value.Check(schema, { ...value, ...change }), `not with ${JSON.stringify(change)}`)
}

/** The value without each of its fields. */
const without = (value: object) => Object.keys(value).map(field => ({ [field]: undefined }))

t.test('a stored account has every field in its form, and no other', async t => {
  check(t, StoredUser, profile, {
    good: [
      ...['PENDING_VERIFICATION', 'ACTIVE', 'SUSPENDED'].map(status => ({ status })), { role: 'admin' }, { version: 2_147_483_647 }, { name: 'A'.repeat(200) }, { createdAt: 'x', updatedAt: 'x' },
      { mail: { status: 'bounced', since: 'x' } }, { mail: { status: 'complained', since: AT } },
      { avatarUrl: 'x' }, { avatar: { order: 1 } }, { avatar: { order: 1, path: '/x' } }, { expiresAt: 1 },
      { sessions: { since: 1 } }, { sessions: { since: 1, kept: 'x' } }, { formerAddresses: [] }, { formerAddresses: [former, { ...former, madeAdmin: true }] }
    ],
    bad: [
      ...without(profile), { id: 'x' }, { email: 'ADA@example.com' }, { locale: 'x y' }, { status: 'GONE' }, { status: '' }, { role: 'root' }, { role: '' }, { version: 0 }, { version: 2_147_483_648 }, { version: 1.5 }, { nickname: 'x' },
      { mail: { status: 'lost', since: AT } }, { mail: { status: '', since: AT } }, { mail: { status: 'bounced' } }, { mail: { status: 'bounced', since: AT, more: 1 } }, { avatarUrl: 1 },
      { avatar: {} }, { avatar: { order: 1.5 } }, { avatar: { order: 1, path: 1 } }, { avatar: { order: 1, more: 1 } }, { expiresAt: 1.5 },
      { sessions: {} }, { sessions: { since: 'x' } }, { sessions: { since: 1, kept: 1 } }, { sessions: { since: 1, more: 1 } },
      { formerAddresses: {} }, ...[...without(former), { until: 1.5 }, { madeAdmin: false }, { more: 1 }].map(change => ({ formerAddresses: [{ ...former, ...change }] }))
    ]
  })
})

t.test('a proposal is a name and a language', async t => {
  const proposal = { name: 'Ada', locale: 'en' }
  check(t, Proposal, proposal, { good: [], bad: [...without(proposal), { name: 1 }, { locale: 1 }, { email: 'x' }] })
})

t.test('a stored audit line says who did what and when', async t => {
  const line = { id: ID, at: 'x', actorId: ID, action: 'update', correlationId: 'c' }
  check(t, StoredAuditLine, line, {
    good: [...['register', 'invite', 'delete'].map(action => ({ action })), { changed: ['name'], status: 'ACTIVE', role: 'user' }],
    bad: [...without(line), { id: 'x' }, { actorId: 'x' }, { action: 'read' }, { action: '' }, { changed: ['x y'] }, { status: 'active' }, { role: 'Admin' }, { correlationId: 'a b' }, { more: 1 }]
  })
})

t.test('a change has known fields only, and removes the mark of a mail only', async t => {
  check(t, UserPatch, {}, {
    good: [{ name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user' }, { status: 'SUSPENDED', role: 'admin' }, { mail: null }],
    bad: [{ name: '' }, { name: null }, { locale: 'x y' }, { status: 'PENDING_VERIFICATION' }, { status: '' }, { role: 'root' }, { role: '' }, { mail: {} }, { email: 'ada@example.com' }]
  })
})

t.test('each entry of the outbox has what its followers and its event need', async t => {
  const changed = { user: profile, changed: ['name'] }
  const internal = [{ expiresAt: 1 }, { avatar: { order: 1 } }, { sessions: { since: 1 } }, { formerAddresses: [] }, { more: 1 }].map(field => ({ user: { ...profile, ...field } }))
  const users = [...internal, { user: undefined }, { user: { ...profile, status: 'GONE' } }]
  const undo = { challengeId: 'c', until: AT }
  const deleted = { userId: ID, userVersion: 2, email: 'ada@example.com' }
  for (const [type, value, good, bad] of [
    ['user.registered', { user: profile, welcome: true }, [{ invitedBy: ID }], [...users, { welcome: undefined }, { welcome: 'x' }, { invitedBy: 1 }]],
    ['user.invited', {}, [{ invitedBy: ID }], [{ invitedBy: 1 }]],
    ['user.verified', { user: profile }, [{ readmits: true }], [...users, { readmits: false }]],
    ['user.updated', changed, [], [...users, { changed: undefined }, { changed: [1] }]],
    ['user.suspended', changed, [], [...users, { changed: undefined }, { changed: [1] }]],
    ['user.email-changed', { ...changed, previousEmail: 'x' }, [{ undo }], [...users, { changed: undefined }, { changed: [1] }, { previousEmail: undefined }, ...without(undo).map(change => ({ undo: { ...undo, ...change } }))]],
    ['user.signed-out', { userVersion: 2 }, [], [{ userVersion: undefined }, { userVersion: 1.5 }]],
    ['user.deleted', deleted, [{ formerEmails: ['x'] }], [...without(deleted), { userVersion: 1.5 }, { formerEmails: [1] }]]
  ] as const) check(t, USERS_ENTRIES[type], value, { good: [...good], bad: [...bad] })
  t.equal(Object.keys(USERS_ENTRIES).length, 8)
})
