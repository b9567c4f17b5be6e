import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isolate } from '../../../src/modules/email/templates/bidi.ts'
import { createRenderer, type MailContent } from '../../../src/modules/email/templates/index.ts'
import { greetingName, quotedName } from '../../../src/modules/email/templates/names.ts'
import { contrast } from '../../../src/shared/colour.ts'

const english = JSON.parse(readFileSync(join(import.meta.dirname, '../../../src/modules/email/templates/mail-templates/en.json'), 'utf8')) as Record<string, Record<string, string>>
const VERIFY = 'https://acme.example/verify'
const render = await createRenderer({ brand: 'Acme', contact: 'help@acme.example', verifyUrl: VERIFY })
const challenge = { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' }
const VALUES: Record<string, string> = { brand: 'Acme', contact: 'help@acme.example', name: 'Ada Lovelace', inviter: 'Grace Hopper', until: 'December 3, 2026 at 2:05 PM UTC' }
/** A text of the English catalogue, with its values. */
const say = (path: string): string => {
  const [section, key] = path.split('.') as [string, string]
  return english[section]![key]!.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => VALUES[name]!)
}
const escaped = (text: string) => text.replaceAll('&', '&amp;')

const CODE = '    04815162'
const HIDDEN = 'evil.example'
const expiresAt = '2026-12-03T14:05:00.000Z'
const linkOf = (action?: string) => `${VERIFY}#challengeId=${challenge.challengeId}&code=04815162${action === undefined ? '' : `&action=${action}`}`
const named = (section: string, link: string) => `${say(`${section}.button`)}\n${link}`

