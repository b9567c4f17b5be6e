import { GetCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { AuditPage } from '../../../src/modules/users/schemas.ts'
import { adminOf, bearerOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { loseOneAnswer } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { until } from '../../until.ts'

const self = (userId: string) => ({ userId })

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines, { env: { ADMIN_EMAILS: 'root@example.com' } })
    const admins = async () => [...(await app.dynamodb.send(new GetCommand({ TableName: app.config.USERS_TABLE, Key: { userId: 'admins' }, ConsistentRead: true }))).Item?.['ids'] as Set<string> | undefined ?? []].sort()
    const activeAdmins = async () => ((await app.dynamodb.send(new ScanCommand({ TableName: app.config.USERS_TABLE, ConsistentRead: true }))).Items ?? [])
      .filter(({ kind, role, status }) => kind === 'user' && role === 'admin' && status === 'ACTIVE').map(({ userId }) => userId as string).sort()
    const user = async (email: string) => (await app.users.register({ email, name: 'Ada' }, 'c')).id
    const activeUser = async (root: { userId: string }, email: string) => (await app.users.update(root, await user(email), { status: 'ACTIVE' }, 'c')).id

    let rootId = ''
    t.test('the last admin cannot suspend, demote or delete themselves', async (t) => {
      rootId = (await signIn(app, engines, 'root@example.com')).user.id
      t.same(await admins(), [rootId], 'the one that ADMIN_EMAILS makes')
      const headers = await bearerOf(app, rootId)
      for (const [method, url, payload] of [
        ['PATCH', '/v2/users/me', { role: 'user' }], ['PATCH', `/v2/users/${rootId}`, { status: 'SUSPENDED' }], ['PATCH', '/v2/users/me', { status: 'SUSPENDED', role: 'user' }],
        ['DELETE', '/v2/users/me', undefined], ['DELETE', `/v2/users/${rootId}`, undefined], ['DELETE', `/v1/users/${rootId}`, undefined]
      ] as const) {
        const answer = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
        t.equal(answer.statusCode, 409, `${method} ${url}`)
        t.match(answer.json(), url.startsWith('/v1') ? { error: 'This is the last active admin; make another user an admin first' } : { code: 'USERS_LAST_ADMIN' })
      }
      t.match(await app.users.getFresh(rootId), { role: 'admin', status: 'ACTIVE' })
      t.equal((await app.inject({ method: 'PATCH', url: '/v2/users/me', headers, payload: { name: 'Root' } })).statusCode, 200, 'other changes are free')
    })

    t.test('an account that is active and an admin is in the set, and no other', async (t) => {
      const root = self(rootId)
      const ada = await user('ada@example.com')
      const inSet = async () => (await admins()).includes(ada)
      for (const [patch, isIn] of [
        [{ role: 'admin' }, false], [{ status: 'ACTIVE' }, true], [{ status: 'SUSPENDED' }, false], [{ role: 'user' }, false], [{ role: 'admin', status: 'ACTIVE' }, true], [{ name: 'Ada King' }, true], [{ role: 'user' }, false]
      ] as const) {
        await app.users.update(root, ada, patch, 'c')
        t.equal(await inSet(), isIn, JSON.stringify(patch))
      }
      await app.users.update(root, ada, { role: 'admin' }, 'c')
      await app.users.update(self(ada), ada, { role: 'user' }, 'c')
      t.notOk(await inSet(), 'with another admin, one may leave')
      await app.users.update(root, ada, { role: 'admin' }, 'c')
      await app.users.remove(self(ada), ada, 'c')
      t.same(await admins(), [rootId])
    })

    t.test('admins who remove each other and themselves at the same time leave one', async (t) => {
      for (let round = 0; round < (kind === 'dynoxide' ? 12 : 2); round++) {
        const root = self((await activeAdmins())[0]!)
        const [ada, eve] = [await activeUser(root, `ada-${round}@example.com`), await activeUser(root, `eve-${round}@example.com`)]
        for (const id of [ada, eve]) await app.users.update(root, id, { role: 'admin' }, 'c')
        const demote = (by: string, id: string) => app.users.update(self(by), id, round % 2 === 0 ? { role: 'user' } : { status: 'SUSPENDED' }, 'c')
        const all = await Promise.allSettled([
          demote(root.userId, root.userId), demote(ada, eve), demote(eve, ada), demote(ada, root.userId), app.users.remove(self(eve), eve, 'c'), demote(ada, ada)
        ])
        const left = await activeAdmins()
        t.ok(left.length >= 1, `round ${round}: ${left.length} left`)
        t.same(await admins(), left, 'the set is what the table says')
        t.same(all.filter(({ status, ...end }) => status === 'rejected' && ![401, 403, 404, 409].includes((end as { reason: { statusCode: number } }).reason.statusCode)), [])
      }
    })

    t.test('a removal whose answer got lost is done', async (t) => {
      const root = self((await activeAdmins())[0]!)
      const ada = await activeUser(root, 'ada-lost@example.com')
      await app.users.update(root, ada, { role: 'admin' }, 'c')
      for (const id of (await activeAdmins()).filter(id => id !== ada && id !== root.userId)) await app.users.update(root, id, { role: 'user' }, 'c')
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      t.match(await app.users.update(self(ada), ada, { role: 'user' }, 'c'), { role: 'user' })
      fault.stop()
      t.ok(fault.wasLost())
    })

    t.test('an admin from before the set may be demoted by another one, and the set then knows both', async (t) => {
      const old = await adminOf(app)
      const ada = await activeUser(old, 'ada-old@example.com')
      await app.users.update(old, ada, { role: 'admin' }, 'c')
      for (const id of [old.userId, ada]) t.ok((await admins()).includes(id))
      await app.users.update(self(ada), old.userId, { role: 'user' }, 'c')
      t.notOk((await admins()).includes(old.userId))
    })

    t.test('what an admin does with another account is in its audit, newest first, and outlives the account', async (t) => {
      const root = await adminOf(app)
      const headers = await bearerOf(app, root.userId)
      const inject = (method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) => app.inject({ method, url, headers: { ...headers, 'x-correlation-id': 'corr-1' }, ...(payload === undefined ? {} : { payload }) })
      const [{ id }] = (await inject('POST', '/v2/users/batch', { users: [{ email: 'audited@example.com', name: 'Ada Audited' }] })).json().results as [{ id: string }]
      await inject('POST', '/v2/users/invitations', { email: 'audited@example.com', name: 'Ada Audited' })
      await inject('PATCH', `/v2/users/${id}`, { status: 'ACTIVE', name: 'Countess Audited' })
      await app.users.update(self(id), id, { name: 'Her Own Change' }, 'c')
      await inject('PATCH', `/v2/users/${id}`, { role: 'admin' })
      await inject('PATCH', `/v2/users/${id}`, { role: 'admin' })
      await inject('PATCH', `/v2/users/${id}`, { status: 'SUSPENDED', role: 'user' })
      await inject('DELETE', `/v2/users/${id}`)
      const read = async (query = '') => (await app.inject({ url: `/v2/users/${id}/audit${query}`, headers })).json<AuditPage>()
      await until(async () => (await read()).items.length === 6)
      const { items, nextCursor } = await read()
      t.equal(nextCursor, null)
      t.same(items.map(({ id, at, ...line }) => line), [
        { action: 'delete' },
        { action: 'update', changed: ['status', 'role'], status: 'SUSPENDED', role: 'user' },
        { action: 'update', changed: ['role'], role: 'admin' },
        { action: 'update', changed: ['name', 'status'], status: 'ACTIVE' },
        { action: 'invite' },
        { action: 'register' }
      ].map(line => ({ ...line, actorId: root.userId, correlationId: 'corr-1' })))
      const [first, second] = [await read('?limit=4'), await read(`?limit=4&cursor=${(await read('?limit=4')).nextCursor!}`)]
      t.same([...first.items, ...second.items], items)
      t.equal(second.nextCursor, null)
      await pump(app, engines)
      const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName: app.config.USERS_TABLE, ConsistentRead: true }))
      for (const trace of [id, 'audited@example.com', 'Audited', 'Her Own']) t.notMatch(JSON.stringify(Items), trace, 'the lines name no one')
      const lines = Items.filter(item => item['kind'] === 'audit')
      t.ok(lines.length >= 6)
      t.same(lines.filter(line => line['expiresAt'] !== Math.floor(Date.parse(line['at'] as string) / 1000) + 400 * 86_400), [], 'kept for 400 days')
      t.same(await app.inject({ url: `/v2/users/${randomUUID()}/audit`, headers }).then(answer => answer.json()), { items: [], nextCursor: null })
      t.equal((await app.inject({ url: '/v2/users/me/audit', headers })).statusCode, 404)
    })
  })
}
