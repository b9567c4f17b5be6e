// Generated from docs/openapi/v2.json by npm run client.

export type ClientOptions = {
    baseUrl: `${string}://${string}` | (string & {});
};

/**
 * User
 */
export type User = {
    id: string;
    /**
     * E-mail address; kept in lower case
     */
    email: string;
    /**
     * Display name of the user
     */
    name: string;
    /**
     * Language of mails, a BCP 47 tag; from `Accept-Language` when not given
     */
    locale: string;
    /**
     * Pending until the address is confirmed with a code
     */
    status: 'PENDING_VERIFICATION' | 'ACTIVE' | 'SUSPENDED';
    role: 'user' | 'admin';
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
     * E-mail address; kept in lower case
     */
    email: string;
    /**
     * Display name of the user
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
     * Stable code of the problem, for programs
     */
    code: string;
    correlationId: string;
    /**
     * The invalid fields
     */
    errors?: Array<{
        pointer: string;
        detail: string;
    }>;
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
 * JsonWebKeySet
 */
export type JsonWebKeySet = {
    keys: Array<{
        kty: 'OKP';
        crv: 'Ed25519';
        x: string;
        kid: string;
        alg: 'EdDSA';
        use: 'sig';
    }>;
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

/**
 * UserPatch
 */
export type UserPatch = {
    /**
     * Display name of the user
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
};

/**
 * ChallengeRequest
 */
export type ChallengeRequest = {
    /**
     * E-mail address; kept in lower case
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
     * The 8 digits from the mail
     */
    code: string;
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
     * The 8 digits from the mail
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

export type UsersDeleteMeData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v2/users/me';
};

export type UsersDeleteMeErrors = {
    /**
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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
    path?: never;
    query?: never;
    url: '/v2/users/me';
};

export type UsersUpdateMeErrors = {
    /**
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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

export type UsersDeleteData = {
    body?: never;
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
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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

export type UsersCreateData = {
    body: Registration;
    path?: never;
    query?: never;
    url: '/v2/users';
};

export type UsersCreateErrors = {
    /**
     * The request is not valid; the answer lists the invalid fields
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
     * Too many codes have been sent to this address
     */
    429: Problem;
    /**
     * A dependency of this service does not answer; try again
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

export type AuthCreateChallengeData = {
    body: ChallengeRequest;
    path?: never;
    query?: never;
    url: '/v2/auth/challenges';
};

export type AuthCreateChallengeErrors = {
    /**
     * The request is not valid; the answer lists the invalid fields
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
     * Too many codes have been sent to this address
     */
    429: Problem;
    /**
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
     */
    400: Problem;
    /**
     * The code is not valid; every reason gets the same answer
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
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
     */
    400: Problem;
    /**
     * The code or refresh token is not valid; every reason gets the same answer
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
     * A dependency of this service does not answer; try again
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
     * The request is not valid; the answer lists the invalid fields
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
     * A dependency of this service does not answer; try again
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

export type AuthJwksData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/.well-known/jwks.json';
};

export type AuthJwksErrors = {
    /**
     * Too many requests from this client
     */
    429: Problem;
};

export type AuthJwksError = AuthJwksErrors[keyof AuthJwksErrors];

export type AuthJwksResponses = {
    /**
     * OK
     */
    200: JsonWebKeySet;
};

export type AuthJwksResponse = AuthJwksResponses[keyof AuthJwksResponses];

export type HealthLiveData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/health/live';
};

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
