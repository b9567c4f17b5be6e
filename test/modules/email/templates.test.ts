import { domainToASCII } from 'node:url'
import t from 'tap'
import type { EmailType } from '../../../src/modules/email/contract.ts'
import { greetingName, renderMail } from '../../../src/modules/email/templates.ts'

const content = {
  type: 'SIGN_IN_CODE' as EmailType,
  name: 'Ada Lovelace',
  brand: 'Acme',
  contact: 'hello@acme.example',
  publicUrl: 'https://api.acme.example',
  challenge: { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' }
}
const link = 'https://api.acme.example/verify#challengeId=0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42&code=04815162'

t.test('a mail with a code says it once in large digits and once in its link, until when, and what to do if it was not you', async (t) => {
  for (const type of ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE'] as const) {
    const { subject, text, html } = renderMail({ ...content, type })
    t.notMatch(subject, /\d/, 'a lock screen shows the subject')
    t.match(text, /^ {4}04815162$/m)
    t.ok(text.includes(link))
    t.equal(html.match(/04815162/g)?.length, 2)
    t.ok(html.includes('>04815162</span>'))
    t.ok(html.includes(`href="${link.replace('&', '&amp;')}"`))
    for (const body of [text, html]) {
      t.ok(body.includes('Hello Ada Lovelace,'))
      t.match(body, /valid for ten minutes and works once/)
      t.match(body, /If (it was not you|you did not)/)
    }
  }
})

t.test('the notice of a changed address holds no code and no link to confirm anything, and says whom to write to', async (t) => {
  const { text, html } = renderMail({ ...content, type: 'EMAIL_CHANGED_NOTICE', challenge: undefined })
  for (const body of [text, html]) {
    t.notMatch(body, /verify#|ten minutes/)
    t.notMatch(body.replace(/<style>.*<\/style>/s, ''), /\b\d{8}\b/)
    t.ok(body.includes('hello@acme.example'))
  }
})

t.test('nothing of what it is filled with can become markup', async (t) => {
  const evil = '"><img src=x onerror=alert(1)>\'&'
  const { html } = renderMail({ ...content, name: 'Tom & "Jerry" \'O', brand: evil, publicUrl: `https://x/${evil}` })
  t.notMatch(html, /<img/)
  t.ok(html.includes('Hello Tom &amp; &quot;Jerry&quot; &#39;O,'))
  t.equal(html.match(/<(?!\/)[a-z]+/g)?.length, renderMail(content).html.match(/<(?!\/)[a-z]+/g)?.length, 'the same elements as without it')
})

t.test('a name that mail programs would make a link of, or that turns the text around it, is not greeted by', async (t) => {
  for (const name of ['Visit https://evil.example', 'evil.example', 'WIN at evil.co', 'x.com', 'evil。example', 'evil．example', 'a@b', '//evil', '<b>', 'mailto:x',
    'moc.live \u202e', '\u2066x\u2069', 'http://х.рф', 'bücher.example']) {
    t.equal(greetingName(name), '', `${name} ${domainToASCII(name)}`)
  }
  for (const name of ['Ada Lovelace', "O'Brien", 'J. R. R. Tolkien', 'J.R.R. Tolkien', 'Martin Luther King, Jr.', '山田太郎', 'نرگس', 'Zoë 👩‍👩‍👧', 'Anne-Marie', 'X Æ A-12']) {
    t.equal(greetingName(name), name)
  }
  t.match(renderMail({ ...content, name: 'evil.example' }).text, /^Hello,\n/)
})
