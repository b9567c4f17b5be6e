// Generated from docs/openapi/v2.json by npm run client.

export type ClientOptions = {
    baseUrl: `${string}://${string}` | (string & {});
};

/**
 * MailStatus
 */
export type MailStatus = {
    /**
     * `bounced`: the mailbox does not exist, and no mail is sent for seven days. `complained`: the recipient marked a mail as spam; codes to sign in are still sent
     */
    status: 'bounced' | 'complained';
    since: string;
};

/**
 * User
 */
export type User = {
    id: string;
    /**
     * E-mail address, in lower case; the domain in its ASCII form
     */
    email: string;
    /**
     * Display name of the user
     */
    name: string;
    /**
     * Language of mails, a BCP 47 tag
     */
    locale: string;
    /**
     * Pending until the address is confirmed with a code
     */
    status: 'PENDING_VERIFICATION' | 'ACTIVE' | 'SUSPENDED';
    role: 'user' | 'admin';
    /**
     * Where the picture of the user is; absent without one
     */
    avatarUrl?: string;
    mail?: MailStatus;
    createdAt: string;
    updatedAt: string;
    /**
     * Increases by one with each change; part of the ETag
     */
    version: number;
};

/**
 * Registration
 */
export type Registration = {
    /**
     * E-mail address. The part before the @ is in ASCII and has no quotes; the domain may be in any script. Blanks around it are removed, and it is kept in lower case
     */
    email: string;
    /**
     * Display name of the user. At least two characters are visible, and none is invisible; blanks around it are removed
     */
    name: string;
    /**
     * Language of mails, a BCP 47 tag; from `Accept-Language` when not given
     */
    locale?: string;
};

/**
 * Problem
 */
export type Problem = {
    /**
     * URN of the problem type
     */
    type: string;
    /**
     * The HTTP status in words
     */
    title: string;
    status: number;
    /**
     * What is wrong with this request
     */
    detail: string;
    /**
     * The path of the request
     */
    instance: string;
    /**
     * Stable code of the problem, for programs. New codes may be added
     */
    code: 'AUTH_CODES_EXHAUSTED' | 'AUTH_CODE_INVALID' | 'AUTH_EMAIL_CHANGES_EXHAUSTED' | 'AUTH_EMAIL_TAKEN' | 'AUTH_REFRESH_TOKEN_INVALID' | 'AUTH_SESSION_NOT_FOUND' | 'AUTH_TOKEN_INVALID' | 'AVATARS_NOT_FOUND' | 'BAD_REQUEST' | 'BODY_MALFORMED' | 'BODY_TOO_LARGE' | 'DEPENDENCY_UNAVAILABLE' | 'FORBIDDEN' | 'HEADERS_TOO_LARGE' | 'HOST_MISSING' | 'IDEMPOTENCY_IN_PROGRESS' | 'IDEMPOTENCY_KEY_REUSED' | 'INTERNAL' | 'METHOD_NOT_ALLOWED' | 'METHOD_NOT_IMPLEMENTED' | 'NOT_FOUND' | 'OVERLOADED' | 'PRECONDITION_FAILED' | 'RATE_LIMITED' | 'REQUEST_TIMEOUT' | 'UNSUPPORTED_MEDIA_TYPE' | 'UPLOADS_DISABLED' | 'URL_MALFORMED' | 'USERS_CONFLICT' | 'USERS_EMAIL_TAKEN' | 'USERS_LAST_ADMIN' | 'USERS_NOT_FOUND' | 'VALIDATION_FAILED';
    correlationId: string;
    /**
     * The invalid fields
     */
    errors?: Array<{
        /**
         * JSON Pointer into the body, or the name of a parameter after `#/`
         */
        pointer: string;
        /**
         * Continues the name of the field, as in "is required"
         */
        detail: string;
    }>;
};

/**
 * UserPatch
 */
export type UserPatch = {
    /**
     * Display name of the user. At least two characters are visible, and none is invisible; blanks around it are removed
     */
    name?: string;
    /**
     * Language of mails, a BCP 47 tag; from `Accept-Language` when not given
     */
    locale?: string;
    /**
     * Admins only
     */
    status?: 'ACTIVE' | 'SUSPENDED';
    /**
     * Admins only
     */
    role?: 'user' | 'admin';
    /**
     * Removes the mark that mails do not arrive: they are sent again at once
     */
    mail?: null;
};

