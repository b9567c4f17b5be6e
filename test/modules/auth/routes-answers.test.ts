import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import type { ChallengeTicket, Tokens } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { bearerOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { waiting } from '../../outbox.ts'
import { documents } from '../../plugins/api-documents.ts'
import { itemAt, openChallenge } from './support.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { PUBLIC_URL: 'https://users.example.com', JWT_ISSUER: 'the-issuer', BRAND_NAME: 'The Shop', BRAND_COLOR: '#1a7f37', BRAND_LOGO_URL: 'https://shop.example/logo.png' } })

type Method = 'GET' | 'POST' | 'DELETE'
const call = async (method: Method, url: string, { body, headers = {}, from = '192.0.2.1' }: { body?: object, headers?: Record<string, string>, from?: string } = {}) =>
  await app.inject({ method, url, headers, remoteAddress: from, ...(body === undefined ? {} : { payload: body }) })

const sidOf = ({ accessToken }: Tokens) => app.jwt.decode<{ payload: { sid: string } }>(accessToken)!.payload.sid

let n = 0
const newAddress = () => `user-${++n}@example.com`
/** An account with tokens, made by hand. */
async function signIn () {
  const [id, email] = [newId(), newAddress()]
  const at = new Date().toISOString()
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: id, kind: 'user', email, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1 } }))
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: `email#${email}`, kind: 'claim', ownerId: id } }))
  const { challengeId, code } = await openChallenge(app, email)
  const tokens = (await call('POST', '/v2/auth/tokens', { body: { grantType: 'code', challengeId, code } })).json<Tokens>()
  return { id, email, tokens, bearer: { authorization: `Bearer ${tokens.accessToken}` }, sid: sidOf(tokens) }
}

