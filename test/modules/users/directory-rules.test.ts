import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { auditItem, claimItem, userItem } from '../../../src/modules/users/items.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { adminOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept } from '../../faults.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const table = app.config.USERS_TABLE
const root = await adminOf(app)
const put = async (Item: Record<string, unknown>) => { await app.dynamodb.send(new PutCommand({ TableName: table, Item })) }

async function putUser (changes: Partial<StoredUser> = {}) {
  const id = randomUUID()
  const at = new Date().toISOString()
  const user: StoredUser = { id, email: `${id}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...changes }
  await put(userItem(user))
  await put(claimItem(user.email, id, undefined))
  return user
}

t.test('only who is an active admin now, by this token, reads accounts', async t => {
  const user = await putUser()
  const [demoted, suspended, pending] = [await putUser(), await putUser({ role: 'admin', status: 'SUSPENDED' }), await putUser({ role: 'admin', status: 'PENDING_VERIFICATION' })]
  const ended = await putUser({ role: 'admin', sessions: { since: 2 } })
  for (const [actor, code] of [
    [{ userId: randomUUID() }, 'AUTH_TOKEN_INVALID'], [{ userId: suspended.id }, 'AUTH_TOKEN_INVALID'], [{ userId: ended.id, sid: randomUUID() }, 'AUTH_TOKEN_INVALID'],
    [{ ...root, email: 'former@example.com' }, 'AUTH_TOKEN_INVALID'], [{ userId: demoted.id }, 'FORBIDDEN'], [{ userId: pending.id }, 'FORBIDDEN']
  ] as const) {
    const reads: (() => Promise<object>)[] = [
      () => app.users.list(actor, {}), () => app.users.list(actor, { email: user.email }), () => app.users.list(actor, { email: 'no-one@example.com' }),
      () => app.users.batchGet(actor, [user.id]), () => app.users.audit(actor, user.id, {})
    ]
    for (const read of reads) await t.rejects(read(), { code }, `${JSON.stringify(actor)}: ${read.toString()}`)
  }
  t.match(await app.users.list({ userId: ended.id }, { email: user.email }), { items: [{ id: user.id }] }, 'an admin whose other sessions have ended')
})

t.test('an address leads to the account that has it now, if it has the status that is asked for', async t => {
  const user = await putUser({ sessions: { since: 1 } })
  const { sessions, ...shown } = user
  for (const query of [{ email: user.email }, { email: ` ${user.email.toUpperCase()}` }, { email: user.email, status: 'ACTIVE' }] as const) t.strictSame(await app.users.list(root, query), { items: [shown], nextCursor: null })
  await put(claimItem('former@example.com', user.id, undefined))
  await put(claimItem('gone@example.com', randomUUID(), undefined))
  for (const query of [{ email: user.email, status: 'SUSPENDED' }, { email: 'former@example.com' }, { email: 'former@example.com', status: 'ACTIVE' }, { email: 'gone@example.com' }, { email: 'no-one@example.com' }, { email: 'no-one@example.com', status: 'ACTIVE' }] as const) {
    t.strictSame(await app.users.list(root, query), { items: [], nextCursor: null }, JSON.stringify(query))
  }
  await t.rejects(app.users.list(root, { email: 'no address' }), { code: 'VALIDATION_FAILED', errors: [{ pointer: '#/email', detail: 'is not an e-mail address' }] })
})

t.test('a cursor belongs to its list and its filter', async t => {
  const user = await putUser()
  const cursors = { all: 'users 2020-01', suspended: 'users/SUSPENDED 2020-01', audit: `audit/${user.id} 2020-01`, other: `audit/${randomUUID()} 2020-01` }
  const sealed = Object.fromEntries(Object.entries(cursors).map(([name, text]) => [name, app.keys.seal(text)]))
  const reads: [read: (cursor: string) => Promise<object>, good: string][] = [
    [cursor => app.users.list(root, { cursor }), 'all'],
    [cursor => app.users.list(root, { cursor, status: 'SUSPENDED' }), 'suspended'],
    [cursor => app.users.list(root, { cursor, status: 'ACTIVE' }), ''],
    [cursor => app.users.list(root, { cursor, email: user.email }), ''],
    [cursor => app.users.audit(root, user.id, { cursor }), 'audit']
  ]
  for (const [read, good] of reads) {
    for (const [name, cursor] of Object.entries(sealed)) {
      if (name === good) t.strictSame(await read(cursor), { items: [], nextCursor: null })
      else await t.rejects(read(cursor), { code: 'VALIDATION_FAILED', errors: [{ pointer: '#/cursor' }] }, `${name}: ${read.toString()}`)
    }
  }
})

t.test('pages follow each other, with as many as asked for', async t => {
  const made: string[] = []
  for (let i = 0; i < 5; i++) made.unshift((await putUser({ status: 'SUSPENDED', createdAt: new Date(Date.now() + i).toISOString() })).id)
  const first = await app.users.list(root, { status: 'SUSPENDED', limit: 2 })
  const second = await app.users.list(root, { status: 'SUSPENDED', limit: 2, cursor: first.nextCursor! })
  t.same([...first.items, ...second.items].map(({ id }) => id), made.slice(0, 4))
  t.equal((await app.users.list(root, { limit: 3 })).items.length, 3)

  const id = randomUUID()
  const at = new Date().toISOString()
  const lines = Array.from({ length: 3 }, () => ({ id: randomUUID(), at, actorId: root.userId, action: 'update' as const, correlationId: 'c' })).sort((a, b) => a.id < b.id ? 1 : -1)
  for (const line of lines) await put(auditItem(line, id))
  const page = await app.users.audit(root, id, { limit: 2 })
  const { items, nextCursor } = await app.users.audit(root, id, { limit: 2, cursor: page.nextCursor! })
  t.strictSame([...page.items, ...items], lines)
  t.equal(nextCursor, null)
  await t.rejects(app.users.audit(root, 'me', {}), { code: 'USERS_NOT_FOUND' })
})

t.test('accounts by their ids come in the order of the ids, and what is none is named', async t => {
  const [ada, eve] = [await putUser({ sessions: { since: 1 } }), await putUser()]
  const [gone, lost] = [randomUUID(), randomUUID()]
  const { items, missing } = await app.users.batchGet(root, [eve.id, gone, ada.id, lost])
  t.same([items.map(({ id }) => id), missing], [[eve.id, ada.id], [gone, lost]])
  t.notOk('sessions' in items[1]!)
})

t.test('a page that was read is not worth a crash when the caller cannot be read', async t => {
  let reads = 0
  const stops = [
    intercept(app.dynamodb, { command: 'BatchGetItemCommand', onTheLine: false }, async () => { throw new Error('down') }),
    intercept(app.dynamodb, { command: 'QueryCommand', onTheLine: false }, async ({ send }) => { reads++; return await send() })
  ]
  await t.rejects(app.users.list(root, { limit: 1, status: 'SUSPENDED' }), { message: 'down' })
  for (const stop of stops) stop()
  t.equal(reads, 1)
})
