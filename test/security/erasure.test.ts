import { DeleteCommand, GetCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs'
import { Redis } from 'ioredis'
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { mailboxOf } from '../../src/modules/auth/allowance.ts'
import type { AuthEntry, Tokens } from '../../src/modules/auth/contract.ts'
import { newId } from '../../src/shared/ids.ts'
import { outboxEntry } from '../../src/shared/outbox.ts'
import { adminOf, bearerOf, codeIn, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, TABLES } from '../engines.ts'
import { intercept } from '../faults.ts'
import { pump } from '../pump.ts'
import { bounce, receiptRecord } from '../modules/email/ses-events.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../outbox.ts'
import { report, workload } from '../promise.ts'

const engines = await startEngines(t, { redis: true })
const app = await buildTestApp(t, engines)
const redis = new Redis(engines.redisUrl!)
t.teardown(() => redis.disconnect())

const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, { token, from = '192.0.2.1', payload, key }: { token?: string, from?: string, payload?: object, key?: string } = {}) =>
  await app.inject({ method, url, remoteAddress: from, headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(key === undefined ? {} : { 'idempotency-key': key }) }, ...(payload === undefined ? {} : { payload }) })

const wrong = (challengeId: string) => app.keys.codeOf(challengeId) === '00000000' ? '00000001' : '00000000'

/** Everything in every table, in Redis and in the queues. */
async function everything (): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  for (const TableName of TABLES) {
    found[TableName] = []
    let ExclusiveStartKey: Record<string, unknown> | undefined
    do {
      const page = await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true, ExclusiveStartKey }))
      found[TableName].push(...(page.Items ?? []).map(item => JSON.stringify(item, (_key, value) => value instanceof Set ? [...value] : value)))
      ExclusiveStartKey = page.LastEvaluatedKey
    } while (ExclusiveStartKey !== undefined)
  }
  found['Redis'] = await Promise.all((await redis.keys('*')).map(async key => `${key} ${await redis.get(key)}`))
  return found
}

/** What is left of an account: each place that names it, or by which it could be recognised. */
async function tracesOf ({ id, emails, names, further = [] }: { id: string, emails: string[], names: string[], further?: string[] }): Promise<string[]> {
  const pseudonyms = emails.flatMap(email => [email, mailboxOf(email)]).flatMap(value => [...app.keys.pseudonyms(value), ...app.keys.recipients(value), createHash('sha256').update(value).digest('hex'), createHash('sha256').update(value).digest('base64url')])
  const needles = [id, id.replaceAll('-', ''), ...emails, ...emails.map(email => email.split('@')[0]!), ...names, ...pseudonyms, ...further]
  // A deleted account is remembered in the cache for a minute, so that no slower read brings it back: its id and no value.
  const isTombstone = (text: string) => new RegExp(`^user:${id} \\d+@\\d+:$`).test(text)
  return Object.entries(await everything()).flatMap(([place, texts]) => texts.filter(text => !isTombstone(text)).flatMap(text => needles.filter(needle => text.includes(needle)).map(needle => `${place}: ${needle} in ${text}`)))
}

async function emptyQueues (t: Test) {
  for (const queue of ['EmailQueue', 'EmailDeadLetterQueue', 'MailReceiptsQueue', 'MailReceiptsDeadLetterQueue', 'RelayFailureQueue']) {
    const { Attributes = {} } = await app.sqs.send(new GetQueueAttributesCommand({ QueueUrl: engines.queueUrl(queue), AttributeNames: ['All'] }))
    t.same([Attributes['ApproximateNumberOfMessages'], Attributes['ApproximateNumberOfMessagesNotVisible']], ['0', '0'], queue)
  }
}

const rounds = workload({ short: 1, full: 12 })
const found = { traces: 0, tokensAccepted: 0, registeredAgain: 0 }

