import { GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createDirectoryRepository } from '../../../src/modules/users/directory-repository.ts'
import { auditItem, claimItem, userItem } from '../../../src/modules/users/items.ts'
import type { AuditLine, StoredUser, User } from '../../../src/modules/users/schemas.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, leaveUnprocessed, recordCalls, staleReads } from '../../faults.ts'

// The lists of admins by a clock that stands still. Each test has a time of its own, because all accounts of a month share a list.

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const table = app.config.USERS_TABLE

const directoryAt = (now: string) => createDirectoryRepository({ dynamodb: app.dynamodb, table, publicUrl: 'https://users.example.com', now: () => new Date(now) })
const secondsOf = (time: string) => Date.parse(time) / 1000
const put = async (Item: Record<string, unknown>) => { await app.dynamodb.send(new PutCommand({ TableName: table, Item })) }

async function putUser (createdAt: string, changes: Partial<StoredUser> = {}): Promise<StoredUser> {
  const id = randomUUID()
  const user: StoredUser = { id, email: `${id}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt, updatedAt: createdAt, version: 1, ...changes }
  await put(userItem(user))
  return user
}

/** The queries of a call: the index, the partition and how much they read. */
async function queriesOf<T> (call: () => Promise<T>): Promise<{ page: T, queries: [index: string, partition: string, read: number][] }> {
  const queries: [index: string, partition: string, read: number][] = []
  const stop = intercept(app.dynamodb, { command: 'QueryCommand', onTheLine: false }, async ({ input, send }) => {
    const { IndexName, ExpressionAttributeValues, Limit } = input as { IndexName: string, ExpressionAttributeValues: { ':partition': string }, Limit: number }
    queries.push([IndexName, ExpressionAttributeValues[':partition'], Limit])
    return await send()
  })
  return { page: await call().finally(stop), queries }
}

const nobodyWaits = () => {
  const never = Promise.reject(new Error('no one waits for the first month'))
  never.catch(() => {})
  return never
}
const idsOf = ({ items }: { items: { id: string }[] }) => items.map(({ id }) => id)

t.test('a page takes what it needs of a month, and of the months before it, and ends with the first one', async t => {
  const directory = directoryAt('2031-02-10T00:00:00.000Z')
  const made: string[] = []
  for (const time of ['2030-12-31T23:59:59.999Z', '2031-01-01T00:00:00.000Z', '2031-01-20T00:00:00.000Z', '2031-02-01T00:00:00.000Z', '2031-02-02T00:00:00.000Z', '2031-02-09T00:00:00.000Z']) made.unshift((await putUser(time)).id)
  const walk = async (limit: number) => {
    const pages: { ids: string[], months: string[] }[] = []
    let before: string | undefined
    do {
      const { page, queries } = await queriesOf(() => directory.list({ limit, before }, Promise.resolve('2030-12')))
      t.ok(queries.every(([index, , read]) => index === 'list' && read === limit + 1), 'one more is read than is shown')
      pages.push({ ids: idsOf(page), months: queries.map(([, partition]) => partition) })
      t.equal('next' in page, page.next !== undefined)
      before = page.next
    } while (before !== undefined)
    return pages
  }
  const [feb, jan, dec] = ['users#2031-02', 'users#2031-01', 'users#2030-12']
  t.same(await walk(2), [
    { ids: made.slice(0, 2), months: [feb] },
    { ids: made.slice(2, 4), months: [feb, jan] },
    { ids: made.slice(4), months: [jan, dec] }
  ])
  t.same(await walk(3), [{ ids: made.slice(0, 3), months: [feb] }, { ids: made.slice(3), months: [jan, dec] }], 'a month that fills a page exactly')
  t.same(await walk(6), [{ ids: made, months: [feb, jan, dec] }])
  t.same(await walk(7), [{ ids: made, months: [feb, jan, dec] }])
  t.same(idsOf(await directory.list({ limit: 9 }, Promise.resolve(undefined))), made.slice(0, 3), 'without a first month there is this one only')
  t.same(idsOf(await directory.list({ limit: 2 }, nobodyWaits())), made.slice(0, 2), 'a full page needs no first month')
})

t.test('a page reads six months at most, and the next one goes on', async t => {
  const directory = directoryAt('2041-03-31T23:59:59.999Z')
  const { page, queries } = await queriesOf(() => directory.list({ limit: 5 }, Promise.resolve('2040-01')))
  t.same(page, { items: [], next: '2040-10' })
  t.same(queries, ['2041-03', '2041-02', '2041-01', '2040-12', '2040-11', '2040-10'].map(month => ['list', `users#${month}`, 6]))
  const rest = await queriesOf(() => directory.list({ limit: 5, before: page.next }, Promise.resolve('2040-05')))
  t.same(rest.page, { items: [] })
  t.same(rest.queries.map(([, partition]) => partition), ['2040-09', '2040-08', '2040-07', '2040-06', '2040-05'].map(month => `users#${month}`))
})

