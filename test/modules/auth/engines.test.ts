import t from 'tap'
import type { AuthEntry, Tokens } from '../../../src/modules/auth/contract.ts'
import { createAuthRepository, type Session } from '../../../src/modules/auth/repository.ts'
import { newId } from '../../../src/shared/ids.ts'
import { OUTBOX_SHARDS, outboxEntry } from '../../../src/shared/outbox.ts'
import { buildTestApp, dynamodbEngines, signIn, startEngines } from '../../helper.ts'
import { openChallenge, TABLE } from './support.ts'

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)
    const clock = { now: new Date() }
    const repository = createAuthRepository(app.dynamodb, app.openOutbox, TABLE, () => clock.now)
    const inSeconds = (seconds: number) => Math.floor(clock.now.getTime() / 1000) + seconds
    const today = '2026-11-22'

    const session = (userId = newId()): Session => ({
      userId, sid: newId(), currentHash: 'a', retired: [], familyKey: 'k', createdAt: clock.now.toISOString(), lastUsedAt: clock.now.toISOString(), expiresAt: inSeconds(60)
    })
    async function started (userId?: string) {
      const challengeId = newId()
      const one = session(userId)
      await repository.putChallenge({ challengeId, email: 'a@example.com', expiresAt: inSeconds(60) })
      t.equal(await repository.startSession(challengeId, { address: 'a', day: today }, one), true)
      return { challengeId, session: one }
    }

    t.test('a challenge is written once and has five tries until it expires', async (t) => {
      const challengeId = newId()
      t.equal(await repository.takeTry(challengeId), undefined)
      await repository.putChallenge({ challengeId, email: 'first@example.com', expiresAt: inSeconds(60) })
      t.equal(await repository.takeTry(challengeId), 'first@example.com')
      await repository.putChallenge({ challengeId, email: 'second@example.com', expiresAt: inSeconds(60) })
      const more = await Promise.all(Array.from({ length: 20 }, () => repository.takeTry(challengeId)))
      t.same(more.filter(email => email !== undefined), Array(4).fill('first@example.com'))
      const expired = newId()
      await repository.putChallenge({ challengeId: expired, email: 'a@example.com', expiresAt: inSeconds(0) })
      t.equal(await repository.takeTry(expired), undefined)
    })

    t.test('an address has twenty failures a day, however many come at once', async (t) => {
      const taken = await Promise.all(Array.from({ length: 40 }, () => repository.takeFailure('counted', today)))
      t.equal(taken.filter(Boolean).length, 20)
      t.equal(await repository.takeFailure('counted', '2026-11-23'), true)
      t.equal(await repository.takeFailure('another', today), true)
    })

    t.test('a session starts once a challenge, gives its failure back, and nothing is written otherwise', async (t) => {
      const challengeId = newId()
      await repository.putChallenge({ challengeId, email: 'a@example.com', expiresAt: inSeconds(60) })
      for (let i = 0; i < 20; i++) await repository.takeFailure('giver', today)
      const sessions = Array.from({ length: 10 }, () => session())
      const outcomes = await Promise.all(sessions.map(one => repository.startSession(challengeId, { address: 'giver', day: today }, one)))
      t.equal(outcomes.filter(Boolean).length, 1)
      const found = await Promise.all(sessions.map(one => repository.getSession(one.userId, one.sid)))
      t.same(found.map(one => one !== undefined), outcomes)
      t.same(found.find(one => one !== undefined), sessions[outcomes.indexOf(true)])
      t.equal(await repository.takeTry(challengeId), undefined, 'the challenge is used')
      t.equal(await repository.takeFailure('giver', today), true)
      t.equal(await repository.takeFailure('giver', today), false)
      t.equal(await repository.startSession(challengeId, { address: 'giver', day: today }, sessions[outcomes.indexOf(true)]!), true, 'told again after a lost answer')
    })

    t.test('a session rotates from its current token only, and not once it has expired', async (t) => {
      const { session: one } = await started()
      const next = { currentHash: 'b', retired: [{ hash: 'a', salt: 's', at: 1 }], lastUsedAt: clock.now.toISOString(), expiresAt: inSeconds(120) }
      const outcomes = await Promise.all(Array.from({ length: 10 }, () => repository.rotate(one, next)))
      t.equal(outcomes.filter(Boolean).length, 1)
      const rotated = await repository.getSession(one.userId, one.sid)
      t.same(rotated, { ...one, ...next })
      clock.now = new Date(clock.now.getTime() + 121_000)
      t.equal(await repository.getSession(one.userId, one.sid), undefined)
      t.equal(await repository.rotate(rotated!, { ...next, currentHash: 'c' }), false)
    })

    t.test('the sessions of one user are deleted, all of them', async (t) => {
      const userId = newId()
      const bystander = (await started()).session
      const sessions = await Promise.all(Array.from({ length: 30 }, async () => (await started(userId)).session))
      await repository.deleteSession(userId, sessions[0]!.sid)
      t.equal(await repository.getSession(userId, sessions[0]!.sid), undefined)
      await repository.deleteSessions(userId)
      for (const { sid } of sessions) t.equal(await repository.getSession(userId, sid), undefined)
      await repository.deleteSessions(userId)
      t.ok(await repository.getSession(bystander.userId, bystander.sid))
    })

    t.test('mails are replaced only as they were read, or once they have expired', async (t) => {
      const mail = { eventId: newId(), at: 1 }
      t.same(await repository.getMails('x'), { mails: [], version: 0 })
      t.equal(await repository.putMails('x', [mail], 0, inSeconds(60)), true)
      t.equal(await repository.putMails('x', [], 0, inSeconds(60)), false)
      t.same(await repository.getMails('x'), { mails: [mail], version: 1 })
      clock.now = new Date(clock.now.getTime() + 61_000)
      t.same(await repository.getMails('x'), { mails: [], version: 0 })
      t.equal(await repository.putMails('x', [mail], 0, inSeconds(60)), true)
    })

    t.test('entries of the outbox are found by age in every shard, until they are acknowledged', async (t) => {
      const { outbox } = app.auth
      const pending = async (age: number) => {
        const found: AuthEntry[] = []
        for await (const entry of outbox.pending(age)) found.push(entry)
        return found
      }
      const entry = (eventId: string, ageMs: number): AuthEntry => ({
        ...outboxEntry('challenge.requested', 'test', { challengeId: newId(), expiresAt: new Date().toISOString(), email: 'a@example.com' }, new Date(Date.now() - ageMs)), eventId
      })
      const old = OUTBOX_SHARDS.map(shard => entry(shard + newId().slice(1), 120_000))
      const fresh = entry(newId(), 0)
      for (const one of [...old, fresh]) await repository.outbox.put(one)
      const byId = (a: AuthEntry, b: AuthEntry) => a.eventId.localeCompare(b.eventId)
      t.same((await pending(60_000)).sort(byId), old.sort(byId))
      for (const { eventId } of old) await outbox.acknowledge(eventId)
      t.same(await pending(60_000), [])
      t.same(await pending(-60_000), [fresh])
      await outbox.acknowledge(fresh.eventId)
      await outbox.acknowledge(fresh.eventId)
    })

    t.test('a person registers, signs in again, stays signed in, and signs out', async (t) => {
      const tokens = await signIn(app, engines, 'ada@example.com', 'Ada')
      const post = async (url: string, payload: object) => await app.inject({ method: 'POST', url, payload })
      const { challengeId, code } = await openChallenge(app, 'ada@example.com')
      const answers = await Promise.all(Array.from({ length: 20 }, () => post('/v2/auth/tokens', { grantType: 'code', challengeId, code })))
      t.equal(answers.filter(answer => answer.statusCode === 200).length, 1)
      const uses = await Promise.all(Array.from({ length: 20 }, () => post('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.refreshToken })))
      t.same(new Set(uses.map(use => use.statusCode)), new Set([200]))
      const next = new Set(uses.map(use => use.json<Tokens>().refreshToken))
      t.equal(next.size, 1)
      t.equal((await post('/v2/auth/revoke', { refreshToken: [...next][0] })).statusCode, 204)
      t.equal((await post('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: [...next][0] })).statusCode, 401)
    })
  })
}
