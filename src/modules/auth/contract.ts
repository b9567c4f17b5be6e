import type { EntryOf } from '../../plugins/outbox/index.ts'
import type { Registration } from '../users/contract.ts'
import type { AUTH_ENTRIES, ChallengeTicket, TokenRequest, Tokens } from './schemas.ts'

export type { ChallengeTicket, TokenRequest, Tokens } from './schemas.ts'

/** What the outbox of the auth table holds. */
export type AuthEntry = EntryOf<typeof AUTH_ENTRIES>

/** A code that is asked for, with what a registration says of its author. */
export interface CodeRequest {
  email: string
  registration?: Omit<Registration, 'email'>
  /** of the client, see shared/network: an address's share of codes is split by it */
  network: string
  /** given where the same request may be made twice, so that both are one */
  requestId?: string
}

/** What other modules may ask of the auth module. */
export interface AuthService {
  /**
   * Asks for a code, to sign in or to register. One write, the same for known and unknown addresses.
   * Throws AUTH_CODES_EXHAUSTED when the address has had its share.
   */
  requestCode (request: CodeRequest, correlationId: string): Promise<ChallengeTicket>
  /** Proves the address of a challenge without a session; the code stays good for one. Throws AUTH_CODE_INVALID. */
  verify (challengeId: string, code: string, correlationId: string): Promise<void>
  /** Exchanges a code or a refresh token for tokens. Throws AUTH_CODE_INVALID, AUTH_REFRESH_TOKEN_INVALID. */
  createTokens (request: TokenRequest, correlationId: string): Promise<Tokens>
  /** Ends the session of a refresh token; says nothing about whether there was one (RFC 7009 §2.2). */
  revoke (refreshToken: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    auth: AuthService
  }
}

declare module '../../plugins/metrics.ts' {
  interface MetricNames {
    RegistrationsRequested: true
    CodeFailures: true
    SignIns: true
    RefreshReuse: true
    /** codes that are over the share of their address, and so not mailed */
    MailsSuppressed: true
    /** codes that were too old to be mailed when their turn came */
    CodesExpired: true
  }
}
