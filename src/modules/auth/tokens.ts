import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

// A refresh token is 80 bytes in base64url, opaque to everybody else:
//   user id (16) | session id (16) | secret (32) | proof (16)
// The ids make it one key of the table, without an index. The secret alone is what signs in. The proof says that the
// rest was issued to this session: it tells a token of the family that was used before from a guess, for as many
// rotations as there may be and without a list. See docs/adr/0020-refresh-tokens.md.
const IDS = 32
const BODY = 64
const LENGTH = 80

export interface RefreshToken {
  /** what the client holds */
  text: string
  /** SHA-256 of the text, hex: all of it that is ever stored */
  hash: string
  userId: string
  sid: string
  bytes: Buffer
}

/** 256 random bits, base64url. */
export const newSecret = (): string => randomBytes(32).toString('base64url')

const uuidBytes = (uuid: string) => Buffer.from(uuid.replaceAll('-', ''), 'hex')
const uuidOf = (bytes: Buffer) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

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

/** The first token of a session; `familyKey` is the session's own secret, by which it knows its tokens. */
export function firstRefreshToken (userId: string, sid: string, familyKey: string): RefreshToken {
  return seal(Buffer.concat([uuidBytes(userId), uuidBytes(sid)]), randomBytes(32), familyKey)
}

/** The token after a given one: the same for whoever has that one and the salt, and known to nobody else. */
export function nextRefreshToken (token: RefreshToken, salt: string, familyKey: string): RefreshToken {
  return seal(token.bytes.subarray(0, IDS), hmac(salt, token.bytes), familyKey)
}

/** Reads a token; `undefined` when it is not of our making by its shape alone. */
export function parseRefreshToken (text: string): RefreshToken | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Decoding skips what it does not know: only the one spelling that we write counts.
  return bytes.length === LENGTH && bytes.toString('base64url') === text ? tokenOf(bytes, text) : undefined
}

/** Whether a token was issued to the session that has this key, now or before. */
export function isOfFamily (token: RefreshToken, familyKey: string): boolean {
  return timingSafeEqual(token.bytes.subarray(BODY), proofOf(token.bytes.subarray(0, BODY), familyKey))
}
