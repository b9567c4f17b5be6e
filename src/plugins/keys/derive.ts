import { createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'

/** A public signing key as RFC 8037 writes it. */
export interface PublicJwk { kty: 'OKP', crv: 'Ed25519', x: string, kid: string, alg: 'EdDSA', use: 'sig' }

/** What a process that only sends mails needs, derived from the secret of codes or the root secret. */
export interface MailKeys {
  code: KeyObject
  /** for pseudonyms of the addresses to which mails are sent */
  recipient: KeyObject
}

/** Everything derived from one root secret. */
export interface KeySet {
  /** PEM, PKCS #8 */
  privateKey: string
  /** PEM, SPKI */
  publicKey: string
  jwk: PublicJwk
  mail: MailKeys
  pseudonym: KeyObject
  seal: KeyObject
}

// RFC 8410: the PKCS #8 prefix of a raw 32-byte Ed25519 seed.
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

const deriveBytes = (secret: string, label: string) => Buffer.from(hkdfSync('sha256', secret, 'user-service', label, 32))

// An HMAC with a key object takes 2 µs. With bytes, which Node makes one of each time, it takes 14 µs.
const derive = (secret: string, label: string) => createSecretKey(deriveBytes(secret, label))

/** The keys of mails, made from the secret of codes or the root secret. */
export const deriveMailKeys = (secret: string): MailKeys => ({ code: derive(secret, 'challenge-code'), recipient: derive(secret, 'mail-recipient') })

function signingKeyOf (seed: Buffer): Pick<KeySet, 'privateKey' | 'publicKey' | 'jwk'> {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  const x = publicKey.export({ format: 'jwk' }).x!
  // RFC 7638: only the required members, in lexical order.
  const kid = createHash('sha256').update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x })).digest('base64url')
  return {
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' }
  }
}

/** Derives the keys of one root secret by HKDF (RFC 5869), with one label for each purpose. */
export function deriveKeys (rootSecret: string): KeySet {
  const seed = deriveBytes(rootSecret, 'access-token-signing')
  // Made with the first token: it takes 2.3 ms, and a cold start that registers a user sees no token.
  let made: ReturnType<typeof signingKeyOf> | undefined
  const signing = () => (made ??= signingKeyOf(seed))
  return {
    get privateKey () { return signing().privateKey },
    get publicKey () { return signing().publicKey },
    get jwk () { return signing().jwk },
    mail: deriveMailKeys(rootSecret),
    pseudonym: derive(rootSecret, 'pseudonym'),
    seal: derive(rootSecret, 'seal')
  }
}

const DIGITS = 8

/**
 * The code of a challenge: HOTP's truncation (RFC 4226 §5.3) of HMAC-SHA-256 over the challenge id. It is derived when it
 * is mailed and again when it is checked, so no code is ever stored, queued or logged.
 *
 * @returns 8 digits
 */
export function codeFor (codeKey: KeyObject, challengeId: string): string {
  const mac = createHmac('sha256', codeKey).update(challengeId).digest()
  const offset = mac[mac.length - 1]! & 0x0f
  const number = mac.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}

/** Whether a code belongs to the challenge under one of the keys: the secret may have been rotated since it was mailed. */
export function isCodeFor (codeKeys: readonly KeyObject[], challengeId: string, code: string): boolean {
  let equal = false
  const given = Buffer.from(code)
  for (const key of codeKeys) {
    const expected = Buffer.from(codeFor(key, challengeId))
    // No early return, so that the time does not show which key matched.
    equal = (given.length === expected.length && timingSafeEqual(given, expected)) || equal
  }
  return equal
}

/** A keyed hash of 128 bits, base64url. */
export const pseudonymFor = (pseudonymKey: KeyObject, value: string): string => createHmac('sha256', pseudonymKey).update(value).digest('base64url').slice(0, 22)

const signatureOf = (sealKey: KeyObject, text: string): Buffer => createHmac('sha256', sealKey).update(text).digest()

/** A text with its signature, in characters that need no escape in a URL. Signed, not encrypted. */
export const sealWith = (sealKey: KeyObject, text: string): string => `${Buffer.from(text).toString('base64url')}.${signatureOf(sealKey, text).toString('base64url')}`

/** The text that was sealed with one of the keys, or `undefined`. */
export function openWith (sealKeys: readonly KeyObject[], sealed: string): string | undefined {
  const [, encoded = '', signature = ''] = /^([\w-]+)\.([\w-]{43})$/.exec(sealed) ?? []
  const text = Buffer.from(encoded, 'base64url').toString()
  const given = Buffer.from(signature, 'base64url')
  let isSealed = false
  // No early return, so that the time does not show which key matched.
  for (const key of sealKeys) isSealed = (given.length === 32 && timingSafeEqual(given, signatureOf(key, text))) || isSealed
  // The last character of either part has bits that are not used; only the form that sealWith writes is accepted.
  return isSealed && Buffer.from(text).toString('base64url') === encoded && given.toString('base64url') === signature ? text : undefined
}