/**
 * ExportedAction
 */
export type ExportedAction = {
    at: string;
    action: 'register' | 'invite' | 'update' | 'delete';
    /**
     * The fields that were changed
     */
    changed?: Array<string>;
    /**
     * The new status, if it was changed
     */
    status?: string;
    /**
     * The new role, if it was changed
     */
    role?: string;
};

/**
 * ExportedAddress
 */
export type ExportedAddress = {
    /**
     * E-mail address, in lower case; the domain in its ASCII form
     */
    email: string;
    /**
     * Until when the change can be undone
     */
    until: string;
};

/**
 * ExportedSession
 */
export type ExportedSession = {
    id: string;
    createdAt: string;
    lastUsedAt: string;
    expiresAt: string;
    /**
     * How the client names itself: the `User-Agent` of its last request for tokens. Absent when it sent none
     */
    device?: string;
};

/**
 * ExportedCode
 */
export type ExportedCode = {
    requestedAt: string;
    /**
     * The state of the code while it can be used
     */
    open?: {
        expiresAt: string;
        /**
         * Tries used
         */
        tries: number;
    };
};

/**
 * UserExport
 */
export type UserExport = {
    exportedAt: string;
    account: User;
    /**
     * What admins did with the account in the last 400 days, newest first
     */
    adminActions: Array<ExportedAction>;
    /**
     * Addresses that the account can have back, oldest first
     */
    formerAddresses: Array<ExportedAddress>;
    /**
     * Sessions that have not ended
     */
    sessions: Array<ExportedSession>;
    /**
     * Codes requested for the address in about the last day, newest first. The codes themselves are stored nowhere
     */
    codes: Array<ExportedCode>;
};

/**
 * UserPage
 */
export type UserPage = {
    /**
     * Newest first
     */
    items: Array<User>;
    /**
     * For the next page; `null` at the end of the list
     */
    nextCursor: string | null;
};

/**
 * ChallengeTicket
 */
export type ChallengeTicket = {
    /**
     * Send it back together with the code from the mail
     */
    challengeId: string;
    expiresAt: string;
};

/**
 * BatchOfUsers
 */
export type BatchOfUsers = {
    /**
     * In the order of the ids
     */
    items: Array<User>;
    /**
     * Ids of no user
     */
    missing: Array<string>;
};

/**
 * BatchGet
 */
export type BatchGet = {
    /**
     * Ids of users, each once
     */
    ids: Array<string>;
};

/**
 * BatchResult
 */
export type BatchResult = {
    /**
     * Position of the row in the request
     */
    index: number;
    /**
     * What the row would have got as a request of its own
     */
    status: 201 | 400 | 409;
    id?: string;
    /**
     * Why the row was not registered, for programs
     */
    code?: string;
    /**
     * The same in words
     */
    detail?: string;
};

/**
 * BatchResults
 */
export type BatchResults = {
    /**
     * One for each row, in the same order
     */
    results: Array<BatchResult>;
};

/**
 * BatchRegistration
 */
export type BatchRegistration = {
    users: Array<{
        /**
         * E-mail address. The part before the @ is in ASCII and has no quotes; the domain may be in any script. Blanks around it are removed, and it is kept in lower case
         */
        email?: unknown;
        /**
         * Display name of the user. At least two characters are visible, and none is invisible; blanks around it are removed
         */
        name?: unknown;
        /**
         * Language of mails, a BCP 47 tag; from `Accept-Language` when not given
         */
        locale?: unknown;
    }>;
};

/**
 * Invited
 */
export type Invited = {
    id: string;
};

/**
 * AuditLine
 */
export type AuditLine = {
    id: string;
    at: string;
    /**
     * The admin
     */
    actorId: string;
    action: 'register' | 'invite' | 'update' | 'delete';
    /**
     * The fields that were changed
     */
    changed?: Array<string>;
    /**
     * The new status, if it was changed
     */
    status?: string;
    /**
     * The new role, if it was changed
     */
    role?: string;
    /**
     * Of the request, as in the log
     */
    correlationId: string;
};

