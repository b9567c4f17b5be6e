import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { pump } from '../../pump.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

t.test('the page is one document that its policy lets do nothing but call this service', async t => {
  const response = await app.inject('/verify')
  t.equal(response.statusCode, 200)
  t.match(response.headers, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY' })

  const policy = Object.fromEntries(String(response.headers['content-security-policy']).split('; ').map(directive => directive.split(/ (.*)/, 2) as [string, string]))
  const hashes = (tag: string) => [...response.body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map(([, text]) => `'sha256-${createHash('sha256').update(text!).digest('base64')}'`)
  t.same(policy, {
    'default-src': "'none'",
    'style-src': hashes('style').join(' '),
    'script-src': hashes('script').join(' '),
    'img-src': 'data:',
    'connect-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'"
  })
  t.equal(hashes('script').length, 1)
  t.notMatch(response.body, /\bstyle=|\son\w+=|https?:\/\/|\{\{/, 'nothing inline beside the two, nothing from elsewhere, nothing left to fill in')
})

t.test('the page never makes mark-up of what it is given, and stores nothing', async t => {
  const { body } = await app.inject('/verify')
  t.notMatch(body, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/)
  t.notMatch(body, /localStorage|sessionStorage|indexedDB|document\.cookie/)
})

t.test('every query of the URL gets the same page', async t => {
  const { body } = await app.inject('/verify')
  const asked = await app.inject('/verify?code=12345678&x=%3Cscript%3E')
  t.equal(asked.body, body)
  t.equal((await app.inject({ method: 'POST', url: '/verify' })).statusCode, 405)
})

t.test('the page is sent compressed to a browser, under the same policy, and still kept by no cache', async t => {
  const plain = await app.inject('/verify')
  const compressed = await app.inject({ url: '/verify', headers: { 'accept-encoding': 'gzip' } })
  t.match(compressed.headers, { 'content-encoding': 'gzip', 'cache-control': 'no-store', 'content-security-policy': plain.headers['content-security-policy'] })
  t.equal(gunzipSync(compressed.rawPayload).toString(), plain.body)
  t.comment(`${plain.rawPayload.length} bytes, ${compressed.rawPayload.length} compressed`)
  const again = await app.inject({ url: '/verify', headers: { 'if-none-match': String(plain.headers['etag']) } })
  t.equal(again.statusCode, 304)
})

t.test('the link in a mail leads to the page, with challenge and code where no server sees them', async t => {
  const { challengeId } = (await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'link@example.com', name: 'Link' } })).json<{ challengeId: string }>()
  await pump(app, engines)
  const link = new URL(/http\S+verify\S+/.exec(engines.mails.at(-1)!.text!)![0])
  t.equal((await app.inject(link.pathname)).statusCode, 200)
  t.equal(link.search, '')
  const { code, ...rest } = Object.fromEntries(new URLSearchParams(link.hash.slice(1)))
  t.same(rest, { challengeId })
  const confirmation = await app.inject({ method: 'POST', url: '/v2/auth/verify', payload: { challengeId, code } })
  t.equal(confirmation.statusCode, 204)
  const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code } })
  t.equal(exchange.statusCode, 200)
})

t.test('the page answers where mails link to another one', async t => {
  const own = await buildTestApp(t, engines, { env: { VERIFY_URL: 'https://app.example.com/sign-in' } })
  t.equal((await own.inject('/verify')).statusCode, 200)
})

const FOLDER = join(import.meta.dirname, '../../../src/modules/auth/verify-page')
const catalogues = readdirSync(FOLDER).filter(name => name.endsWith('.json')).map(name => [name.replace('.json', ''), JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Record<string, string>] as const)
const english = Object.fromEntries(catalogues)['en']!

