import { GetCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { newId } from '../../src/shared/ids.ts'
import { adminOf, bearerOf, codeIn, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, TABLES } from '../engines.ts'
import { pump } from '../pump.ts'
import { deliverMails, emailMessage, sqsRecord } from '../modules/email/records.ts'
import { bounce, receiptRecord } from '../modules/email/ses-events.ts'
import { report, workload } from '../promise.ts'

// DynamoDB removes an expired item days late; no engine here ever does. Each kind of item that has an end is made by the
// service, used, expired by hand, and used again.

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const admin = await adminOf(app)
const adminToken = (await bearerOf(app, admin.userId)).authorization

let n = 0
const address = () => `expired-${++n}@example.com`
const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, { token, payload, key }: { token?: string, payload?: object, key?: string } = {}) =>
  await app.inject({ method, url, headers: { ...(token === undefined ? {} : { authorization: token }), ...(key === undefined ? {} : { 'idempotency-key': key }) }, ...(payload === undefined ? {} : { payload }) })
const sidOf = ({ accessToken }: Tokens) => (JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }).sid

async function challengeFor (email: string) {
  const { challengeId } = await app.auth.requestCode({ email, network: newId() }, 'x')
  await pump(app, engines)
  return { challengeId, code: app.keys.codeOf(challengeId) }
}

type Key = Record<string, string>
interface Item { table: string, key: Key }
interface Kind {
  /** makes an item through the service; resolves to the items to expire, and whether they still have an effect */
  make (): Promise<{ items: Item[], hasEffect: () => Promise<boolean> }>
}

const auth = (pk: string, sk: string): Item => ({ table: 'AuthTable', key: { pk, sk } })
const users = (userId: string): Item => ({ table: 'UsersTable', key: { userId } })
const mail = (messageId: string): Item => ({ table: 'EmailTable', key: { messageId } })

async function pending () {
  const email = address()
  const { id } = await app.users.register({ email, name: 'Never Confirmed' }, 'x')
  await pump(app, engines)
  return { email, id, items: [users(id), users(`email#${email}`)] }
}
async function changeAddress () {
  const first = await signIn(app, engines, address())
  const email = address()
  const former = first.user.email
  const { challengeId } = await app.auth.requestEmailChange({ userId: first.user.id, sid: sidOf(first), email: former }, { email, network: newId(), operation: { id: newId(), startedAt: new Date() } }, 'x')
  await pump(app, engines)
  return { first, email, former, challengeId, code: app.keys.codeOf(challengeId) }
}

