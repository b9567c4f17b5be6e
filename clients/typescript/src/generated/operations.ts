// Generated from docs/openapi/v2.json by npm run client.

import type { Call, Operation } from '../call.ts'
import type { AuthCreateChallengeData, AuthCreateChallengeResponses, AuthCreateTokensData, AuthCreateTokensResponses, AuthJwksData, AuthJwksResponses, AuthRevokeData, AuthRevokeResponses, AuthVerifyData, AuthVerifyResponses, HealthLiveData, HealthLiveResponses, HealthReadyData, HealthReadyResponses, UsersCreateData, UsersCreateResponses, UsersDeleteData, UsersDeleteMeData, UsersDeleteMeResponses, UsersDeleteResponses, UsersGetData, UsersGetMeData, UsersGetMeResponses, UsersGetResponses, UsersUpdateData, UsersUpdateMeData, UsersUpdateMeResponses, UsersUpdateResponses } from './types.gen.ts'

export const OPERATIONS = {
  'users.getMe': { method: 'GET', path: '/v2/users/me', secured: true },
  'users.updateMe': { method: 'PATCH', path: '/v2/users/me', contentType: 'application/merge-patch+json', secured: true },
  'users.deleteMe': { method: 'DELETE', path: '/v2/users/me', secured: true },
  'users.get': { method: 'GET', path: '/v2/users/{id}', secured: true },
  'users.update': { method: 'PATCH', path: '/v2/users/{id}', contentType: 'application/merge-patch+json', secured: true },
  'users.delete': { method: 'DELETE', path: '/v2/users/{id}', secured: true },
  'users.create': { method: 'POST', path: '/v2/users', contentType: 'application/json' },
  'auth.createChallenge': { method: 'POST', path: '/v2/auth/challenges', contentType: 'application/json' },
  'auth.verify': { method: 'POST', path: '/v2/auth/verify', contentType: 'application/json' },
  'auth.createTokens': { method: 'POST', path: '/v2/auth/tokens', contentType: 'application/json' },
  'auth.revoke': { method: 'POST', path: '/v2/auth/revoke', contentType: 'application/json' },
  'auth.jwks': { method: 'GET', path: '/.well-known/jwks.json' },
  'health.live': { method: 'GET', path: '/health/live' },
  'health.ready': { method: 'GET', path: '/health/ready' }
} as const satisfies Record<string, Operation>

/** Every operation of the service. */
export interface Api {
  users: {
    /** Read your own account */
    getMe: Call<UsersGetMeData, UsersGetMeResponses>
    /**
     * Change your own account
     *
     * Admins may also set `status` and `role`.
     */
    updateMe: Call<UsersUpdateMeData, UsersUpdateMeResponses>
    /**
     * Delete your own account
     *
     * Erases the personal data, ends all sessions and frees the address.
     */
    deleteMe: Call<UsersDeleteMeData, UsersDeleteMeResponses>
    /** Read an account; only admins may read other accounts */
    get: Call<UsersGetData, UsersGetResponses>
    /**
     * Change an account; only admins may change other accounts
     *
     * Admins may also set `status` and `role`.
     */
    update: Call<UsersUpdateData, UsersUpdateResponses>
    /**
     * Delete an account; only admins may delete other accounts
     *
     * Erases the personal data, ends all sessions and frees the address.
     */
    delete: Call<UsersDeleteData, UsersDeleteResponses>
    /**
     * Register
     *
     * Mails a code to the address: a welcome mail if the address is not confirmed yet, "you already have an account" if it is. Both get the same answer. The account gets the name and language of the registration whose code is used. One network can request at most 5 codes an hour and 10 a day for an address; all networks together 15 and 30.
     */
    create: Call<UsersCreateData, UsersCreateResponses>
  }
  auth: {
    /**
     * Request a sign-in code
     *
     * Mails a code to the address if it has an account. Addresses without an account get the same answer. One network can request at most 5 codes an hour and 10 a day for an address; all networks together 15 and 30.
     */
    createChallenge: Call<AuthCreateChallengeData, AuthCreateChallengeResponses>
    /**
     * Confirm an address
     *
     * Confirms the address of a challenge without signing in. The code can still be exchanged for tokens once. Each challenge allows five wrong codes.
     */
    verify: Call<AuthVerifyData, AuthVerifyResponses>
    /**
     * Sign in, or stay signed in
     *
     * The grant `code` exchanges the code from a mail for tokens. A code works once, for ten minutes, with five tries. The first success confirms the address. The grant `refresh_token` exchanges a refresh token for new tokens. For 10 seconds the old token gets the same answer again; used later, it ends the session.
     */
    createTokens: Call<AuthCreateTokensData, AuthCreateTokensResponses>
    /**
     * Sign out
     *
     * Ends the session of a refresh token. Unknown tokens get the same answer (RFC 7009).
     */
    revoke: Call<AuthRevokeData, AuthRevokeResponses>
    /**
     * Public signing keys
     *
     * The current signing key and the previous one, as a JSON Web Key Set (RFC 7517). Fetch it again when a token has a `kid` that is not in the set.
     */
    jwks: Call<AuthJwksData, AuthJwksResponses>
  }
  health: {
    /**
     * Check that the process is alive
     *
     * Does not call any dependency.
     */
    live: Call<HealthLiveData, HealthLiveResponses>
    /**
     * Check that the service can serve requests
     *
     * Ready while DynamoDB answers within a second and the server is not stopping. `degraded` while SQS or Redis does not answer: requests are still served, but mails are late or reads are slower.
     */
    ready: Call<HealthReadyData, HealthReadyResponses>
  }
}
