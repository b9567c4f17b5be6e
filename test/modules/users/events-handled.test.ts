import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { UsersEntry } from '../../../src/modules/users/contract.ts'
import { createEvents, USERS_EVENTS } from '../../../src/modules/users/events.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import type { DomainEvent } from '../../../src/plugins/event-bus.ts'
import { newId, newNumberedId } from '../../../src/shared/ids.ts'
import { startUsers, usersAt } from './service-support.ts'

const { app, stored, address, former } = await startUsers(t)
const now = () => new Date('2026-11-26T12:00:00.000Z')
const { repository } = usersAt(app, { now: now() })

/** The handling of entries, with what it has done, in order. */
function handling () {
  const handlers = new Map<string, (entry: UsersEntry) => Promise<void>>()
  const done: unknown[] = []
  const { follow } = createEvents({
    outbox: { on (type, handler) { handlers.set(type, handler as never) } },
    repository,
    directory: { async noteListed (createdAt) { done.push(['listed', createdAt]) } },
    eventBus: { async publish (event) { done.push(event) } },
    now
  })
  return { follow, done, handle: async (entry: UsersEntry) => await handlers.get(entry.type)!(entry), types: () => [...handlers.keys()] }
}

const about = ({ expiresAt, avatar, sessions, formerAddresses, ...user }: StoredUser) => user
const SCHEMAS = join(import.meta.dirname, '../../../docs/schemas')
const HEAD = { eventId: newId(), occurredAt: '2026-11-26T11:00:00.000Z', correlationId: 'corr' }

t.test('what is published of each entry, and what is not', async t => {
  const stored_ = await stored()
  const user = about(stored_)
  const { id: userId, version: userVersion, ...profile } = user
  const shown = { userId, userVersion, ...profile }
  const { done, handle, types } = handling()
  const entries: [type: UsersEntry['type'], data: object, published: object | undefined][] = [
    ['user.registered', { user, welcome: true, invitedBy: newId() }, shown],
    ['user.invited', { invitedBy: newId() }, undefined],
    ['user.verified', { user, readmits: true }, shown],
    ['user.updated', { user, changed: ['name'] }, { ...shown, changed: ['name'] }],
    ['user.suspended', { user, changed: ['status'] }, { ...shown, changed: ['status'] }],
    ['user.email-changed', { user, changed: ['email'], previousEmail: address(), undo: { challengeId: 'x', until: 'y' } }, { ...shown, changed: ['email'] }],
    ['user.signed-out', { userVersion }, undefined],
    ['user.deleted', { userId, userVersion: 6, email: user.email }, { userId, userVersion: 6 }]
  ]
  t.same(types().sort(), entries.map(([type]) => type).sort())
  for (const [type, data, published] of entries) {
    done.length = 0
    await handle({ ...HEAD, type, subject: userId, data } as UsersEntry)
    const event: DomainEvent | undefined = published === undefined ? undefined : { ...HEAD, type, version: 1, data: published }
    t.strictSame(done, [...(type === 'user.registered' ? [['listed', user.createdAt]] : []), ...(event === undefined ? [] : [event])], type)
  }
})

t.test('what is published has a committed schema, which is the one that the module serves', async t => {
  t.same(USERS_EVENTS.map(({ type }) => `${type}.v1.json`).sort(), globSync('user.*', { cwd: SCHEMAS }).sort())
  const user = about(await stored())
  const { done, handle } = handling()
  for (const { type, description, data } of USERS_EVENTS) {
    const committed = JSON.parse(readFileSync(join(SCHEMAS, `${type}.v1.json`), 'utf8'), (key, value) => key === 'format' && value === 'int32' ? undefined : value)
    t.equal(description, committed.description)
    const { required, properties } = committed.properties.data
    const made = JSON.parse(JSON.stringify(data))
    t.same([made.required, Object.keys(made.properties)], [required, Object.keys(properties)], type)
    for (const field of ['userId', 'userVersion', 'email', 'changed']) t.strictSame(made.properties[field], properties[field], `${type} ${field}`)
    done.length = 0
    await handle({ ...HEAD, type, subject: user.id, data: { user, changed: ['name'], userId: user.id, userVersion: 6, email: user.email } } as unknown as UsersEntry)
    t.same(required.filter((name: string) => !(name in (done.at(-1) as DomainEvent).data) && name !== 'changed'), [], type)
  }
})

t.test('of an account that is gone only the deletion is published', async t => {
  const user = { ...about(await stored()), id: newId() }
  const { done, handle } = handling()
  await handle({ ...HEAD, type: 'user.updated', subject: user.id, data: { user, changed: ['name'] } })
  t.same(done, [])
  await handle({ ...HEAD, type: 'user.deleted', subject: user.id, data: { userId: user.id, userVersion: 6, email: user.email } })
  t.match(done, [{ type: 'user.deleted' }])
})

t.test('other modules hear of an entry one after the other, in the order in which they asked, before it is published', async t => {
  const given = former(address(), { until: now().getTime() / 1000 + 1 })
  const user = await stored({ formerAddresses: [given], sessions: { since: 3 } })
  const { follow, done, handle } = handling()
  const ended = newNumberedId(2)
  follow('user.updated', async (entry, present, account) => { done.push(['first', entry.type, present, account.hasEnded(ended), account.canUndo(given.challengeId)]) })
  follow('user.updated', async (_, present) => { done.push(['second', present?.id]) })
  follow('user.suspended', async () => { done.push('another') })
  await handle({ ...HEAD, type: 'user.updated', subject: user.id, data: { user: about(user), changed: ['name'] } })
  t.match(done, [['first', 'user.updated', { id: user.id }, true, true], ['second', user.id], { type: 'user.updated' }])
  t.notOk('sessions' in (done as [unknown, unknown, object][])[0]![2])
  t.equal(done.length, 3)

  const gone = newId()
  done.length = 0
  await handle({ ...HEAD, type: 'user.updated', subject: gone, data: { user: { ...about(user), id: gone }, changed: ['name'] } })
  t.strictSame(done, [['first', 'user.updated', undefined, true, false], ['second', undefined]])
})
