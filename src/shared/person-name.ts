import { Type, type Static } from '@sinclair/typebox'

/** Characters of a name, counted as JSON Schema counts them: code points. */
const MIN_NAME = 2
const MAX_NAME = 100

/**
 * A name as the API accepts it. The pattern refuses what no client means to send: control characters, line and paragraph
 * separators, direction overrides. `normalName` has the rest of the rules.
 */
export const PersonName = Type.String({
  minLength: MIN_NAME,
  maxLength: MAX_NAME,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*$',
  description: 'What to call the user',
  examples: ['Ada Lovelace']
})
export type PersonName = Static<typeof PersonName>

/**
 * A name as tables, streams and queues hold it. Wider than `PersonName` for two reasons: TypeBox's own check counts UTF-16
 * units, of which a character has up to two, and names of earlier rules were measured before NFC, which makes up to three
 * characters of one.
 */
export const StoredPersonName = Type.String({ minLength: 1, maxLength: 600 })

// Categories that are never a visible part of a name: controls, formats (direction marks, zero-width spaces, tags),
// private use, unassigned, lone surrogates, line and paragraph separators. Then letters, marks and symbols that are drawn
// as nothing: Hangul fillers and whatever else Unicode calls ignorable, and four characters that it forgets.
const HIDDEN = /[\u{16fe4}\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}]/u

// Hidden characters with a place in writing. ZWNJ and ZWJ between letters (Persian, the scripts of India) and between the
// parts of an emoji; one variation selector after what has variants: an emoji, a Han character, a Mongolian letter.
const JOINER = /(?<=[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}])[\u200c\u200d](?=[\p{L}\p{Mn}\p{Mc}\p{Extended_Pictographic}])/gu
const SELECTOR = /(?<=[\p{Emoji}\p{Unified_Ideograph}\p{Script=Mongolian}])\p{Variation_Selector}(?!\p{Variation_Selector})/gu

/** A mark with no letter of its own to stand on: it would join whatever is written before the name. */
const STRAY_MARK = /(?:^|\p{Z})\p{M}/u

/** More marks on one letter than any orthography uses: they draw over the lines above and below. */
const PILED_MARKS = /\p{Mn}{6}/u

/** Not blank, and not a mark that only changes the look of a letter. Vowel signs, as of Thai or Hindi, count. */
const VISIBLE = /[^\p{Z}\p{Script=Inherited}]/gu

/**
 * The form in which a name is stored: without blanks around it, composed (NFC). Lengths are measured after that, so that
 * what is stored fits what the API documents.
 *
 * @returns `undefined` when the name is too short or too long, has fewer than two visible characters, or holds characters
 * that cannot be seen or change the direction of the text around them
 */
export function normalName (input: string): string | undefined {
  const name = input.trim().normalize('NFC')
  const { length } = [...name]
  if (length < MIN_NAME || length > MAX_NAME) return undefined
  const shown = name.replace(SELECTOR, '').replace(JOINER, '')
  if (HIDDEN.test(shown) || STRAY_MARK.test(shown) || PILED_MARKS.test(shown)) return undefined
  return (shown.match(VISIBLE)?.length ?? 0) >= MIN_NAME ? name : undefined
}
