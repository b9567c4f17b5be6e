import { canonicalEmail } from '../../shared/email-address.ts'
import { Unavailable, validationError } from '../../shared/errors.ts'
import { newId } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import type { AccessTokens } from '../../plugins/jwt.ts'
import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { User, UsersService } from '../users/contract.ts'
import { newChallenge } from './codes.ts'
import type { AuthService, Tokens } from './contract.ts'
import { CodeInvalid, RefreshTokenInvalid } from './errors.ts'
import type { AuthRepository, Session } from './repository.ts'
import { firstRefreshToken, isOfFamily, newSecret, nextRefreshToken, parseRefreshToken, type RefreshToken } from './tokens.ts'

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR

/** A session ends when it is not used for this long … */
const SESSION_IDLE = 30 * DAY
/** … and at this age even when it is used every day. */
const SESSION_MAX_AGE = 90 * DAY

/** How long a used refresh token still gives the same successor: a client whose answer was lost, or with two tabs. */
const GRACE = 10 * SECOND

/** Retired tokens a session remembers within the grace: more uses in ten seconds are no client of ours. */
const MAX_RETIRED = 8

/** Mails with a code that one address may get, in a sliding window. */
const MAIL_LIMITS = [{ window: HOUR, max: 5 }, { window: DAY, max: 10 }]

/** Times a mail is counted anew because another was counted at the same moment. Each round lets one through, and there are ten at most. */
const COUNT_ATTEMPTS = 12

const toSeconds = (ms: number) => Math.floor(ms / SECOND)

