import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { faultsOf, MAX_SUBJECT, readTemplates, type Texts } from '../../../src/modules/email/templates/files.ts'
import { parseTemplate } from '../../../src/modules/email/templates/template.ts'

const FOLDER = join(import.meta.dirname, '../../../src/modules/email/templates/mail-templates')
const english = JSON.parse(readFileSync(join(FOLDER, 'en.json'), 'utf8')) as Texts
const layout = readFileSync(join(FOLDER, 'layout.txt'), 'utf8')

/** What is said about a directory with these files; `undefined` when nothing is wrong. */
async function mistakeOf (t: Test, files: Record<string, string>): Promise<string | undefined> {
  return await readTemplates(t.testdir(files)).then(() => undefined, (error: Error) => error.message.replace('Configuration: MAIL_TEMPLATES_DIR: ', ''))
}

t.test('a text may be as long as an inbox shows, use the brand and the contact anywhere, and has one line', async t => {
  const faults = (section: string, key: string, text: unknown) => faultsOf({ [section]: { [key]: text } }, english, { isPartial: true })
  for (const [section, key, text] of [
    ['SIGN_IN_CODE', 'subject', 'x'.repeat(MAX_SUBJECT)],
    ['SIGN_IN_CODE', 'lead', 'x'.repeat(1000)],
    ['SIGN_IN_CODE', 'lead', '{{brand}} {{contact}}'],
    ['common', 'hello', '{{name}} {{name}}!'],
    ['common', 'hello', 'Hello\u200f {{name}} 🙈, you']
  ] as const) t.same(faults(section, key, text), [], text)
  for (const [section, key, text, fault] of [
    ['SIGN_IN_CODE', 'subject', 'x'.repeat(61), 'is longer than 60 characters'],
    ['SIGN_IN_CODE', 'lead', 'x'.repeat(1001), 'is longer than 1000 characters'],
    ['SIGN_IN_CODE', 'lead', '', 'is not a text'],
    ['SIGN_IN_CODE', 'lead', ' \u00a0', 'is not a text'],
    ['SIGN_IN_CODE', 'lead', 7, 'is not a text'],
    ['SIGN_IN_CODE', 'lead', null, 'is not a text'],
    ...['\n', '\u0007', '\u0085', '\u2028', '\u2029', '\ud83d'].map(character => ['SIGN_IN_CODE', 'lead', `a${character}b`, 'has a line break or a control character'] as const),
    ['SIGN_IN_CODE', 'lead', '{{link}}', 'has the unknown placeholder {{link}}'],
    ['SIGN_IN_CODE', 'lead', '{{/brand}}', 'is not valid: {{/brand}} closes a section that is not open'],
    ['SIGN_IN_CODE', 'lead', '{{^brand}}x{{/brand}}', 'has a section, which only a layout may have'],
    ['common', 'hello', '{{brand}}', 'lacks the placeholder {{name}}']
  ] as const) t.same(faults(section, key, text), [`${section}.${key} ${fault}`], encodeURIComponent(JSON.stringify(text)).slice(0, 60))
})

t.test('a catalogue is an object of sections with texts', async t => {
  const keys = Object.keys(english['common']!)
  for (const wrong of [[], null, 'x', 7]) {
    t.same(faultsOf({ ...english, common: wrong }, english), ['common is not an object', ...keys.map(key => `missing key common.${key}`)])
    t.same(faultsOf({ common: wrong }, english, { isPartial: true }), ['common is not an object'])
  }
  t.same(faultsOf({ commmon: {} }, english, { isPartial: true }), ['unknown key commmon'])
  t.same(faultsOf({}, english, { isPartial: true }), [])
  t.equal(faultsOf({}, english).length, Object.values(english).flatMap(section => Object.keys(section)).length)
})

t.test('a layout may use every value, and must use those that a reader needs', async t => {
  const all = ['lang', 'dir', 'start', 'subject', 'preheader', 'heading', 'opening', 'details', 'lead', 'code', 'link', 'button', 'validity', 'notYou', 'brand', 'sentBy', 'logo',
    'accent', 'onAccent', 'accentLine', 'accentDark', 'onAccentDark']
  t.equal(await mistakeOf(t, { 'layout.html': '\ufeff' + all.map(name => `{{${name}}}`).join('') }), undefined)
  for (const needed of ['opening', 'details', 'lead', 'code', 'link', 'button', 'validity', 'notYou']) {
    const text = all.filter(name => name !== needed).map(name => `{{${name}}}`).join('')
    t.equal(await mistakeOf(t, { 'layout.txt': text }), `layout.txt: the placeholder {{${needed}}} is missing`)
  }
  t.equal(await mistakeOf(t, { 'layout.txt': layout + '{{contact}}' }), 'layout.txt: unknown placeholder {{contact}}')
})

