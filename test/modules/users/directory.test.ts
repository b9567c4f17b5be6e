import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { User, UserPage } from '../../../src/modules/users/contract.ts'
import { userItem } from '../../../src/modules/users/items.ts'
import { adminOf, bearerOf } from '../../accounts.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { intercept, leaveUnprocessed, recordCalls } from '../../faults.ts'
import { pump } from '../../pump.ts'
import { until } from '../../until.ts'

/** Puts an account into the table that was created at a time. */
async function put (app: TestApp, user: Partial<User> & { createdAt: string, expiresAt?: number }): Promise<string> {
  const id = randomUUID()
  const item = userItem({ id, email: `${id}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', updatedAt: user.createdAt, version: 1, ...user })
  await app.dynamodb.send(new PutCommand({ TableName: app.config.USERS_TABLE, Item: item }))
  return id
}

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    // The other engine is slow, and asked only about what depends on the engine.
    const isMain = kind === 'dynoxide'
    const once = { skip: isMain ? false : 'the same on every engine' }
    const listed = isMain ? 250 : 75
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)
    const root = await adminOf(app)
    const headers = await bearerOf(app, root.userId, 'admin')
    const get = (url: string, as = headers) => app.inject({ url, headers: as })
    const list = async (url = '/v2/users'): Promise<UserPage> => {
      const answer = await get(url)
      if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${answer.body}`)
      return answer.json<UserPage>()
    }
    const register = async (email: string) => (await app.users.register({ email, name: 'Ada' }, 'c')).id

    const ids: string[] = []
    t.test(`${listed} accounts are paged without a gap or a double while others register and are deleted`, async (t) => {
      await register('first@example.com')
      await pump(app, engines)
      while (ids.length < listed) ids.push(...await Promise.all(Array.from({ length: 25 }, (_, i) => register(`listed-${ids.length + i}@example.com`))))
      const before = new Set(ids)
      const doomed = ids.filter((_, i) => i % 25 === 3)
      const found: User[] = []
      let url: string | undefined = '/v2/users?limit=20'
      let pages = 0
      while (url !== undefined) {
        const answer = await get(url)
        t.equal(answer.statusCode, 200)
        const { items, nextCursor } = answer.json<UserPage>()
        found.push(...items)
        const link: string | undefined = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link))?.[1]
        t.equal(link !== undefined, nextCursor !== null, 'the header and the body agree')
        if (link !== undefined) t.equal(new URLSearchParams(link.split('?')[1]).get('cursor'), nextCursor)
        url = link
        await register(`meanwhile-${pages++}@example.com`)
        const gone = doomed.shift()
        if (gone !== undefined) {
          before.delete(gone)
          await app.users.remove({ userId: gone }, gone, 'c')
        }
      }
      const seen = found.map(({ id }) => id)
      t.comment(`${seen.length} accounts on ${pages} pages`)
      t.equal(new Set(seen).size, seen.length, 'no double')
      t.same([...before].filter(id => !seen.includes(id)), [], 'no gap')
      const places = found.map(({ createdAt, id }) => `${createdAt}#${id}`)
      t.same(places, places.toSorted().toReversed(), 'newest first')
    })

    t.test('a page is two AWS calls, however many accounts there are: the page, and the role of the admin', async (t) => {
      for (const url of ['/v2/users', '/v2/users?limit=100', '/v2/users?status=PENDING_VERIFICATION&limit=100', '/v2/users?status=SUSPENDED']) {
        const calls = recordCalls(app)
        await list(url)
        t.same(calls.stop().sort(), ['BatchGetItemCommand', 'QueryCommand'], url)
      }
      const { nextCursor } = await list('/v2/users?limit=50')
      const calls = recordCalls(app)
      await list(`/v2/users?limit=50&cursor=${nextCursor!}`)
      t.same(calls.stop().sort(), ['BatchGetItemCommand', 'QueryCommand'])
    })

    t.test('a list of a status has exactly the accounts with that status', async (t) => {
      const [active, suspended] = [ids[50]!, ids[60]!]
      await app.users.update(root, active, { status: 'ACTIVE' }, 'c')
      await app.users.update(root, suspended, { status: 'SUSPENDED' }, 'c')
      await until(async () => (await list('/v2/users?status=SUSPENDED')).items.length === 1)
      t.match(await list('/v2/users?status=SUSPENDED'), { items: [{ id: suspended, status: 'SUSPENDED' }] })
      t.same((await list('/v2/users?status=SUSPENDED')).nextCursor, null)
      const found: string[] = []
      for (let page = await list('/v2/users?status=ACTIVE&limit=10'); ; page = await list(`/v2/users?status=ACTIVE&limit=10&cursor=${page.nextCursor}`)) {
        found.push(...page.items.map(({ id }) => id))
        if (page.nextCursor === null) break
      }
      t.same(found, [active])
      const calls = recordCalls(app)
      await list('/v2/users?status=ACTIVE&limit=1')
      t.ok(calls.stop().length <= 7, 'a page reads a bounded part of the list')
    })

    t.test('accounts of older months follow, and a gap of years ends a page early and not the list', async (t) => {
      const engines = await startEngines(t, { dynamodb: kind })
      const app = await buildTestApp(t, engines)
      const root = await adminOf(app)
      const headers = await bearerOf(app, root.userId, 'admin')
      const times = ['2024-01-31T23:59:59.999Z', '2024-02-01T00:00:00.000Z', '2026-01-15T12:00:00.000Z', '2026-01-15T12:00:00.001Z', new Date().toISOString()]
      const made: string[] = []
      for (const createdAt of times) made.push(await put(app, { createdAt }))
      // The handler of a registration notes the first month.
      await app.users.register({ email: 'now@example.com', name: 'Ada' }, 'c')
      await pump(app, engines)
      const page = async (cursor?: string) => (await app.inject({ url: `/v2/users?limit=100${cursor === undefined ? '' : `&cursor=${cursor}`}`, headers })).json<UserPage>()
      t.same((await page()).nextCursor, null, 'it ends with the month that was noted')
      await app.dynamodb.send(new PutCommand({ TableName: app.config.USERS_TABLE, Item: { userId: 'lists', kind: 'lists', firstMonth: '2024-01' } }))
      const seen: string[] = []
      let pages = 0
      for (let answer = await page(); ; answer = await page(answer.nextCursor)) {
        pages++
        seen.push(...answer.items.map(({ id }) => id))
        if (answer.nextCursor === null) break
      }
      t.same(seen.filter(id => made.includes(id)), made.toReversed())
      t.ok(pages > 1 && pages < 10, `${pages} pages`)
    })

    t.test('an account that has expired is in no answer, although DynamoDB has not removed it yet', async (t) => {
      const id = await put(app, { createdAt: new Date().toISOString(), status: 'PENDING_VERIFICATION', expiresAt: Math.floor(Date.now() / 1000) - 10 })
      const control = await put(app, { createdAt: new Date().toISOString(), status: 'PENDING_VERIFICATION', expiresAt: Math.floor(Date.now() / 1000) + 3600 })
      for (const url of ['/v2/users', '/v2/users?status=PENDING_VERIFICATION']) {
        await until(async () => (await list(url)).items.some(item => item.id === control))
        t.notOk((await list(url)).items.some(item => item.id === id), url)
      }
      const answer = await app.inject({ method: 'POST', url: '/v2/users/batch-get', headers, payload: { ids: [id, control] } })
      t.match(answer.json(), { items: [{ id: control }], missing: [id] })
    })

    t.test('an account is found by its address in two calls, in any spelling', async (t) => {
      const calls = recordCalls(app)
      const { items } = await list('/v2/users?email=%20Listed-7@EXAMPLE.com')
      t.same(calls.stop(), ['BatchGetItemCommand', 'GetItemCommand'])
      t.match(items, [{ id: ids[7], email: 'listed-7@example.com' }])
      t.same(await list('/v2/users?email=no-one@example.com'), { items: [], nextCursor: null })
      t.same(await list('/v2/users?email=listed-7@example.com&status=SUSPENDED'), { items: [], nextCursor: null })
      t.equal((await list('/v2/users?email=listed-7@example.com&status=PENDING_VERIFICATION')).items.length, 1)
      const answer = await get('/v2/users?email=not-an-address')
      t.equal(answer.statusCode, 400)
      t.equal(answer.json().errors[0].pointer, '#/email')
    })

    t.test('accounts are read by their ids in one call, in the order of the ids', async (t) => {
      const asked = ids.filter((_, i) => i % 25 !== 3).slice(0, 60)
      const missing = randomUUID()
      const payload = { ids: [...asked.slice(0, 30), missing, ...asked.slice(30)] }
      const calls = recordCalls(app)
      const answer = await app.inject({ method: 'POST', url: '/v2/users/batch-get', headers, payload })
      t.same(calls.stop().sort(), ['BatchGetItemCommand', 'GetItemCommand'])
      t.equal(answer.statusCode, 200)
      t.same(answer.json().items.map(({ id }: User) => id), asked)
      t.same(answer.json().missing, [missing])
      const hundred = [...asked.slice(0, 50), ...Array.from({ length: 50 }, () => randomUUID())]
      const most = recordCalls(app)
      const full = await app.inject({ method: 'POST', url: '/v2/users/batch-get', headers, payload: { ids: hundred } })
      t.same(most.stop().sort(), ['BatchGetItemCommand', 'GetItemCommand'], '100 of them too')
      t.same([full.json().items.length, full.json().missing.length], [50, 50])
      t.same(answer.json().items[0], await app.users.getFresh(asked[0]!), 'with every field')
      for (const bad of [[], Array.from({ length: 101 }, () => randomUUID()), [missing, missing], ['x'], [5]]) {
        const answer = await app.inject({ method: 'POST', url: '/v2/users/batch-get', headers, payload: { ids: bad } })
        t.equal(answer.statusCode, 400)
        t.match(answer.json().errors[0].pointer, /^\/ids/)
      }
    })

    t.test('keys that DynamoDB leaves unprocessed are asked for again, and not for ever', once, async (t) => {
      const payload = { ids: ids.slice(30, 34) }
      const read = () => app.inject({ method: 'POST', url: '/v2/users/batch-get', headers, payload })
      const whole = (await read()).json()
      const some = leaveUnprocessed(app.dynamodb, 3)
      const answer = await read()
      some.stop()
      t.equal(some.calls(), 4)
      t.same(answer.json(), whole)
      const all = leaveUnprocessed(app.dynamodb, Infinity)
      const refused = await read()
      all.stop()
      t.equal(refused.statusCode, 503)
      t.match(refused.headers['retry-after'], /^\d+$/)
      t.equal(all.calls(), 5)
    })

    t.test('a cursor that this service has not made for this list is refused', once, async (t) => {
      const cursor = (await list('/v2/users?limit=2')).nextCursor!
      const pending = (await list('/v2/users?limit=2&status=PENDING_VERIFICATION')).nextCursor!
      const [text, signature] = cursor.split('.') as [string, string]
      const forged = Buffer.from('users 2026-01').toString('base64url')
      const others = await buildTestApp(t, engines, { env: { JWT_SECRET: 'a secret that another deployment has had'.repeat(2) } })
      for (const [url, why] of [
        [`/v2/users?cursor=${forged}.${signature}`, 'another text'],
        [`/v2/users?cursor=${text}`, 'no signature'],
        [`/v2/users?cursor=${cursor.slice(0, -1)}`, 'truncated'],
        [`/v2/users?cursor=${cursor}A`, 'longer'],
        [`/v2/users?cursor=${text}.${signature.slice(0, -1)}-`, 'another spelling of the signature'],
        ['/v2/users?cursor=x', 'nonsense'],
        ['/v2/users?cursor=', 'empty'],
        [`/v2/users?cursor=${'x'.repeat(513)}`, 'too long'],
        [`/v2/users?cursor=${cursor}&cursor=${cursor}`, 'twice'],
        [`/v2/users?cursor=${pending}`, 'of a filter, without it'],
        [`/v2/users?status=SUSPENDED&cursor=${pending}`, 'of another filter'],
        [`/v2/users?email=a@example.com&cursor=${cursor}`, 'with an address'],
        [`/v2/users/${ids[0]!}/audit?cursor=${cursor}`, 'of another list'],
        [`/v2/users?cursor=${others.keys.seal('users 2026-01')}`, 'signed by another service']
      ] as const) {
        const answer = await get(url)
        t.equal(answer.statusCode, 400, why)
        t.equal(answer.json().errors[0].pointer, '#/cursor', why)
        if (why === 'of another list') t.equal(answer.json().errors[0].detail, 'is not a cursor of this list and filter')
      }
      t.equal((await get(`/v2/users?limit=100&cursor=${cursor}`)).statusCode, 200, 'the limit may change')
    })

    t.test('a limit that is not one is refused by its name', once, async (t) => {
      for (const limit of ['0', '101', '-1', '1.5', 'x', '', '1e1', '99999999999', '1&limit=2']) {
        const answer = await get(`/v2/users?limit=${limit}`)
        t.equal(answer.statusCode, 400, limit)
        t.equal(answer.json().errors[0].pointer, '#/limit')
      }
      for (const query of ['status=GONE', 'state=ACTIVE']) t.equal((await get(`/v2/users?${query}`)).statusCode, 400, query)
      for (const limit of [1, 100]) t.equal((await list(`/v2/users?limit=${limit}`)).items.length, limit)
    })

    t.test('only a caller who is an admin now gets an answer', once, async (t) => {
      const asks: [method: 'GET' | 'POST', url: string, payload?: object][] = [
        ['GET', '/v2/users'], ['GET', '/v2/users?email=listed-7@example.com'], ['GET', `/v2/users/${ids[0]!}/audit`], ['POST', '/v2/users/batch-get', { ids: [ids[0]!] }],
        ['POST', '/v2/users/batch', { users: [{ email: 'refused@example.com', name: 'Ada' }] }], ['POST', '/v2/users/invitations', { email: 'refused@example.com', name: 'Ada' }]
      ]
      const [demoted, suspended, gone] = [await adminOf(app), await adminOf(app), { userId: await register('gone@example.com') }]
      await app.users.update(root, demoted.userId, { role: 'user' }, 'c')
      await app.users.update(root, suspended.userId, { status: 'SUSPENDED' }, 'c')
      await app.users.remove(root, gone.userId, 'c')
      for (const [caller, as, status, code] of [
        ['anonymous', {}, 401, 'AUTH_TOKEN_INVALID'],
        ['a user', await bearerOf(app, ids[1]!, 'user'), 403, 'FORBIDDEN'],
        ['a user whose token says admin', await bearerOf(app, ids[1]!, 'admin'), 403, 'FORBIDDEN'],
        ['a demoted admin', await bearerOf(app, demoted.userId, 'admin'), 403, 'FORBIDDEN'],
        ['a suspended admin', await bearerOf(app, suspended.userId, 'admin'), 401, 'AUTH_TOKEN_INVALID'],
        ['a deleted admin', await bearerOf(app, gone.userId, 'admin'), 401, 'AUTH_TOKEN_INVALID']
      ] as const) {
        for (const [method, url, payload] of asks) {
          const answer = await app.inject({ method, url, headers: as, ...(payload === undefined ? {} : { payload }) })
          t.equal(answer.statusCode, status, `${caller}: ${method} ${url}`)
          t.equal(answer.json().code, code)
        }
      }
      t.equal(await app.users.findByEmail('refused@example.com'), undefined)
    })

    t.test('an admin who is demoted while the page is read does not get it', once, async (t) => {
      const eve = await adminOf(app)
      const as = await bearerOf(app, eve.userId, 'admin')
      let isDemoted = false
      const stop = intercept(app.dynamodb, { command: 'BatchGetItemCommand', onTheLine: false }, async ({ send }) => {
        if (!isDemoted) {
          isDemoted = true
          await app.users.update(root, eve.userId, { role: 'user' }, 'c')
        }
        return await send()
      })
      const answer = await get('/v2/users', as)
      stop()
      t.equal(answer.statusCode, 403)
    })
  })
}