/** The rules of signing in. Knows neither HTTP nor the table. */
export function createAuthService (parts: {
  repository: AuthRepository
  users: Pick<UsersService, 'verifyEmail' | 'getFresh'>
  keys: Pick<Keys, 'isCode' | 'pseudonym'>
  accessTokens: AccessTokens
  /** seconds an access token lives */
  accessTokenTtl: number
  count: Count
  now: () => Date
}): AuthService {
  const { repository, users, keys, accessTokens, accessTokenTtl, count, now } = parts
  const clock = () => now().getTime()

  /** The address as counters know it: what they hold must not tell whose it is. */
  const addressKey = (email: string) => keys.pseudonym(email)

  async function tokensFor (user: User, sid: string, refreshToken: string): Promise<Tokens> {
    const { id: sub, email, role } = user
    return { accessToken: await accessTokens.sign({ sub, email, role, sid }), tokenType: 'Bearer', expiresIn: accessTokenTtl, refreshToken, user }
  }

  /** `undefined` when the code does not sign anybody in. Does the same for addresses with and without an account. */
  async function signIn (challengeId: string, code: string, correlationId: string): Promise<Tokens | undefined> {
    // Counted before it is compared: however many come at once, no more are compared than may be.
    const email = await repository.takeTry(challengeId)
    if (email === undefined) return undefined
    const failure = { address: addressKey(email), day: now().toISOString().slice(0, 10) }
    if (!await repository.takeFailure(failure.address, failure.day)) return undefined
    if (!await keys.isCode(challengeId, code)) return undefined

    const user = await users.verifyEmail(email, correlationId)
    if (user === undefined || user.status === 'SUSPENDED') return undefined
    const sid = newId()
    const familyKey = newSecret()
    const token = firstRefreshToken(user.id, sid, familyKey)
    const at = now().toISOString()
    const started = await repository.startSession(challengeId, failure, {
      userId: user.id, sid, currentHash: token.hash, retired: [], familyKey, createdAt: at, lastUsedAt: at, expiresAt: toSeconds(clock() + SESSION_IDLE)
    })
    return started ? await tokensFor(user, sid, token.text) : undefined
  }

  const isInGrace = (retired: { at: number }) => clock() - retired.at <= GRACE

  /** What followed a token that was used within the grace, up to the current one: one lineage, however often it is asked for. */
  function replay (session: Session, token: RefreshToken): RefreshToken | undefined {
    const used = session.retired.findIndex(retired => retired.hash === token.hash && isInGrace(retired))
    if (used === -1) return undefined
    return session.retired.slice(used).reduce((next, { salt }) => nextRefreshToken(next, salt, session.familyKey), token)
  }

  async function rotate (session: Session, token: RefreshToken): Promise<RefreshToken | undefined> {
    const salt = newSecret()
    const next = nextRefreshToken(token, salt, session.familyKey)
    const rotated = await repository.rotate(session, {
      currentHash: next.hash,
      retired: [...session.retired.filter(isInGrace), { hash: token.hash, salt, at: clock() }].slice(-MAX_RETIRED),
      lastUsedAt: now().toISOString(),
      expiresAt: toSeconds(Math.min(clock() + SESSION_IDLE, Date.parse(session.createdAt) + SESSION_MAX_AGE))
    })
    if (rotated) return next
    // Somebody else with the same token was faster: what they got is what we give.
    const current = await repository.getSession(session.userId, session.sid)
    return current === undefined ? undefined : replay(current, token)
  }

  /** The session that a token was issued to, whether the token is its current one or not. */
  async function familyOf (token: RefreshToken | undefined): Promise<Session | undefined> {
    if (token === undefined) return undefined
    const session = await repository.getSession(token.userId, token.sid)
    return session !== undefined && isOfFamily(token, session.familyKey) ? session : undefined
  }

  return {
    async requestChallenge (input, correlationId) {
      const email = canonicalEmail(input)
      if (email === undefined) throw validationError([{ pointer: '/email', detail: 'is not an e-mail address' }])
      const challenge = newChallenge(now())
      await repository.outbox.put(outboxEntry('challenge.requested', correlationId, { ...challenge, email }, now()))
      return challenge
    },

    async openChallenge ({ challengeId, email, expiresAt }) {
      await repository.putChallenge({ challengeId, email, expiresAt: toSeconds(Date.parse(expiresAt)) })
    },

    async exchangeCode (challengeId, code, correlationId) {
      const tokens = await signIn(challengeId, code, correlationId)
      count(tokens === undefined ? 'CodeFailures' : 'SignIns')
      if (tokens === undefined) throw new CodeInvalid()
      return tokens
    },

    async refresh (text) {
      const token = parseRefreshToken(text)
      const session = await familyOf(token)
      if (token === undefined || session === undefined) throw new RefreshTokenInvalid()
      const { userId, sid } = session
      // A token of this family that is not good any more: two parties have held it, and which one is the thief cannot
      // be told. Both are out (RFC 9700 §4.14.2).
      const isCurrent = session.currentHash === token.hash
      const replayed = isCurrent ? undefined : replay(session, token)
      if (!isCurrent && replayed === undefined) {
        await repository.deleteSession(userId, sid)
        count('RefreshReuse')
        throw new RefreshTokenInvalid()
      }
      // Before the token is used up: a fault here leaves the client with one that works.
      const user = await users.getFresh(userId)
      if (user === undefined || user.status === 'SUSPENDED') {
        await repository.deleteSession(userId, sid)
        throw new RefreshTokenInvalid()
      }
      const next = replayed ?? await rotate(session, token)
      if (next === undefined) throw new RefreshTokenInvalid()
      return await tokensFor(user, sid, next.text)
    },

    async revoke (text) {
      const session = await familyOf(parseRefreshToken(text))
      if (session !== undefined) await repository.deleteSession(session.userId, session.sid)
    },

    revokeAll: userId => repository.deleteSessions(userId),

    async allowMail (email, eventId) {
      const address = addressKey(email)
      for (let attempt = 1; attempt <= COUNT_ATTEMPTS; attempt++) {
        const { mails, version } = await repository.getMails(address)
        if (mails.some(mail => mail.eventId === eventId)) return true
        const at = clock()
        if (MAIL_LIMITS.some(({ window, max }) => mails.filter(mail => at - mail.at < window).length >= max)) return false
        const kept = [...mails.filter(mail => at - mail.at < DAY), { eventId, at }]
        if (await repository.putMails(address, kept, version, toSeconds(at + DAY) + 1)) return true
      }
      throw new Unavailable()
    },

    outbox: {
      acknowledge: eventId => repository.outbox.remove(eventId),
      pending: minAgeMs => repository.outbox.pending(new Date(clock() - minAgeMs))
    }
  }
}
