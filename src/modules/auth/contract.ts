import type { Operation } from '../../plugins/idempotency/index.ts'
import type { EntryOf } from '../../plugins/outbox/index.ts'
import type { Registration } from '../users/contract.ts'
import type { AUTH_ENTRIES, ChallengeTicket, SessionView, TokenRequest, Tokens } from './schemas.ts'

export type { ChallengeTicket, SessionView, TokenRequest, Tokens } from './schemas.ts'

/** An entry of the auth table's outbox. */
export type AuthEntry = EntryOf<typeof AUTH_ENTRIES>

/** A request for a code, with the name and language if it comes from a registration. */
export interface CodeRequest {
  email: string
  registration?: Omit<Registration, 'email'>
  /** the client's network, see shared/network: each network has its own limit of codes per address */
  network: string
  /** set by callers whose repetitions have the same id and time: as long as the code is good, they count once and get the same challenge */
  operation?: Operation
}

/** A signed-in caller: claims of the access token. */
export interface Caller {
  userId: string
  sid: string
  email: string
}

/** A request for a code that changes the address of the caller's account. */
export interface EmailChangeRequest {
  email: string
  /** the client's network, see shared/network */
  network: string
  operation: Operation
}

/** Gets the ids of the account and of the session that a request is about, for the log. */
export type Note = (who: { userId: string, sid: string }) => void

/** The interface of the auth module for other modules. */
export interface AuthService {
  /**
   * Requests a code, to sign in or to register. It is one write, the same for known and unknown addresses.
   * Throws AUTH_CODES_EXHAUSTED when the address has reached its limit.
   */
  requestCode (request: CodeRequest, correlationId: string): Promise<ChallengeTicket>
  /**
   * Counts a code that the caller mails itself, because an outbox entry of its own makes sure of it. Safe to repeat.
   * Throws AUTH_CODES_EXHAUSTED.
   */
  countCode (email: string, challengeId: string, at: Date): Promise<ChallengeTicket>
  /**
   * Requests a code that gives the caller's account a new address. It is one write, the same for free and used addresses.
   * Throws AUTH_CODES_EXHAUSTED, AUTH_TOKEN_INVALID when the caller's session has ended.
   */
  requestEmailChange (caller: Caller, request: EmailChangeRequest, correlationId: string): Promise<ChallengeTicket>
  /**
   * Confirms the address of a challenge without starting a session; the code can still start one. If the challenge is for a
   * change of address or its undoing, does that. Throws AUTH_CODE_INVALID, AUTH_EMAIL_TAKEN, AUTH_EMAIL_CHANGES_EXHAUSTED.
   */
  verify (challengeId: string, code: string, correlationId: string): Promise<void>
  /**
   * Exchanges a code or a refresh token for tokens. Throws as `verify` does, and AUTH_REFRESH_TOKEN_INVALID. `device`: how the
   * client names itself, see device.ts. `note` gets the account and the session once a secret of theirs is proved, also when
   * the request is refused after that.
   */
  createTokens (request: TokenRequest, correlationId: string, device?: string, note?: Note): Promise<Tokens>
  /** Ends the session of a refresh token. Unknown tokens get the same answer (RFC 7009 §2.2). */
  revoke (refreshToken: string, note?: Note): Promise<void>
  /** The sessions of the caller, newest first. Throws AUTH_TOKEN_INVALID when the caller's own session has ended. */
  listSessions (caller: Caller): Promise<SessionView[]>
  /** Ends one session of the caller. Throws AUTH_SESSION_NOT_FOUND, AUTH_TOKEN_INVALID when the caller's own session has ended. */
  endSession (caller: Caller, sid: string): Promise<void>
  /** Ends all sessions of the caller, and their access tokens where the account is read. Throws AUTH_TOKEN_INVALID. */
  endSessions (caller: Caller, correlationId: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    auth: AuthService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    /** registrations and invitations that got a code, those of known addresses included */
    RegistrationsRequested: true
    /** codes that were wrong, expired or used before */
    CodeFailures: true
    /** sessions that were started with a code */
    SignIns: true
    /** sessions that were ended because an old refresh token came again */
    RefreshReuse: true
    /** codes that were not mailed because their address has reached its limit */
    MailsSuppressed: true
    /** codes that expired before they could be mailed */
    CodesExpired: true
  }
}
