// The rules of access tokens, for the app and for the authorizer of other services.

/** RFC 9068 §2.1: a token of another type, such as an id token, is not an access token. */
export const TOKEN_TYPE = 'at+jwt'

/** Maximum length of an Authorization header. Our tokens are under 1 KiB; larger ones are rejected unread. */
export const MAX_AUTHORIZATION = 4096

/** Verified tokens cached per key: at about 2 KiB each, two megabytes. */
const VERIFIED_TOKENS = 1000

/** The options of a verification, every one fixed (RFC 8725). */
export const tokenRules = ({ issuer, audience }: { issuer: string, audience: string }) => ({
  algorithms: ['EdDSA' as const],
  allowedIss: issuer,
  allowedAud: audience,
  checkTyp: TOKEN_TYPE,
  requiredClaims: ['iss', 'aud', 'sub', 'userId', 'email', 'role', 'sid', 'jti', 'iat', 'exp'],
  // An Ed25519 verification costs 110 µs of CPU, a cached one 8 µs. The cache key is the SHA-512 of the whole token, under
  // the key that its kid names now. Entries last until the token expires; failures are not cached.
  cache: VERIFIED_TOKENS
})