t.test('a directory holds templates and nothing that looks like one', async t => {
  const good = '{"common":{"hello":"Hoi {{name}}"}}'
  for (const [files, mistake] of [
    [{ 'de.json': good, 'de.json.bak': '{', 'layout.html~': '{{', 'notes.text': '' }, undefined],
    [{ 'gsw.json': JSON.stringify(english) }, undefined],
    [{ 'de.json': 'null' }, 'de.json: is not a JSON object'],
    [{ 'de.json': '[]' }, 'de.json: is not a JSON object'],
    [{ 'de.html': '' }, 'de.html: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'de-AT.txt': '' }, 'de-AT.txt: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'd.json': '{}' }, 'd.json: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'DE.json': '{}' }, 'DE.json: not the name of a template (layout.html, layout.txt, or a language such as en.json, here de.json)'],
    [{ 'layout.json': '{}' }, 'layout.json: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'fr.json': '{', 'de.json': '{', 'ar.json': good, 'es.json': '{' }, 'de.json: not JSON (and 2 more)']
  ] as [Record<string, string>, string | undefined][]) t.equal(await mistakeOf(t, files), mistake, Object.keys(files).join())
})

t.test('what a directory does not say is as it was, and a region is completed by its language', async t => {
  const directory = t.testdir({
    'de.json': '\ufeff{"common":{"hello":"Hallo\ufeff {{name}}"}}',
    'de-CH.json': '{"common":{"helloWithoutName":"Grüezi"}}',
    'de-CH-1996.json': '{"SIGN_IN_CODE":{"subject":"Code"}}'
  })
  const [built, own] = await Promise.all([readTemplates(), readTemplates(directory)])
  t.same([...own.catalogues.keys()].sort(), [...built.catalogues.keys(), 'de-CH', 'de-CH-1996'].sort())
  const common = { ...built.catalogues.get('de')!.common, hello: 'Hallo\ufeff {{name}}' }
  t.same(own.catalogues.get('de'), { ...built.catalogues.get('de')!, common }, 'only a mark at the beginning of a file is none of its text')
  t.same(own.catalogues.get('de-CH'), { ...built.catalogues.get('de')!, common: { ...common, helloWithoutName: 'Grüezi' } })
  t.match(own.catalogues.get('de-CH-1996'), { SIGN_IN_CODE: { ...built.catalogues.get('de')!.SIGN_IN_CODE, subject: 'Code' }, common: { hello: 'Hallo\ufeff {{name}}', helloWithoutName: 'Grüezi' } })
  t.same(own.catalogues.get('fr'), built.catalogues.get('fr'))
  for (const each of [built, own]) {
    t.equal(each.text.fill({ brand: 'Acme' }), parseTemplate(layout).fill({ brand: 'Acme' }))
    t.match(each.html.fill({}), /^<!doctype html>/i)
  }
})

t.test('a tag of a section that is alone in its line takes the line with it', async t => {
  const fill = (text: string, values: Record<string, string | undefined>) => parseTemplate(text).fill(values)
  for (const [text, filled] of [
    ['a\n \t{{#yes}}\t \nb\n\t{{/yes}} \nc', 'a\nb\nc'],
    ['{{#yes}}\n{{yes}}\n{{/yes}}\n', '1\n'],
    ['{{^yes}}\nb\n{{/yes}}\nc', 'c'],
    ['a {{#yes}}\nb{{/yes}}\nc', 'a \nb\nc'],
    ['{{#yes}} b\n{{/yes}} c', ' b\n c'],
    ['  {{yes}}\n', '  1\n'],
    ['{{#no}}a{{#yes}}b{{/yes}}{{/no}}c{{^no}}d{{^no}}e{{/no}}{{/no}}', 'cde'],
    ['{{no}}{{none}}{{toString}}', '']
  ] as const) t.equal(fill(text, { yes: '1', no: undefined }), filled, JSON.stringify(text))
  t.same([...parseTemplate('{{a}}{{#b}}{{c}}{{/b}}\n{{^d}}\n{{/d}}\n').names].sort(), ['a', 'b', 'c', 'd'])
})

t.test('what is no template says where', async t => {
  for (const [text, message] of [
    ['a {{b', '"a {{b" is not a placeholder'],
    ['a }} b', '"a }} b" is not a placeholder'],
    ['{{a}} {{ b }}', '"{{ b }}" is not a placeholder'],
    ['{{a}}}', '"{{a}}}" is not a placeholder'],
    ['{{{a}}', '"{{{a}}" is not a placeholder'],
    ['{{&a}}', '"{{&a}}" is not a placeholder'],
    [`${'x'.repeat(30)}{{ ${'y'.repeat(30)}`, `"${'x'.repeat(20)}{{ ${'y'.repeat(19)}" is not a placeholder`],
    ['{{#a}}', 'the section a is not closed'],
    ['{{#a}}{{#b}}{{/b}}', 'the section a is not closed'],
    ['{{#a}}\n{{/b}}\n', '{{/b}} closes a section that is not open'],
    ['{{/a}}', '{{/a}} closes a section that is not open']
  ] as const) t.throws(() => parseTemplate(text), { message }, text)
})
