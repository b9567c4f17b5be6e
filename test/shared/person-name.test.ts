import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { normalName, PersonName, ShownName, StoredPersonName } from '../../src/shared/person-name.ts'

t.test('names of many languages are kept as they are', async (t) => {
  for (const name of ['Ada Lovelace', "O'Brien", 'J. R. R. Tolkien', 'Martin Luther King, Jr.', 'X Æ A-12', 'Zoë', 'Nguyễn Văn A', '山田太郎', '葛\u{e0100}城', 'נועה', 'محمد', 'Müller-Lüdenscheidt', '김연아',
    'นิดา', 'मीरा', 'ශ්‍රීමතී', 'പ്രിയ', 'ᠮᠣᠩᠭᠣᠯ', 'Jo', 'ab']) {
    t.equal(normalName(name), name.normalize('NFC'), name)
  }
})

t.test('a name in ASCII follows the rules of every other', async (t) => {
  for (let code = 0; code < 128; code++) {
    const c = String.fromCharCode(code)
    for (const [plain, other] of [[`a${c}b`, `é${c}b`], [`${c}ab`, `${c}éb`], [`ab${c}`, `éb${c}`], [`a${c}`, `é${c}`]] as const) t.equal(normalName(plain) === undefined, normalName(other) === undefined, JSON.stringify(plain))
  }
  for (const name of ['a', ' a ', '    ', '  ', '', 'x'.repeat(101)]) t.equal(normalName(name), undefined, JSON.stringify(name))
  for (const name of ['ab', 'a b', '--', 'x'.repeat(100)]) t.equal(normalName(` ${name} `), name)
})

t.test('joiners are kept where writing needs them: between letters, in emoji', async (t) => {
  for (const name of ['\u{1f469}\u200d\u{1f4bb} Ada', '👩‍👩‍👧 Zoë', '👨🏽‍🦰 Bo', '🏳️‍🌈 Bo', '❤️‍🔥 Bo', '1\ufe0f\u20e3 Bo', '🇬🇧 Bo', 'می\u200cخواهم', 'শ্রী র\u200d্য', 'क्\u200dष त्र']) t.equal(normalName(name), name.normalize('NFC'), name)
})

t.test('what cannot be seen, or changes the direction of the text around it, is refused', async (t) => {
  const hidden = {
    'zero-width space': '\u200b',
    'word joiner': '\u2060',
    'soft hyphen': '\u00ad',
    'byte order mark': '\ufeff',
    'left-to-right mark': '\u200e',
    'right-to-left mark': '\u200f',
    'Arabic letter mark': '\u061c',
    'right-to-left override': '\u202e',
    isolate: '\u2066',
    'invisible times': '\u2062',
    'interlinear annotation': '\ufff9',
    'Mongolian vowel separator': '\u180e',
    tag: '\u{e0041}',
    'musical beam': '\u{1d173}',
    'private use': '\ue000',
    'plane 16 private use': '\u{100000}',
    unassigned: '\u0378',
    noncharacter: '\uffff',
    'half of a pair': '\ud83d',
    'other half of a pair': '\ude48',
    null: '\0',
    'line feed': '\n',
    delete: '\x7f',
    'C1 control': '\x85',
    'line separator': '\u2028',
    'paragraph separator': '\u2029',
    'Hangul filler': '\u3164',
    'Hangul choseong filler': '\u115f',
    'Hangul jungseong filler': '\u1160',
    'half-width Hangul filler': '\uffa0',
    'Khmer inherent vowel': '\u17b4',
    'combining grapheme joiner': '\u034f',
    'Braille blank': '\u2800',
    'Khitan filler': '\u{16fe4}',
    'null notehead': '\u{1d159}',
    'object replacement': '\ufffc'
  }
  for (const [what, c] of Object.entries(hidden)) t.equal(normalName(`Ada${c}Lovelace`), undefined, what)
})