/** What is wrong with a catalogue, compared with English. */
function faultsOf (language: string, texts: Record<string, string>): string[] {
  const valuesIn = (text = '') => (text.match(/\{\w+\}/g) ?? []).sort().join()
  return [
    ...Object.keys(english).filter(key => !(key in texts)).map(key => `${key} is missing`),
    ...Object.keys(texts).filter(key => !(key in english)).map(key => `${key} is unknown`),
    ...Object.entries(texts).flatMap(([key, text]) => [
      ...(key in english && valuesIn(text) !== valuesIn(english[key]) ? [`${key} has other values than in English`] : []),
      ...(text === english[key] && language !== 'en' ? [`${key} is not translated`] : []),
      ...(text.trim() === '' || /["']/.test(text) ? [`${key} is not a text`] : []),
      ...(language === 'fr' && /[^\u00a0][?!:»]|«[^\u00a0]/.test(text) ? [`${key} lacks a no-break space`] : [])
    ])
  ]
}

t.test('every language has the texts of English, and the page and its script use each of them and no other', async t => {
  t.same(catalogues.map(([language]) => language).sort(), ['ar', 'de', 'en', 'es', 'fr', 'ja', 'pt'])
  for (const [language, texts] of catalogues) t.same(faultsOf(language, texts), [], language)
  const { copy: _copy, ...rest } = english
  t.same(faultsOf('de', { ...Object.fromEntries(catalogues)['de'], copy: 'Copy the code', tooMany: 'Zu viele Anfragen.', extra: 'x' }), ['extra is unknown', 'copy is not translated', 'tooMany has other values than in English'])
  t.same(faultsOf('en', rest), ['copy is missing'])

  const [html, script] = ['page.html', 'page.js'].map(name => readFileSync(join(FOLDER, name), 'utf8')) as [string, string]
  const used = new Set([...html.matchAll(/\{\{(\w+)\}\}/g), ...script.matchAll(/text\('(\w+)'/g), ...script.matchAll(/(?:failed|leave|AUTH_\w+): '(\w+)'/g)].map(([, key]) => key!))
  for (const prefix of ['signIn', 'change', 'undo']) for (const key of ['Title', 'Lead', 'Button', 'Done', 'Outcome']) used.add(prefix + key)
  for (const part of ['style', 'script', 'texts', 'lang', 'dir', 'brand']) used.delete(part)
  t.same([...used].sort(), Object.keys(english).sort())
  t.notMatch(script, /'[A-Z][a-z]+ [^']*'|`[A-Z][a-z]+ /, 'no text of the page is in its script')
})

t.test('the page has the language of the browser, as far as there is one', async t => {
  const policies = new Set<unknown>()
  for (const [header, language, title] of [['de-AT,de;q=0.9,en;q=0.5', 'de', 'Bestätigen Sie, dass Sie es sind'], ['zh-TW,zh;q=0.9,ja;q=0.5', 'ja', 'ご本人の確認'], ['ar', 'ar', 'تأكيد هويتك'], ['zh', 'en', 'Confirm it’s you'], [undefined, 'en', 'Confirm it’s you'], ['<script>, fr;q=x', 'en', 'Confirm it’s you']] as const) {
    const { body, headers } = await app.inject({ url: '/verify', headers: header === undefined ? {} : { 'accept-language': header } })
    t.match(body, `<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">`)
    t.match(body, `<title>${title}</title>`)
    t.match(headers, { 'content-language': language, vary: /accept-language/ })
    t.same(JSON.parse(/id="texts">(.*?)<\/script>/.exec(body)![1]!), Object.fromEntries(catalogues)[language])
    policies.add(headers['content-security-policy'])
  }
  t.equal(policies.size, 1)
})

t.test('the page shows the brand, and its policy allows the logo’s origin and nothing else', async t => {
  const env = { BRAND_NAME: 'Größe & <b>Co', BRAND_COLOR: '#ffd400' }
  const named = await buildTestApp(t, engines, { env })
  const { body } = await named.inject('/verify')
  t.match(body, '<p class="brand"><bdi>Größe &amp; &lt;b&gt;Co</bdi></p>')
  t.match(body, '--fill: #ffd400; --on-fill: #000000')
  const own = await buildTestApp(t, engines, { env: { ...env, BRAND_LOGO_URL: 'https://cdn.example.com/a/logo.png?v=1&w=2' } })
  const answer = await own.inject('/verify')
  t.match(answer.body, '<img src="https://cdn.example.com/a/logo.png?v=1&amp;w=2" alt="Größe &amp; &lt;b&gt;Co">')
  t.match(answer.headers['content-security-policy'], "; img-src data: https://cdn.example.com; connect-src 'self';")
  t.match(answer.headers['content-security-policy'], `style-src 'sha256-${createHash('sha256').update(/<style>([^]*?)<\/style>/.exec(answer.body)![1]!).digest('base64')}';`)
})