t.test('active accounts are found among all, with twice as much in one call; those with another status have a list of their own', async t => {
  const directory = directoryAt('2051-05-20T00:00:00.000Z')
  const made: Record<User['status'], string[]> = { ACTIVE: [], SUSPENDED: [], PENDING_VERIFICATION: [] }
  // Newest last.
  for (const [i, status] of (['SUSPENDED', 'ACTIVE', 'ACTIVE', 'PENDING_VERIFICATION', 'ACTIVE', 'PENDING_VERIFICATION'] as const).entries()) made[status].unshift((await putUser(`2051-05-0${i + 1}T00:00:00.000Z`, { status })).id)
  const list = (status: User['status'], limit: number, firstMonth: Promise<string | undefined>, before?: string) => queriesOf(() => directory.list({ status, limit, before }, firstMonth))

  const first = await list('ACTIVE', 2, nobodyWaits())
  t.same(idsOf(first.page), made.ACTIVE.slice(0, 2))
  t.same(first.queries, [['list', 'users#2051-05', 5]])
  const second = await list('ACTIVE', 2, Promise.resolve('2051-05'), first.page.next)
  t.same(idsOf(second.page), made.ACTIVE.slice(2))
  t.notOk('next' in second.page)
  t.same(idsOf((await list('ACTIVE', 3, Promise.resolve('2051-05'))).page), made.ACTIVE)

  for (const status of ['SUSPENDED', 'PENDING_VERIFICATION'] as const) {
    const { page, queries } = await list(status, 4, Promise.resolve('2051-05'))
    t.same(idsOf(page), made[status])
    t.notOk('next' in page)
    t.same(queries, [['status', `${status}#2051-05`, 5]])
  }
})

t.test('a page goes on where the accounts that a filter leaves out end', async t => {
  const directory = directoryAt('2052-05-20T00:00:00.000Z')
  const { id } = await putUser('2052-05-01T00:00:00.000Z')
  for (let day = 2; day < 6; day++) await putUser(`2052-05-0${day}T00:00:00.000Z`, { status: 'SUSPENDED' })
  const { page, queries } = await queriesOf(() => directory.list({ status: 'ACTIVE', limit: 1 }, Promise.resolve('2052-05')))
  t.same(idsOf(page), [id])
  t.equal(queries.length, 2)
  t.notOk('next' in page)
})

t.test('a page that is full does not wait for the first month, although all of its own month was read', async t => {
  const made: string[] = []
  for (let day = 1; day < 5; day++) made.unshift((await putUser(`2053-05-0${day}T00:00:00.000Z`)).id)
  t.same(idsOf(await directoryAt('2053-05-20T00:00:00.000Z').list({ status: 'ACTIVE', limit: 2 }, nobodyWaits())), made.slice(0, 2))
})

t.test('an account that expires now is in no list, and in no answer by ids', async t => {
  const now = '2061-06-06T06:06:06.000Z'
  const directory = directoryAt(now)
  const [, , later] = await Promise.all([-1, 0, 1].map(s => putUser(now, { status: 'PENDING_VERIFICATION', expiresAt: secondsOf(now) + s })))
  const active = await putUser('2061-06-01T00:00:00.000Z')
  const month = Promise.resolve('2061-06')
  t.same(idsOf(await directory.list({ limit: 10, status: 'PENDING_VERIFICATION' }, month)), [later!.id])
  t.same(idsOf(await directory.list({ limit: 10 }, month)), [later!.id, active.id])
  t.same(idsOf(await directory.list({ limit: 10, status: 'ACTIVE' }, month)), [active.id])
  const all = await Promise.all([-1, 0, 1].map(s => putUser(now, { status: 'PENDING_VERIFICATION', expiresAt: secondsOf(now) + s })))
  t.same([...(await directory.byIds(all.map(({ id }) => id))).keys()], [all[2]!.id])
})

t.test('accounts by their ids have every field, and nothing else is read or an account', async t => {
  const directory = directoryAt('2026-11-22T12:00:00.000Z')
  const at = '2026-11-22T12:00:00.000Z'
  const user = await putUser(at, {
    mail: { status: 'bounced', since: at }, avatar: { path: '/avatars/x', order: 1 }, sessions: { since: 3, kept: 'k' }, formerAddresses: [{ email: 'a@example.com', until: 4e9, challengeId: 'c' }]
  })
  await put({ userId: 'email#x@example.com', kind: 'claim', ownerId: user.id })
  const read: string[] = []
  const stop = intercept(app.dynamodb, { command: 'BatchGetItemCommand', onTheLine: false }, async ({ send }) => {
    const answer = await send() as { output: { Responses: Record<string, Record<string, unknown>[]> } }
    read.push(...answer.output.Responses[table]!.flatMap(Object.keys))
    return answer
  })
  const found = await directory.byIds([user.id, randomUUID(), 'email#x@example.com'])
  stop()
  t.strictSame([...found], [[user.id, { ...user, avatarUrl: 'https://users.example.com/avatars/x' }]])
  t.same(read.filter(name => ['list', 'listedAt', 'ownerId'].includes(name)), [])
})

