import { Type } from '@sinclair/typebox'
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { isObject } from '../../shared/is-object.ts'

export const KEY_HEADER = 'idempotency-key'

/** Marks a repeated answer; the name is Stripe's. */
export const REPLAYED_HEADER = 'idempotent-replayed'

/** A string of RFC 9651 in its quotes, as draft-ietf-httpapi-idempotency-key-header-07 asks for, or what nearly all clients send: the key alone. */
export const IdempotencyKey = Type.String({
  maxLength: 255,
  pattern: '^(?:"(?:[ !#-\\[\\]-~]|\\\\["\\\\])+"|[!#-+\\--:<-\\[\\]-~]+)$',
  description: 'Makes the request safe to repeat: for 24 hours, the same key and body get the first answer again. Use a new random key, such as a UUID, for each new request. The quotes may be left out.',
  examples: ['"8e03978e-40d5-43e8-bc93-6894a57f9324"']
})

const FORM = new RegExp(IdempotencyKey.pattern!)

/** The key in a header, the same with and without quotes; `undefined` when the header is malformed. */
export function parseKey (header: string): string | undefined {
  if (header.length > IdempotencyKey.maxLength! || !FORM.test(header)) return undefined
  return header.startsWith('"') ? header.slice(1, -1).replace(/\\(.)/g, '$1') : header
}

/** What makes two requests the same: method, path, query, and the body whatever the order of its properties. */
export function describeRequest ({ method, url, body }: { method: string, url: string, body: unknown }): string {
  const sorted = (_name: string, value: unknown) => isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) : value
  return `${method} ${url} ${JSON.stringify(body, sorted) ?? ''}`
}

const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/**
 * Encrypts answers under the client's key, which is stored nowhere: what the table keeps of an answer can be read only by a
 * client that repeats the request.
 */
export function createSeal (caller: string, key: string) {
  const secret = createHash('sha256').update(`idempotent answer ${caller} ${key}`).digest()
  return {
    close (text: string): Buffer {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(CIPHER, secret, iv)
      const sealed = Buffer.concat([cipher.update(text), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), sealed])
    },
    /** Throws when it was closed under another key, or was changed since. */
    open (sealed: Uint8Array): string {
      const decipher = createDecipheriv(CIPHER, secret, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
      decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString()
    }
  }
}

export type Seal = ReturnType<typeof createSeal>
