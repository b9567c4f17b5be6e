import { canonicalEmail } from '../../shared/email-address.ts'
import { Unauthorized, validationError } from '../../shared/errors.ts'
import { idFrom, newId, newNumberedId, UUID } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import type { Operation } from '../../plugins/idempotency/index.ts'
import type { AccessTokens } from '../../plugins/jwt.ts'
import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { User, UsersService } from '../users/contract.ts'
import { CODE_LIMITS, domainFactor, mailboxOf, siteOf } from './allowance.ts'
import type { CodeCount } from './code-repository.ts'
import { newChallenge } from './codes.ts'
import type { AuthEntry, AuthService, ChallengeTicket, Note, Tokens } from './contract.ts'
import { CodeInvalid, codesExhausted, EmailChangesExhausted, EmailTaken, RefreshTokenInvalid, SessionNotFound } from './errors.ts'
import type { AuthRepository } from './repository.ts'
import { MAX_LISTED, type Challenge, type RetiredToken, type Session } from './schemas.ts'
import { firstRefreshToken, isOfFamily, newSecret, nextRefreshToken, parseRefreshToken, type RefreshToken } from './tokens.ts'

const SECOND = 1000
const DAY = 24 * 3600 * SECOND

/** A session ends when it is not used for this long. */
const SESSION_IDLE = 30 * DAY
/** A session ends at this age, even when it is used every day. */
const SESSION_MAX_AGE = 90 * DAY

/**
 * How long a used refresh token still returns the same successor, for clients whose answer was lost or that have two tabs.
 * Applied in both directions of time, because the clocks of two instances differ.
 */
const GRACE = 10 * SECOND

/** Retired tokens a session remembers within the grace period. No real client refreshes more often in ten seconds. */
const MAX_RETIRED = 8

/** The network of codes that no client asks for. */
const REGISTRATION = 'registration'

const toSeconds = (ms: number) => Math.floor(ms / SECOND)

export interface ServiceOptions {
  repository: AuthRepository
  users: Pick<UsersService, 'checkRegistration' | 'verify' | 'ofSession' | 'endSessions' | 'changeEmail' | 'restoreEmail'>
  keys: Pick<Keys, 'isCode' | 'pseudonym' | 'pseudonyms'>
  accessTokens: Pick<AccessTokens, 'sign'>
  /** seconds until an access token expires */
  accessTokenTtl: number
  /** Counts a code for a recipient domain in this process. Throws when the domain has reached its multiple of a client's limit. */
  limitDomain: (domain: string, factor: number) => void
  count: Count
  now: () => Date
}

