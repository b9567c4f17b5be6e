import { normalName } from '../../../shared/person-name.ts'

// A name may have been chosen by a stranger who filled in a form. What mail programs would make of it is what counts, not
// how it is spelled.

/** What mail programs turn into a link, or may read as an address. Compatibility forms (full-width letters and dots) become plain first. */
const LINK_LIKE = /[/\\@<>:]|[\p{L}\p{N}_-][.\u3002]\p{L}{2}/u

/** The start of an encoded word (RFC 2047), which mail programs decode in a header, wherever it stands. */
const ENCODED_WORD = /=\?/

/** Letters of any script, and what stands between the parts of a name: no digits, which could be a phone number. */
const PLAIN = /^(?:[\p{L}\p{M}\p{Zs}'’.,·-]|\p{Join_Control}){1,60}$/u

/** The name as a mail may greet its owner; empty when mail programs would show something else than a name. */
export function greetingName (name: string): string {
  const normal = normalName(name) ?? ''
  const plain = normal.normalize('NFKC')
  return LINK_LIKE.test(plain) || ENCODED_WORD.test(plain) ? '' : normal
}

/** The name as a mail to an address that is not proved may quote it; empty when it could be anything but a name. */
export function quotedName (name: string): string {
  const greeting = greetingName(name)
  return PLAIN.test(greeting) ? greeting : ''
}
