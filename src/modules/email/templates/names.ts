import { normalName } from '../../../shared/person-name.ts'

// A stranger who filled in a form may have chosen the name. So the checks look at what mail clients would make of it.

/** Text that mail clients turn into a link or may read as an address. Compatibility forms (full-width letters and dots) are normalized first. */
const LINK_LIKE = /[/\\@<>:]|[\p{L}\p{N}_-][.\u3002]\p{L}{2}/u

/** The start of an encoded word (RFC 2047), which mail clients decode anywhere in a header. */
const ENCODED_WORD = /=\?/

/** Letters of any script, and the separators between parts of a name. No digits, because they could be a phone number. */
const PLAIN = /^(?:[\p{L}\p{M}\p{Zs}'’.,·-]|\p{Join_Control}){1,60}$/u

/** The name for a greeting to its owner; empty when mail clients would show something other than a name. */
export function greetingName (name: string): string {
  const normal = normalName(name) ?? ''
  const plain = normal.normalize('NFKC')
  return LINK_LIKE.test(plain) || ENCODED_WORD.test(plain) ? '' : normal
}

/** The name as a mail to an unconfirmed address may quote it; empty when it could be anything other than a name. */
export function quotedName (name: string): string {
  const greeting = greetingName(name)
  return PLAIN.test(greeting) ? greeting : ''
}
