import { join } from 'node:path'
import t from 'tap'
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/plugins/config.ts'
import { codeIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { pump } from '../../pump.ts'
import { emailMessage } from './records.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

const register = async (email: string, payload: object, headers: Record<string, string> = {}) => {
  const answer = await app.inject({ method: 'POST', url: '/v2/users', headers, payload: { email, name: 'Ada Lovelace', ...payload } })
  t.equal(answer.statusCode, 202)
  await pump(app, engines)
  return { ...answer.json<{ challengeId: string }>(), mail: engines.mailsTo(email).at(-1)! }
}

t.test('a registration is mailed in the language of the browser, and later mails in that of the account', async t => {
  const email = 'layla@example.com'
  const { challengeId, mail } = await register(email, {}, { 'accept-language': 'ar-EG,ar;q=0.9,en;q=0.5' })
  t.equal(mail.subject, 'تأكيد عنوان بريدك الإلكتروني')
  t.match(mail.html, '<html lang="ar" dir="rtl">')
  t.match(mail.text, /^سُجِّل هذا العنوان لدى \u2068User Service\u2069 باسم «\u2068Ada Lovelace\u2069»\.\n/)
  const code = codeIn(engines, email)
  t.match(mail.text, `\nhttp://localhost:3000/verify#challengeId=${challengeId}&code=${code}\n`)

  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code } })).statusCode, 200)
  await app.inject({ method: 'POST', url: '/v2/auth/challenges', headers: { 'accept-language': 'de' }, payload: { email } })
  await pump(app, engines)
  t.equal(engines.mailsTo(email).at(-1)!.subject, 'رمز تسجيل الدخول', 'not that of the browser that asks now')
})

t.test('a language that is given, or is near, is used, and English where there is none', async t => {
  t.equal((await register('de@example.com', { locale: 'de-AT' }, { 'accept-language': 'fr' })).mail.subject, 'Bestätigen Sie Ihre E-Mail-Adresse')
  t.equal((await register('pt@example.com', { locale: 'pt-BR' })).mail.subject, 'Confirme seu endereço de e-mail')
  t.equal((await register('ja@example.com', { locale: 'ja' })).mail.subject, 'メールアドレスの確認のお願い')
  t.equal((await register('zh@example.com', { locale: 'zh-Hant' })).mail.subject, 'Confirm your e-mail address')
  t.equal((await register('none@example.com', {})).mail.subject, 'Confirm your e-mail address')
})

t.test('an invitation, and the notice of a change with its undo, arrive as the message says', async t => {
  const invitation = emailMessage({ type: 'WELCOME_EMAIL', invitedBy: 'Grace Hopper', locale: 'es' })
  const notice = emailMessage({ type: 'EMAIL_CHANGED_NOTICE', expiresAt: new Date(Date.now() + 7 * 24 * 3600_000).toISOString(), locale: 'fr' })
  for (const message of [invitation, notice]) await app.email.enqueue(message, 'test')
  await pump(app, engines)
  t.match(engines.mailsTo(invitation.email)[0]!.text, 'Grace Hopper te ha invitado a User Service.')
  t.match(engines.mailsTo(notice.email)[0]!.text, `Annuler le changement\nhttp://localhost:3000/verify#challengeId=${notice.challengeId}&code=${app.keys.codeOf(notice.challengeId!)}&action=undo\n`)
  await t.rejects(app.email.enqueue({ ...invitation, invitedBy: 'Eve\r\nBcc: x@example.com' }, 'test'), { message: /invitedBy/ })
})

t.test('brand and templates come from the configuration, and a wrong template stops the start', async t => {
  const directory = t.testdir({ good: { 'de.json': '{"SIGN_IN_CODE":{"subject":"{{brand}}: dein Code"}}' }, bad: { 'de.json': '{"SIGN_IN_CODE":{"subjct":"x"}}' } })
  const branded = await buildTestApp(t, engines, { env: { BRAND_NAME: 'Größe & Co', BRAND_COLOR: '#ffd400', BRAND_LOGO_URL: 'https://cdn.example.com/logo.png', MAIL_TEMPLATES_DIR: join(directory, 'good') } })
  const message = emailMessage({ locale: 'de' })
  await branded.email.enqueue(message, 'test')
  await pump(branded, engines)
  const [mail] = engines.mailsTo(message.email)
  t.equal(mail!.subject, 'Größe & Co: dein Code')
  t.match(mail!.html, 'background-color:#ffd400')
  t.match(mail!.html, '<img src="https://cdn.example.com/logo.png" alt="Größe &amp; Co"')
  t.equal(mail!.from?.text, '"User Service" <users@example.com>', 'the sender stays the one of EMAIL_FROM')

  const wrong = loadConfig({ ...engines.env, LOG_LEVEL: 'silent', MAIL_TEMPLATES_DIR: join(directory, 'bad') })
  await t.rejects(async () => await (await buildApp({ config: wrong, docs: { source: 'routes' } })).ready(), { code: 'CONFIG_INVALID', message: 'Configuration: MAIL_TEMPLATES_DIR: de.json: unknown key SIGN_IN_CODE.subjct' })
})