/** What each kind of item with an end is good for. Its name is the table, and the prefixes of its key. */
const KINDS: Record<string, Kind> = {
  'AuthTable challenge# challenge': {
    async make () {
      const { user: { email } } = await signIn(app, engines, address())
      const payload = await challengeFor(email)
      // Confirming does not use it up.
      return { items: [auth(`challenge#${payload.challengeId}`, 'challenge')], hasEffect: async () => (await call('POST', '/v2/auth/verify', { payload })).statusCode === 204 }
    }
  },
  'AuthTable user# session#': {
    async make () {
      const tokens = await signIn(app, engines, address())
      const item = auth(`user#${tokens.user.id}`, `session#${sidOf(tokens)}`)
      let { refreshToken } = tokens
      return {
        items: [item],
        async hasEffect () {
          const refreshed = await call('POST', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken } })
          if (refreshed.statusCode === 200) refreshToken = refreshed.json<Tokens>().refreshToken
          const listed = (await call('GET', '/v2/users/me/sessions', { token: `Bearer ${tokens.accessToken}` })).statusCode
          const change = await app.auth.requestEmailChange({ userId: tokens.user.id, sid: sidOf(tokens), email: tokens.user.email }, { email: address(), network: newId(), operation: { id: newId(), startedAt: new Date() } }, 'x').then(() => true, () => false)
          return refreshed.statusCode === 200 || listed === 200 || change
        }
      }
    }
  },
  'AuthTable user# challenge#': {
    // An index of challenges for the erasure of their account: it opens nothing.
    async make () {
      const { first, challengeId, code } = await changeAddress()
      return { items: [auth(`user#${first.user.id}`, `challenge#${challengeId}`), auth(`challenge#${challengeId}`, 'challenge')], hasEffect: async () => (await call('POST', '/v2/auth/verify', { payload: { challengeId, code } })).statusCode === 204 }
    }
  },
  'AuthTable codes# all': {
    async make () {
      const { user: { email } } = await signIn(app, engines, address())
      const network = newId()
      for (let i = 0; i < 5; i++) await app.auth.requestCode({ email, network }, 'x')
      await pump(app, engines)
      const item = auth(`codes#${app.keys.pseudonym(email)}`, 'all')
      // The list is by time: what is older than a day counts no more, whether or not the item is still there.
      const old = (list: string[]) => list.map(code => code.replace(/^\S+/, new Date(Date.now() - 25 * 3_600_000).toISOString()))
      return {
        items: [item],
        async hasEffect () {
          const { Item = {} } = await app.dynamodb.send(new GetCommand({ TableName: 'AuthTable', Key: item.key, ConsistentRead: true }))
          if (Item['expiresAt'] < Date.now() / 1000) {
            for (const name of Object.keys(Item).filter(name => name === 'codes' || name.startsWith('network#'))) await app.dynamodb.send(new UpdateCommand({ TableName: 'AuthTable', Key: item.key, UpdateExpression: 'SET #n = :l', ExpressionAttributeNames: { '#n': name }, ExpressionAttributeValues: { ':l': old(Item[name] as string[]) } }))
          }
          return await app.auth.requestCode({ email, network }, 'x').then(() => false, () => true)
        }
      }
    }
  },
  'AuthTable codes# challenge#': {
    // Finds a challenge for the erasure of an account. The challenge itself has its own end.
    async make () {
      const email = address()
      await app.users.register({ email, name: 'Late Welcome' }, 'x')
      const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName: 'UsersTable', ConsistentRead: true }))
      const entry = Items.find(({ kind, type, data }) => kind === 'outbox' && type === 'user.registered' && data.user.email === email)!
      // Handled nine minutes late, its welcome gets a fresh code, which is not counted under its own id.
      await app.dynamodb.send(new UpdateCommand({ TableName: 'UsersTable', Key: { userId: entry['userId'] }, UpdateExpression: 'SET occurredAt = :at', ExpressionAttributeValues: { ':at': new Date(Date.now() - 540_000).toISOString() } }))
      await app.outbox.sweep()
      await pump(app, engines)
      const challengeId = entry['eventId'] as string
      return {
        items: [auth(`codes#${app.keys.pseudonym(email)}`, `challenge#${challengeId}`), auth(`challenge#${challengeId}`, 'challenge')],
        hasEffect: async () => (await call('POST', '/v2/auth/verify', { payload: { challengeId, code: codeIn(engines, email) } })).statusCode === 204
      }
    }
  },
  'AuthTable idempotency# idempotency': {
    async make () {
      const { accessToken } = await signIn(app, engines, address())
      const [token, key, email] = [`Bearer ${accessToken}`, randomUUID(), address()]
      const ask = async (email: string) => (await call('POST', '/v2/users/me/email', { token, key, payload: { email } })).statusCode
      const before = new Set(await keysOf('AuthTable', 'idempotency#'))
      await ask(email)
      const [pk] = (await keysOf('AuthTable', 'idempotency#')).filter(pk => !before.has(pk))
      // Another body under the same key is refused, as long as the key is remembered.
      return { items: [auth(pk!, 'idempotency')], hasEffect: async () => await ask(address()) === 422 }
    }
  },
  'UsersTable user': {
    async make () {
      const { email, id, items } = await pending()
      const listed = async () => {
        const list = (await call('GET', '/v2/users?limit=100', { token: adminToken })).json<{ items: { id: string }[] }>().items
        const found = (await call('GET', `/v2/users?email=${email}`, { token: adminToken })).json<{ items: unknown[] }>().items
        const batch = (await call('POST', '/v2/users/batch-get', { token: adminToken, payload: { ids: [id] } })).json<{ items: unknown[] }>().items
        return list.some(user => user.id === id) || found.length > 0 || batch.length > 0
      }
      return { items, hasEffect: async () => await app.users.getFresh(id) !== undefined || await app.users.findByEmail(email) !== undefined || (await call('GET', `/v2/users/${id}`, { token: adminToken })).statusCode === 200 || await listed() }
    }
  },
  'UsersTable email#': {
    async make () {
      const { email, items } = await pending()
      return { items, hasEffect: async () => await app.users.register({ email, name: 'The Next One' }, 'x').then(() => false, () => true) }
    }
  },
  'UsersTable proposals#': {
    async make () {
      const propose = async () => {
        const { email, id } = await pending()
        const { challengeId } = await app.auth.requestCode({ email, registration: { name: 'Proposed Name', locale: 'de' }, network: newId() }, 'x')
        await pump(app, engines)
        return { id, payload: { challengeId, code: app.keys.codeOf(challengeId) } }
      }
      // Confirming uses it up, so another account shows its effect.
      const accounts = [await propose(), await propose()]
      return {
        items: [users(`proposals#${accounts[1]!.id}`)],
        async hasEffect () {
          const { id, payload } = accounts.shift()!
          await call('POST', '/v2/auth/verify', { payload })
          return (await app.users.getFresh(id))?.name === 'Proposed Name'
        }
      }
    }
  },
  'UsersTable audit#': {
    async make () {
      const { id } = await pending()
      await app.users.update(admin, id, { name: 'Seen By Admin' }, 'x')
      await pump(app, engines)
      const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName: 'UsersTable', ConsistentRead: true }))
      const lines = async () => (await call('GET', `/v2/users/${id}/audit`, { token: adminToken })).json<{ items: { id: string }[] }>().items
      const [line] = await lines()
      const item = Items.find(({ userId }) => userId === `audit#${line!.id}`)!
      return { items: [users(item['userId'])], hasEffect: async () => (await lines()).length > 0 }
    }
  },
  'EmailTable record': {
    async make () {
      const message = emailMessage()
      const send = async () => { t.same(await deliverMails(app, { Records: [sqsRecord(message)] }), { batchItemFailures: [] }) }
      await send()
      return {
        items: [mail(message.messageId)],
        async hasEffect () {
          const before = engines.mailsTo(message.email).length
          await send()
          return engines.mailsTo(message.email).length === before
        }
      }
    }
  },
  'EmailTable address#': {
    async make () {
      const { user: { id, email } } = await signIn(app, engines, address())
      await app.consumers.deliver({ Records: [receiptRecord(bounce({ messageId: newId(), userId: id, type: 'SIGN_IN_CODE', email }))] })
      return {
        items: app.keys.recipients(email).slice(0, 1).map(pseudonym => mail(`address#${pseudonym}`)),
        async hasEffect () {
          const before = engines.mailsTo(email).length
          await challengeFor(email)
          return engines.mailsTo(email).length === before
        }
      }
    }
  }
}