for (let round = 0; round < rounds; round++) {
  t.test('of an account with everything it can have, deletion leaves a marker in two tables that names no one', async t => {
    const email = `ada.vanishing-${round}+tag@example.com`
    const names = ['Ada Vanishing', 'Augusta Vanishing', 'Countess Vanishing', 'Lovelace Vanishing']
    // Strangers ask for codes before the account exists.
    await call('POST', '/v1/auth/challenges', { from: '198.51.100.1', payload: { email } })
    await call('POST', '/v2/auth/challenges', { from: '2001:db8:1::1', payload: { email } })
    await pump(app, engines)
    // The account opens by v1. Others register the same address, while it waits to be confirmed.
    const { data } = (await call('POST', '/v1/users', { payload: { email, name: names[0] } })).json()
    const id: string = data.userId
    await pump(app, engines)
    await call('POST', '/v2/users', { from: '198.51.100.2', payload: { email, name: names[1], locale: 'de' } })
    await pump(app, engines)
    const registration = (await call('POST', '/v2/users', { key: `erased-later-${round}`, from: '198.51.100.3', payload: { email, name: names[2] } })).json()
    await pump(app, engines)
    await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId: registration.challengeId, code: wrong(registration.challengeId) } })
    await call('POST', '/v2/auth/verify', { payload: { challengeId: registration.challengeId, code: codeIn(engines, email) } })
    const signedIn = await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId: registration.challengeId, code: codeIn(engines, email) } })
    t.equal(signedIn.statusCode, 200)
    const first = signedIn.json<Tokens>()
    t.equal(first.user.id, id)
    // A second session, by v1, refreshed.
    const again = (await call('POST', '/v1/auth/challenges', { payload: { email } })).json().data
    await pump(app, engines)
    const second = (await call('POST', '/v1/auth/tokens', { payload: { grantType: 'code', challengeId: again.challengeId, code: codeIn(engines, email) } })).json().data as Tokens
    const rotated = (await call('POST', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken: second.refreshToken } })).json<Tokens>()
    // Reads and changes.
    const token = first.accessToken
    for (const url of ['/v2/users/me', `/v1/users/${id}`, '/v2/users/me/export']) t.equal((await call('GET', url, { token })).statusCode, 200, url)
    t.equal((await call('PATCH', '/v2/users/me', { token, payload: { name: names[3], locale: 'fr' } })).statusCode, 200)
    const admin = await adminOf(app)
    await app.users.update(admin, id, { role: 'admin' }, 'x')
    await app.users.update(admin, id, { role: 'user' }, 'x')
    await pump(app, engines)
    // Open when the account is deleted: a code with a wrong try, and another one that waits in the outbox.
    const open = (await call('POST', '/v2/auth/challenges', { payload: { email } })).json()
    await pump(app, engines)
    await call('POST', '/v2/auth/verify', { payload: { challengeId: open.challengeId, code: wrong(open.challengeId) } })
    const code = codeIn(engines, email)
    // The last mail bounces.
    await app.consumers.deliver({ Records: [receiptRecord(bounce({ messageId: newId(), userId: id, type: 'SIGN_IN_CODE', email }))] })
    await pump(app, engines)
    t.match(await app.users.getFresh(id), { mail: { status: 'bounced' } })
    t.ok((await tracesOf({ id, emails: [email], names })).some(trace => trace.startsWith('EmailTable')), 'a pseudonym is found')
    t.ok((await tracesOf({ id, emails: [email], names })).length > 10, 'there is something to erase')

    t.equal((await call('DELETE', '/v2/users/me', { token })).statusCode, 204)
    await pump(app, engines)
    const further = [first, second, rotated].flatMap(tokens => [String(JSON.parse(Buffer.from(tokens.accessToken.split('.')[1]!, 'base64url').toString()).sid)])
      .map(sid => `session#${sid}`)
    t.same(await tracesOf({ id, emails: [email], names, further }), [])
    const erased = `erased#${createHash('sha256').update(id).digest('base64url')}`
    const marker = (await everything())['UsersTable']!.map(text => JSON.parse(text) as Record<string, unknown>).find(item => item['userId'] === erased)
    t.same(Object.keys(marker!).sort(), ['expiresAt', 'kind', 'userId'], 'the marker has no further attribute')
    const ledger = (await everything())['AuthTable']!.map(text => JSON.parse(text) as Record<string, unknown>).find(item => item['pk'] === erased)
    t.same(Object.keys(ledger!).sort(), ['expiresAt', 'kind', 'pk', 'sk'], 'nor has the one that outlives the table of accounts')
    t.ok(Number(ledger!['expiresAt']) - Date.now() / 1000 > 44 * 24 * 3600, 'kept for 45 days')
    await emptyQueues(t)
    const ttl = await redis.pttl(`user:${id}`)
    t.ok(ttl > 0 && ttl <= 60_000, `the cache forgets the id within a minute: ${ttl} ms`)

    // Every token is worth nothing.
    for (const { accessToken } of [first, second, rotated]) {
      for (const [method, url] of [['GET', '/v2/users/me'], ['GET', '/v2/users/me/export'], ['GET', `/v1/users/${id}`], ['DELETE', '/v2/users/me']] as const) {
        const { statusCode } = await call(method, url, { token: accessToken })
        t.equal(statusCode, 401, `${method} ${url}`)
        if (statusCode !== 401) found.tokensAccepted++
      }
    }
    for (const { refreshToken } of [first, second, rotated]) {
      const { statusCode } = await call('POST', '/v2/auth/tokens', { payload: { grantType: 'refresh_token', refreshToken } })
      t.equal(statusCode, 401)
      if (statusCode !== 401) found.tokensAccepted++
    }
    for (const challengeId of [registration.challengeId, again.challengeId, open.challengeId]) {
      t.equal((await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId, code } })).statusCode, 401)
    }
    const traces = await tracesOf({ id, emails: [email], names, further })
    t.same(traces, [], 'and using them left nothing')
    found.traces += traces.length

    const next = await signIn(app, engines, email, 'Ada Again')
    t.not(next.user.id, id, 'the address can register again at once')
    if (next.user.id !== id) found.registeredAgain++
  })
}