/**
 * AuditPage
 */
export type AuditPage = {
    /**
     * Newest first
     */
    items: Array<AuditLine>;
    /**
     * For the next page; `null` at the end of the list
     */
    nextCursor: string | null;
};

/**
 * ChallengeRequest
 */
export type ChallengeRequest = {
    /**
     * E-mail address. The part before the @ is in ASCII and has no quotes; the domain may be in any script. Blanks around it are removed, and it is kept in lower case
     */
    email: string;
};

/**
 * Verification
 */
export type Verification = {
    /**
     * Send it back together with the code from the mail
     */
    challengeId: string;
    /**
     * The 8 digits from the mail. Blanks around them are ignored
     */
    code: string;
};

/**
 * Tokens
 */
export type Tokens = {
    /**
     * Signed JWT (RFC 9068), for `Authorization: Bearer`
     */
    accessToken: string;
    tokenType: 'Bearer';
    /**
     * Seconds until the access token expires
     */
    expiresIn: number;
    /**
     * For the next access token. Keep only the newest: an old one that is used later ends the session
     */
    refreshToken: string;
    user: User;
};

/**
 * CodeGrant
 */
export type CodeGrant = {
    grantType: 'code';
    /**
     * Send it back together with the code from the mail
     */
    challengeId: string;
    /**
     * The 8 digits from the mail. Blanks around them are ignored
     */
    code: string;
};

/**
 * RefreshGrant
 */
export type RefreshGrant = {
    grantType: 'refresh_token';
    /**
     * Opaque; each use returns a new one
     */
    refreshToken: string;
};

/**
 * TokenRequest
 */
export type TokenRequest = ({
    grantType: 'code';
} & CodeGrant) | ({
    grantType: 'refresh_token';
} & RefreshGrant);

/**
 * Revocation
 */
export type Revocation = {
    /**
     * Opaque; each use returns a new one
     */
    refreshToken: string;
};

/**
 * Session
 */
export type Session = {
    id: string;
    createdAt: string;
    /**
     * When the session last got tokens
     */
    lastUsedAt: string;
    /**
     * When the session ends if it is not used
     */
    expiresAt: string;
    /**
     * How the client names itself: the `User-Agent` of its last request for tokens. Absent when it sent none
     */
    device?: string;
    /**
     * Whether this request belongs to the session
     */
    current: boolean;
};

/**
 * Sessions
 */
export type Sessions = {
    /**
     * Newest first
     */
    items: Array<Session>;
};

/**
 * EmailChangeRequest
 */
export type EmailChangeRequest = {
    /**
     * E-mail address. The part before the @ is in ASCII and has no quotes; the domain may be in any script. Blanks around it are removed, and it is kept in lower case
     */
    email: string;
};

/**
 * JsonWebKeySet
 */
export type JsonWebKeySet = {
    keys: Array<{
        kty: 'OKP';
        crv: 'Ed25519';
        /**
         * The public key, base64url
         */
        x: string;
        /**
         * Thumbprint of the key (RFC 7638)
         */
        kid: string;
        alg: 'EdDSA';
        use: 'sig';
    }>;
};

/**
 * ServerMetadata
 */
export type ServerMetadata = {
    /**
     * `iss` of the access tokens: a name, unless the service was configured with a URL
     */
    issuer: string;
    /**
     * The public signing keys
     */
    jwks_uri: string;
    /**
     * None of OAuth's: `POST /v2/auth/tokens` speaks JSON, with grants of its own
     */
    grant_types_supported: Array<string>;
    /**
     * None: there is no authorization endpoint
     */
    response_types_supported: Array<string>;
    /**
     * How to sign in; absent when the service does not serve its documentation
     */
    service_documentation?: string;
};

/**
 * Upload
 */
export type Upload = {
    /**
     * Where to send the form
     */
    url: string;
    /**
     * The fields of the form, as they are. The picture follows them as the last field, `file`
     */
    fields: {
        [key: string]: string;
    };
    expiresAt: string;
};

/**
 * AvatarRequest
 */
