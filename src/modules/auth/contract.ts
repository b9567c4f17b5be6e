import type { Outbox, OutboxEntry } from '../../shared/outbox.ts'
import type { ChallengeTicket, User } from '../users/contract.ts'

/** A sign-in code was asked for; whether the address has an account is looked up behind the stream. */
export type ChallengeRequested = OutboxEntry<'challenge.requested', ChallengeTicket & { email: string }>
/** What the auth table's outbox holds. */
export type AuthEntry = ChallengeRequested

/** Answer of the token end point, in the names of RFC 6749 §5.1, camel-cased. */
export interface Tokens {
  accessToken: string
  tokenType: 'Bearer'
  /** seconds */
  expiresIn: number
  refreshToken: string
  user: User
}

/** What other modules may ask of the auth module. */
export interface AuthService {
  /** One write, the same for known and unknown addresses. */
  requestChallenge (email: string, correlationId: string): Promise<ChallengeTicket>
  /** Exchanges a code for tokens; the first success verifies the address. Throws AUTH_CODE_INVALID. */
  exchangeCode (challengeId: string, code: string, correlationId: string): Promise<Tokens>
  /** Rotates a refresh token. Throws AUTH_REFRESH_TOKEN_INVALID. */
  refresh (refreshToken: string): Promise<Tokens>
  /** Ends the session of a refresh token; says nothing about whether there was one (RFC 7009 §2.2). */
  revoke (refreshToken: string): Promise<void>
  /** Ends every session of a user. Safe to repeat. */
  revokeAll (userId: string): Promise<void>
  /** Makes a challenge answerable. Safe to repeat: attempts already made stay counted. */
  openChallenge (challenge: ChallengeTicket & { email: string }): Promise<void>
  /** Whether one more mail with a code may go to this address now (5 an hour, 10 a day); counts `eventId` once. */
  allowMail (email: string, eventId: string): Promise<boolean>
  readonly outbox: Outbox<AuthEntry>
}

declare module 'fastify' {
  interface FastifyInstance {
    auth: AuthService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    CodeFailures: true
    RefreshReuse: true
    SignIns: true
  }
}