t.test('each mail has its own paragraphs, in this order, and in both of its parts', async t => {
  const welcome = ['WELCOME_EMAIL.leadInText', CODE, named('WELCOME_EMAIL', linkOf()), 'common.validity', 'WELCOME_EMAIL.notYou']
  const invited = ['INVITATION.leadInText', CODE, named('INVITATION', linkOf()), 'INVITATION.validity', 'INVITATION.notYou']
  const change = ['EMAIL_CHANGE_CODE.leadInText', CODE, named('EMAIL_CHANGE_CODE', linkOf('change')), 'common.validity', 'EMAIL_CHANGE_CODE.notYou']
  const expired = ['EXPIRED_CODE.lead', named('EXPIRED_CODE', VERIFY), 'EXPIRED_CODE.notYou']
  const expiredChange = ['EXPIRED_CHANGE.lead', 'EXPIRED_CHANGE.notYou']
  const notice = ['EMAIL_CHANGED_NOTICE.details', 'EMAIL_CHANGED_NOTICE.notYou']
  const undo = ['EMAIL_CHANGED_NOTICE.details', 'EMAIL_CHANGED_NOTICE.leadInText', named('EMAIL_CHANGED_NOTICE', linkOf('undo'))]
  const cases: [section: string, mail: Partial<MailContent>, paragraphs: string[]][] = [
    ['WELCOME_EMAIL', {}, ['WELCOME_EMAIL.opening', ...welcome]],
    ['WELCOME_EMAIL', { name: HIDDEN }, ['WELCOME_EMAIL.openingWithoutName', ...welcome]],
    ['INVITATION', { invitedBy: 'Grace Hopper' }, ['INVITATION.opening', 'INVITATION.details', ...invited]],
    ['INVITATION', { invitedBy: 'Grace Hopper', name: HIDDEN }, ['INVITATION.opening', ...invited]],
    ['INVITATION', { invitedBy: HIDDEN }, ['INVITATION.openingWithoutName', 'INVITATION.details', ...invited]],
    ['INVITATION', { invitedBy: HIDDEN, name: HIDDEN }, ['INVITATION.openingWithoutName', ...invited]],
    ['EXPIRED_CODE', { type: 'WELCOME_EMAIL', isExpired: true }, ['WELCOME_EMAIL.opening', ...expired]],
    ['EXPIRED_CODE', { type: 'WELCOME_EMAIL', isExpired: true, invitedBy: 'Grace Hopper' }, ['INVITATION.opening', ...expired]],
    ...(['SIGN_IN_CODE', 'ACCOUNT_EXISTS'] as const).flatMap((type): typeof cases => {
      const rest = [`${type}.leadInText`, CODE, named(type, linkOf()), 'common.validity', `${type}.notYou`]
      return [
        [type, { invitedBy: 'Grace Hopper' }, ['common.hello', ...rest]],
        [type, { name: HIDDEN }, ['common.helloWithoutName', ...rest]],
        ['EXPIRED_CODE', { type, isExpired: true }, ['common.hello', ...expired]]
      ]
    }),
    ['EMAIL_CHANGE_CODE', { invitedBy: 'Grace Hopper' }, ['EMAIL_CHANGE_CODE.opening', ...change]],
    ['EMAIL_CHANGE_CODE', { invitedBy: HIDDEN }, ['EMAIL_CHANGE_CODE.opening', ...change]],
    ['EMAIL_CHANGE_CODE', { name: HIDDEN }, ['EMAIL_CHANGE_CODE.openingWithoutName', ...change]],
    ['EXPIRED_CHANGE', { type: 'EMAIL_CHANGE_CODE', isExpired: true, name: HIDDEN }, ['EMAIL_CHANGE_CODE.openingWithoutName', ...expiredChange]],
    ['EMAIL_CHANGED_NOTICE', { expiresAt }, ['common.hello', ...undo, 'EMAIL_CHANGED_NOTICE.validity', 'EMAIL_CHANGED_NOTICE.contact']],
    ['EMAIL_CHANGED_NOTICE', {}, ['common.hello', ...undo, 'EMAIL_CHANGED_NOTICE.contact']],
    ['EMAIL_CHANGED_NOTICE', { challenge: undefined, name: HIDDEN }, ['common.helloWithoutName', ...notice]],
    ['EMAIL_CHANGED_NOTICE', { expiresAt, isExpired: true }, ['common.hello', ...notice]]
  ]
  for (const [section, changes, paragraphs] of cases) {
    const mail = { type: section === 'INVITATION' ? 'WELCOME_EMAIL' : section, name: 'Ada Lovelace', challenge, ...changes } as MailContent
    const { subject, toName, ...bodies } = render(mail)
    // Versions of ICU disagree about the blank before PM.
    const [text, html] = [bodies.text, bodies.html].map(body => body.replaceAll('\u202f', ' ')) as [string, string]
    const said = paragraphs.map(part => /^[A-Za-z_]+\.[A-Za-z]+$/.test(part) ? say(part) : part)
    const name = `${section} ${JSON.stringify(changes)}`
    t.equal(text, `${[...said, '-- \nAcme\n'].join('\n\n')}`, name)
    t.equal(subject, say(`${section}.subject`), name)
    t.equal(toName, ['WELCOME_EMAIL', 'EMAIL_CHANGE_CODE'].includes(mail.type) || mail.name === HIDDEN ? '' : 'Ada Lovelace', name)
    t.ok(html.startsWith('<!doctype html>\n<html lang="en" dir="ltr">'))
    t.match(html, `<title>${subject}</title>`, name)
    for (const key of ['preheader', 'heading']) t.ok(html.includes(`>${say(`${section}.${key}`)}`), `${name} ${key}`)
    t.ok(html.includes('>Sent by Acme<'))
    for (const [i, part] of paragraphs.entries()) {
      const [button, link] = said[i]!.split('\n')
      const shown = part === CODE ? '04815162' : part.endsWith('.leadInText') ? say(part.replace('InText', '')) : button!
      t.ok(html.includes(`>${shown}<`), `${name}: ${shown}`)
      if (link !== undefined) t.equal(html.match(/href="([^"]*)"/)?.[1], escaped(link), name)
    }
    t.equal(html.includes('href='), said.some(part => part.includes('\n')), name)
  }
})

t.test('a date is in the words of the mail, and in UTC', async t => {
  const notice = (locale: string, at = expiresAt) => render({ type: 'EMAIL_CHANGED_NOTICE', name: 'Ada', challenge, expiresAt: at, locale }).text.split('\n').find(line => line.includes('UTC'))?.replaceAll(/[\u202f\u00a0]/g, ' ')
  for (const [locale, line] of [
    ['en', 'The link works until December 3, 2026 at 2:05 PM UTC.'],
    ['en-GB', 'The link works until 3 December 2026 at 14:05 UTC.'],
    ['zh-Hant', 'The link works until December 3, 2026 at 2:05 PM UTC.'],
    ['not a language', 'The link works until December 3, 2026 at 2:05 PM UTC.'],
    ['de', 'Der Link ist bis zum 3. Dezember 2026 um 14:05 UTC gültig.'],
    ['de-CH-1996', 'Der Link ist bis zum 3. Dezember 2026 um 14:05 UTC gültig.']
  ] as const) t.equal(notice(locale), line, locale)
  t.equal(notice('en', '2026-01-09T00:07:00.000Z'), 'The link works until January 9, 2026 at 12:07 AM UTC.')
  t.match(notice('th-TH'), '2026', 'no other calendar')
})

