import { domainToASCII } from 'node:url'
import t from 'tap'
import type { EmailType } from '../../../src/modules/email/contract.ts'
import { createRenderer } from '../../../src/modules/email/templates/index.ts'
import { greetingName, quotedName } from '../../../src/modules/email/templates/names.ts'

const brand = { brand: 'Acme', contact: 'hello@acme.example', verifyUrl: 'https://acme.example/verify' }
const renderMail = await createRenderer(brand)
const content = {
  type: 'SIGN_IN_CODE' as EmailType,
  name: 'Ada Lovelace',
  challenge: { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' }
}
const link = 'https://acme.example/verify#challengeId=0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42&code=04815162'
const WITH_CODE = ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE'] as const
const withoutStyle = (body: string) => body.replace(/<style>.*<\/style>/s, '')

t.test('a mail with a code says it once in large digits and once in its link, until when, and what to do if it was not you', async (t) => {
  for (const type of WITH_CODE) {
    const { subject, text, html } = renderMail({ ...content, type })
    t.notMatch(subject, /\d/, 'a lock screen shows the subject')
    t.match(text, /^ {4}04815162$/m)
    const whole = type === 'EMAIL_CHANGE_CODE' ? `${link}&action=change` : link
    t.match(text, `\n${whole}\n`, 'the link has a line of its own')
    t.equal(html.match(/04815162/g)?.length, 2)
    t.ok(html.includes('>04815162</span>'))
    t.ok(html.includes(`href="${whole.replaceAll('&', '&amp;')}"`))
    for (const body of [text, html]) {
      t.match(body, /works once and expires ten minutes after it was requested/)
      t.match(body, /If (it was not you|you did not)/)
    }
  }
})

t.test('the text part speaks of its link, the HTML part of its button', async (t) => {
  for (const type of WITH_CODE) {
    const { text, html } = renderMail({ ...content, type })
    t.match(text, /this code or this link\./)
    t.notMatch(text, /button/)
    t.match(html, /this code or the button below\./)
  }
})

t.test('the only link of a mail is its own: the foot names the brand', async (t) => {
  for (const type of [...WITH_CODE, 'EMAIL_CHANGED_NOTICE'] as const) {
    const { text, html } = renderMail({ ...content, type, ...(type === 'EMAIL_CHANGED_NOTICE' ? { challenge: undefined } : {}) })
    const links = type === 'EMAIL_CHANGED_NOTICE' ? 0 : 1
    t.equal(text.match(/https?:/g)?.length ?? 0, links)
    t.equal(html.match(/href=/g)?.length ?? 0, links)
    t.match(text, /\n-- \nAcme\n$/)
    t.match(html, 'Sent by Acme<')
  }
})

t.test('the notice of a changed address holds no code and no link, and says where to write', async (t) => {
  const { text, html } = renderMail({ ...content, type: 'EMAIL_CHANGED_NOTICE', challenge: undefined })
  for (const body of [text, html]) {
    t.notMatch(body, /verify|ten minutes/)
    t.notMatch(withoutStyle(body), /\b\d{8}\b/)
    t.ok(body.includes('hello@acme.example'))
  }
})

t.test('the notice of a changed address offers to undo the change until its end, and shows no code that could be typed elsewhere', async (t) => {
  const notice = { ...content, type: 'EMAIL_CHANGED_NOTICE' as const, expiresAt: '2026-12-03T14:05:00.000Z' }
  const { text, html, toName } = renderMail(notice)
  t.equal(toName, 'Ada Lovelace')
  t.match(text, `Undo the change\n${link}&action=undo\n`)
  t.ok(html.includes(`href="${link.replaceAll('&', '&amp;')}&amp;action=undo"`))
  for (const body of [text, html]) {
    t.equal(body.match(/04815162/g)?.length, 1)
    t.match(body, /The link works until December 3, 2026 at 2:05.PM UTC\./)
    t.match(body, 'hello@acme.example')
    t.match(body, 'every device is signed out')
    t.match(body, 'If you did not change it and cannot undo the change, write')
    t.notMatch(body, /works once|ten minutes/)
  }
  t.match(text, 'undo the change with this link.')
  t.match(html, 'undo the change with the button below.')
  const { text: endless } = renderMail({ ...notice, expiresAt: undefined })
  t.match(endless, 'action=undo')
  t.notMatch(endless, 'works until')
  t.same(renderMail({ ...notice, isExpired: true }), renderMail({ ...notice, challenge: undefined }), 'too late to undo: the notice without the link')
})

t.test('an invitation says who invites, if that is a name and nothing else', async (t) => {
  const invitation = { ...content, type: 'WELCOME_EMAIL' as const, invitedBy: 'Grace Hopper' }
  const { subject, toName, text, html } = renderMail(invitation)
  t.equal(subject, 'You have been invited to Acme')
  t.equal(toName, '')
  for (const body of [text, html]) {
    t.match(body, 'Grace Hopper has invited you to Acme.')
    t.match(body, 'The account was prepared under the name “Ada Lovelace”.')
    t.match(body, /expires ten minutes after the invitation was sent/)
    t.match(body, '04815162')
  }
  for (const invitedBy of ['evil.example', 'Call 0800 123456', '<b>']) {
    const { text, html } = renderMail({ ...invitation, invitedBy, name: 'evil.example' })
    for (const body of [text, html]) {
      t.match(body, 'You have been invited to Acme.')
      t.notMatch(body, /evil|0800|&lt;b|under the name/)
    }
  }
  t.match(renderMail({ ...invitation, type: 'SIGN_IN_CODE' }).subject, 'Your sign-in code', 'only a registration can be an invitation')
})

t.test('a mail whose code has expired says how to get another, and holds none', async (t) => {
  for (const type of WITH_CODE) {
    const { subject, text, html } = renderMail({ ...content, type, isExpired: true })
    t.match(subject, /has expired$/)
    for (const body of [text, html]) {
      t.notMatch(withoutStyle(body), /04815162|\b\d{8}\b|verify#|ten minutes|this code/)
      t.match(body, /could not deliver your code in time/)
      // Where a change of address is asked for is not the page behind the link.
      if (type === 'EMAIL_CHANGE_CODE') t.notMatch(body, /https:/)
      else t.match(body, 'https://acme.example/verify')
    }
  }
})

t.test('only who has proved an address is greeted by name', async (t) => {
  for (const [type, first, toName] of [
    ['WELCOME_EMAIL', 'This address was registered at Acme under the name “Ada Lovelace”.', ''],
    ['SIGN_IN_CODE', 'Hello Ada Lovelace,', 'Ada Lovelace'],
    ['ACCOUNT_EXISTS', 'Hello Ada Lovelace,', 'Ada Lovelace'],
    ['EMAIL_CHANGE_CODE', 'This address was entered as the new address of the account of “Ada Lovelace” at Acme.', ''],
    ['EMAIL_CHANGED_NOTICE', 'Hello Ada Lovelace,', 'Ada Lovelace']
  ] as const) {
    for (const isExpired of [false, true]) {
      const mail = renderMail({ ...content, type, isExpired })
      t.equal(mail.text.split('\n')[0], first)
      t.ok(mail.html.includes(`>${first}<`))
      t.equal(mail.toName, toName)
    }
  }
  const noName = { ...content, name: 'evil.example' }
  t.match(renderMail({ ...noName, type: 'WELCOME_EMAIL' }).text, /^This address was registered at Acme\.\n/)
  t.match(renderMail({ ...noName, type: 'EMAIL_CHANGE_CODE' }).text, /^This address was entered as the new address of an account at Acme\.\n/)
  t.match(renderMail(noName).text, /^Hello,\n/)
})

t.test('nothing of what it is filled with can become markup', async (t) => {
  const evil = '"><img src=x onerror=alert(1)>\'&'
  const render = await createRenderer({ ...brand, brand: evil, verifyUrl: `https://x/${evil}` })
  const { html } = render({ ...content, name: 'Tom & "Jerry" \'O' })
  t.notMatch(html, /<img/)
  t.ok(html.includes('Hello Tom &amp; &quot;Jerry&quot; &#39;O,'))
  t.equal(html.match(/<(?!\/)[a-z]+/g)?.length, renderMail(content).html.match(/<(?!\/)[a-z]+/g)?.length, 'the same elements as without it')
})

const HONEST = ['Ada Lovelace', "O'Brien", 'J. R. R. Tolkien', 'J.R.R. Tolkien', 'Martin Luther King, Jr.', '山田太郎', 'نرگس', 'می\u200cخواهم', 'Anne-Marie']
const encoded = (text: string) => `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`
const MISLEADING = ['Visit https://evil.example', 'evil.example', 'WIN at evil.co', 'x.com', 'evil。example', 'evil．example', 'evil｡example', 'evil\u2024example', 'evil﹒example', 'a@b', 'a＠b', 'a﹫b', '//evil', '／／evil', '<b>', '＜b＞', 'mailto:x', 'mailto：x',
  'moc.live \u202e', '\u2066x\u2069', '\u200eab', 'http://х.рф', 'bücher.example', encoded('see http://evil.example'), encoded('Security <a@evil.example>'), encoded('ab\u202ecba'), 'Ann =?utf-8?Q?see_evil=2Eexample?=', '=?utf-8?B?c2VlIGV2 aWwuZXhhbXBsZQ==?=',
  '=?utf-8?Q?a?= =?utf-8?Q?b?=', 'Ann＝？utf-8?Q?x?=', '=?iso-8859-1?q?a?=', '\u200b\u200b', '\u3164\u3164', 'Ad\u0301\u0316\u0301\u0316\u0301\u0316\u0301a']

t.test('a name that mail programs would show as something else is shown nowhere', async (t) => {
  for (const name of MISLEADING) {
    t.equal(greetingName(name), '', `${name} ${domainToASCII(name)}`)
    t.equal(quotedName(name), '')
  }
  for (const name of [...HONEST, 'Zoë 👩‍👩‍👧', 'X Æ A-12']) t.equal(greetingName(name), name)
})

t.test('a name that is quoted to an address that is not proved is letters and no more', async (t) => {
  for (const name of HONEST) t.equal(quotedName(name), name)
  for (const name of ['Call 0800 123456 now', 'Zoë 👩‍👩‍👧', '“Ada”. Click here', 'Win $100', 'a'.repeat(61)]) t.equal(quotedName(name), '', name)
})