/** Kinds whose items must not lose their effect: what they mark stays marked until DynamoDB removes them. */
const MARKERS = { 'UsersTable erased#': 'an erased account stays erased', 'AuthTable erased# erased': 'the same' }
/** Kinds without an end. */
const ENDLESS = { 'UsersTable outbox#': 'until it is handled', 'AuthTable outbox# outbox': 'until it is handled', 'UsersTable admins': 'a set', 'UsersTable lists': 'a note', 'UsersTable account': 'an account that is confirmed' }

const prefixOf = (key: string) => /^[a-z]+#/.exec(key)?.[0] ?? key
function kindOf (table: string, item: Record<string, unknown>): string {
  if (table === 'AuthTable') return `${table} ${prefixOf(String(item['pk']))} ${prefixOf(String(item['sk']))}`
  if (table === 'EmailTable') return `${table} ${String(item['messageId']).startsWith('address#') ? 'address#' : 'record'}`
  if (item['kind'] === 'user') return `${table} ${item['expiresAt'] === undefined ? 'account' : 'user'}`
  return `${table} ${prefixOf(String(item['userId']))}`
}

async function itemsIn (table: string) {
  const items: Record<string, unknown>[] = []
  let ExclusiveStartKey: Record<string, unknown> | undefined
  do {
    const page = await app.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true, ExclusiveStartKey }))
    items.push(...page.Items ?? [])
    ExclusiveStartKey = page.LastEvaluatedKey
  } while (ExclusiveStartKey !== undefined)
  return items
}
const keysOf = async (table: string, prefix: string) => (await itemsIn(table)).map(({ pk }) => String(pk)).filter(pk => pk.startsWith(prefix))

