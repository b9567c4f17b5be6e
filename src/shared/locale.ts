import { FormatRegistry, Type } from '@sinclair/typebox'

/** The language of mails when the request has no valid language. */
export const DEFAULT_LOCALE = 'en'

/** RFC 5646 §4.4.1: longer tags are possible, but none is in practical use. */
const MAX_TAG = 35

const TAG = { minLength: 2, maxLength: MAX_TAG, examples: ['en'] }

/** A language as clients send it. The format stands for the rules of BCP 47: no pattern can express that no part comes twice. */
export const Locale = Type.String({ ...TAG, format: 'language-tag', 'x-detail': 'is not a language tag', description: 'Language of mails, a BCP 47 tag; from `Accept-Language` when not given' })

/** A language as it is stored and returned, see `canonicalLocale`. */
export const CanonicalLocale = Type.String({ ...TAG, pattern: '^[a-z]{2,8}(-[A-Za-z0-9]{1,8})*$', description: 'Language of mails, a BCP 47 tag' })

/** The canonical forms of tags. Clients send few different ones, and ICU takes 3 µs for each: a tenth of a registration (ADR 136). */
const known = new Map<string, string | undefined>()
const MAX_KNOWN = 500

/** The canonical form of a BCP 47 language tag, or `undefined` when the text is not a valid tag. */
export function canonicalLocale (tag: string): string | undefined {
  if (tag.length > MAX_TAG) return undefined
  const held = known.get(tag)
  if (held !== undefined || known.has(tag)) return held
  let canonical: string | undefined
  try {
    canonical = Intl.getCanonicalLocales(tag)[0]
  } catch {} // not a tag
  if (known.size === MAX_KNOWN) known.clear()
  known.set(tag, canonical)
  return canonical
}

/** Whether the text is a valid tag: the format `language-tag` in schemas. */
export const isLocale = (text: string): boolean => canonicalLocale(text) !== undefined

FormatRegistry.Set('language-tag', isLocale)

/** Characters of a header that count: room for a dozen languages. */
const MAX_HEADER = 256

/** The languages of an `Accept-Language` header (RFC 9110 §12.5.4), preferred ones first. */
export function acceptedLocales (header: string | undefined): string[] {
  const ranges = (header ?? '').slice(0, MAX_HEADER).split(',').map((range) => {
    const [tag = '', ...parameters] = range.split(';').map(part => part.trim())
    const q = parameters.find(parameter => parameter.startsWith('q='))
    return { locale: tag === '*' ? undefined : canonicalLocale(tag), quality: q === undefined ? 1 : Number(q.slice(2)) }
  })
  // The sort is stable: of equal weights, the first language wins.
  return ranges.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality).flatMap(({ locale }) => locale ?? [])
}

/** The language that an `Accept-Language` header prefers, or the default. */
export const preferredLocale = (header: string | undefined): string => acceptedLocales(header)[0] ?? DEFAULT_LOCALE

/** The tags under which the texts of a language are looked up, as RFC 4647 §3.4 defines it: `pt-BR`, then `pt`. */
export function lookupTags (locale: string): string[] {
  const parts = (canonicalLocale(locale) ?? DEFAULT_LOCALE).split('-')
  const tags: string[] = []
  while (parts.length > 0) {
    tags.push(parts.join('-'))
    parts.pop()
    // A single letter announces the part after it.
    if (parts.at(-1)?.length === 1) parts.pop()
  }
  return tags
}

/** The first of the wanted languages for which there are texts, or the default. */
export function nearestLocale (wanted: readonly string[], available: { has (tag: string): boolean }): string {
  return wanted.flatMap(lookupTags).find(tag => available.has(tag)) ?? DEFAULT_LOCALE
}

/** The direction in which a language is written. */
export function directionOf (language: string): 'ltr' | 'rtl' {
  // Node has it; the types of ES2024 do not.
  const { direction } = (new Intl.Locale(language) as Intl.Locale & { getTextInfo (): { direction?: 'ltr' | 'rtl' } }).getTextInfo()
  return direction ?? 'ltr'
}