t.test('each operation is documented as the committed documents say, and is there', async t => {
  for (const version of ['v1', 'v2'] as const) {
    const { paths } = (await call('GET', `/openapi/${version}.json`)).json<typeof documents['v1']>()
    const own = Object.entries(documents[version].paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
      .filter(({ path, method, operation: { operationId } }) => path.includes('/auth/') || path.startsWith('/.well-known/') || path.includes('/me/sessions') || path.endsWith('/me/email') || (operationId === 'users.create' && method === 'post'))
    t.ok(own.length >= 2)
    for (const { path, method, operation } of own) t.same(paths[path]?.[method], operation, `${method} ${path}`)
    t.notOk('/verify' in paths)
    t.equal((await call('POST', `/${version}/auth/challenges`, { body: { email: newAddress() } })).statusCode, 202)
  }
})

t.test('each operation is limited by what it costs', async t => {
  for (const [method, url, name] of [
    ['POST', '/v1/auth/challenges', 'mail'], ['POST', '/v1/auth/tokens', 'credential'],
    ['POST', '/v2/users', 'mail'], ['POST', '/v2/auth/challenges', 'mail'], ['POST', '/v2/users/me/email', 'mail'],
    ['POST', '/v2/auth/verify', 'credential'], ['POST', '/v2/auth/tokens', 'credential'], ['POST', '/v2/auth/revoke', 'credential'],
    ['GET', '/v2/users/me/sessions', 'general'], ['DELETE', '/v2/users/me/sessions', 'general'], ['DELETE', '/v2/users/me/sessions/x', 'general'],
    ['GET', '/.well-known/jwks.json', 'general'], ['GET', '/.well-known/oauth-authorization-server', 'general'], ['GET', '/verify', 'general']
  ] as const) {
    const { headers, statusCode } = await call(method, url, method === 'POST' ? { body: url.endsWith('/challenges') ? { email: newAddress() } : {} } : {})
    t.match(headers['ratelimit-policy'], new RegExp(`^"${name}";`), url)
    if (url.includes('/me/')) t.equal(statusCode, 401, `${url} is for who has signed in`)
  }
})

t.test('a request for a code is put with the network and the id of its request, and once for each idempotency key', async t => {
  const { bearer } = await signIn()
  for (const [url, body, type, headers] of [
    ['/v1/auth/challenges', {}, 'code.requested', {}],
    ['/v2/auth/challenges', {}, 'code.requested', {}],
    ['/v2/users', { name: 'Ada' }, 'code.requested', {}],
    ['/v2/users/me/email', {}, 'email-change.requested', bearer]
  ] as const) {
    const email = newAddress()
    const ask = async () => await call('POST', url, { body: { ...body, email }, from: '2001:db8:1:2::5', headers: { ...headers, 'x-correlation-id': 'corr-1', 'idempotency-key': `key-${n}` } })
    const answer = await ask()
    t.equal(answer.statusCode, 202, url)
    const answered = answer.json<ChallengeTicket & { data?: ChallengeTicket }>()
    const ticket = answered.data ?? answered
    const found = (await waiting(app, 'AuthTable')).filter(({ subject }) => subject === email)
    t.match(found, [{ type, correlationId: 'corr-1', data: { ...ticket, network: app.keys.pseudonym('2001:db8:1:2::/64') } }])
    t.match(await itemAt(app.dynamodb, `outbox#${found[0]!.eventId}`, 'outbox'), { kind: 'outbox', subject: email })
    const again = await ask()
    if (url.startsWith('/v1')) t.not(again.body, answer.body, 'version 1 has no such keys')
    else t.equal(again.body, answer.body)
    t.equal((await waiting(app, 'AuthTable')).filter(({ subject }) => subject === email).length, url.startsWith('/v1') ? 2 : 1)
  }
})

t.test('a registration is in the language that it names, else in that of the browser', async t => {
  for (const [locale, header, expected] of [['fr', 'de', 'fr'], [undefined, 'de', 'de'], [undefined, '', 'en']] as const) {
    const email = newAddress()
    t.equal((await call('POST', '/v2/users', { body: { email, name: 'Ada', ...(locale === undefined ? {} : { locale }) }, headers: { 'accept-language': header } })).statusCode, 202)
    t.match((await waiting(app, 'AuthTable')).find(({ subject }) => subject === email), { data: { registration: { name: 'Ada', locale: expected } } })
  }
})

t.test('a sign-in, a refresh and a sign-out say in the log whose they are, and by which grant', async t => {
  const { id, email, tokens, sid } = await signIn()
  const last = () => app.logLines.filter(({ msg }) => msg === 'answered').at(-1)
  const { challengeId, code } = await openChallenge(app, email)
  t.equal((await call('POST', '/v2/auth/verify', { body: { challengeId, code } })).statusCode, 204)
  for (const [url, body, grant] of [
    ['/v1/auth/tokens', { grantType: 'code', challengeId, code }, 'code'],
    ['/v1/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.refreshToken }, 'refresh_token'],
    ['/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.refreshToken }, 'refresh_token'],
    ['/v2/auth/revoke', { refreshToken: tokens.refreshToken }, undefined]
  ] as const) {
    const answer = await call('POST', url, { body, headers: { 'user-agent': 'The Client' } })
    t.equal(answer.statusCode, grant === undefined ? 204 : 200)
    t.match(last(), { userId: id, ...(grant === undefined ? {} : { grant }), ...(grant === 'code' ? {} : { sid }) }, url)
    if (url.startsWith('/v1')) t.match(answer.json(), { success: true, data: { tokenType: 'Bearer', user: { id } } })
    if (grant === undefined) t.equal(answer.body, '')
  }
  await call('POST', '/v2/auth/tokens', { body: { grantType: 'refresh_token', refreshToken: 'x' } })
  t.match(last(), { grant: 'refresh_token' })
  t.notOk('userId' in last()!)
})

t.test('sessions are listed and ended for who has signed in', async t => {
  const { id, email, bearer, sid } = await signIn()
  const { challengeId, code } = await openChallenge(app, email)
  const other = (await call('POST', '/v2/auth/tokens', { body: { grantType: 'code', challengeId, code }, headers: { 'user-agent': 'The Other' } })).json<Tokens>()
  const list = await call('GET', '/v2/users/me/sessions', { headers: bearer })
  t.match(list.json(), { items: [{ id: sidOf(other), device: 'The Other', current: false }, { id: sid, current: true }] })
  for (const url of [`/v2/users/me/sessions/${sidOf(other)}`, '/v2/users/me/sessions']) {
    const answer = await call('DELETE', url, { headers: { ...bearer, 'x-correlation-id': 'corr-2' } })
    t.equal(answer.statusCode, 204)
    t.equal(answer.body, '')
    t.equal((await call('POST', '/v2/auth/tokens', { body: { grantType: 'refresh_token', refreshToken: other.refreshToken } })).statusCode, 401)
  }
  t.match((await waiting(app, 'UsersTable')).find(({ type, subject }) => type === 'user.signed-out' && subject === id), { correlationId: 'corr-2' })
  t.equal((await call('GET', '/v2/users/me/sessions', { headers: await bearerOf(app, id) })).statusCode, 401)
})

t.test('keys and metadata are for everybody to keep for a while', async t => {
  const keys = await call('GET', '/.well-known/jwks.json')
  t.equal(keys.headers['cache-control'], 'public, max-age=60')
  t.same(keys.json(), { keys: app.keys.jwks })
  const metadata = await call('GET', '/.well-known/oauth-authorization-server')
  t.equal(metadata.headers['cache-control'], 'public, max-age=3600')
  t.match(metadata.json(), { issuer: 'the-issuer', jwks_uri: 'https://users.example.com/.well-known/jwks.json' })
  const { body } = await call('GET', '/verify')
  for (const part of ['The Shop', '#1a7f37', 'https://shop.example/logo.png']) t.match(body, part, 'the page of the link has the looks of the operator')
})