export type AvatarRequest = {
    /**
     * The type of the picture, which its bytes must have too
     */
    contentType: 'image/png' | 'image/jpeg' | 'image/webp';
    /**
     * Exact size of the file in bytes, at most 5 MiB
     */
    size: number;
};

/**
 * Liveness
 */
export type Liveness = {
    status: 'healthy';
};

/**
 * Check
 */
export type Check = {
    status: 'healthy' | 'unhealthy' | 'disabled';
    latencyMs: number;
    /**
     * Circuit breaker of this instance: `open` while requests do not wait for this dependency, because it did not answer; `half-open` while one call tries it again
     */
    breaker?: 'closed' | 'open' | 'half-open';
};

/**
 * Readiness
 */
export type Readiness = {
    status: 'healthy' | 'degraded' | 'unhealthy';
    checks: {
        dynamodb: Check;
        sqs: Check;
        redis: Check;
        mail?: Check;
    };
    /**
     * When the dependencies were checked; a report is reused for one second
     */
    timestamp: string;
    /**
     * Version of the running service
     */
    version: string;
};

export type UsersDeleteMeData = {
    body?: never;
    headers?: {
        /**
         * Only change the version with this ETag; `*` stands for every version
         */
        'if-match'?: string;
        /**
         * Do not change a version with one of these ETags
         */
        'if-none-match'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/me';
};

export type UsersDeleteMeErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Conflicts with the current state of the resource
     */
    409: Problem;
    /**
     * The account is not in the state that If-Match or If-None-Match asks for; nothing was changed
     */
    412: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersDeleteMeError = UsersDeleteMeErrors[keyof UsersDeleteMeErrors];

export type UsersDeleteMeResponses = {
    /**
     * Deleted
     */
    204: void;
};

export type UsersDeleteMeResponse = UsersDeleteMeResponses[keyof UsersDeleteMeResponses];

export type UsersGetMeData = {
    body?: never;
    headers?: {
        /**
         * ETags the client holds
         */
        'if-none-match'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/me';
};

export type UsersGetMeErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersGetMeError = UsersGetMeErrors[keyof UsersGetMeErrors];

export type UsersGetMeResponses = {
    /**
     * OK
     */
    200: User;
};

export type UsersGetMeResponse = UsersGetMeResponses[keyof UsersGetMeResponses];

export type UsersUpdateMeData = {
    body: UserPatch;
    headers?: {
        /**
         * Only change the version with this ETag; `*` stands for every version
         */
        'if-match'?: string;
        /**
         * Do not change a version with one of these ETags
         */
        'if-none-match'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/me';
};

export type UsersUpdateMeErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Conflicts with the current state of the resource
     */
    409: Problem;
    /**
     * The account is not in the state that If-Match or If-None-Match asks for; nothing was changed
     */
    412: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersUpdateMeError = UsersUpdateMeErrors[keyof UsersUpdateMeErrors];

export type UsersUpdateMeResponses = {
    /**
     * OK
     */
    200: User;
};

export type UsersUpdateMeResponse = UsersUpdateMeResponses[keyof UsersUpdateMeResponses];

export type UsersExportData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v2/users/me/export';
};

export type UsersExportErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersExportError = UsersExportErrors[keyof UsersExportErrors];

export type UsersExportResponses = {
    /**
     * Everything stored about the account
     */
    200: UserExport;
};

export type UsersExportResponse = UsersExportResponses[keyof UsersExportResponses];

export type UsersDeleteData = {
    body?: never;
    headers?: {
        /**
         * Only change the version with this ETag; `*` stands for every version
         */
        'if-match'?: string;
        /**
         * Do not change a version with one of these ETags
         */
        'if-none-match'?: string;
    };
    path: {
        /**
         * User id
         */
        id: string;
    };
    query?: never;
    url: '/v2/users/{id}';
};

export type UsersDeleteErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Conflicts with the current state of the resource
     */
    409: Problem;
    /**
     * The account is not in the state that If-Match or If-None-Match asks for; nothing was changed
     */
    412: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersDeleteError = UsersDeleteErrors[keyof UsersDeleteErrors];

export type UsersDeleteResponses = {
    /**
     * Deleted
     */
    204: void;
};

export type UsersDeleteResponse = UsersDeleteResponses[keyof UsersDeleteResponses];

export type UsersGetData = {
    body?: never;
    headers?: {
        /**
         * ETags the client holds
         */
        'if-none-match'?: string;
    };
    path: {
        /**
         * User id
         */
        id: string;
    };
    query?: never;
    url: '/v2/users/{id}';
};

export type UsersGetErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersGetError = UsersGetErrors[keyof UsersGetErrors];

export type UsersGetResponses = {
    /**
     * OK
     */
    200: User;
};

export type UsersGetResponse = UsersGetResponses[keyof UsersGetResponses];

export type UsersUpdateData = {
    body: UserPatch;
    headers?: {
        /**
         * Only change the version with this ETag; `*` stands for every version
         */
        'if-match'?: string;
        /**
         * Do not change a version with one of these ETags
         */
        'if-none-match'?: string;
    };
    path: {
        /**
         * User id
         */
        id: string;
    };
    query?: never;
    url: '/v2/users/{id}';
};

export type UsersUpdateErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * No such user, or another user's account
     */
    404: Problem;
    /**
     * Conflicts with the current state of the resource
     */
    409: Problem;
    /**
     * The account is not in the state that If-Match or If-None-Match asks for; nothing was changed
     */
    412: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersUpdateError = UsersUpdateErrors[keyof UsersUpdateErrors];

export type UsersUpdateResponses = {
    /**
     * OK
     */
    200: User;
};

export type UsersUpdateResponse = UsersUpdateResponses[keyof UsersUpdateResponses];

export type UsersListData = {
    body?: never;
    path?: never;
    query?: {
        /**
         * Maximum number of items in the page
         */
        limit?: number;
        /**
         * `nextCursor` of the page before. Belongs to the list and the filter that it was made for
         */
        cursor?: string;
        /**
         * Only accounts with this status
         */
        status?: 'PENDING_VERIFICATION' | 'ACTIVE' | 'SUSPENDED';
        /**
         * The account with this address, in any spelling
         */
        email?: string;
    };
    url: '/v2/users';
};

export type UsersListErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersListError = UsersListErrors[keyof UsersListErrors];

export type UsersListResponses = {
    /**
     * OK
     */
    200: UserPage;
};

export type UsersListResponse = UsersListResponses[keyof UsersListResponses];

export type UsersCreateData = {
    body: Registration;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users';
};

export type UsersCreateErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many codes have been sent to this address
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersCreateError = UsersCreateErrors[keyof UsersCreateErrors];

export type UsersCreateResponses = {
    /**
     * Accepted
     */
    202: ChallengeTicket;
};

export type UsersCreateResponse = UsersCreateResponses[keyof UsersCreateResponses];

export type UsersBatchGetData = {
    body: BatchGet;
    path?: never;
    query?: never;
    url: '/v2/users/batch-get';
};

export type UsersBatchGetErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersBatchGetError = UsersBatchGetErrors[keyof UsersBatchGetErrors];

export type UsersBatchGetResponses = {
    /**
     * OK
     */
    200: BatchOfUsers;
};

export type UsersBatchGetResponse = UsersBatchGetResponses[keyof UsersBatchGetResponses];

export type UsersCreateBatchData = {
    body: BatchRegistration;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/batch';
};

export type UsersCreateBatchErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersCreateBatchError = UsersCreateBatchErrors[keyof UsersCreateBatchErrors];

export type UsersCreateBatchResponses = {
    /**
     * OK
     */
    200: BatchResults;
};

export type UsersCreateBatchResponse = UsersCreateBatchResponses[keyof UsersCreateBatchResponses];

export type UsersInviteData = {
    body: Registration;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/invitations';
};

export type UsersInviteErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * The address has an account. Or: The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersInviteError = UsersInviteErrors[keyof UsersInviteErrors];

export type UsersInviteResponses = {
    /**
     * The mail will be sent
     */
    202: Invited;
};

export type UsersInviteResponse = UsersInviteResponses[keyof UsersInviteResponses];

export type UsersAuditData = {
    body?: never;
    path: {
        /**
         * User id
         */
        id: string;
    };
    query?: {
        /**
         * Maximum number of items in the page
         */
        limit?: number;
        /**
         * `nextCursor` of the page before. Belongs to the list and the filter that it was made for
         */
        cursor?: string;
    };
    url: '/v2/users/{id}/audit';
};

export type UsersAuditErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The role of the account does not allow this operation
     */
    403: Problem;
    /**
     * Not the id of a user
     */
    404: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersAuditError = UsersAuditErrors[keyof UsersAuditErrors];

export type UsersAuditResponses = {
    /**
     * OK
     */
    200: AuditPage;
};

export type UsersAuditResponse = UsersAuditResponses[keyof UsersAuditResponses];

export type AuthCreateChallengeData = {
    body: ChallengeRequest;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/auth/challenges';
};

export type AuthCreateChallengeErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many codes have been sent to this address
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthCreateChallengeError = AuthCreateChallengeErrors[keyof AuthCreateChallengeErrors];

export type AuthCreateChallengeResponses = {
    /**
     * Accepted
     */
    202: ChallengeTicket;
};

export type AuthCreateChallengeResponse = AuthCreateChallengeResponses[keyof AuthCreateChallengeResponses];

export type AuthVerifyData = {
    body: Verification;
    path?: never;
    query?: never;
    url: '/v2/auth/verify';
};

export type AuthVerifyErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * The code is not valid; every reason gets the same answer
     */
    401: Problem;
    /**
     * The code is right, and the account cannot get the address
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthVerifyError = AuthVerifyErrors[keyof AuthVerifyErrors];

export type AuthVerifyResponses = {
    /**
     * Confirmed
     */
    204: void;
};

export type AuthVerifyResponse = AuthVerifyResponses[keyof AuthVerifyResponses];

export type AuthCreateTokensData = {
    body: TokenRequest;
    path?: never;
    query?: never;
    url: '/v2/auth/tokens';
};

export type AuthCreateTokensErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * The code or refresh token is not valid; every reason gets the same answer
     */
    401: Problem;
    /**
     * The code is right, and the account cannot get the address
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthCreateTokensError = AuthCreateTokensErrors[keyof AuthCreateTokensErrors];

export type AuthCreateTokensResponses = {
    /**
     * OK
     */
    200: Tokens;
};