t.test('joiners and selectors with nothing to join or select are refused', async (t) => {
  for (const name of ['\u200d\u200dAda', 'Ada\u200d', 'Ada \u200d Lovelace', 'Ada\u200d Lovelace', 'Ada\u200d!', 'Ad\u200c\u200ca', 'Ada\ufe0f', 'A\u{e0100}da', '山\u{e0100}\u{e0101}田', '👩\ufe0f\ufe0f Ada', '-\u200da Ada', 'Ada\u180b']) t.equal(normalName(name), undefined, JSON.stringify(name))
})

t.test('a name needs two characters that can be seen', async (t) => {
  for (const name of ['', ' ', 'A', ' A ', '\u200b\u200b', '\u2060\u2060\u2060', '\u3164\u3164', '\u2800\u2800', '\u00a0\u00a0\u00a0', '\u3000\u3000', 'A\u0301\u0302', '\u0301\u0302', 'e\u0301', 'ab\u0301'.slice(1),
    '\u0301Ada', 'Ada \u0301', '\ufe0f\ufe0f', '\u20dd\u20dd', '\u200c\u200d', '❤\ufe0f', 'a\u200d\u0316']) t.equal(normalName(name), undefined, JSON.stringify(name))
})

t.test('marks piled onto a letter are refused: they draw over the lines around it', async (t) => {
  t.equal(normalName(`Ad${'\u0301\u0316'.repeat(8)}a`), undefined)
  t.equal(normalName('Ad\u0323\u0316\u0301\u0302a'), 'Ad\u0323\u0316\u0301\u0302a'.normalize('NFC'))
})

t.test('blanks around a name are not part of it, and its characters are composed', async (t) => {
  t.equal(normalName(' \u3000Ada Lovelace\u00a0'), 'Ada Lovelace')
  t.equal(normalName('Zoe\u0308'), 'Zo\u00eb')
})

t.test('what is measured is what is stored', async (t) => {
  t.equal(normalName('a'.repeat(100)), 'a'.repeat(100))
  t.equal(normalName('a'.repeat(101)), undefined)
  t.equal(normalName(`${'e\u0301'.repeat(100)}`), 'é'.repeat(100), 'shorter when composed')
  t.equal(normalName('\u0958'.repeat(60)), undefined, 'longer when composed: 60 characters become 120')
  t.equal(normalName('🙈'.repeat(100)), '🙈'.repeat(100), 'characters, not UTF-16 units')
  t.equal(normalName('🙈'.repeat(101)), undefined)
})

t.test('an encoded word is a name like any other: it is for those who show it to show it as it is', async (t) => {
  t.equal(normalName('=?utf-8?Q?Ada?='), '=?utf-8?Q?Ada?=')
})

t.test('every name that can be stored is read back, those of earlier rules too', async (t) => {
  for (const name of ['Jo', '🙈'.repeat(100), '\u0915\u093c'.repeat(100), '\u200b\u200b']) t.ok(Value.Check(StoredPersonName, name), JSON.stringify(name).slice(0, 40))
  for (const name of ['', 'x'.repeat(601), 7]) t.notOk(Value.Check(StoredPersonName, name))
  t.ok(Value.Check(PersonName, 'Ada Lovelace'))
  t.notOk(Value.Check(PersonName, 'Ada\nLovelace'))
})

t.test('the schemas of a name: its format as it is typed, and no control or direction sign as it is shown', async (t) => {
  t.match(PersonName, { format: 'person-name', minLength: 2, maxLength: 100, 'x-detail': 'must have at least 2 visible characters, and no invisible ones' })
  t.match(ShownName, { minLength: 2, maxLength: 100 })
  for (const name of ['Ada Lovelace', '山田太郎', 'می\u200cخواهم']) t.ok(Value.Check(ShownName, name), name)
  for (const name of ['a', 'Ada\nLovelace', '\u0000Ada', 'Ada\u001f', 'Ada\u007f', 'Ada\u009f', 'Ada\u2028', 'Ada\u2029', '\u202aAda', 'Ada\u202e', '\u2066Ada', 'Ada\u2069']) t.notOk(Value.Check(ShownName, name), encodeURIComponent(name))
})
