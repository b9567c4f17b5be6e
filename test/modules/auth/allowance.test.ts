import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { CODE_LIMITS } from '../../../src/modules/auth/allowance.ts'
import { newId } from '../../../src/shared/ids.ts'
import { adminOf, signIn } from '../../accounts.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { intercept, loseOneAnswer } from '../../faults.ts'
import { report, SIZE, workload } from '../../promise.ts'
import { pump } from '../../pump.ts'
import { itemAt, itemsOf, repositoryAt, serviceAt } from './support.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)

    let n = 0
    const newAddress = () => `user-${++n}@example.com`
    const ask = (service: Pick<TestApp['auth'], 'requestCode'>, email: string, network = '192.0.2.1') =>
      service.requestCode({ email, network }, 'test').then(() => true, (error: { code: string }) => { if (error.code === 'AUTH_CODES_EXHAUSTED') return false; throw error })

    /** Minutes from the start: at the full size every so many for some days, else those around which a share is used up and is free again. */
    const minutes = (days: number, every: number, few: number[]) => SIZE === 'short' ? few : Array.from({ length: days * 24 * 60 / every }, (_, i) => i * every)
    const DAY_MINUTES = 24 * 60

    /** Asks at these minutes. @returns when a code was let through */
    async function askAt (times: number[], networkAt: (request: number) => string): Promise<number[]> {
      const email = newAddress()
      const start = Date.now()
      const clock = { now: new Date(start) }
      const service = serviceAt(app, clock)
      const allowed: number[] = []
      for (const [i, minute] of times.entries()) {
        clock.now = new Date(start + minute * MINUTE)
        if (await ask(service, email, networkAt(i))) allowed.push(clock.now.getTime())
      }
      return allowed
    }
    const times = (count: number, minute: number) => Array<number>(count).fill(minute)
    const most = (allowed: number[], window: number) => Math.max(...allowed.map(at => allowed.filter(other => other >= at && other < at + window).length))

    t.test('one network gets five codes for an address in any hour and ten in any day', async (t) => {
      const asked = minutes(3, 10, [...times(7, 0), ...times(2, 59), ...times(7, 61), ...times(2, DAY_MINUTES - 1), ...times(7, DAY_MINUTES + 1), ...times(7, DAY_MINUTES + 62), ...times(2, 2 * DAY_MINUTES)])
      const allowed = await askAt(asked, () => '192.0.2.1')
      t.equal(allowed.length, SIZE === 'short' ? 20 : 30, 'and not fewer than may be')
      const [hour, day] = [most(allowed, HOUR), most(allowed, 24 * HOUR)]
      report(t, { promise: 30, part: `one network, on ${kind}`, figure: `${asked.length} requests: ${hour} codes in an hour and ${day} in a day at the most`, holds: hour === 5 && day === 10 })
    })

    t.test('the networks of one site get ten codes in any hour and twenty in any day', async (t) => {
      const asked = minutes(2, 5, [...times(12, 0), ...times(2, 59), ...times(12, 61), ...times(2, DAY_MINUTES - 1), ...times(12, DAY_MINUTES + 1), ...times(12, DAY_MINUTES + 62)])
      const allowed = await askAt(asked, i => `2001:db8:1:${i.toString(16)}::/64`)
      t.equal(allowed.length, 40, 'and not fewer than that')
      const [hour, day] = [most(allowed, HOUR), most(allowed, 24 * HOUR)]
      report(t, { promise: 30, part: `one IPv6 /48, on ${kind}`, figure: `${asked.length} requests from as many networks: ${hour} codes in an hour and ${day} in a day at the most`, holds: hour === 10 && day === 20 })
    })

    t.test('a site that has used up its share leaves the owner theirs, and learns when its own is free again', async (t) => {
      const email = newAddress()
      for (let i = 0; i < 10; i++) t.equal(await ask(app.auth, email, `2001:db8:2:${i}::/64`), true)
      const refused = await app.auth.requestCode({ email, network: '2001:db8:2:ffff::/64' }, 'test').catch((error: { code: string, retryAfter: number }) => error)
      t.match(refused, { code: 'AUTH_CODES_EXHAUSTED' })
      const { retryAfter } = refused as { retryAfter: number }
      t.ok(retryAfter > 3500 && retryAfter <= 3600, `${retryAfter} s`)
      for (const network of ['2001:db8:3:1::/64', '192.0.2.9']) t.equal(await ask(app.auth, email, network), true, network)
      for (let i = 0; i < 3; i++) t.equal(await ask(app.auth, email, '192.0.2.9'), true)
    })

    t.test('all networks together get fifteen in any hour and thirty in any day', async (t) => {
      const asked = minutes(2, 3, [...times(17, 0), ...times(2, 59), ...times(17, 61), ...times(2, DAY_MINUTES - 1), ...times(17, DAY_MINUTES + 1), ...times(17, DAY_MINUTES + 62)])
      const allowed = await askAt(asked, i => `network ${i}`)
      t.equal(allowed.length, 60, 'and not fewer than that')
      const [hour, day] = [most(allowed, HOUR), most(allowed, 24 * HOUR)]
      report(t, { promise: 30, part: `all networks, on ${kind}`, figure: `${asked.length} requests: ${hour} codes in an hour and ${day} in a day at the most`, holds: hour === 15 && day === 30 })
    })

    t.test('a stranger who has used up a network\'s share leaves the owner theirs', async (t) => {
      const email = newAddress()
      for (let i = 0; i < 20; i++) await ask(app.auth, email, 'stranger')
      t.equal(await ask(app.auth, email, 'stranger'), false)
      for (let i = 0; i < 5; i++) t.equal(await ask(app.auth, email, 'owner'), true)
    })

    // DynamoDB Local does not take 100 connections within a connect timeout.
    const many = kind === 'dynoxide' ? workload({ short: 40, full: 100 }) : 32
    t.test(`of ${many} at once, over two instances, no more are let through than may be`, async (t) => {
      const other = await buildTestApp(t, engines)
      const email = newAddress()
      const answers = await Promise.all(Array.from({ length: many }, (_, i) => ask((i % 2 === 0 ? app : other).auth, email)))
      t.equal(answers.filter(Boolean).length, 5)
      const spread = newAddress()
      const more = await Promise.all(Array.from({ length: many }, (_, i) => ask((i % 2 === 0 ? app : other).auth, spread, `network ${i}`)))
      t.equal(more.filter(Boolean).length, 15)
    })

    t.test('addresses that differ in their plus tag count as one mailbox', async (t) => {
      const email = newAddress()
      const answers = []
      for (let i = 0; i < 8; i++) answers.push(await ask(app.auth, email.replace('@', `+${i}@`)))
      t.equal(answers.filter(Boolean).length, 5)
    })

    t.test('a request whose answer was lost is counted once, and is no refusal even when it was the last', async (t) => {
      const email = newAddress()
      for (let i = 0; i < 4; i++) t.equal(await ask(app.auth, email), true)
      const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
      t.equal(await ask(app.auth, email), true)
      fault.stop()
      t.ok(fault.wasLost())
      t.equal(await ask(app.auth, email), false)
      const list = await itemAt(app.dynamodb, `codes#${app.keys.pseudonym(email)}`, 'all')
      t.equal((list!['codes'] as string[]).length, 5)
    })

    t.test('lists of codes do not grow with the years, and keep no network for longer than two days', async (t) => {
      const email = newAddress()
      const address = app.keys.pseudonym(email)
      const start = Date.now()
      const clock = { now: new Date(start) }
      const service = serviceAt(app, clock)
      const repository = repositoryAt(app, clock)
      for (let i = 1; i <= 30; i++) {
        clock.now = new Date(start + i * 23 * HOUR) // the item never expires
        t.equal(await ask(service, email, `network ${i % 3}`), true)
        const challenge = { challengeId: newId(), userId: newId(), address, expiresAt: Math.ceil(clock.now.getTime() / 1000) + 600 }
        await repository.openChallenge(challenge, { address, limits: CODE_LIMITS })
      }
      const [item, ...others] = (await itemsOf(app.dynamodb)).filter(({ pk }) => pk === `codes#${address}`)
      t.same(others, [])
      const lists = Object.entries(item!).filter(([, value]) => Array.isArray(value)) as [string, string[]][]
      t.same(lists.map(([name, list]) => [name.slice(0, 8), list.length]).sort(), [['codes', 2], ['network#', 1], ['network#', 1]], 'the codes of the last day, and the networks of those two')
    })

    t.test('a code that is requested while old counts are removed is not removed with them', async (t) => {
      const email = newAddress()
      const address = app.keys.pseudonym(email)
      const clock = { now: new Date() }
      const service = serviceAt(app, clock)
      t.equal(await ask(service, email), true)
      clock.now = new Date(clock.now.getTime() + 25 * HOUR)
      const challenge = { challengeId: newId(), userId: newId(), address, expiresAt: Math.ceil(clock.now.getTime() / 1000) + 600 }
      const stop = intercept(app.dynamodb, { command: 'UpdateItemCommand', onTheLine: false }, async ({ send }) => {
        stop()
        t.equal(await ask(service, email), true)
        return await send()
      })
      await repositoryAt(app, clock).openChallenge(challenge, { address, limits: CODE_LIMITS })
      t.match((await itemAt(app.dynamodb, `codes#${address}`, 'all'))!['codes'], [/./, /./], 'all are kept until the next code')
      await repositoryAt(app, clock).openChallenge({ ...challenge, challengeId: newId() }, { address, limits: CODE_LIMITS })
      t.match((await itemAt(app.dynamodb, `codes#${address}`, 'all'))!['codes'], [clock.now.toISOString()])
    })

    t.test('codes that the version before has counted, in an item for each list, still count', async (t) => {
      const email = newAddress()
      const address = app.keys.pseudonym(email)
      const at = new Date().toISOString()
      const codes = Array.from({ length: 14 }, () => `${at} ${newId()}`)
      const expiresAt = Math.ceil(Date.now() / 1000) + 24 * 3600
      await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item: { pk: `codes#${address}`, sk: 'all', codes, expiresAt } }))
      await app.dynamodb.send(new PutCommand({ TableName: 'AuthTable', Item: { pk: `codes#${address}`, sk: `network#${app.keys.pseudonym('192.0.2.1')}`, codes: codes.slice(0, 5), expiresAt } }))
      t.equal(await ask(app.auth, email, 'another network'), true)
      t.equal(await ask(app.auth, email, 'yet another'), false, 'the fifteenth was the last')
      await repositoryAt(app, { now: new Date() }).forgetCodes({ userId: newId(), address: [address], mailbox: [address], at, nextOwner: async () => undefined })
      t.same((await itemsOf(app.dynamodb)).filter(({ pk }) => pk === `codes#${address}`), [], 'both forms are erased')
    })

    t.test('who counts codes does not know for whom they were', async (t) => {
      const email = newAddress()
      await ask(app.auth, email)
      await pump(app, engines)
      t.notOk(JSON.stringify(await itemsOf(app.dynamodb)).includes(email))
      t.notOk(JSON.stringify(await itemsOf(app.dynamodb)).includes('192.0.2.1'))
    })

    t.test('who is over the share gets a 429 that says when to try again, with an account or without, in every version and operation', async (t) => {
      const known = newAddress()
      await signIn(app, engines, known)
      const answers = []
      for (const [email, before] of [[known, 1], [newAddress(), 0]] as const) {
        const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })
        for (let i: number = before; i < 5; i++) t.equal((await post('/v2/auth/challenges', { email })).statusCode, 202)
        for (const [url, payload] of [['/v2/auth/challenges', { email }], ['/v2/users', { email, name: 'Ada' }], ['/v1/auth/challenges', { email }]] as const) {
          const answer = await post(url, payload)
          t.equal(answer.statusCode, 429, url)
          const seconds = Number(answer.headers['retry-after'])
          t.ok(seconds > 3000 && seconds <= 3600, `${seconds} s`)
          if (url.startsWith('/v2')) t.equal(answer.json().code, 'AUTH_CODES_EXHAUSTED')
          else t.same(Object.keys(answer.json()), ['success', 'error', 'correlationId'])
          const { correlationId, ...body } = answer.json()
          answers.push(body)
        }
      }
      t.same(answers.slice(0, 3), answers.slice(3))
    })

    t.test('forty requests for one victim are as many mails as one network may send', async (t) => {
      const email = newAddress()
      await signIn(app, engines, email)
      const before = engines.mails.length
      const answers = await Promise.all(Array.from({ length: 40 }, () => app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email } })))
      await pump(app, engines)
      t.equal(answers.filter(answer => answer.statusCode === 429).length, 36)
      t.equal(engines.mails.length - before, 4, 'one of the hour\'s five was the welcome')
    })

    t.test('a mailbox that has had its share gets no welcome of version 1 either', async (t) => {
      const email = newAddress()
      for (let i = 0; i < 15; i++) await ask(app.auth, email, newId())
      await pump(app, engines)
      const before = engines.mails.length
      t.equal((await app.inject({ method: 'POST', url: '/v1/users', payload: { email, name: 'Ada' } })).statusCode, 201)
      await pump(app, engines)
      t.equal(engines.mails.length, before)
    })

    // Counted in the process, so one engine is enough.
    if (kind === 'dynoxide') {
      t.test('one recipient domain gets a generous multiple of a client\'s limit, a big provider more', async (t) => {
        const limited = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '1' } })
        const asked = async (domain: string) => {
          let count = 0
          while (count < 300 && await limited.auth.requestCode({ email: `user-${newId()}@${domain}`, network: newId() }, 'test').then(() => true, (error: { statusCode: number }) => { if (error.statusCode === 429) return false; throw error })) count++
          return count
        }
        t.equal(await asked('small.example'), 20)
        t.equal(await asked('gmail.com'), 200)
        t.equal(await asked('other.example'), 20)
      })
    }

    t.test('erasing an account forgets what was counted for it', async (t) => {
      const email = newAddress()
      const { user } = await signIn(app, engines, email)
      await ask(app.auth, email)
      await pump(app, engines)
      await app.users.remove(await adminOf(app), user.id, 'test')
      await pump(app, engines)
      const left = JSON.stringify(await itemsOf(app.dynamodb))
      for (const trace of [user.id, email, app.keys.pseudonym(email)]) t.notOk(left.includes(trace), trace)
    })
  })
}