t.test('what would be shown in the wrong order is isolated', async t => {
  for (const rtl of ['ليلى', 'נועה', 'ܫܠܡܐ', 'ދިވެހި', 'ߒߞߏ', '𞤀𞤁']) {
    t.equal(isolate(rtl, 'rtl'), rtl)
    t.equal(isolate(`${rtl} ${rtl}`, 'rtl'), `${rtl} ${rtl}`)
    t.equal(isolate(`a ${rtl}`, 'rtl'), `\u2068a ${rtl}\u2069`)
    t.equal(isolate(`${rtl} 7`, 'rtl'), `\u2068${rtl} 7\u2069`)
    t.equal(isolate(`a ${rtl} b`, 'ltr'), `\u2068a ${rtl} b\u2069`)
  }
  t.equal(isolate('Ada 7!', 'ltr'), 'Ada 7!')
  t.equal(isolate('', 'rtl'), '')
  t.equal(isolate('', 'ltr'), '')
})

t.test('a name is shown unless a mail program would make something else of it', async t => {
  for (const [name, greeting, quoted] of [
    ['Ada Lovelace', 'Ada Lovelace', 'Ada Lovelace'],
    ['  Ada  ', 'Ada', 'Ada'],
    ['J. R. R. Tolkien', 'J. R. R. Tolkien', 'J. R. R. Tolkien'],
    ['O’Brien-Smith, Jr.', 'O’Brien-Smith, Jr.', 'O’Brien-Smith, Jr.'],
    ['Núria Gal·la', 'Núria Gal·la', 'Núria Gal·la'],
    ['J.R Tolkien', 'J.R Tolkien', 'J.R Tolkien'],
    ['नमस्ते जी', 'नमस्ते जी', 'नमस्ते जी'],
    ['می\u200cخواهم', 'می\u200cخواهم', 'می\u200cخواهم'],
    ['a'.repeat(60), 'a'.repeat(60), 'a'.repeat(60)],
    ['a'.repeat(61), 'a'.repeat(61), ''],
    ['Ada 7', 'Ada 7', ''],
    ['!Ada', '!Ada', ''],
    ['Ada!', 'Ada!', ''],
    ['Zoë 👩‍👩‍👧', 'Zoë 👩‍👩‍👧', ''],
    ['7.5 Ada', '7.5 Ada', ''],
    ['a.b', 'a.b', 'a.b'],
    ['a.bc', '', ''],
    ['7.bc', '', ''],
    ['_.bc', '', ''],
    ['-.bc', '', ''],
    ['a。bc', '', ''],
    ['!.bc', '!.bc', ''],
    ['a/b', '', ''],
    ['a\\b', '', ''],
    ['a@b', '', ''],
    ['a:b', '', ''],
    ['<a', '', ''],
    ['a>', '', ''],
    ['=?a', '', ''],
    ['= ?a', '= ?a', ''],
    ['ａ．ｂｃ', '', ''],
    ['＝？a', '', ''],
    ['A', '', ''],
    ['', '', '']
  ] as const) {
    t.equal(greetingName(name), greeting, encodeURIComponent(name))
    t.equal(quotedName(name), quoted, encodeURIComponent(name))
  }
})

t.test('what a mail is filled with is escaped', async t => {
  const evil = await createRenderer({ brand: '<b>"it\'s" & more</b>', contact: 'help@acme.example', verifyUrl: VERIFY, colour: '#0a7d33' })
  const { html, text } = evil({ type: 'SIGN_IN_CODE', name: "O'Brien & Sons", challenge })
  t.ok(html.includes('Sent by &lt;b&gt;&quot;it&#39;s&quot; &amp; more&lt;/b&gt;<'))
  t.ok(html.includes('Hello O&#39;Brien &amp; Sons,'))
  t.match(html, 'bgcolor="#0a7d33"')
  t.match(text, "Hello O'Brien & Sons,\n")
  const plain = render({ type: 'SIGN_IN_CODE', name: 'Ada', challenge }).html
  t.match(plain, 'bgcolor="#1f4fd8"')
  t.notMatch(plain, '<img')
})

t.test('a button can be seen on the light card and on the dark one, whatever the colour of the brand', async t => {
  for (const colour of ['#ffffff', '#182032', '#e8590c']) {
    const { html } = (await createRenderer({ brand: 'Acme', contact: 'help@acme.example', verifyUrl: VERIFY, colour }))({ type: 'SIGN_IN_CODE', name: 'Ada', challenge })
    const [, line] = /border:1px solid (#\w{6});border-radius:10px">\s*<a/.exec(html)!
    const [, dark] = /\.button \{ background-color: (#\w{6})/.exec(html)!
    t.ok(contrast(line!, '#ffffff') >= 3, `${line} on white`)
    t.ok(contrast(dark!, '#182032') >= 3, `${dark} on dark`)
    if (colour === '#e8590c') t.same([line, dark], [colour, colour], 'one that can be seen is left as it is')
  }
})
