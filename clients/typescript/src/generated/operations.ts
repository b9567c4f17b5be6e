// Generated from docs/openapi/v2.json by npm run client.

import type { Call, Operation } from '../call.ts'
import type { AuthCreateChallengeData, AuthCreateChallengeResponses, AuthCreateTokensData, AuthCreateTokensResponses, AuthJwksData, AuthJwksResponses, AuthMetadataData, AuthMetadataResponses, AuthRevokeData, AuthRevokeResponses, AuthVerifyData, AuthVerifyResponses, AvatarsCreateData, AvatarsCreateResponses, AvatarsDeleteData, AvatarsDeleteResponses, HealthLiveData, HealthLiveResponses, HealthReadyData, HealthReadyResponses, SessionsEndAllData, SessionsEndAllResponses, SessionsEndData, SessionsEndResponses, SessionsListData, SessionsListResponses, UsersAuditData, UsersAuditResponses, UsersBatchGetData, UsersBatchGetResponses, UsersChangeEmailData, UsersChangeEmailResponses, UsersCreateBatchData, UsersCreateBatchResponses, UsersCreateData, UsersCreateResponses, UsersDeleteData, UsersDeleteMeData, UsersDeleteMeResponses, UsersDeleteResponses, UsersExportData, UsersExportResponses, UsersGetData, UsersGetMeData, UsersGetMeResponses, UsersGetResponses, UsersInviteData, UsersInviteResponses, UsersListData, UsersListResponses, UsersUpdateData, UsersUpdateMeData, UsersUpdateMeResponses, UsersUpdateResponses } from './types.gen.ts'

export const OPERATIONS = {
  'users.getMe': { method: 'GET', path: '/v2/users/me', secured: true },
  'users.updateMe': { method: 'PATCH', path: '/v2/users/me', contentType: 'application/merge-patch+json', secured: true },
  'users.deleteMe': { method: 'DELETE', path: '/v2/users/me', secured: true },
  'users.export': { method: 'GET', path: '/v2/users/me/export', secured: true },
  'users.get': { method: 'GET', path: '/v2/users/{id}', secured: true },
  'users.update': { method: 'PATCH', path: '/v2/users/{id}', contentType: 'application/merge-patch+json', secured: true },
  'users.delete': { method: 'DELETE', path: '/v2/users/{id}', secured: true },
  'users.list': { method: 'GET', path: '/v2/users', secured: true },
  'users.create': { method: 'POST', path: '/v2/users', contentType: 'application/json', keyed: true },
  'users.batchGet': { method: 'POST', path: '/v2/users/batch-get', contentType: 'application/json', secured: true },
  'users.createBatch': { method: 'POST', path: '/v2/users/batch', contentType: 'application/json', secured: true, keyed: true },
  'users.invite': { method: 'POST', path: '/v2/users/invitations', contentType: 'application/json', secured: true, keyed: true },
  'users.audit': { method: 'GET', path: '/v2/users/{id}/audit', secured: true },
  'auth.createChallenge': { method: 'POST', path: '/v2/auth/challenges', contentType: 'application/json', keyed: true },
  'auth.verify': { method: 'POST', path: '/v2/auth/verify', contentType: 'application/json' },
  'auth.createTokens': { method: 'POST', path: '/v2/auth/tokens', contentType: 'application/json' },
  'auth.revoke': { method: 'POST', path: '/v2/auth/revoke', contentType: 'application/json' },
  'sessions.list': { method: 'GET', path: '/v2/users/me/sessions', secured: true },
  'sessions.endAll': { method: 'DELETE', path: '/v2/users/me/sessions', secured: true },
  'sessions.end': { method: 'DELETE', path: '/v2/users/me/sessions/{id}', secured: true },
  'users.changeEmail': { method: 'POST', path: '/v2/users/me/email', contentType: 'application/json', secured: true, keyed: true },
  'auth.jwks': { method: 'GET', path: '/.well-known/jwks.json' },
  'auth.metadata': { method: 'GET', path: '/.well-known/oauth-authorization-server' },
  'avatars.create': { method: 'POST', path: '/v2/users/me/avatar', contentType: 'application/json', secured: true, keyed: true },
  'avatars.delete': { method: 'DELETE', path: '/v2/users/me/avatar', secured: true },
  'health.live': { method: 'GET', path: '/health/live' },
  'health.ready': { method: 'GET', path: '/health/ready' }
} as const satisfies Record<string, Operation>

