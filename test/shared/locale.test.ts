import t from 'tap'
import { acceptedLocales, DEFAULT_LOCALE, directionOf, isLocale, lookupTags, nearestLocale, preferredLocale } from '../../src/shared/locale.ts'

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
