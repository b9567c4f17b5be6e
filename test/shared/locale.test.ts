import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { acceptedLocales, canonicalLocale, CanonicalLocale, DEFAULT_LOCALE, directionOf, isLocale, Locale, lookupTags, nearestLocale, preferredLocale } from '../../src/shared/locale.ts'

t.test('the preferred language of a header is the same each time, and after many others', async t => {
  const headers = {
    'en-gb,en;q=0.9': 'en-GB',
    'de;q=0.5, PT-br': 'pt-BR',
    'fr;q=0, *;q=0.3, ja;q=0.1': 'ja',
    'not a tag, es': 'es',
    '*': DEFAULT_LOCALE,
    '': DEFAULT_LOCALE,
    __proto__x: DEFAULT_LOCALE,
    [`${'x'.repeat(300)}, de`]: DEFAULT_LOCALE
  }
  const check = () => {
    for (const [header, locale] of Object.entries(headers)) t.equal(preferredLocale(header), locale, header.slice(0, 40))
    t.equal(preferredLocale(undefined), DEFAULT_LOCALE)
  }
  check()
  check()
  for (let n = 1; n < 1200; n++) t.equal(preferredLocale(`de-x-${n}`), `de-x-${n}`)
  check()
  t.same(acceptedLocales('en-gb,de;q=0.9'), ['en-GB', 'de'])
})

t.test('texts are looked up under a language and what is above it, and else in the default', async t => {
  t.same(lookupTags('pt-br'), ['pt-BR', 'pt'])
  t.same(lookupTags('de-x-bayern'), ['de-x-bayern', 'de'])
  t.same(lookupTags('no tag'), [DEFAULT_LOCALE])
  t.equal(nearestLocale(['ja', 'pt-BR'], new Set(['pt', 'en'])), 'pt')
  t.equal(nearestLocale(['ja'], new Set(['pt'])), 'en')
  t.same(['ar', 'he', 'en', 'ja'].map(directionOf), ['rtl', 'rtl', 'ltr', 'ltr'])
  t.equal(isLocale('en'), true)
  t.equal(isLocale('no tag'), false)
  t.same(acceptedLocales('de;q=0, fr;x=1;q=0.5, *, es;q=0.9'), ['es', 'fr'])
})

t.test('the schema of a typed language has its format, and that of a kept one its characters', async t => {
  t.match(Locale, { format: 'language-tag', maxLength: 35, 'x-detail': 'is not a language tag' })
  const longest = 'de-x-aaaaaaaa-bbbbbbbb-cccccccc-ddd'
  for (const tag of ['en', 'pt-br', 'de-x-bayern', longest]) {
    t.equal(Value.Check(Locale, tag), true, tag)
    t.equal(Value.Check(CanonicalLocale, canonicalLocale(tag)), true, tag)
  }
  for (const tag of ['', 'e', 'no tag', 'en_GB', 'en-a-b-a-c', `${longest}d`]) t.equal(Value.Check(Locale, tag), false, tag)
  for (const tag of ['EN', 'en-', '-en', 'en--gb', 'x en', 'en\n', 'en-abcdefghi', 'e', 'abcdefghi']) t.equal(Value.Check(CanonicalLocale, tag), false, JSON.stringify(tag))
})

t.test('of a header, 256 characters count, and a weight is read wherever it stands', async t => {
  t.equal(preferredLocale(`${' '.repeat(254)}de`), 'de')
  t.equal(preferredLocale(`${' '.repeat(255)}de`), DEFAULT_LOCALE)
  t.same(acceptedLocales('de ; x=1 ; q=0.2 , fr;q=0.3, es;xq=0.1'), ['es', 'fr', 'de'])
})

t.test('of a tag that ends before its single letter says anything, the letter is no language', async t => {
  t.same(lookupTags('zh-hant-tw-u-co-pinyin'), ['zh-Hant-TW-u-co-pinyin', 'zh-Hant-TW-u-co', 'zh-Hant-TW', 'zh-Hant', 'zh'])
})
