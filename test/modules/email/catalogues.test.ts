import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EmailType } from '../../../src/modules/email/contract.ts'
import { isolate } from '../../../src/modules/email/templates/bidi.ts'
import { faultsOf, MAX_SUBJECT, readTemplates, type Texts } from '../../../src/modules/email/templates/files.ts'
import { createRenderer, type MailContent } from '../../../src/modules/email/templates/index.ts'
import { parseTemplate } from '../../../src/modules/email/templates/template.ts'
import { contrast, textOn, visibleOn } from '../../../src/shared/colour.ts'
import { directionOf, lookupTags } from '../../../src/shared/locale.ts'

const FOLDER = join(import.meta.dirname, '../../../src/modules/email/templates/mail-templates')
const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'ja', 'pt']
const catalogues = Object.fromEntries(readdirSync(FOLDER).filter(name => name.endsWith('.json')).map(name => [name.replace('.json', ''), JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Texts]))
const english = catalogues['en']!
const entries = (texts: Texts) => Object.entries(texts).flatMap(([section, keys]) => Object.entries(keys).map(([key, text]) => [`${section}.${key}`, text] as const))

// Values that are the same in a language and in English, each with its reason.
const SAME: Record<string, string> = {}

/** What is wrong with a language that this project ships, where more is asked of a catalogue than of a user's own. */
function stricterFaults (language: string, texts: Texts): string[] {
  const model = Object.fromEntries(entries(english))
  return entries(texts).flatMap(([key, text]) => {
    const faults: string[] = []
    const [names, expected] = [text, model[key] ?? ''].map(each => [...parseTemplate(each).names].sort().join())
    if (names !== expected) faults.push(`${key} has the values ${names}, and English ${expected}`)
    if (text === model[key] && language !== 'en' && SAME[`${language}.${key}`] === undefined) faults.push(`${key} is not translated`)
    if (/["']/.test(text)) faults.push(`${key} has a typewriter's quotation mark`)
    if (/ {2}|^\s|\s$/.test(text)) faults.push(`${key} has a blank too many`)
    const plain = text.replace(/\{\{\w+\}\}/g, '')
    if (language === 'fr' && /[^\u00a0\u202f][:;!?»]|«[^\u00a0\u202f]/.test(plain)) faults.push(`${key} lacks a no-break space`)
    if (language === 'ja' && /[,.!?:]/.test(plain)) faults.push(`${key} has Latin punctuation`)
    if (language === 'ar' && /[,;?]/.test(plain)) faults.push(`${key} has Latin punctuation`)
    if (language === 'ja' && !/[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u.test(text)) faults.push(`${key} is not Japanese`)
    if (language === 'ar' && (!/\p{Script=Arabic}/u.test(text) || /[A-Za-z]/.test(plain))) faults.push(`${key} is not Arabic`)
    return faults
  })
}

t.test('every language has the keys and values of English, all of them translated', async t => {
  t.same(Object.keys(catalogues).sort(), LANGUAGES)
  for (const [language, texts] of Object.entries(catalogues)) {
    t.same(faultsOf(texts, english), [], language)
    t.same(stricterFaults(language, texts), [], language)
  }
  t.ok(entries(english).length > 50, `${entries(english).length} texts each`)
})

t.test('a key that is missing, made up, empty, too long, not translated or without its value is found', async t => {
  const change = (section: string, key: string, text: unknown) => faultsOf({ ...catalogues['de'], [section]: { ...catalogues['de']![section], [key]: text } }, english)
  const { lead: _lead, ...rest } = catalogues['de']!['SIGN_IN_CODE']!
  t.same(faultsOf({ ...catalogues['de'], SIGN_IN_CODE: rest }, english), ['missing key SIGN_IN_CODE.lead'])
  t.same(faultsOf({ ...catalogues['de'], SIGN_IN_CODE: undefined }, english).includes('missing key SIGN_IN_CODE.lead'), true)
  t.same(change('SIGN_IN_CODE', 'subjct', 'x'), ['unknown key SIGN_IN_CODE.subjct'])
  t.same(change('SIGN_IN_CODE', 'subject', ' '), ['SIGN_IN_CODE.subject is not a text'])
  t.same(change('SIGN_IN_CODE', 'subject', 'x'.repeat(MAX_SUBJECT + 1)), [`SIGN_IN_CODE.subject is longer than ${MAX_SUBJECT} characters`])
  t.same(change('SIGN_IN_CODE', 'subject', 'a\r\nBcc: eve@evil.example'), ['SIGN_IN_CODE.subject has a line break or a control character'])
  t.same(change('common', 'hello', 'Hallo {{nmae}},'), ['common.hello has the unknown placeholder {{nmae}}'])
  t.same(change('common', 'hello', 'Hallo,'), ['common.hello lacks the placeholder {{name}}'])
  t.same(change('common', 'hello', 'Hallo {{name},'), ['common.hello is not valid: "Hallo {{name}," is not a placeholder'])
  t.same(change('common', 'hello', '{{#name}}Hallo{{/name}}'), ['common.hello has a section, which only a layout may have'])
  t.same(change('SIGN_IN_CODE', 'subject', '{{brand}}: Anmeldecode'), [], 'the brand may stand anywhere')
  for (const nothing of [null, [], 'x', 1]) t.same(faultsOf(nothing, english), ['is not a JSON object'])
  t.same(faultsOf({ ...english, __proto__: {}, constructor: {} }, english), ['unknown key constructor'])
  t.same(stricterFaults('fr', { common: { sentBy: 'Sent by {{brand}}' } }), ['common.sentBy is not translated'])
  t.same(stricterFaults('de', { common: { sentBy: '"{{brand}}" {{contact}}' } }), ['common.sentBy has the values brand,contact, and English brand', "common.sentBy has a typewriter's quotation mark"])
})

const challenge = { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' }
const content: Omit<MailContent, 'type'> = { name: 'Ada Lovelace', challenge, expiresAt: '2026-12-03T14:05:00.000Z' }
const brand = { brand: 'Acme', contact: 'hello@acme.example', verifyUrl: 'https://acme.example/verify' }
const render = await createRenderer(brand)
const TYPES: readonly EmailType[] = ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE', 'EMAIL_CHANGED_NOTICE']
const unescaped = (html: string) => html.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'")
const withoutStyle = (body: string) => body.replace(/<style>.*<\/style>/s, '')

/** Every mail of a language: each type with and without names, as an invitation, and with a code that has expired. */
function * mailsIn (locale: string): Generator<MailContent & { code: boolean }> {
  for (const type of TYPES) {
    for (const name of ['Ada Lovelace', 'evil.example']) {
      yield { ...content, type, name, locale, code: type !== 'EMAIL_CHANGED_NOTICE' }
      yield { ...content, type, name, locale, isExpired: true, code: false }
      if (type === 'WELCOME_EMAIL') yield { ...content, type, name, locale, invitedBy: 'Grace Hopper', code: true }
      if (type === 'EMAIL_CHANGED_NOTICE') yield { ...content, type, name, locale, challenge: undefined, code: false }
    }
  }
}

for (const locale of LANGUAGES) {
  t.test(`every mail in ${locale} is complete: language, direction, code, link, and the same texts in both bodies`, async t => {
    let mails = 0
    for (const { code, ...mail } of mailsIn(locale)) {
      const { subject, text, html } = render(mail)
      const [dir, align] = locale === 'ar' ? ['rtl', 'right'] : ['ltr', 'left']
      mails++
      t.match(html, `<html lang="${locale}" dir="${dir}">`)
      t.match(html, `<table role="presentation" lang="${locale}" dir="${dir}"`, 'where mail programs drop the element html')
      t.match(html, `align="${align}"`)
      t.notMatch(html, `align="${align === 'left' ? 'right' : 'left'}"`)
      for (const body of [subject, text, html]) t.notMatch(body, /\{\{|\}\}|undefined|\[object|Invalid Date/)
      t.ok(subject.length <= 78 && !/\d{8}/.test(subject), subject)
      t.equal(/^ {4}04815162$/m.test(text), code)
      t.equal(/dir="ltr"[^>]*>04815162</.test(html), code)
      const link = /^https:\S+$/m.exec(text)?.[0]
      t.equal(/href="([^"]+)"/.exec(unescaped(html))?.[1], link, 'one link in both')
      t.equal(text.match(/https?:/g)?.length ?? 0, link === undefined ? 0 : 1)
      if (code) t.equal(link, `https://acme.example/verify#challengeId=${challenge.challengeId}&code=04815162${mail.type === 'EMAIL_CHANGE_CODE' ? '&action=change' : ''}`)
      // Whatever is said in the text is said in the HTML too; only the way to the link has another name.
      const paragraphs = text.split('\n\n').map(paragraph => paragraph.trim().replace(/\nhttps.*/, '')).filter(paragraph => !paragraph.startsWith('--'))
      const shown = unescaped(withoutStyle(html))
      const others = paragraphs.filter(paragraph => !shown.includes(`>${paragraph}<`))
      t.ok(others.length <= 1, `differ: ${others.join(' | ')}`)
      t.notMatch(text, /.\n(?!https|Acme)[^\n]/, 'no line is broken in the middle')
    }
    t.equal(mails, 24)
  })
}

t.test('the language is the nearest that there is, and English otherwise', async t => {
  for (const [locale, language] of [['de-AT', 'de'], ['pt-BR', 'pt'], ['pt-PT', 'pt'], ['ar-EG', 'ar'], ['AR', 'ar'], ['ja-JP-u-ca-japanese', 'ja'], ['es-419', 'es'], ['zh', 'en'], ['zh-Hant-TW', 'en'], ['en-GB', 'en'], ['i-klingon', 'en'], ['deu', 'de'], ['de-', 'en'], ['x'.repeat(40), 'en'], [undefined, 'en']] as const) {
    t.match(render({ ...content, type: 'SIGN_IN_CODE', locale }).html, `<html lang="${language}"`, locale ?? 'no language')
  }
  t.same(lookupTags('zh-hant-tw'), ['zh-Hant-TW', 'zh-Hant', 'zh'])
  t.same(lookupTags('de-a-foo-x-bar'), ['de-a-foo-x-bar', 'de-a-foo', 'de'])
})

t.test('a date is written as in the reader’s language and region, in our calendar', async t => {
  const until = (locale: string) => render({ ...content, type: 'EMAIL_CHANGED_NOTICE', locale }).text.split('\n').find(line => line.includes('UTC'))?.replaceAll(/[\u202f\u00a0]/g, ' ')
  t.equal(until('en-GB'), 'The link works until 3 December 2026 at 14:05 UTC.')
  t.equal(until('de-AT'), 'Der Link ist bis zum 3. Dezember 2026 um 14:05 UTC gültig.')
  t.equal(until('fr'), 'Le lien fonctionne jusqu’au 3 décembre 2026 à 14:05 UTC.')
  t.match(until('ar-SA'), '٢٠٢٦', 'not the year of another calendar')
  t.match(until('ja-JP-u-ca-japanese'), '2026年12月3日')
})

t.test('in an Arabic mail, names and addresses in Latin letters keep their order, and the other way round', async t => {
  t.equal(directionOf('ar'), 'rtl')
  t.equal(directionOf('en'), 'ltr')
  for (const [value, direction, expected] of [
    ['Acme, Inc.', 'rtl', '\u2068Acme, Inc.\u2069'], ['Acme, Inc.', 'ltr', 'Acme, Inc.'], ['ليلى حداد', 'rtl', 'ليلى حداد'], ['ليلى حداد', 'ltr', '\u2068ليلى حداد\u2069'],
    ['دار 24', 'rtl', '\u2068دار 24\u2069'], ['נועה', 'ltr', '\u2068נועה\u2069'], ['山田', 'ltr', '山田'], ['', 'rtl', '']
  ] as const) t.equal(isolate(value, direction), expected)

  const arabic = render({ ...content, type: 'SIGN_IN_CODE', locale: 'ar' })
  t.match(arabic.text, /^مرحبًا \u2068Ada Lovelace\u2069،\n/)
  t.equal(arabic.toName, 'Ada Lovelace', 'a header holds the name alone')
  t.ok(arabic.html.includes('>مرحبًا \u2068Ada Lovelace\u2069،<'))
  const english = render({ ...content, type: 'SIGN_IN_CODE', name: 'ليلى حداد', locale: 'en' })
  t.match(english.text, /^Hello \u2068ليلى حداد\u2069,\n/)
  for (const locale of LANGUAGES) {
    for (const { code: _code, ...mail } of mailsIn(locale)) {
      const { subject, text, html } = render({ ...mail, name: mail.name === 'Ada Lovelace' ? 'ליאת' : mail.name })
      for (const body of [subject, text, html]) t.equal(body.match(/\u2068/g)?.length, body.match(/\u2069/g)?.length, 'what is opened is closed')
      t.notMatch(text.match(/^(?:https.*| {4}\d+)$/gm)?.join('') ?? '', /[^\x20-\x7e]/, 'code and link can be copied')
    }
  }
})

t.test('the text of a button can be read on every brand color, in both schemes', async t => {
  for (const colour of ['#1f4fd8', '#000000', '#ffffff', '#ffd400', '#ff0000', '#808080', '#182032', '#0a7d33', '#e8590c', '#777777', '#AbCdEf']) {
    const { html } = (await createRenderer({ ...brand, colour }))({ ...content, type: 'SIGN_IN_CODE' })
    t.match(html, `bgcolor="${colour}"`, 'the brand’s own')
    const on = /class="label"[^>]*;color:(#\w{6})/.exec(html)![1]!
    const [, dark, onDark] = /\.button \{ background-color: (#\w{6}).*\n.*\.label \{ color: (#\w{6})/.exec(html)! as unknown as [string, string, string]
    t.ok(contrast(on, colour) >= 4.5, `${on} on ${colour}: ${contrast(on, colour).toFixed(1)}`)
    t.ok(contrast(onDark, dark) >= 4.5, `${onDark} on ${dark}: ${contrast(onDark, dark).toFixed(1)}`)
    t.ok(contrast(dark, '#182032') >= 3, `${dark} can be seen on the dark card`)
    t.ok(contrast(/border:1px solid (#\w{6});border-radius:10px">\s*<a/.exec(html)![1]!, '#ffffff') >= 3, 'and its edge on the light one')
  }
  t.equal(contrast('#ffffff', '#000000'), 21)
  t.equal(textOn('#1f4fd8'), '#ffffff')
  t.equal(visibleOn('#1f4fd8', '#ffffff', 3), '#1f4fd8')
  t.equal(visibleOn('#ffffff', '#ffffff', 21), '#000000')
})

t.test('a logo stands for the brand, whose name is its text', async t => {
  const { html, text } = (await createRenderer({ ...brand, brand: 'A & "B"', logoUrl: 'https://cdn.example/a.png?x=1&y=2' }))({ ...content, type: 'SIGN_IN_CODE' })
  t.match(html, '<img src="https://cdn.example/a.png?x=1&amp;y=2" alt="A &amp; &quot;B&quot;"')
  t.match(html, 'Sent by A &amp; &quot;B&quot;<')
  t.notMatch(text, 'cdn.example')
  t.notMatch(render({ ...content, type: 'SIGN_IN_CODE' }).html, '<img')
})

t.test('nothing in a name, brand or contact becomes markup or a line of its own, in any language', async t => {
  const evil = '"><img src=x onerror=alert(1)>{{link}}\'&'
  const hostile = await createRenderer({ brand: evil, contact: evil, verifyUrl: `https://x/${evil}` })
  const elements = (html: string) => html.match(/<(?!\/)[a-z0-9]+/g)?.join()
  for (const locale of LANGUAGES) {
    for (const { code: _code, ...mail } of mailsIn(locale)) {
      const name = mail.name === 'Ada Lovelace' ? 'Tom & "Jerry" {{link}}' : mail.name
      const { html } = hostile({ ...mail, name, invitedBy: mail.invitedBy === undefined ? undefined : evil })
      // Quoted names are left out when they are more than letters, and an invitation then has a paragraph less.
      if (mail.invitedBy === undefined) t.equal(elements(html), elements(render(mail).html))
      t.notMatch(html, '<img')
    }
  }
})

t.test('files of a directory take the place of ours, text by text', async t => {
  const directory = t.testdir({
    'README.md': 'not a template',
    'de.json': JSON.stringify({ SIGN_IN_CODE: { subject: '{{brand}}: dein Code', lead: 'Hier ist dein Code. <b>' } }),
    'de-CH.json': JSON.stringify({ common: { helloWithoutName: 'Grüezi', hello: 'Grüezi {{name}}' } }),
    'it.json': '\ufeff' + JSON.stringify({ ...english, common: { ...english['common'], hello: 'Ciao {{name}},' } }),
    'layout.html': '<html lang="{{lang}}">{{#logo}}<img>{{/logo}}{{^logo}}no logo{{/logo}}<p>{{opening}}{{details}}{{lead}}{{code}}<a href="{{link}}">{{button}}</a>{{validity}}{{notYou}}'
  })
  const own = await createRenderer({ ...brand, directory })
  const german = own({ ...content, type: 'SIGN_IN_CODE', locale: 'de-AT' })
  t.equal(german.subject, 'Acme: dein Code')
  t.match(german.html, /^<html lang="de">no logo<p>Guten Tag Ada Lovelace,Hier ist dein Code\. &lt;b&gt;04815162<a href="https:/)
  t.match(german.text, /^Guten Tag Ada Lovelace,\n\nUm sich bei Acme/, 'the text part has its own key, and our layout')
  t.match(own({ ...content, type: 'SIGN_IN_CODE', locale: 'de-CH' }).text, /^Grüezi Ada Lovelace\n/)
  t.equal(own({ ...content, type: 'SIGN_IN_CODE', locale: 'de-CH' }).subject, 'Acme: dein Code', 'a region completes its language')
  t.match(own({ ...content, type: 'SIGN_IN_CODE', locale: 'it-IT' }).text, /^Ciao Ada Lovelace,\n/, 'a language of one’s own')
  t.equal(own({ ...content, type: 'SIGN_IN_CODE', locale: 'fr' }).subject, 'Votre code de connexion')
})

t.test('a directory with a mistake is refused, in one line that names file and mistake', async t => {
  const layout = readFileSync(join(FOLDER, 'layout.txt'), 'utf8')
  for (const [files, message] of [
    [{ 'de.json': '{"SIGN_IN_CODE":{"subjct":"x"}}' }, 'de.json: unknown key SIGN_IN_CODE.subjct'],
    [{ 'de.json': '{"common":{"hello":"Hallo"}}' }, 'de.json: common.hello lacks the placeholder {{name}}'],
    [{ 'de.json': '{' }, 'de.json: not JSON'],
    [{ 'it.json': '{"common":{"hello":"Ciao {{name}}"}}' }, /^it\.json: missing key common\.helloWithoutName \(and \d+ more\)$/],
    [{ 'german.json': '{}' }, 'german.json: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'pt_BR.json': '{}' }, 'pt_BR.json: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'de-at.json': '{}' }, 'de-at.json: not the name of a template (layout.html, layout.txt, or a language such as en.json, here de-AT.json)'],
    [{ 'layot.html': 'x' }, 'layot.html: not the name of a template (layout.html, layout.txt, or a language such as en.json)'],
    [{ 'layout.html': layout + '{{cdoe}}' }, 'layout.html: unknown placeholder {{cdoe}}'],
    [{ 'layout.html': layout + '{{{code}}}' }, 'layout.html: "{{{code}}}" is not a placeholder'],
    [{ 'layout.html': layout + '{{> evil}}' }, 'layout.html: "{{> evil}}" is not a placeholder'],
    [{ 'layout.html': layout + '{{#code}}' }, 'layout.html: the section code is not closed'],
    [{ 'layout.html': layout + '{{/code}}' }, 'layout.html: {{/code}} closes a section that is not open'],
    [{ 'layout.txt': layout.replaceAll('{{notYou}}', '') }, 'layout.txt: the placeholder {{notYou}} is missing'],
    [{}, 'it has no template']
  ] as const) {
    const error = await readTemplates(t.testdir(files)).catch((error: unknown) => error)
    const text = (error as Error).message.replace('Configuration: MAIL_TEMPLATES_DIR: ', '')
    t.match(error, { code: 'CONFIG_INVALID' })
    if (typeof message === 'string') t.equal(text, message)
    else t.match(text, message)
    t.notMatch(text, '\n')
  }
  await t.rejects(readTemplates(join(t.testdirName, 'nowhere')), { message: 'Configuration: MAIL_TEMPLATES_DIR cannot be read (ENOENT)' })
})

t.test('a template fills in values, leaves out what has none, and runs nothing', async t => {
  const fill = (text: string, values: Record<string, string>) => parseTemplate(text).fill(values, value => value.toUpperCase())
  t.equal(fill('a {{b}} c', { b: 'x' }), 'a X c')
  t.equal(fill('{{#b}}yes {{b}}{{/b}}{{^b}}no{{/b}}', { b: 'x' }), 'yes X')
  t.equal(fill('{{#b}}yes{{/b}}{{^b}}no{{/b}}', { b: '' }), 'no')
  t.equal(fill('a\n{{#b}}\nb\n{{/b}}\nc\n', {}), 'a\nc\n', 'lines of sections are no lines')
  t.equal(fill('{{#a}}{{#b}}x{{/b}}{{/a}}', { a: '1', b: '1' }), 'x')
  t.equal(fill('{{constructor}}{{b}}', { b: '{{b}}' }), '{{B}}', 'a value is not a template')
  t.throws(() => parseTemplate('{{#a}}{{#b}}{{/a}}{{/b}}'), { message: '{{/a}} closes a section that is not open' })
})