export type AuthCreateTokensResponse = AuthCreateTokensResponses[keyof AuthCreateTokensResponses];

export type AuthRevokeData = {
    body: Revocation;
    path?: never;
    query?: never;
    url: '/v2/auth/revoke';
};

export type AuthRevokeErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthRevokeError = AuthRevokeErrors[keyof AuthRevokeErrors];

export type AuthRevokeResponses = {
    /**
     * Signed out
     */
    204: void;
};

export type AuthRevokeResponse = AuthRevokeResponses[keyof AuthRevokeResponses];

export type SessionsEndAllData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v2/users/me/sessions';
};

export type SessionsEndAllErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type SessionsEndAllError = SessionsEndAllErrors[keyof SessionsEndAllErrors];

export type SessionsEndAllResponses = {
    /**
     * Logged out everywhere
     */
    204: void;
};

export type SessionsEndAllResponse = SessionsEndAllResponses[keyof SessionsEndAllResponses];

export type SessionsListData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v2/users/me/sessions';
};

export type SessionsListErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type SessionsListError = SessionsListErrors[keyof SessionsListErrors];

export type SessionsListResponses = {
    /**
     * OK
     */
    200: Sessions;
};

export type SessionsListResponse = SessionsListResponses[keyof SessionsListResponses];