t.test('the caller is read with what the list needs, in one call that no replica answers', async t => {
  const directory = directoryAt('2026-11-22T12:00:00.000Z')
  const user = await putUser('2026-11-01T00:00:00.000Z')
  await put(claimItem(user.email, user.id, undefined))
  t.same(await directory.begin(randomUUID()), { caller: undefined, firstMonth: undefined })
  t.same(await directory.lookUp(user.id, 'no-one@example.com'), { caller: user, ownerId: undefined })
  const stale = staleReads(app.dynamodb)
  t.teardown(stale.stop)
  t.same(await directory.begin(user.id), { caller: user, firstMonth: undefined })
  stale.freeze()
  await put({ userId: 'lists', kind: 'lists', firstMonth: '2026-11' })
  const calls = recordCalls(app)
  t.same(await directory.begin(user.id), { caller: user, firstMonth: '2026-11' })
  t.same(await directory.lookUp(user.id, user.email), { caller: user, ownerId: user.id })
  t.same(calls.stop(), ['BatchGetItemCommand', 'BatchGetItemCommand'])
  await put({ userId: 'lists', kind: 'lists', firstMonth: 11 })
  await put({ userId: `email#${user.email}`, kind: 'claim', ownerId: 11 })
  t.same([(await directory.begin(user.id)).firstMonth, (await directory.lookUp(user.id, user.email)).ownerId], [undefined, undefined], 'what is no month and no id')
})

t.test('keys that DynamoDB leaves unprocessed are asked for five times, with longer and longer pauses', async t => {
  const directory = directoryAt('2026-11-22T12:00:00.000Z')
  const user = await putUser('2026-11-02T00:00:00.000Z')
  const some = leaveUnprocessed(app.dynamodb, 4)
  const began = performance.now()
  t.same([...(await directory.byIds([user.id])).keys()], [user.id])
  some.stop()
  t.equal(some.calls(), 5)
  t.ok(performance.now() - began > 180, 'half of 25, 50, 100 and 200 ms at least')
  const all = leaveUnprocessed(app.dynamodb, 5)
  await t.rejects(directory.byIds([user.id]), { code: 'DEPENDENCY_UNAVAILABLE', statusCode: 503 })
  all.stop()
  t.equal(all.calls(), 5)
})

t.test('the audit of an account is paged, newest first, without the lines that have expired', async t => {
  const now = '2026-11-22T12:00:00.000Z'
  const directory = directoryAt(now)
  const userId = randomUUID()
  const line = (at: string): AuditLine => ({ id: randomUUID(), at, actorId: randomUUID(), action: 'update', correlationId: 'c' })
  const lines = ['2026-11-03T00:00:00.000Z', '2026-11-02T00:00:00.000Z', '2025-12-01T00:00:00.000Z'].map(line)
  for (const one of lines) await put(auditItem(one, userId))
  await put(auditItem(line(new Date(Date.parse(now) - 400 * 86_400_000).toISOString()), userId))
  await put(auditItem(line(now), randomUUID()))
  const first = await queriesOf(() => directory.audit(userId, { limit: 2 }))
  t.same(first.page.items, lines.slice(0, 2))
  t.same(first.queries.length, 1)
  t.strictSame(await directory.audit(userId, { limit: 2, before: first.page.next }), { items: lines.slice(2) })
  t.strictSame(await directory.audit(userId, { limit: 9 }), { items: lines })
  t.strictSame(await directory.audit(randomUUID(), { limit: 2 }), { items: [] })
})

t.test('the first month is noted once, and only an older one replaces it', async t => {
  const first = async (directory = directoryAt('2026-11-22T12:00:00.000Z')) => (await directory.begin('no-one')).firstMonth
  await app.dynamodb.send(new UpdateCommand({ TableName: table, Key: { userId: 'lists' }, UpdateExpression: 'REMOVE firstMonth, kind' }))
  const directory = directoryAt('2026-11-22T12:00:00.000Z')
  const writes = async (...times: string[]) => {
    const calls = recordCalls(app)
    await Promise.all(times.map(time => directory.noteListed(time)))
    return calls.stop()
  }
  t.same(await writes('2026-11-22T12:00:00.000Z', '2026-11-01T00:00:00.000Z'), ['UpdateItemCommand'])
  t.equal(await first(), '2026-11')
  t.same(await writes('2026-11-30T00:00:00.000Z', '2026-12-01T00:00:00.000Z'), [])
  t.same(await writes('2026-10-31T00:00:00.000Z'), ['UpdateItemCommand'])
  t.equal(await first(), '2026-10')
  await directoryAt('2026-11-22T12:00:00.000Z').noteListed('2026-12-01T00:00:00.000Z')
  t.equal(await first(), '2026-10', 'another process knows a newer one')

  const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async () => { throw new Error('down') })
  await t.rejects(directory.noteListed('2026-09-01T00:00:00.000Z'), { message: 'down' })
  stop()
  t.same(await writes('2026-09-01T00:00:00.000Z'), ['UpdateItemCommand'], 'what failed is tried again')
  t.same((await app.dynamodb.send(new GetCommand({ TableName: table, Key: { userId: 'lists' } }))).Item, { userId: 'lists', kind: 'lists', firstMonth: '2026-09' })
})
