import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

// A refresh token is 80 bytes in base64url, opaque to clients:
//   user id (16) | session id (16) | secret (32) | proof (16)
// The ids are the key of the session in the table, so no index is needed. Only the secret authenticates. The proof shows
// that the token was issued to this session. It distinguishes an old token of the session from a guess, after any number
// of rotations and without a list. See docs/adr/0020-refresh-tokens.md.
const IDS = 32
const BODY = 64
const LENGTH = 80

export interface RefreshToken {
  /** the text that the client holds */
  text: string
  /** SHA-256 of the text, hex; only this is stored */
  hash: string
  userId: string
  sid: string
  bytes: Buffer
}

/** 256 random bits, base64url. */
export const newSecret = (): string => randomBytes(32).toString('base64url')

const uuidBytes = (uuid: string) => Buffer.from(uuid.replaceAll('-', ''), 'hex')
const uuidOf = (bytes: Buffer) => bytes.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

const hmac = (key: string, data: Buffer) => createHmac('sha256', Buffer.from(key, 'base64url')).update(data).digest()
const proofOf = (body: Buffer, familyKey: string) => hmac(familyKey, body).subarray(0, LENGTH - BODY)

function tokenOf (bytes: Buffer, text = bytes.toString('base64url')): RefreshToken {
  const hash = createHash('sha256').update(text).digest('hex')
  return { text, hash, userId: uuidOf(bytes.subarray(0, 16)), sid: uuidOf(bytes.subarray(16, IDS)), bytes }
}

function seal (ids: Buffer, secret: Buffer, familyKey: string): RefreshToken {
  const body = Buffer.concat([ids, secret])
  return tokenOf(Buffer.concat([body, proofOf(body, familyKey)]))
}

/** The first token of a session. `familyKey` is the session's secret, by which it recognises its tokens. */
export function firstRefreshToken (userId: string, sid: string, familyKey: string): RefreshToken {
  return seal(Buffer.concat([uuidBytes(userId), uuidBytes(sid)]), randomBytes(32), familyKey)
}

/** The successor of a token. It is derived from that token and the salt, so it is always the same, and secret without both. */
export function nextRefreshToken (token: RefreshToken, salt: string, familyKey: string): RefreshToken {
  return seal(token.bytes.subarray(0, IDS), hmac(salt, token.bytes), familyKey)
}

/** Parses a token; `undefined` when it does not have the form of one. */
export function parseRefreshToken (text: string): RefreshToken | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Decoding ignores unknown characters, so the text must equal its own re-encoding.
  return bytes.length === LENGTH && bytes.toString('base64url') === text ? tokenOf(bytes, text) : undefined
}

/** Whether a token was issued to the session with this key, now or earlier. */
export function isOfFamily (token: RefreshToken, familyKey: string): boolean {
  return timingSafeEqual(token.bytes.subarray(BODY), proofOf(token.bytes.subarray(0, BODY), familyKey))
}
