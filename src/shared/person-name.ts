import { FormatRegistry, Type, type Static } from '@sinclair/typebox'

/** Maximum length of a name in code points, as JSON Schema counts. */
const MIN_NAME = 2
const MAX_NAME = 100

const NAME = { minLength: MIN_NAME, maxLength: MAX_NAME, examples: ['Ada Lovelace'] }

/** No control character, line or paragraph separator, or direction override. */
const SHOWN = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*$'

/** A name as clients send it. The format stands for the rules of `normalName`, which depend on properties of characters. */
export const PersonName = Type.String({
  ...NAME,
  format: 'person-name',
  'x-detail': 'must have at least 2 visible characters, and no invisible ones',
  description: 'Display name of the user. At least two characters are visible, and none is invisible; blanks around it are removed'
})
export type PersonName = Static<typeof PersonName>

/** A name as responses and events show it. */
export const ShownName = Type.String({ ...NAME, pattern: SHOWN, description: 'Display name of the user' })

/**
 * A name as tables, streams and queues hold it. It allows longer names than `PersonName` for two reasons. TypeBox's own
 * check counts UTF-16 units, up to two per character. And earlier versions measured names before NFC, which can turn one
 * character into three.
 */
export const StoredPersonName = Type.String({ minLength: 1, maxLength: 600 })

// Characters that are never a visible part of a name: controls, formats (direction marks, zero-width spaces, tags),
// private use, unassigned, lone surrogates, line and paragraph separators. Also letters, marks and symbols that are drawn
// as nothing: those that Unicode calls ignorable (such as Hangul fillers), and four more that it does not list.
export const HIDDEN = /[\u{16fe4}\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}]/u

// Invisible characters that some scripts need: ZWNJ and ZWJ between letters (Persian, the scripts of India) and between
// the parts of an emoji, and one variation selector after an emoji, a Han character or a Mongolian letter.
const JOINER = /(?<=[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}])[\u200c\u200d](?=[\p{L}\p{Mn}\p{Mc}\p{Extended_Pictographic}])/gu
const SELECTOR = /(?<=[\p{Emoji}\p{Unified_Ideograph}\p{Script=Mongolian}])\p{Variation_Selector}(?!\p{Variation_Selector})/gu

/** A combining mark without a base letter: it would attach to the text before the name. */
const STRAY_MARK = /(?:^|\p{Z})\p{M}/u

/** More combining marks on one letter than any orthography uses: they would draw over neighbouring lines. */
const PILED_MARKS = /\p{Mn}{6}/u

/** A visible character: not blank, and not a mark that only modifies a letter. Vowel signs of Thai or Hindi count. */
const VISIBLE = /[^\p{Z}\p{Script=Inherited}]/gu

/** A name in ASCII, of which everything but blanks is visible. It needs none of the rules above, whose patterns take a cold start 1.7 ms. */
const PLAIN = /^[ -~]+$/

/**
 * The form in which a name is stored: without surrounding blanks, composed (NFC). Lengths are measured in this form, so
 * that stored names match the API documents.
 *
 * @returns `undefined` when the name is too short or too long, has fewer than two visible characters, or contains
 * characters that are invisible or change the direction of the surrounding text
 */
export function normalName (input: string): string | undefined {
  const name = input.trim().normalize('NFC')
  const { length } = [...name]
  if (length < MIN_NAME || length > MAX_NAME) return undefined
  if (PLAIN.test(name)) return name
  const shown = name.replace(SELECTOR, '').replace(JOINER, '')
  if (HIDDEN.test(shown) || STRAY_MARK.test(shown) || PILED_MARKS.test(shown)) return undefined
  return (shown.match(VISIBLE)?.length ?? 0) >= MIN_NAME ? name : undefined
}

/** Whether the service accepts this name: the format `person-name` in schemas. */
export const isPersonName = (text: string): boolean => normalName(text) !== undefined

FormatRegistry.Set('person-name', isPersonName)