export type SessionsEndData = {
    body?: never;
    path: {
        /**
         * Session id
         */
        id: string;
    };
    query?: never;
    url: '/v2/users/me/sessions/{id}';
};

export type SessionsEndErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * No such session, or another user's session
     */
    404: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type SessionsEndError = SessionsEndErrors[keyof SessionsEndErrors];

export type SessionsEndResponses = {
    /**
     * Ended
     */
    204: void;
};

export type SessionsEndResponse = SessionsEndResponses[keyof SessionsEndResponses];

export type UsersChangeEmailData = {
    body: EmailChangeRequest;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/me/email';
};

export type UsersChangeEmailErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many codes have been sent to this address
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type UsersChangeEmailError = UsersChangeEmailErrors[keyof UsersChangeEmailErrors];

export type UsersChangeEmailResponses = {
    /**
     * Accepted
     */
    202: ChallengeTicket;
};

export type UsersChangeEmailResponse = UsersChangeEmailResponses[keyof UsersChangeEmailResponses];

export type AuthJwksData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/.well-known/jwks.json';
};

export type AuthJwksErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthJwksError = AuthJwksErrors[keyof AuthJwksErrors];

export type AuthJwksResponses = {
    /**
     * OK
     */
    200: JsonWebKeySet;
};

