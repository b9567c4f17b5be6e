import t from 'tap'
import { CODE_LIMITS } from '../../../src/modules/auth/allowance.ts'
import type { ChallengeTicket, SessionView, Tokens } from '../../../src/modules/auth/contract.ts'
import type { Session } from '../../../src/modules/auth/schemas.ts'
import { newId } from '../../../src/shared/ids.ts'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { dynamodbEngines, startEngines } from '../../engines.ts'
import { pump } from '../../pump.ts'
import { openChallenge, repositoryAt } from './support.ts'

for (const [kind, skip] of await dynamodbEngines({ moto: true })) {
  t.test(`on ${kind}`, { skip }, async (t) => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)
    const clock = { now: new Date() }
    const repository = repositoryAt(app, clock)
    const inSeconds = (seconds: number) => Math.floor(clock.now.getTime() / 1000) + seconds
    const open = (challengeId: string, userId = newId(), seconds = 60) => repository.openChallenge(
      { challengeId, userId, address: 'an address', expiresAt: inSeconds(seconds) }, { address: 'a mailbox', limits: CODE_LIMITS })

    const session = (userId = newId()): Session => ({
      userId, sid: newId(), currentHash: 'a', retired: [], familyKey: 'k', createdAt: clock.now.toISOString(), lastUsedAt: clock.now.toISOString(), expiresAt: inSeconds(60)
    })
    async function started (userId?: string) {
      const challengeId = newId()
      const one = session(userId)
      await open(challengeId)
      t.equal(await repository.startSession(challengeId, one), true)
      return { challengeId, session: one }
    }

    t.test('a challenge is opened once and has five tries until it expires', async (t) => {
      const [challengeId, userId] = [newId(), newId()]
      t.equal(await repository.takeTry(challengeId, newId()), undefined)
      await open(challengeId, userId)
      t.same(await repository.takeTry(challengeId, 'a try'), { userId, address: 'an address' })
      t.same(await repository.takeTry(challengeId, 'a try'), { userId, address: 'an address' }, 'the same try is one')
      await open(challengeId)
      const more = await Promise.all(Array.from({ length: 20 }, () => repository.takeTry(challengeId, newId())))
      t.same(more.filter(challenge => challenge !== undefined), Array(4).fill({ userId, address: 'an address' }))
      t.same(await repository.takeTry(challengeId, 'a try'), { userId, address: 'an address' }, 'also when no other is left')
      await repository.giveBack(challengeId, 'a try')
      t.ok(await repository.takeTry(challengeId, newId()))
      t.equal(await repository.takeTry(challengeId, newId()), undefined)
      const expired = newId()
      await open(expired, newId(), 0)
      t.equal(await repository.takeTry(expired, newId()), undefined)
      await open(expired, userId)
      t.same(await repository.takeTry(expired, newId()), { userId, address: 'an address' }, 'what has expired unused may be opened anew')
    })

    t.test('a session starts once a challenge, and nothing is written otherwise', async (t) => {
      const challengeId = newId()
      await open(challengeId)
      const sessions = Array.from({ length: 10 }, () => session())
      const outcomes = await Promise.all(sessions.map(one => repository.startSession(challengeId, one)))
      t.equal(outcomes.filter(Boolean).length, 1)
      const found = await Promise.all(sessions.map(one => repository.getSession(one.userId, one.sid)))
      t.same(found.map(one => one !== undefined), outcomes)
      t.same(found.find(one => one !== undefined), sessions[outcomes.indexOf(true)])
      t.equal(await repository.takeTry(challengeId, newId()), undefined, 'the challenge is used')
      t.equal(await repository.startSession(challengeId, sessions[outcomes.indexOf(true)]!), true, 'asked again after a lost answer')
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
      await repository.deleteSessions(userId, sid => sid !== sessions[1]!.sid)
      t.equal((await repository.listSessions(userId)).length, 1, 'only those that have ended')
      await repository.deleteSessions(userId, () => true)
      for (const { sid } of sessions) t.equal(await repository.getSession(userId, sid), undefined)
      await repository.deleteSessions(userId, () => true)
      t.ok(await repository.getSession(bystander.userId, bystander.sid))
    })

    t.test('a user registers, signs in again, stays signed in, and signs out', async (t) => {
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

    t.test('a user changes the address, undoes that, ends one session and then all', async (t) => {
      const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, headers = {}) => await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
      const bearer = ({ accessToken }: Tokens) => ({ authorization: `Bearer ${accessToken}` })
      const verify = async (challengeId: string) => (await call('POST', '/v2/auth/verify', { challengeId, code: app.keys.codeOf(challengeId) })).statusCode
      const signInAgain = async (email: string) => {
        const { challengeId, code } = await openChallenge(app, email)
        return (await call('POST', '/v2/auth/tokens', { grantType: 'code', challengeId, code })).json<Tokens>()
      }
      const [old, next] = ['old@example.com', 'next@example.com']
      const tokens = await signIn(app, engines, old)
      await app.users.register({ email: next, name: 'Never Proved' }, 'x')
      const asked = await call('POST', '/v2/users/me/email', { email: next }, bearer(tokens))
      t.equal(asked.statusCode, 202)
      await pump(app, engines)
      t.equal(await verify(asked.json<ChallengeTicket>().challengeId), 204)
      await pump(app, engines)
      t.match(await app.users.findByEmail(next), { id: tokens.user.id })
      const notice = engines.mailsTo(old).at(-1)!.text!
      t.equal(await verify(new URLSearchParams(/#(\S+)/.exec(notice)![1]).get('challengeId')!), 204)
      await pump(app, engines)
      t.match(await app.users.findByEmail(old), { id: tokens.user.id })
      t.equal(await app.users.findByEmail(next), undefined)

      const [one, two] = [await signInAgain(old), await signInAgain(old)]
      const sessions = async (from: Tokens) => (await call('GET', '/v2/users/me/sessions', undefined, bearer(from))).json<{ items: SessionView[] }>().items
      const [, other] = await sessions(two)
      t.equal((await call('DELETE', `/v2/users/me/sessions/${other!.id}`, undefined, bearer(two))).statusCode, 204)
      t.equal((await call('DELETE', `/v2/users/me/sessions/${other!.id}`, undefined, bearer(two))).statusCode, 404)
      t.equal((await call('POST', '/v2/users/me/email', { email: next }, bearer(one))).statusCode, 401)
      t.equal((await sessions(two)).length, 1)
      t.equal((await call('DELETE', '/v2/users/me/sessions', undefined, bearer(two))).statusCode, 204)
      t.equal((await call('GET', '/v2/users/me', undefined, bearer(two))).statusCode, 401)
      await pump(app, engines)
    })
  })
}
