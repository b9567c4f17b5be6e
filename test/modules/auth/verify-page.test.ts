import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { buildTestApp, pump, startEngines } from '../../helper.ts'

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
