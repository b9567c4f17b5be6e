import { randomBytes } from 'node:crypto'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import t from 'tap'
import { signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { recordCalls } from '../../faults.ts'
import { openChallenge } from './support.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const rotated = await buildTestApp(t, engines, { env: { JWT_SECRET: randomBytes(32).toString('hex'), JWT_SECRET_PREVIOUS: engines.env['JWT_SECRET'] } })

t.test('the public keys, current and previous, are for everybody to keep for a while', async (t) => {
  const calls = recordCalls(rotated)
  const answer = await rotated.inject({ url: '/.well-known/jwks.json' })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'public, max-age=60' })
  t.same(answer.json(), { keys: [rotated.keys.jwks[0], app.keys.jwks[0]] })
  t.same((await app.inject({ url: '/.well-known/jwks.json' })).json(), { keys: app.keys.jwks })
  t.same(calls.stop(), [])
})

t.test('a verifier that knows only the issuer finds the keys, as RFC 8414 says', async (t) => {
  const issuer = 'https://users.example.com'
  const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: issuer, JWT_ISSUER: issuer } })
  const { accessToken } = await signIn(app, engines, 'grace@example.com')
  const answer = await app.inject({ url: new URL('/.well-known/oauth-authorization-server', issuer).pathname })
  t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'public, max-age=3600' })
  const metadata = answer.json<{ issuer: string, jwks_uri: string }>()
  t.equal(metadata.issuer, issuer)
  const keys = createLocalJWKSet((await app.inject({ url: metadata.jwks_uri })).json<JSONWebKeySet>())
  t.match((await jwtVerify(accessToken, keys, { issuer: metadata.issuer })).payload, { email: 'grace@example.com' })
})

t.test('the metadata says nothing that is not true of this service', async (t) => {
  const calls = recordCalls(app)
  const read = async (env: Record<string, string>) => (await (await buildTestApp(t, engines, { env })).inject({ url: '/.well-known/oauth-authorization-server' })).json() as object
  // No endpoint that an OAuth client would send a form to, and no grant that it would assume.
  const lists = { grant_types_supported: [], response_types_supported: [] }
  t.same(await read({ PUBLIC_URL: 'https://api.example.com/team/users', JWT_ISSUER: 'user-service' }), {
    issuer: 'user-service',
    jwks_uri: 'https://api.example.com/team/users/.well-known/jwks.json',
    ...lists,
    service_documentation: 'https://api.example.com/team/users/docs'
  })
  t.notOk('service_documentation' in await read({ DOCS_ENABLED: 'false' }), 'no link to a page that is not served')
  const form = await app.inject({ method: 'POST', url: '/v2/auth/tokens', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'grant_type=refresh_token&refresh_token=x' })
  t.equal(form.statusCode, 415, 'once the endpoint reads forms, it belongs into the metadata: ADR 177')
  t.same(calls.stop(), [])
})

t.test('codes and sessions from before a rotation of the secret are good after it', async (t) => {
  const tokens = await signIn(app, engines, 'ada@example.com')
  const { challengeId, code } = await openChallenge(app, 'ada@example.com')
  const post = (payload: object) => rotated.inject({ method: 'POST', url: '/v2/auth/tokens', payload })
  t.equal((await rotated.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${tokens.accessToken}` } })).statusCode, 200)
  t.equal((await post({ grantType: 'refresh_token', refreshToken: tokens.refreshToken })).statusCode, 200)
  t.equal((await post({ grantType: 'code', challengeId, code })).statusCode, 200)
})

t.test('what mails has a fifth of the general limit, what compares a half of it, and each its own', async (t) => {
  const limited = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '10' } })
  const allowed = async (url: string, remoteAddress: string) => {
    for (let n = 0; n < 20; n++) if ((await limited.inject({ method: 'POST', url, remoteAddress, payload: {} })).statusCode === 429) return n
    return 20
  }
  for (const [i, url] of ['/v2/auth/challenges', '/v2/users', '/v1/users', '/v1/auth/challenges'].entries()) t.equal(await allowed(url, `192.0.2.${i}`), 2, url)
  for (const [i, url] of ['/v2/auth/tokens', '/v2/auth/verify', '/v2/auth/revoke', '/v1/auth/tokens'].entries()) t.equal(await allowed(url, `192.0.3.${i}`), 5, url)
  t.equal(await allowed('/v2/auth/challenges', '192.0.4.1'), 2)
  t.equal(await allowed('/v2/auth/tokens', '192.0.4.1'), 5, 'who has asked for too many mails still refreshes and signs out')
})
