import { FormatRegistry, Type } from '@sinclair/typebox'

/** The language of mails when the request has no valid language. */
export const DEFAULT_LOCALE = 'en'

/** RFC 5646 §4.4.1: longer tags are possible, but none is in practical use. */
const MAX_TAG = 35

const TAG = { maxLength: MAX_TAG, pattern: '^([A-Za-z]{2,3}|[A-Za-z]{5,8})(-[A-Za-z0-9]{1,8})*$', examples: ['en'] }

/** A language as clients send it. The format stands for the rules of BCP 47 that the pattern does not express. */
export const Locale = Type.String({ ...TAG, format: 'language-tag', 'x-detail': 'is not a language tag', description: 'Language of mails, a BCP 47 tag; from `Accept-Language` when not given' })

/** A language as it is stored and returned, see `canonicalLocale`. */
export const CanonicalLocale = Type.String({ ...TAG, description: 'Language of mails, a BCP 47 tag' })

/** The canonical form of a BCP 47 language tag, or `undefined` when the text is not a valid tag. */
export function canonicalLocale (tag: string): string | undefined {
  if (tag.length > MAX_TAG) return undefined
  try {
    return Intl.getCanonicalLocales(tag)[0]
  } catch {
    return undefined
  }
}

/** Whether the text is a valid tag: the format `language-tag` in schemas. */
export const isLocale = (text: string): boolean => canonicalLocale(text) !== undefined

FormatRegistry.Set('language-tag', isLocale)

/** The language that an `Accept-Language` header prefers (RFC 9110 §12.5.4), or the default. */
export function preferredLocale (header: string | undefined): string {
  const ranges = (header ?? '').slice(0, 256).split(',').map((range) => {
    const [tag = '', ...parameters] = range.split(';').map(part => part.trim())
    const q = parameters.find(parameter => parameter.startsWith('q='))
    return { locale: tag === '*' ? undefined : canonicalLocale(tag), quality: q === undefined ? 1 : Number(q.slice(2)) }
  })
  const known = ranges.filter(({ locale, quality }) => locale !== undefined && quality > 0)
  // The sort is stable: of equal weights, the first language wins.
  return known.sort((a, b) => b.quality - a.quality)[0]?.locale ?? DEFAULT_LOCALE
}