export type AuthJwksResponse = AuthJwksResponses[keyof AuthJwksResponses];

export type AuthMetadataData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/.well-known/oauth-authorization-server';
};

export type AuthMetadataErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AuthMetadataError = AuthMetadataErrors[keyof AuthMetadataErrors];

export type AuthMetadataResponses = {
    /**
     * OK
     */
    200: ServerMetadata;
};

export type AuthMetadataResponse = AuthMetadataResponses[keyof AuthMetadataResponses];

export type AvatarsGetData = {
    body?: never;
    path: {
        /**
         * User id
         */
        userId: string;
        /**
         * The last part of `avatarUrl`
         */
        avatarId: string;
    };
    query?: never;
    url: '/avatars/{userId}/{avatarId}';
};

export type AvatarsGetErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No such avatar, or an earlier one
     */
    404: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AvatarsGetError = AvatarsGetErrors[keyof AvatarsGetErrors];

export type AvatarsDeleteData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v2/users/me/avatar';
};

export type AvatarsDeleteErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * This service has no bucket for avatars
     */
    404: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AvatarsDeleteError = AvatarsDeleteErrors[keyof AvatarsDeleteErrors];

export type AvatarsDeleteResponses = {
    /**
     * Removed
     */
    204: void;
};

export type AvatarsDeleteResponse = AvatarsDeleteResponses[keyof AvatarsDeleteResponses];

export type AvatarsCreateData = {
    body: AvatarRequest;
    headers?: {
        /**
         * Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.
         */
        'idempotency-key'?: string;
    };
    path?: never;
    query?: never;
    url: '/v2/users/me/avatar';
};

export type AvatarsCreateErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * No valid access token
     */
    401: Problem;
    /**
     * This service has no bucket for avatars
     */
    404: Problem;
    /**
     * The first request with this Idempotency-Key is still running
     */
    409: Problem;
    /**
     * The body is larger than 64 KiB
     */
    413: Problem;
    /**
     * The body has an unsupported content type, is not in UTF-8, or is compressed
     */
    415: Problem;
    /**
     * The Idempotency-Key was used for another request
     */
    422: Problem;
    /**
     * Too many requests from this client
     */
    429: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * A dependency of this service does not answer, or too many requests are running; try again
     */
    503: Problem;
};

export type AvatarsCreateError = AvatarsCreateErrors[keyof AvatarsCreateErrors];

export type AvatarsCreateResponses = {
    /**
     * The form, valid for ten minutes
     */
    201: Upload;
};

export type AvatarsCreateResponse = AvatarsCreateResponses[keyof AvatarsCreateResponses];

export type HealthLiveData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/health/live';
};

export type HealthLiveErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * An error of this service
     */
    500: Problem;
};

export type HealthLiveError = HealthLiveErrors[keyof HealthLiveErrors];

export type HealthLiveResponses = {
    /**
     * OK
     */
    200: Liveness;
};

export type HealthLiveResponse = HealthLiveResponses[keyof HealthLiveResponses];

export type HealthReadyData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/health/ready';
};

export type HealthReadyErrors = {
    /**
     * The request is not valid HTTP, or the answer lists its invalid fields
     */
    400: Problem;
    /**
     * An error of this service
     */
    500: Problem;
    /**
     * Not ready
     */
    503: Readiness;
};

export type HealthReadyError = HealthReadyErrors[keyof HealthReadyErrors];

export type HealthReadyResponses = {
    /**
     * Ready
     */
    200: Readiness;
};

export type HealthReadyResponse = HealthReadyResponses[keyof HealthReadyResponses];