async function expire ({ table, key }: Item, secondsAgo: number) {
  await app.dynamodb.send(new UpdateCommand({
    TableName: table,
    Key: key,
    UpdateExpression: 'SET expiresAt = :past',
    ConditionExpression: Object.keys(key).map(name => `attribute_exists(${name})`).join(' AND '),
    ExpressionAttributeValues: { ':past': Math.floor(Date.now() / 1000) - secondsAgo }
  }))
}

t.test('what has expired and was not removed yet is refused, every kind of item', async (t) => {
  const rounds = workload({ short: 1, full: 20 })
  const effects: string[] = []
  let tried = 0
  for (let round = 0; round < rounds; round++) {
    // A second ago, a minute, an hour, a day.
    const secondsAgo = [1, 60, 3600, 86_400][round % 4]!
    for (const [name, kind] of Object.entries(KINDS)) {
      const { items, hasEffect } = await kind.make()
      if (!await hasEffect()) t.fail(`${name} has no effect before it expires`)
      for (const item of items) await expire(item, secondsAgo)
      tried++
      if (await hasEffect()) effects.push(`${name}, ${secondsAgo} s after its end`)
      await pump(app, engines)
    }
  }
  t.same(effects, [])
  report(t, { promise: 11, figure: `${Object.keys(KINDS).length} kinds of items, ${tried} expired: ${tried - effects.length} refused`, holds: effects.length === 0 })
})

t.test('no kind of item with an end is forgotten', async (t) => {
  // What the test above has used up.
  const { email } = await pending()
  await app.auth.requestCode({ email, registration: { name: 'Proposed Name', locale: 'de' }, network: newId() }, 'x')
  const { user: { id } } = await signIn(app, engines, address())
  await app.users.remove(admin, id, 'x')
  await pump(app, engines)
  const known = { ...KINDS, ...MARKERS, ...ENDLESS }
  const found = new Map<string, boolean>()
  for (const table of TABLES) for (const item of await itemsIn(table)) found.set(kindOf(table, item), found.get(kindOf(table, item)) === true || item['expiresAt'] !== undefined)
  for (const [kind, hasEnd] of found) t.equal(hasEnd, kind in KINDS || kind in MARKERS, `${kind} ${hasEnd ? 'expires: it needs a check above' : 'has no end'}`)
  for (const kind of [...Object.keys(KINDS), ...Object.keys(MARKERS)]) t.ok(found.has(kind), `${kind} was seen in a table`)

  // What no test has written is found in the sources: the prefixes of all keys.
  const src = join(import.meta.dirname, '../../src')
  const prefixes = new Map<string, string>()
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))) {
    const text = readFileSync(join(src, file), 'utf8')
    if (!text.includes('@aws-sdk/lib-dynamodb') && !/items\.ts$|index\.ts$/.test(file)) continue
    for (const [, prefix] of text.matchAll(/`([a-z]+#)\$\{/g)) prefixes.set(prefix!, file)
  }
  // `users#` and `audit#` name partitions of an index, and `network#` an attribute.
  for (const [prefix, file] of prefixes) t.ok(Object.keys(known).some(kind => kind.includes(prefix)) || prefix === 'users#', `${prefix} of ${file}`)
  t.ok(prefixes.size >= 10, [...prefixes.keys()].join(' '))
})