/** The rules of signing in, independent of HTTP and of the table. */
export function createService ({ repository, users, keys, accessTokens, accessTokenTtl, limitDomain, count, now }: ServiceOptions): AuthService {
  const clock = () => now().getTime()

  async function tokensFor (user: User, sid: string, refreshToken: string): Promise<Tokens> {
    const { id: sub, email, role } = user
    return { accessToken: await accessTokens.sign({ sub, email, role, sid }), tokenType: 'Bearer', expiresIn: accessTokenTtl, refreshToken, user }
  }

  /** Gives an account the address whose code was right, if the session that asked for it has not ended. Throws AUTH_EMAIL_TAKEN, AUTH_EMAIL_CHANGES_EXHAUSTED. */
  async function changeEmail (userId: string, { email, sid }: NonNullable<Challenge['emailChange']>, correlationId: string): Promise<User | undefined> {
    if (await repository.getSession(userId, sid) === undefined) return undefined
    const changed = await users.changeEmail({ userId, email, sid }, correlationId)
    if (changed === 'taken') throw new EmailTaken()
    if (changed === 'exhausted') throw new EmailChangesExhausted()
    return changed
  }

  /** Checks a code. Returns the user whose address it confirms and the id of the try, or `undefined`. Does the same work for addresses with and without an account. */
  async function prove (challengeId: string, code: string, correlationId: string, { isSignIn }: { isSignIn: boolean }): Promise<{ user: User, tryId: string } | undefined> {
    // Counted before the comparison, so that parallel requests cannot get more tries.
    const tryId = newId()
    const challenge = await repository.takeTry(challengeId, tryId)
    if (challenge === undefined || !await keys.isCode(challengeId, code.trim())) return undefined
    const { userId, address, emailChange, undoes } = challenge
    // A code that lies in a mailbox for seven days must start no session.
    if (undoes !== undefined && isSignIn) return undefined
    try {
      const isOf = (email: string) => keys.pseudonyms(email).includes(address)
      // An account that has the address: any code for it is proof, also that of a change which was done before.
      const user = await users.verify({ userId, challengeId, isOf }, correlationId) ??
        (emailChange !== undefined
          ? await changeEmail(userId, emailChange, correlationId)
          : undoes !== undefined ? await users.restoreEmail(userId, challengeId, correlationId) : undefined)
      // The owner of a mailbox may have the address back from a suspended account, which stays suspended.
      return user === undefined || (user.status === 'SUSPENDED' && undoes === undefined) ? undefined : { user, tryId }
    } catch (error) {
      // The code was right, so it takes no try.
      if (error instanceof EmailTaken || error instanceof EmailChangesExhausted) await repository.giveBack(challengeId, tryId)
      throw error
    }
  }

  async function exchangeCode (challengeId: string, code: string, correlationId: string, device: string | undefined, note: Note): Promise<Tokens> {
    const proof = await prove(challengeId, code, correlationId, { isSignIn: true })
    if (proof !== undefined) {
      const { user } = proof
      const sid = newNumberedId(user.version)
      note({ userId: user.id, sid })
      const familyKey = newSecret()
      const token = firstRefreshToken(user.id, sid, familyKey)
      const at = now().toISOString()
      // Sign first: if signing fails, the code stays valid.
      const tokens = await tokensFor(user, sid, token.text)
      const isStarted = await repository.startSession(challengeId, {
        userId: user.id,
        sid,
        currentHash: token.hash,
        retired: [],
        familyKey,
        createdAt: at,
        lastUsedAt: at,
        expiresAt: toSeconds(clock() + SESSION_IDLE),
        ...(device === undefined ? {} : { device })
      })
      // Asked again after the write: had the account gone before it, its deletion may have looked for sessions too early.
      if (isStarted && await users.ofSession(user.id, sid) === undefined) await repository.deleteSession(user.id, sid)
      else if (isStarted) {
        count('SignIns')
        return tokens
      }
    }
    count('CodeFailures')
    throw new CodeInvalid()
  }

  const isInGrace = ({ at }: RetiredToken) => Math.abs(clock() - at) <= GRACE

  /** Derives the current token from one that was used within the grace period, so that repeated requests get the same token. */
  function replay (session: Session, token: RefreshToken): RefreshToken | undefined {
    const used = session.retired.findIndex(retired => retired.hash === token.hash && isInGrace(retired))
    if (used === -1) return undefined
    return session.retired.slice(used).reduce((next, { salt }) => nextRefreshToken(next, salt, session.familyKey), token)
  }

  /** The retired tokens that may still be replayed. All tokens after such a token stay too: they are needed to derive the current one. */
  function stillRetired (retired: RetiredToken[]): RetiredToken[] {
    const first = retired.findIndex(isInGrace)
    return first === -1 ? [] : retired.slice(first)
  }

  async function rotate (session: Session, token: RefreshToken, device: string | undefined): Promise<RefreshToken | undefined> {
    const salt = newSecret()
    const next = nextRefreshToken(token, salt, session.familyKey)
    const rotated = await repository.rotate(session, {
      currentHash: next.hash,
      retired: [...stillRetired(session.retired), { hash: token.hash, salt, at: clock() }].slice(-MAX_RETIRED),
      lastUsedAt: now().toISOString(),
      expiresAt: toSeconds(Math.min(clock() + SESSION_IDLE, Date.parse(session.createdAt) + SESSION_MAX_AGE)),
      ...(device === undefined ? {} : { device })
    })
    if (rotated) return next
    // Another request with the same token was faster: both get the same new token.
    const current = await repository.getSession(session.userId, session.sid)
    return current === undefined ? undefined : replay(current, token)
  }

  /** The session that a token was issued to, whether or not the token is still the current one. */
  async function familyOf (token: RefreshToken | undefined): Promise<Session | undefined> {
    if (token === undefined) return undefined
    const session = await repository.getSession(token.userId, token.sid)
    return session !== undefined && isOfFamily(token, session.familyKey) ? session : undefined
  }

  async function refresh (text: string, device: string | undefined, note: Note): Promise<Tokens> {
    const token = parseRefreshToken(text)
    const session = await familyOf(token)
    if (token === undefined || session === undefined) throw new RefreshTokenInvalid()
    const { userId, sid } = session
    note({ userId, sid })
    // An old token of this family was used again, so two parties hold it. Which of them is the thief cannot be known:
    // the session ends for both (RFC 9700 §4.14.2).
    const isCurrent = session.currentHash === token.hash
    const replayed = isCurrent ? undefined : replay(session, token)
    if (!isCurrent && replayed === undefined) {
      await repository.deleteSession(userId, sid)
      count('RefreshReuse')
      throw new RefreshTokenInvalid()
    }
    // Done before the token is used up: after an error here the client still has a working token.
    const user = await users.ofSession(userId, sid)
    if (user === undefined) {
      await repository.deleteSession(userId, sid)
      throw new RefreshTokenInvalid()
    }
    const next = replayed ?? await rotate(session, token, device)
    if (next === undefined) throw new RefreshTokenInvalid()
    return await tokensFor(user, sid, next.text)
  }

  /** Requests a code for an address: counts it and puts the entry, if there is one, from which the mail follows. Throws AUTH_CODES_EXHAUSTED, AUTH_TOKEN_INVALID. */
  async function countedCode (email: string, network: string, request: Pick<CodeCount, 'at' | 'by'>, challengeId: string, entryOf?: (challenge: ChallengeTicket, network: string) => AuthEntry): Promise<ChallengeTicket> {
    const domain = email.slice(email.lastIndexOf('@') + 1)
    limitDomain(domain, domainFactor(domain))
    const challenge = newChallenge(request.at, challengeId)
    const site = siteOf(network)
    const counted = { address: keys.pseudonym(mailboxOf(email)), network: keys.pseudonym(network) }
    const refused = await repository.requestCode({ ...counted, ...(site === undefined ? {} : { site: keys.pseudonym(site) }), ...request, challengeId, limits: CODE_LIMITS }, entryOf?.(challenge, counted.network))
    if (refused === 'ended') throw new Unauthorized()
    if (refused !== undefined) throw codesExhausted(Math.max(1, Math.ceil((refused.notBefore - clock()) / SECOND)))
    return challenge
  }

  /** The id and the time of a request for a code. An operation that is resumed after its code has expired gets a new code: only that helps. */
  function requestOf (operation: Operation | undefined): { id: string, at: Date } {
    const isOpen = operation !== undefined && Date.parse(newChallenge(operation.startedAt).expiresAt) > clock()
    return isOpen ? { id: operation.id, at: operation.startedAt } : { id: newId(), at: now() }
  }

  const notAnAddress = () => validationError([{ pointer: '/email', detail: 'is not an e-mail address' }])

  return {
    async requestCode ({ email: typed, registration: said, network, operation }, correlationId) {
      const { email, ...registration } = said === undefined ? { email: canonicalEmail(typed) } : users.checkRegistration({ email: typed, ...said })
      if (email === undefined) throw notAnAddress()
      const { id, at } = requestOf(operation)
      const challenge = await countedCode(email, network, { at }, idFrom(id, 'challenge'), (challenge, network) => outboxEntry('code.requested', {
        eventId: id,
        subject: email,
        correlationId,
        now: at,
        data: { ...challenge, email, userId: idFrom(id, 'user'), network, ...('name' in registration ? { registration } : {}) }
      }))
      if (said !== undefined) count('RegistrationsRequested')
      return challenge
    },

    countCode: (email, challengeId, at) => countedCode(email, REGISTRATION, { at }, challengeId),

    async requestEmailChange ({ userId, sid }, { email: typed, network, operation }, correlationId) {
      const email = canonicalEmail(typed)
      if (email === undefined) throw notAnAddress()
      const { id, at } = requestOf(operation)
      return await countedCode(email, network, { at, by: { userId, sid } }, idFrom(id, 'challenge'), (challenge, network) => outboxEntry('email-change.requested', {
        eventId: id,
        subject: email,
        correlationId,
        now: at,
        data: { ...challenge, email, userId, sid, network }
      }))
    },

    async verify (challengeId, code, correlationId) {
      const proof = await prove(challengeId, code, correlationId, { isSignIn: false })
      if (proof === undefined) {
        count('CodeFailures')
        throw new CodeInvalid()
      }
      await repository.giveBack(challengeId, proof.tryId)
    },

    createTokens: (request, correlationId, device, note = () => {}) => request.grantType === 'code'
      ? exchangeCode(request.challengeId, request.code, correlationId, device, note)
      : refresh(request.refreshToken, device, note),

    async revoke (text, note) {
      const session = await familyOf(parseRefreshToken(text))
      if (session === undefined) return
      const { userId, sid } = session
      note?.({ userId, sid })
      await repository.deleteSession(userId, sid)
    },

    async listSessions ({ userId, sid: own }) {
      const sessions = await repository.listSessions(userId)
      // The token outlives its session by ten minutes at most. This read shows it without another one.
      if (!sessions.some(({ sid }) => sid === own)) throw new Unauthorized()
      return sessions
        .sort((a, b) => b.createdAt.localeCompare(a.createdAt))
        .slice(0, MAX_LISTED)
        .map(({ sid: id, expiresAt, ...session }) => ({ id, ...session, expiresAt: new Date(expiresAt * SECOND).toISOString(), current: id === own }))
    },

    async endSession ({ userId, sid: own }, sid) {
      const outcome = UUID.test(sid) ? await repository.endSession(userId, sid, own, newId()) : 'unknown'
      if (outcome === 'ended') throw new Unauthorized()
      if (outcome === 'unknown') throw new SessionNotFound()
    },

    async endSessions (caller, correlationId) {
      const hasEnded = await users.endSessions(caller, correlationId)
      // They have ended by that write. What is not deleted here is deleted by the handler of its entry.
      await repository.deleteSessions(caller.userId, hasEnded).catch(() => {})
    }
  }
}
