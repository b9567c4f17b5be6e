/** What the error reference says about a code beside what the API documents say. */
export interface Advice {
  /** what a client should do */
  do: string
  /** status and meaning, for answers that are sent before an operation is found and so are in no document */
  status?: number
  meaning?: string
}

/** For codes that have no advice of their own, so that a new module need not be known here. */
export const BY_STATUS: Record<number, string> = {
  400: 'Correct the request. The same request fails again.',
  401: 'Sign in again.',
  403: 'Do not retry. The account needs another role.',
  404: 'Do not retry. Treat the resource as gone.',
  409: 'Read the resource again, and decide from its present state.',
  412: 'Read the resource again, and repeat the change with the new `ETag`.',
  429: 'Wait for the seconds in `Retry-After`.',
  503: 'Wait for the seconds in `Retry-After`, and retry if the request is safe to repeat.'
}

/** By code, those of the gateway included. The one place where this is written; `npm run openapi` makes docs/errors.md from it. */
export const ADVICE: Record<string, Advice> = {
  API_KEY_INVALID: { do: 'Send the key that the operator gave you as `x-api-key`. Only APIs deployed with `ApiKeyRequired` ask for one.' },
  AUTH_CODES_EXHAUSTED: { do: 'Let the user type the newest code that has arrived, or wait for the seconds in `Retry-After`. Known and unknown addresses get this answer alike.' },
  AUTH_CODE_INVALID: { do: 'Let the user correct the code; a challenge has five tries in ten minutes. After that, request a new code. Do not repeat the same code by program: each wrong one uses a try.' },
  AUTH_EMAIL_CHANGES_EXHAUSTED: { do: 'Tell the user that the address can be changed again in a few days.' },
  AUTH_EMAIL_TAKEN: { do: 'Let the user choose another address, or sign in with this one.' },
  AUTH_REFRESH_TOKEN_INVALID: { do: 'Forget both tokens and let the user sign in again. Do not retry: the session has ended.' },
  AUTH_SESSION_NOT_FOUND: { do: 'Read the list of sessions again. The session has ended already.' },
  AUTH_TOKEN_INVALID: { do: 'Refresh the tokens once and repeat the request. If the refresh fails with `AUTH_REFRESH_TOKEN_INVALID`, let the user sign in.' },
  AVATARS_NOT_FOUND: { do: 'Read the account again and use its present `avatarUrl`.' },
  BAD_REQUEST: { do: 'Correct the program. The request is not valid HTTP, or its parts contradict each other.', status: 400, meaning: 'The request cannot be understood' },
  BODY_MALFORMED: { do: 'Send JSON in UTF-8, with a `Content-Length` that fits.', meaning: 'The body is not valid JSON, not UTF-8, or not as long as `Content-Length` says' },
  BODY_TOO_LARGE: { do: 'Send less. Split a batch; pictures are uploaded to the URL that `avatars.create` returns.' },
  DEPENDENCY_UNAVAILABLE: { do: 'Wait for the seconds in `Retry-After`, then repeat. Send a `POST` again only with the same `Idempotency-Key`.' },
  FORBIDDEN: { do: 'Do not retry. The operation, or the field that is changed, is for admins.' },
  HEADERS_TOO_LARGE: { do: 'Send fewer cookies and headers. This service reads no cookie.', status: 431, meaning: 'The headers are larger than 16 KiB' },
  HOST_MISSING: { do: 'Send the header `Host`. Every HTTP/1.1 client library does.' },
  IDEMPOTENCY_IN_PROGRESS: { do: 'Wait for the seconds in `Retry-After` and repeat the request with the same key. The answer of the first request follows.' },
  IDEMPOTENCY_KEY_REUSED: { do: 'Correct the program: make a new key for each new request, and repeat a request without any change.' },
  INTERNAL: { do: 'Report it with the `correlationId`. Retry later, and a `POST` only with the same `Idempotency-Key`.' },
  METHOD_NOT_ALLOWED: { do: 'Use a method that the header `Allow` lists.' },
  METHOD_NOT_IMPLEMENTED: { do: 'Correct the program: the service knows no such HTTP method.', status: 501, meaning: 'This method is not supported' },
  NOT_FOUND: { do: 'Correct the path. Look for a missing version (`/v2`) or a base path that is there twice.' },
  OVERLOADED: { do: 'Wait for the seconds in `Retry-After`, then repeat. The request had no effect.' },
  PRECONDITION_FAILED: { do: 'Read the resource again, apply the change to what it is now, and send it with the new `ETag`.' },
  QUOTA_EXCEEDED: { do: 'Wait for the seconds in `Retry-After`, or ask the operator for a larger quota.' },
  RATE_LIMITED: { do: 'Wait for the seconds in `Retry-After`. Read the `RateLimit` headers to slow down earlier.' },
  REQUEST_MALFORMED: { do: 'Correct the program. API Gateway does not accept the request, and says no more about it.' },
  REQUEST_REFUSED: { do: 'Do not retry. If the request is a normal one, report it to the operator with the `correlationId`: a rule of the firewall matches it.' },
  REQUEST_TIMEOUT: { do: 'Send the request again. It did not arrive as a whole.', status: 408, meaning: 'The request did not arrive in time' },
  UNSUPPORTED_MEDIA_TYPE: { do: 'Send `Content-Type: application/json`, and no `Content-Encoding`.', meaning: 'The body has an unsupported content type, is not in UTF-8, or is compressed' },
  UPLOADS_DISABLED: { do: 'Hide avatars. The operator has set no `UPLOADS_BUCKET`.' },
  URL_MALFORMED: { do: 'Encode the parts of the path, with `encodeURIComponent` for example.' },
  USERS_CONFLICT: { do: 'Read the account again and repeat the change.' },
  USERS_EMAIL_TAKEN: { do: 'Use the account that has the address. Only admins get this answer in v2, because everyone else must not learn who has an account. In `users.createBatch` it is the `code` of a row.' },
  USERS_LAST_ADMIN: { do: 'Make another user an admin first.' },
  USERS_NOT_FOUND: { do: 'Do not retry. There is no such account, or it belongs to another user.' },
  VALIDATION_FAILED: { do: 'Mark the field that each `pointer` names, in your own words: `detail` is for developers. The same request fails again. In `users.createBatch` it is also the `code` of a row.', meaning: 'A field is missing, unknown or not valid. `errors` names each field' }
}
