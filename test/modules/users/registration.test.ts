import { GetCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { loseOneAnswer, recordCalls } from '../../faults.ts'
import { report } from '../../promise.ts'
import { pump } from '../../pump.ts'

for (const [kind, skip] of await dynamodbEngines({ moto: true })) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '100000' } })
    const table = app.config.USERS_TABLE

    const post = (url: string, payload: unknown) => app.inject({ method: 'POST', url, payload: payload as object })
    const items = async () => (await app.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }))).Items ?? []
    const itemsAbout = async (email: string) => (await items()).filter(item => JSON.stringify(item).includes(email))
    const accounts = async (email: string) => (await items()).filter(item => item['kind'] === 'user' && item['email'] === email)

    t.test('v1 registers in one transaction and answers as the article says', async (t) => {
      const calls = recordCalls(app)
      const answer = await post('/v1/users', { email: 'Ada@Example.COM', name: ' Ada ' })
      t.equal(answer.statusCode, 201)
      const { data } = answer.json()
      t.same(answer.json(), { success: true, data: { userId: data.userId, email: 'ada@example.com', name: 'Ada' } })
      t.equal(answer.headers.location, `/v1/users/${data.userId}`)
      t.same(calls.stop(), ['TransactWriteItemsCommand'])
      t.match(await accounts('ada@example.com'), [{ userId: data.userId, status: 'PENDING_VERIFICATION', role: 'user', version: 1 }])
    })

    t.test('a second v1 registration of an address, however it is spelled, is a conflict and changes nothing', async (t) => {
      await post('/v1/users', { email: 'twice@example.com', name: 'First' })
      const before = await itemsAbout('twice@example.com')
      for (const email of ['twice@example.com', 'TWICE@EXAMPLE.COM']) {
        const answer = await post('/v1/users', { email, name: 'Second' })
        t.equal(answer.statusCode, 409)
        t.match(answer.json(), { success: false, error: 'User already exists' })
      }
      t.same(await itemsAbout('twice@example.com'), before)
    })

    t.test('twenty registrations of one address at the same moment make one account and no fault', async (t) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => post('/v1/users', { email: 'race@example.com', name: 'Racer' })))
      const statuses = answers.map(answer => answer.statusCode)
      t.equal(statuses.filter(status => status === 201).length, 1)
      t.equal(statuses.filter(status => status === 409).length, 19)
      t.equal((await accounts('race@example.com')).length, 1)
    })

    t.test('a registration whose answer got lost on the way is no conflict with itself', async (t) => {
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      const answer = await post('/v1/users', { email: 'lost@example.com', name: 'Lost' })
      fault.stop()
      report(t, { promise: 2, part: `registration on ${kind}`, figure: `its answer was lost: ${answer.statusCode}`, holds: fault.wasLost() && answer.statusCode === 201 })
      t.match(await accounts('lost@example.com'), [{ userId: answer.json().data.userId }])
      t.equal((await items()).filter(item => item['kind'] === 'outbox' && JSON.stringify(item).includes('lost@example.com')).length, 1)
    })

    t.test('a change whose answer got lost is applied once', async (t) => {
      const { id } = await app.users.register({ email: 'lost-change@example.com', name: 'Before' }, 'c')
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      const user = await app.users.update({ userId: id }, id, { name: 'After' }, 'c')
      fault.stop()
      t.ok(fault.wasLost())
      t.match(user, { name: 'After', version: 2 })
      t.match(await app.users.getFresh(id), { name: 'After', version: 2 })
    })

    const bad: [what: string, body: unknown, pointer: string][] = [
      ['no e-mail', { name: 'Ada' }, '/email'],
      ['no name', { email: 'bad@example.com' }, '/name'],
      ['a name of one character', { email: 'bad@example.com', name: 'A' }, '/name'],
      ['a name of one character and spaces', { email: 'bad@example.com', name: ' A  ' }, '/name'],
      ['a name of 101 characters', { email: 'bad@example.com', name: 'A'.repeat(101) }, '/name'],
      ['a name with a line break', { email: 'bad@example.com', name: 'Ada\r\nBcc: eve@example.com' }, '/name'],
      ['a name that is no text', { email: 'bad@example.com', name: 42 }, '/name'],
      ['half a surrogate pair in the name', { email: 'bad@example.com', name: 'Ada \ud800' }, '/name'],
      ['an e-mail without a domain', { email: 'bad-', name: 'Ada' }, '/email'],
      ['an e-mail with a line break', { email: 'bad@example.com\r\nBcc: eve@example.com', name: 'Ada' }, '/email'],
      ['an e-mail with a Kelvin sign', { email: 'bad\u212a@example.com', name: 'Ada' }, '/email'],
      ['two e-mails', { email: 'bad@example.com,eve@example.com', name: 'Ada' }, '/email'],
      ['an e-mail of 255 characters', { email: `bad@${'a'.repeat(61)}.${'b'.repeat(61)}.${'c'.repeat(61)}.${'d'.repeat(61)}.com`, name: 'Ada' }, '/email'],
      ['an unknown property', { email: 'bad@example.com', name: 'Ada', role: 'admin' }, '/role'],
      ['an array', [], ''],
      ['null', null, '']
    ]
    for (const [what, body, pointer] of bad) {
      t.test(`${what} is refused in both versions, with the field's name, and changes nothing`, async (t) => {
        const before = (await items()).length
        const v1 = await app.inject({ method: 'POST', url: '/v1/users', headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) })
        t.equal(v1.statusCode, 400)
        t.equal(v1.json().success, false)
        t.match(v1.json().error, pointer === '' ? 'body' : pointer.slice(1))
        const v2 = await app.inject({ method: 'POST', url: '/v2/users', headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) })
        t.equal(v2.statusCode, 400)
        t.equal(v2.headers['content-type'], 'application/problem+json; charset=utf-8')
        t.match(v2.json(), { code: 'VALIDATION_FAILED', status: 400, errors: [{ pointer }] })
        t.notMatch(v2.json().detail, /pattern|\\u/, 'in words, not as an expression')
        t.equal((await items()).length, before)
      })
    }

    t.test('a v2 registration is one write and one answer, whether the address is known or not', async (t) => {
      await app.users.register({ email: 'known@example.com', name: 'Known' }, 'c')
      const answers = []
      for (const email of ['known@example.com', 'unknown@example.com']) {
        const calls = recordCalls(app)
        const answer = await post('/v2/users', { email, name: 'Somebody' })
        t.same(calls.stop(), ['TransactWriteItemsCommand'])
        t.equal(answer.statusCode, 202)
        t.same(Object.keys(answer.json()), ['challengeId', 'expiresAt'])
        answers.push(Object.keys(answer.headers).sort())
      }
      t.same(answers[0], answers[1])
    })

    t.test('behind the stream a v2 registration becomes an account, and a second one a mail to its owner', async (t) => {
      await post('/v2/users', { email: 'grace@example.com', name: 'Grace' })
      await pump(app, engines)
      const [account] = await accounts('grace@example.com')
      t.match(account, { name: 'Grace', status: 'PENDING_VERIFICATION', version: 1 })
      await post('/v2/users', { email: 'grace@example.com', name: 'Mallory' })
      await pump(app, engines)
      t.same(await accounts('grace@example.com'), [account])
      const mails = engines.mails.filter(mail => JSON.stringify(mail.to).includes('grace@example.com'))
      t.equal(mails.length, 2)
      t.same((await items()).filter(item => item['kind'] === 'outbox'), [], 'the outbox is empty again')
    })

    t.test('retries are not counted as registrations', async (t) => {
      const counted = () => app.logLines.reduce((sum, line) => sum + Number(line['UsersRegistered'] ?? 0), 0)
      const before = counted()
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      t.equal((await post('/v1/users', { email: 'counted@example.com', name: 'Counted' })).statusCode, 201)
      fault.stop()
      await post('/v1/users', { email: 'counted@example.com', name: 'Counted' })
      const registration = { userId: crypto.randomUUID(), email: 'counted-2@example.com', name: 'Counted', locale: 'en', challengeId: crypto.randomUUID(), expiresAt: new Date(Date.now() + 60_000).toISOString() }
      for (let i = 0; i < 3; i++) await app.users.openAccount(registration, 'c')
      t.equal(counted() - before, 2)
    })

    t.test('who registers an address that waits for its proof keeps what they said until one of them proves it', async (t) => {
      const registration = (name: string) => ({ userId: crypto.randomUUID(), email: 'claimed@example.com', name, locale: 'en', challengeId: crypto.randomUUID(), expiresAt: new Date(Date.now() + 600_000).toISOString() })
      const [first, second] = [registration('Firstling'), registration('Second')]
      const account = await app.users.openAccount(first, 'c')
      t.match(await app.users.openAccount(second, 'c'), { id: account!.id, name: 'Firstling' })
      t.match(await app.users.verify({ userId: account!.id, challengeId: second.challengeId, isOf: () => true }, 'c'), { name: 'Second', status: 'ACTIVE' })
      t.notOk(JSON.stringify((await items()).filter(({ kind }) => kind !== 'outbox')).includes('Firstling'), 'nothing is kept of what was said without proof')
    })

    t.test('an unproved registration is gone when its code expires, even if the table still has it', async (t) => {
      const registration = (name: string, lifeMs: number) => ({ userId: crypto.randomUUID(), email: 'expiring@example.com', name, locale: 'en', challengeId: crypto.randomUUID(), expiresAt: new Date(Date.now() + lifeMs).toISOString() })
      const account = await app.users.openAccount(registration('First', 600_000), 'c')
      const late = registration('Late', -1000)
      await app.users.openAccount(late, 'c')
      t.match(await app.users.verify({ userId: account!.id, challengeId: late.challengeId, isOf: () => true }, 'c'), { name: 'First' })
    })

    t.test('an account never verified is gone after seven days, though the table still has it, and its address is free', async (t) => {
      const { id } = await app.users.register({ email: 'late@example.com', name: 'Late' }, 'c')
      const { Item } = await app.dynamodb.send(new GetCommand({ TableName: table, Key: { userId: id } }))
      t.equal(Item!['expiresAt'], Math.floor(Date.parse(Item!['createdAt']) / 1000) + 7 * 86_400)
      const past = Math.floor(Date.now() / 1000)
      for (const userId of [id, 'email#late@example.com']) {
        await app.dynamodb.send(new UpdateCommand({ TableName: table, Key: { userId }, UpdateExpression: 'SET expiresAt = :past', ExpressionAttributeValues: { ':past': past } }))
      }
      t.equal(await app.users.getFresh(id), undefined)
      await t.rejects(app.users.update({ userId: id }, id, { name: 'Too late' }, 'c'), { code: 'AUTH_TOKEN_INVALID' })
      t.equal(await app.users.findByEmail('late@example.com'), undefined)
      t.equal(await app.users.verify({ userId: id, challengeId: 'x', isOf: () => true }, 'c'), undefined)
      const again = await app.users.register({ email: 'late@example.com', name: 'Later' }, 'c')
      t.not(again.id, id)
      t.match(await app.users.verify({ userId: again.id, challengeId: 'x', isOf: () => true }, 'c'), { id: again.id, status: 'ACTIVE' })
    })

    t.test('a verified account stays: neither it nor its claim expires', async (t) => {
      const { id } = await app.users.register({ email: 'stays@example.com', name: 'Stays' }, 'c')
      t.match(await app.users.verify({ userId: id, challengeId: 'x', isOf: () => true }, 'c'), { id, status: 'ACTIVE', role: 'user', version: 2 })
      for (const item of await itemsAbout('stays@example.com')) if (item['kind'] !== 'outbox') t.notOk('expiresAt' in item, String(item['kind']))
    })
  })
}