t.test('nothing of them can be read', async t => {
  const { traces, tokensAccepted, registeredAgain } = found
  report(t, { promise: 12, figure: `${rounds} accounts deleted: ${traces} traces, ${tokensAccepted} tokens accepted, ${registeredAgain} addresses registered again`, holds: traces + tokensAccepted === 0 && registeredAgain === rounds })
})

t.test('of an account that has moved, neither address leaves a trace, nor what is known of mails to them', async t => {
  const [former, email] = ['moved.from@example.com', 'moved.to@example.com']
  const { user: { id }, accessToken } = await signIn(app, engines, former, 'Moved Mary')
  await app.consumers.deliver({ Records: [receiptRecord(bounce({ messageId: newId(), userId: id, type: 'SIGN_IN_CODE', email: former }))] })
  const { challengeId } = (await call('POST', '/v2/users/me/email', { token: accessToken, payload: { email } })).json()
  await pump(app, engines)
  t.equal((await call('POST', '/v2/auth/verify', { payload: { challengeId, code: app.keys.codeOf(challengeId) } })).statusCode, 204)
  await pump(app, engines)
  t.ok((await tracesOf({ id, emails: [former, email], names: ['Moved'] })).some(trace => trace.startsWith('EmailTable')), 'a bounce is known')
  await app.users.remove(await adminOf(app), id, 'x')
  await pump(app, engines)
  t.same(await tracesOf({ id, emails: [former, email], names: ['Moved'] }), [])
})

