import { Type, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { CanonicalEmail, canonicalEmail, Email } from '../../src/shared/email-address.ts'
import { FORMATS } from '../../src/shared/formats.ts'
import { CanonicalLocale, canonicalLocale, Locale } from '../../src/shared/locale.ts'
import { normalName, PersonName, ShownName } from '../../src/shared/person-name.ts'

const ajv = new Ajv2020({ formats: FORMATS, keywords: ['x-detail'] })

interface Field { typed: TSchema, kept: TSchema, normal: (text: string) => string | undefined, accepted: string[], refused: string[] }

const ALPHABET = [...'abzAZ019.-+@_ \t\u00a0"\\,:;<>()[]%/éßıKﬀ．。日本語のأبجابדуж\u0301\u200b\u200d\u202e\u0000\ud800\ufeff😀-']

/** Texts near an example: with one character replaced, removed or added. The same on each run. */
function near (example: string): string[] {
  const characters = [...example]
  return characters.flatMap((_, i) => ALPHABET.flatMap(c => [
    [...characters.slice(0, i), c, ...characters.slice(i + 1)],
    [...characters.slice(0, i), c, ...characters.slice(i)]
  ])).concat(characters.map((_, i) => characters.filter((_, j) => j !== i))).map(characters => characters.join(''))
}

const FIELDS: Record<string, Field> = {
  email: {
    typed: Email,
    kept: CanonicalEmail,
    normal: canonicalEmail,
    accepted: ['ada@example.com', 'a@b.co', ' Ada.Love+tag@Sub.Example.ORG\t', 'ada@müller.de', 'ada@例え.jp', 'ada@xn--mller-kva.de', "o'hara!#$%&*/=?^_`{|}~-@example.com", `${'a'.repeat(64)}@example.com`],
    refused: ['', 'ada', '@example.com', 'ada@', 'ada@localhost', 'ada@-example.com', 'ada@example.c', 'ada@exa_mple.com', 'ada@example.com.', 'a..b@example.com', '"ada"@example.com', 'ada@[192.0.2.1]', 'ada@example.com,eve@example.com', 'ad\u212a@example.com', `${'a'.repeat(65)}@example.com`, 'ada@xn--.com', 'ada@example．com', '=?utf-8?Q?ada?=@example.com', 'x=?us-ascii?b?YWRh?=@example.com']
  },
  name: {
    typed: PersonName,
    kept: ShownName,
    normal: normalName,
    accepted: ['Ada', ' Ada Lovelace ', '李小龍', 'Zoë', 'نیلوفر', 'Ada 👩‍💻', 'A'.repeat(100)],
    refused: ['', 'A', ' A  ', 'A'.repeat(101), 'Ada\nBcc', 'A\u200bda', '\u3164\u3164', '\u202eAda', 'Ada \ud800', '\u0301\u0301', 'A\tda']
  },
  locale: {
    typed: Locale,
    kept: CanonicalLocale,
    normal: canonicalLocale,
    accepted: ['en', 'DE-de', 'zh-Hant-TW', 'sr-Latn-RS', 'de-1996', 'en-u-ca-gregory', 'en-x-private'],
    refused: ['', 'e', 'english9', 'en_US', 'en-', 'en--US', 'de-1996-1996', 'en-a-b', `en-${'x'.repeat(40)}`, 'en-u-ca-u-ca']
  }
}

for (const [name, { typed, kept, normal, accepted, refused }] of Object.entries(FIELDS)) {
  t.test(`the schema of a ${name} accepts what the service accepts, and nothing else`, async t => {
    const fits = ajv.compile(typed)
    const isKept = ajv.compile(kept)
    const withPatternOnly = ajv.compile({ ...typed, format: undefined })
    for (const text of accepted) t.ok(fits(text) && normal(text) !== undefined, JSON.stringify(text))
    for (const text of refused) t.notOk(fits(text), JSON.stringify(text))
    const counts = { accepted: 0, refused: 0 }
    const wrong: string[] = []
    for (const text of accepted.flatMap(near)) {
      const normalized = normal(text)
      // A schema sees the text before blanks are removed and characters composed, so it may be stricter about its length.
      const isStricter = [...text].length > (typed['maxLength'] as number)
      if (fits(text) !== (normalized !== undefined && !isStricter)) wrong.push(`${JSON.stringify(text)} is ${normalized === undefined ? 'refused' : 'accepted'} by the service`)
      if (fits(text) && !withPatternOnly(text)) wrong.push(`${JSON.stringify(text)} does not fit the pattern`)
      if (normalized !== undefined && !isKept(normalized)) wrong.push(`${JSON.stringify(normalized)} is stored and does not fit`)
      // TypeBox counts UTF-16 units.
      if (text.length <= (typed['maxLength'] as number) && Value.Check(Type.Object({ text: typed }), { text }) !== fits(text)) wrong.push(`${JSON.stringify(text)}: TypeBox differs from Ajv`)
      counts[normalized === undefined ? 'refused' : 'accepted']++
    }
    t.same(wrong.slice(0, 10), [])
    t.ok(counts.accepted > 200 && counts.refused > 200, JSON.stringify(counts))
  })
}
