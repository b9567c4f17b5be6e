import { Type } from '@sinclair/typebox'
import { domainToASCII } from 'node:url'

/** RFC 5321 §4.5.3.1: 64 octets before the @; 254 is what remains of a 256-octet path without its angle brackets. */
const MAX_LOCAL_PART = 64
export const MAX_EMAIL = 254

export const Email = Type.String({ minLength: 3, maxLength: MAX_EMAIL, description: 'E-mail address; kept in lower case', examples: ['ada@example.com'] })

// RFC 5321 dot-string. Quoted local parts are legal but rejected: no real mailbox uses them, and they could smuggle a
// comma, a line break or a second recipient into a mail header.
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const DOMAIN = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,59})$/

/**
 * The canonical spelling of an address, by which the service identifies its owner. The local part must be ASCII and is
 * lower-cased only after that check (U+212A lower-cases to `k`). The domain is in its ASCII form. Plus tags and dots are
 * kept, because only the mail provider knows their meaning. Surrounding blanks, which keyboards add, are removed.
 *
 * @returns the canonical address, or `undefined` when the input is not an address this service accepts
 */
export function canonicalEmail (text: string): string | undefined {
  const input = text.trim()
  const at = input.lastIndexOf('@')
  if (at < 1 || input.length > MAX_EMAIL) return undefined
  const local = input.slice(0, at)
  if (local.length > MAX_LOCAL_PART || !LOCAL_PART.test(local)) return undefined
  const typedDomain = input.slice(at + 1)
  // domainToASCII silently drops or maps some characters (tabs, %-escapes, full-width dots), so only letters, digits,
  // dashes and dots of any script may reach it.
  if (!/^[\p{L}\p{M}\p{N}.-]+$/u.test(typedDomain)) return undefined
  const domain = domainToASCII(typedDomain)
  const email = `${local.toLowerCase()}@${domain}`
  return DOMAIN.test(domain) && email.length <= MAX_EMAIL ? email : undefined
}
