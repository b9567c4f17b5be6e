import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { BatchResult } from '../../../src/modules/users/schemas.ts'
import { adminOf, bearerOf, codeIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { intercept, lineError, loseOneAnswer, recordCalls, transactionConflict } from '../../faults.ts'
import { waiting } from '../../outbox.ts'
import { pump } from '../../pump.ts'

const operation = () => ({ id: randomUUID(), startedAt: new Date() })

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    // The other engine is slow, and asked only about what depends on the engine.
    const once = { skip: kind === 'dynoxide' ? false : 'the same on every engine' }
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)
    const root = await adminOf(app)
    const headers = await bearerOf(app, root.userId)
    const ask = (url: string, payload: object, more = {}) => app.inject({ method: 'POST', url, headers: { ...headers, ...more }, payload })
    async function batch (users: unknown[], more = {}): Promise<BatchResult[]> {
      const answer = await ask('/v2/users/batch', { users }, more)
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${answer.body}`)
      return answer.json<{ results: BatchResult[] }>().results
    }
    const rows = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => ({ email: `${prefix}-${i}@example.com`, name: `Row ${i}` }))
    const registered = async (email: string) => (await waiting(app, 'UsersTable')).filter(entry => entry.type === 'user.registered' && JSON.stringify(entry.data).includes(`"${email}"`)).length

    t.test('a batch of 100 is registered in five transactions, each account pending', async (t) => {
      const calls = recordCalls(app)
      const results = await batch(rows('hundred', 100))
      t.same(calls.stop(), ['GetItemCommand', ...Array<string>(5).fill('TransactWriteItemsCommand')])
      t.same(results.map(({ index, status }) => [index, status]), Array.from({ length: 100 }, (_, i) => [i, 201]))
      for (const i of [0, 24, 99]) {
        t.match(await app.users.findByEmail(`hundred-${i}@example.com`), { id: results[i]!.id, name: `Row ${i}`, status: 'PENDING_VERIFICATION', role: 'user', locale: 'en', version: 1 })
      }
    })

    t.test('one bad row does not stop the others', async (t) => {
      await app.users.register({ email: 'owned@example.com', name: 'Owner' }, 'c')
      const results = await batch([
        { email: 'good-1@example.com', name: ' Good  One ' },
        { email: 'not an address', name: 'Ada' },
        { email: 'OWNED@example.com', name: 'Ada' },
        { email: 'Good-2@Example.com', name: 'Ada', locale: 'PT-br' },
        { email: 'good-2@example.com', name: 'Twice' },
        { email: 'no-name@example.com' },
        { email: 'unknown@example.com', name: 'Ada', role: 'admin' },
        { email: 7, name: null },
        { email: 'bad-locale@example.com', name: 'Ada', locale: 'de_DE' },
        JSON.parse('{"email":"proto@example.com","name":"Ada","__pro\\u0074o_":{}}'),
        { email: 'good-3@example.com', name: 'Ada' }
      ], { 'accept-language': 'fr-CH' })
      t.same(results.map(({ index, status }) => [index, status]), [201, 400, 409, 201, 409, 400, 400, 400, 400, 400, 201].map((status, i) => [i, status]))
      for (const { status, code, detail, id } of results) t.match({ code, detail, id }, { 201: { code: undefined, detail: undefined, id: String }, 400: { code: 'VALIDATION_FAILED', detail: String, id: undefined }, 409: { code: 'USERS_EMAIL_TAKEN', id: undefined } }[status])
      t.match(results[1]!.detail, 'email is not an e-mail address')
      t.match(results[6]!.detail, 'role is not a known property')
      t.same(results[7]!.detail, 'email must be a string; name must be a string')
      t.match(await app.users.findByEmail('good-2@example.com'), { name: 'Ada', locale: 'pt-BR' })
      t.match(await app.users.findByEmail('good-1@example.com'), { locale: 'fr-CH' })
      for (const email of ['unknown', 'bad-locale', 'no-name', 'proto']) t.equal(await app.users.findByEmail(`${email}@example.com`), undefined)
    })

    t.test('a body that is no batch is refused as a whole', once, async (t) => {
      for (const body of [{}, { users: [] }, { users: rows('many', 101) }, { users: [5] }, { users: rows('x', 1), more: 1 }]) {
        t.equal((await ask('/v2/users/batch', body)).statusCode, 400)
      }
      t.equal((await ask('/v2/users/batch', { users: rows('large', 100).map(row => ({ ...row, name: 'x'.repeat(700) })) })).statusCode, 413)
      t.equal((await ask('/v2/users/batch', { users: rows('long', 100).map(row => ({ ...row, email: `${'x'.repeat(60)}-${row.email}`, name: 'n'.repeat(100), locale: 'en' })) })).statusCode, 200, 'long names fit')
    })

    t.test('two batches with the same addresses at once make one account each', once, async (t) => {
      const answers = await Promise.all([batch(rows('both', 30)), batch(rows('both', 30).toReversed())])
      const ids = new Map<string, string[]>()
      for (const [i, results] of answers.entries()) {
        for (const { index, status, id } of results) {
          const n = i === 0 ? index : 29 - index
          if (status === 201) ids.set(`both-${n}@example.com`, [...ids.get(`both-${n}@example.com`) ?? [], id!])
        }
      }
      t.equal(ids.size, 30)
      for (const [email, owners] of ids) t.same(owners, [(await app.users.findByEmail(email))!.id])
    })

    t.test('an operation that is repeated finds what its first attempt wrote, whatever has become of it', async (t) => {
      const again = operation()
      const users = rows('again', 30)
      const first = await app.users.registerBatch(root, users, 'en', again, 'c')
      t.same(await app.users.registerBatch(root, users, 'en', again, 'c'), first)
      const { id } = first[3] as { id: string }
      await app.users.remove({ userId: id }, id, 'c')
      t.same(await app.users.registerBatch(root, users, 'en', again, 'c'), first, 'also after an account was deleted')
      t.equal(await app.users.getFresh(id), undefined, 'which it does not bring back')
      t.equal(await app.users.findByEmail('again-3@example.com'), undefined)
      t.equal(await registered('again-5@example.com'), 1)
      t.same((await app.users.registerBatch(root, users, 'en', operation(), 'c')).map(({ status }) => status), users.map((_, i) => i === 3 ? 201 : 409), 'another operation registers anew')
    })

    t.test('a lost answer is no conflict, and a crash between two transactions is made good by the repetition', async (t) => {
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      const results = await batch(rows('lost', 30))
      fault.stop()
      t.ok(fault.wasLost())
      t.same(results.filter(({ status }) => status !== 201), [])
      t.equal(await registered('lost-0@example.com'), 1)

      const again = operation()
      const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ attempt, send }) => {
        if (attempt > 1) throw lineError()
        return await send()
      })
      await t.rejects(app.users.registerBatch(root, rows('crash', 50), 'en', again, 'c'))
      stop()
      t.ok(await app.users.findByEmail('crash-0@example.com'))
      t.equal(await app.users.findByEmail('crash-49@example.com'), undefined)
      t.same((await app.users.registerBatch(root, rows('crash', 50), 'en', again, 'c')).filter(({ status }) => status !== 201), [])
      for (const i of [0, 49]) t.equal(await registered(`crash-${i}@example.com`), 1)
    })

    t.test('a conflict with another transaction is tried again', once, async (t) => {
      let conflicts = 3
      const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
        if (conflicts-- > 0) throw transactionConflict()
        return await send()
      })
      t.same((await batch(rows('conflict', 5))).filter(({ status }) => status !== 201), [])
      stop()
    })

    t.test('an admin who is demoted between the look and the write registers no one', once, async (t) => {
      const eve = await adminOf(app)
      let isDemoted = false
      const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
        if (!isDemoted) {
          isDemoted = true
          await app.users.update(root, eve.userId, { role: 'user' }, 'c')
        }
        return await send()
      })
      t.teardown(stop)
      await t.rejects(app.users.registerBatch(eve, rows('eve', 3), 'en', operation(), 'c'), { code: 'FORBIDDEN' })
      t.equal(await app.users.findByEmail('eve-0@example.com'), undefined)
    })

    t.test('an invitation registers once, and its repetition gets the same answer', async (t) => {
      const again = operation()
      const registration = { email: 'invited-once@example.com', name: 'Ada', locale: 'en' }
      const first = await app.users.invite(root, registration, again, 'c')
      t.same(await app.users.invite(root, registration, again, 'c'), first)
      t.equal(await registered(registration.email), 1)
      const more = operation()
      t.same(await app.users.invite(root, registration, more, 'c'), first, 'a pending account is invited again')
      t.same(await app.users.invite(root, registration, more, 'c'), first)
      t.equal((await waiting(app, 'UsersTable')).filter(({ type, subject }) => type === 'user.invited' && subject === first.id).length, 1)
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      t.same(await app.users.invite(root, registration, operation(), 'c'), first, 'a lost answer is no conflict')
      fault.stop()
      await app.users.update(root, first.id, { status: 'ACTIVE' }, 'c')
      const refused = await ask('/v2/users/invitations', { email: 'Invited-Once@example.com', name: 'Ada' })
      t.equal(refused.statusCode, 409)
      t.equal(refused.json().code, 'USERS_EMAIL_TAKEN')
      t.equal((await ask('/v2/users/invitations', { email: 'no-address', name: 'Ada' })).statusCode, 400)
    })

    t.test('a batch of 100 is six calls where 100 registrations are 100', once, async (t) => {
      const measure = async (act: () => Promise<unknown>) => {
        const calls = recordCalls(app)
        const start = performance.now()
        await act()
        return { ms: performance.now() - start, calls: calls.stop().length }
      }
      const one = await measure(async () => { for (const { email, name } of rows('single', 100)) await app.inject({ method: 'POST', url: '/v1/users', payload: { email, name } }) })
      const all = await measure(() => batch(rows('batched', 100)))
      // The engine works as long for an item of a transaction as for a single one. DynamoDB does not, and is further away.
      t.comment(`100 registrations ${Math.round(one.ms)} ms, a batch of 100 ${Math.round(all.ms)} ms: ${(all.ms / one.ms).toFixed(2)} of it on this engine`)
      t.same([one.calls, all.calls], [100, 6])
    })
  })
}

t.test('the mails', async (t) => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const root = await adminOf(app)

  t.test('every account of a batch gets its mail, and its code confirms it', async (t) => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ email: `mailed-${i}@example.com`, name: 'Ada', locale: 'de' }))
    const results = await app.users.registerBatch(root, rows, 'en', operation(), 'c')
    await pump(app, engines)
    for (const { email } of rows) t.equal(engines.mailsTo(email).length, 1, email)
    const { challengeId } = (await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'mailed-29@example.com' } })).json()
    await pump(app, engines)
    const tokens = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, 'mailed-29@example.com') } })
    t.match(tokens.json(), { user: { id: results[29]!.id, status: 'ACTIVE', locale: 'de' } })
  })

  t.test('the mail of an invitation names the admin as they are when it is queued, and no admin who is gone', async (t) => {
    const invitersIn = async (act: () => Promise<unknown>) => {
      const queued: { type: string, invitedBy?: string }[] = []
      const stop = intercept(app.sqs, { command: 'SendMessageCommand', onTheLine: false }, async ({ input, send }) => {
        queued.push(JSON.parse((input as { MessageBody: string }).MessageBody))
        return await send()
      })
      await act()
      await pump(app, engines)
      stop()
      return queued.map(({ type, invitedBy }) => [type, invitedBy])
    }
    const invite = async (by: { userId: string }, email: string) => await app.users.invite(by, { email, name: 'Ada', locale: 'en' }, operation(), 'c')
    const eve = await adminOf(app)
    t.same(await invitersIn(() => invite(eve, 'invited@example.com')), [['WELCOME_EMAIL', 'An Admin']])
    t.equal(engines.mailsTo('invited@example.com').length, 1)
    t.same(await invitersIn(async () => {
      await invite(eve, 'invited@example.com')
      await app.users.update({ userId: eve.userId }, eve.userId, { name: 'Eve Renamed' }, 'c')
    }), [['WELCOME_EMAIL', 'Eve Renamed']], 'a second invitation')
    t.same(await invitersIn(async () => {
      await invite(eve, 'invited-late@example.com')
      await app.users.update(root, eve.userId, { status: 'SUSPENDED' }, 'c')
    }), [['WELCOME_EMAIL', undefined]])
    t.same(await invitersIn(async () => {
      await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'by-oneself@example.com', name: 'Ada' } })
    }), [['WELCOME_EMAIL', undefined]])
  })
})