/** Every operation of the service. */
export interface Api {
  users: {
    /**
     * Read your own account
     *
     * Send the `ETag` of an earlier answer as `If-None-Match` to get a 304 while nothing has changed.
     */
    getMe: Call<UsersGetMeData, UsersGetMeResponses>
    /**
     * Change your own account
     *
     * A merge patch (RFC 7396): properties that it does not have stay as they are. Admins may also set `status` and `role`. With `If-Match`, another change in the meantime is a 412 and not overwritten.
     */
    updateMe: Call<UsersUpdateMeData, UsersUpdateMeResponses>
    /**
     * Delete your own account
     *
     * Erases the personal data, ends all sessions and frees the address.
     */
    deleteMe: Call<UsersDeleteMeData, UsersDeleteMeResponses>
    /**
     * Export everything stored about you
     *
     * One JSON document with the account and what each part of the service stores about it, read from the tables and not from the cache. It holds no secret: no token, code or hash. Mails are not part of it: what the service keeps of a mail names no user.
     */
    export: Call<UsersExportData, UsersExportResponses>
    /**
     * Read an account; only admins may read other accounts
     *
     * Send the `ETag` of an earlier answer as `If-None-Match` to get a 304 while nothing has changed.
     */
    get: Call<UsersGetData, UsersGetResponses>
    /**
     * Change an account; only admins may change other accounts
     *
     * A merge patch (RFC 7396): properties that it does not have stay as they are. Admins may also set `status` and `role`. With `If-Match`, another change in the meantime is a 412 and not overwritten.
     */
    update: Call<UsersUpdateData, UsersUpdateResponses>
    /**
     * Delete an account; only admins may delete other accounts
     *
     * Erases the personal data, ends all sessions and frees the address.
     */
    delete: Call<UsersDeleteData, UsersDeleteResponses>
    /**
     * List accounts
     *
     * For admins. Newest first, all of them or those with a status or an address. With `email` there is one item or none. A page may have fewer items than its limit; `nextCursor` is `null` only in the last one. The header `Link` has the same next page. An account that has just been created or changed may take a moment to appear.
     */
    list: Call<UsersListData, UsersListResponses>
    /**
     * Register
     *
     * Mails a code to the address: a welcome mail if the address is not confirmed yet, "you already have an account" if it is. Both get the same answer. The account gets the name and language of the registration whose code is used. One network can request at most 5 codes an hour and 10 a day for an address; all networks together 15 and 30.
     */
    create: Call<UsersCreateData, UsersCreateResponses>
    /**
     * Read accounts by their ids
     *
     * For admins. At most 100 ids. The items are in the order of the ids; ids of no account are listed in `missing`.
     */
    batchGet: Call<UsersBatchGetData, UsersBatchGetResponses>
    /**
     * Register many users
     *
     * For admins. Registers at most 100 users, each on its own: a row that is invalid (400) or whose address has an account or is in an earlier row (409) does not stop the others. Each new account is pending and gets a welcome mail with a code. Rows without `locale` get that of `Accept-Language`. A body may have 64 KiB: 100 rows of 600 bytes. After a 503 some rows may be registered; a request with the same `Idempotency-Key` registers the rest.
     */
    createBatch: Call<UsersCreateBatchData, UsersCreateBatchResponses>
    /**
     * Invite a user
     *
     * For admins. Registers a user as `POST /v2/users` does, with a mail that says who invites. An address whose account is still pending is invited again, within the limits of codes for an address. An address whose account is confirmed is 409.
     */
    invite: Call<UsersInviteData, UsersInviteResponses>
    /**
     * List what admins did with an account
     *
     * For admins. Newest first: registrations, invitations, changes and deletions by admins, also of an account that is gone. Kept for 400 days. A page may have fewer items than its limit; `nextCursor` is `null` only in the last one. The header `Link` has the same next page.
     */
    audit: Call<UsersAuditData, UsersAuditResponses>
    /**
     * Change your address
     *
     * Mails a code to the new address. Free and used addresses get the same answer. Confirm the code with `POST /v2/auth/verify`, or sign in with it: the account then has the new address, and all its sessions end except the one that asked, which must refresh its access token. The former address gets a notice with a link that undoes the change for seven days; until then no other account can have that address. The request ends with the session that made it. One network can request at most 5 codes an hour and 10 a day for an address; all networks together 15 and 30.
     */
    changeEmail: Call<UsersChangeEmailData, UsersChangeEmailResponses>
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
     * Confirms the address of a challenge without signing in. The code can still be exchanged for tokens once. Each challenge allows five wrong codes. The code of a change of address gives the account its new address. The code of a notice about such a change gives the account its former address back and ends all sessions; it cannot be exchanged for tokens.
     */
    verify: Call<AuthVerifyData, AuthVerifyResponses>
    /**
     * Sign in, or stay signed in
     *
     * The grant `code` exchanges the code from a mail for tokens. A code works once, for ten minutes, with five tries. The first success confirms the address. The code of a change of address also gives the account its new address. The grant `refresh_token` exchanges a refresh token for new tokens. For 10 seconds the old token gets the same answer again; used later, it ends the session.
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
    /**
     * Issuer and keys of the tokens
     *
     * What a verifier of access tokens needs, as OAuth 2.0 Authorization Server Metadata (RFC 8414). No endpoint for tokens is in it: OAuth clients send forms, and this service reads JSON.
     */
    metadata: Call<AuthMetadataData, AuthMetadataResponses>
  }
  sessions: {
    /**
     * List your sessions
     *
     * The sessions that have not ended, newest first, at most 100. Each is one sign-in on one client.
     */
    list: Call<SessionsListData, SessionsListResponses>
    /**
     * Log out everywhere
     *
     * Ends all your sessions, this one included: no refresh token works any more. Access tokens that were issued before get 401 wherever the account is read. A request for a change of address that is not confirmed yet ends with its session.
     */
    endAll: Call<SessionsEndAllData, SessionsEndAllResponses>
    /**
     * End one of your sessions
     *
     * Ends the session at once: its refresh token does not work any more. Its last access token can still read and change the account until it expires, ten minutes after it was issued; log out everywhere to end that too.
     */
    end: Call<SessionsEndData, SessionsEndResponses>
  }
  avatars: {
    /**
     * Upload an avatar
     *
     * Returns a form for a direct upload to S3: send `fields` and then the picture, as `file`, to `url` as `multipart/form-data`. PNG, JPEG and WebP, at most 5 MiB. The picture is checked after the upload. It appears as `avatarUrl` of the user, usually within seconds, if its bytes are of the declared type and size; otherwise it is deleted. An upload that was requested before the current avatar, or before its removal, changes nothing.
     */
    create: Call<AvatarsCreateData, AvatarsCreateResponses>
    /**
     * Remove your avatar
     *
     * Removes `avatarUrl` at once, and then the picture. Also succeeds without an avatar. Uploads that were requested before it change nothing.
     */
    delete: Call<AvatarsDeleteData, AvatarsDeleteResponses>
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
     * Ready while DynamoDB answers within a second and the server is not stopping. `degraded` while SQS, Redis or the mail server does not answer: requests are still served, but mails are late or reads are slower.
     */
    ready: Call<HealthReadyData, HealthReadyResponses>
  }
}