t.test('an account that an admin invited and looked at leaves nothing either', async t => {
  const email = 'invited@example.com'
  const admin = await adminOf(app)
  const token = (await bearerOf(app, admin.userId)).authorization.slice('Bearer '.length)
  const invited = await call('POST', '/v2/users/invitations', { token, key: 'invited-once', payload: { email, name: 'Invited Irene' } })
  t.equal(invited.statusCode, 202)
  const { id } = invited.json<{ id: string }>()
  await pump(app, engines)
  t.ok(codeIn(engines, email))
  t.equal((await call('PATCH', `/v2/users/${id}`, { token, payload: { name: 'Irene Invited' } })).statusCode, 200)
  t.equal((await call('DELETE', `/v2/users/${id}`, { token })).statusCode, 204)
  await pump(app, engines)
  t.same(await tracesOf({ id, emails: [email], names: ['Invited', 'Irene'] }), [])
  const lines = (await call('GET', `/v2/users/${id}/audit`, { token })).json().items as { action: string }[]
  t.same(lines.map(({ action }) => action), ['delete', 'update', 'invite'], 'the audit is kept, and finds the account by a hash of its id')
})

t.test('a sign-in that is under way while the account is deleted leaves no session', async t => {
  const email = 'stalled@example.com'
  const { user } = await signIn(app, engines, email, 'Stalled Sid')
  const { challengeId } = (await call('POST', '/v2/auth/challenges', { payload: { email } })).json()
  await pump(app, engines)
  const code = codeIn(engines, email)
  // The code has been compared. Before its session is written, the account is deleted and the deletion handled. The
  // challenge is put back: a slower deletion would not have found it yet.
  const challenge = async () => (await app.dynamodb.send(new GetCommand({ TableName: 'AuthTable', Key: { pk: `challenge#${challengeId}`, sk: 'challenge' } }))).Item
  const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
    stop()
    const Item = await challenge()
    await app.users.remove({ userId: user.id }, user.id, 'x')
    await pump(app, engines)
    await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item }))
    return await send()
  })
  t.equal((await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId, code } })).statusCode, 401)
  t.notOk(await challenge().then(item => item?.['userId']), 'the challenge was used, and names no one')
  t.same(await tracesOf({ id: user.id, emails: [email], names: ['Stalled'] }), [])
})

/** Deletes an account, and has the deletion handled, just before a write of the item with such a key. */
function deleteBefore (command: string, userId: string, start: string): { wasMet: () => boolean } {
  let isMet = false
  const stop = intercept(app.dynamodb, { command, onTheLine: false }, async ({ input, send }) => {
    const { pk } = (input['Item'] ?? input['Key']) as { pk?: string }
    if (!isMet && pk?.startsWith(start) === true) {
      isMet = true
      stop()
      await app.users.remove(await adminOf(app), userId, 'x')
      const deletion = (await waiting(app, 'UsersTable')).find(({ type, subject }) => type === 'user.deleted' && subject === userId)
      await deliver(app, entryRecord(deletion!))
    }
    return await send()
  })
  return { wasMet: () => isMet }
}

t.test('a challenge that is opened while its account is erased leaves nothing', async t => {
  await t.test('that of a change of address', async t => {
    const { user: { id, email }, accessToken } = await signIn(app, engines, 'mover@example.com', 'Moving Mary')
    t.equal((await call('POST', '/v2/users/me/email', { token: accessToken, payload: { email: 'goal@example.com' } })).statusCode, 202)
    const { wasMet } = deleteBefore('PutItemCommand', id, 'challenge#')
    await pump(app, engines)
    t.ok(wasMet())
    t.same(await tracesOf({ id, emails: [email], names: ['Moving'], further: ['goal@'] }), [])
    t.same(engines.mailsTo('goal@example.com'), [], 'nor is its code mailed')
  })

  await t.test('that which undoes one', async t => {
    const { user: { id, email }, accessToken } = await signIn(app, engines, 'undoer@example.com', 'Undoing Una')
    const { challengeId } = (await call('POST', '/v2/users/me/email', { token: accessToken, payload: { email: 'undone@example.com' } })).json()
    await pump(app, engines)
    t.equal((await call('POST', '/v2/auth/verify', { payload: { challengeId, code: app.keys.codeOf(challengeId) } })).statusCode, 204)
    const { wasMet } = deleteBefore('PutItemCommand', id, 'challenge#')
    await pump(app, engines)
    t.ok(wasMet())
    t.same(await tracesOf({ id, emails: [email, 'undone@example.com'], names: ['Undoing'] }), [])
  })

  await t.test('that of a fresh code, in place of one that the deletion before it had spent', async t => {
    const email = 'again@example.com'
    const { user: former } = await signIn(app, engines, email, 'Freshly Fay')
    t.equal((await call('POST', '/v2/users', { payload: { email, name: 'Freshly Fay' } })).statusCode, 202)
    const entry = (await waiting(app, 'AuthTable')).find(({ type }) => type === 'code.requested')!
    const { userId } = entry.data as { userId: string }
    await app.users.remove({ userId: former.id }, former.id, 'x')
    t.same(await deliver(app, entryRecord((await waiting(app, 'UsersTable')).find(({ type }) => type === 'user.deleted')!)), [])
    const { wasMet } = deleteBefore('PutItemCommand', userId, 'codes#')
    t.same(await deliver(app, entryRecord(entry)), [])
    await pump(app, engines)
    t.ok(wasMet())
    t.same(await tracesOf({ id: userId, emails: [email], names: ['Freshly'] }), [])
  })
})

t.test('a code that was requested long ago, and mailed late, is erased with the account', async t => {
  const email = 'late@example.com'
  const { id } = await app.users.register({ email, name: 'Late Riser' }, 'x')
  await pump(app, engines)
  const entry = outboxEntry('code.requested', {
    subject: email,
    correlationId: 'x',
    now: new Date(Date.now() - 3_600_000),
    data: { challengeId: newId(), expiresAt: new Date(Date.now() - 3_000_000).toISOString(), email, userId: newId(), network: 'x' }
  }) as AuthEntry
  await leaveBehind(app, entry)
  t.same(await deliver(app, entryRecord(entry)), [])
  await pump(app, engines)
  t.equal((await call('POST', '/v2/auth/verify', { payload: { challengeId: entry.eventId, code: codeIn(engines, email) } })).statusCode, 204, 'the code is good')
  await app.users.remove(await adminOf(app), id, 'x')
  await pump(app, engines)
  t.same(await tracesOf({ id, emails: [email], names: ['Late Riser'], further: [`challenge#${entry.eventId}`] }), [])
})

t.test('an account that registers again before the deletion has been handled keeps its code', async t => {
  const email = 'quick@example.com'
  const { user } = await signIn(app, engines, email)
  await app.users.remove({ userId: user.id }, user.id, 'x')
  const deletion = (await waiting(app, 'UsersTable')).find(({ type }) => type === 'user.deleted')
  await app.dynamodb.send(new DeleteCommand({ TableName: 'UsersTable', Key: { userId: `outbox#${deletion!.eventId}` } }))
  const again = (await call('POST', '/v2/users', { payload: { email, name: 'Quick Again' } })).json()
  await pump(app, engines)
  t.same(await waiting(app), [])
  await leaveBehind(app, deletion!)
  await pump(app, engines)
  const answer = await call('POST', '/v2/auth/tokens', { payload: { grantType: 'code', challengeId: again.challengeId, code: codeIn(engines, email) } })
  t.equal(answer.statusCode, 200)
  t.not(answer.json().user.id, user.id)
  t.equal(answer.json().user.name, 'Quick Again')
})

t.test('the log of all this has no address, no name, no code and no token', async t => {
  const log = JSON.stringify(app.logLines)
  t.ok(app.logLines.length > 50, `${app.logLines.length} lines`)
  t.notMatch(log, /@example\.com|Vanishing|Riser|Stalled|Quick Again|Ada Again|Moving|Undoing|Freshly/)
  for (const mail of engines.mails) t.notOk(log.includes(/\b\d{8}\b/.exec(mail.text ?? '')?.[0] ?? 'no code'), 'no code')
  t.notMatch(log, /eyJ[\w-]+\.eyJ/, 'no access token')
})
