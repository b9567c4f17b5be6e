import { randomBytes } from 'node:crypto'
import t from 'tap'
import jwtPlugin from '../../src/plugins/jwt.ts'
import { report } from '../promise.ts'
import { until } from '../until.ts'
import { badTokens, forger, notBearer } from './bad-tokens.ts'
import { checkDependencies } from './dependencies.ts'
import { bearer, buildTokenApp, PERSON } from './minimal-app.ts'
import { startSecretsManager } from './secrets-manager.ts'

checkDependencies('jwt', jwtPlugin, ['config', 'keys'])

const SECRET = randomBytes(32).toString('hex')
const app = await buildTokenApp(t, { JWT_SECRET: SECRET })

const who = (token: string) => app.inject({ url: '/who', headers: bearer(token) })
const { forge, decode, jwk, HEADER } = forger(SECRET)

t.test('a token is an RFC 9068 access token with every claim of the contract', async (t) => {
  const token = await app.accessTokens.sign(PERSON)
  const [header, claims] = token.split('.').slice(0, 2).map(decode)
  t.same(header, HEADER)
  t.same(Object.keys(claims).sort(), ['aud', 'email', 'exp', 'iat', 'iss', 'jti', 'role', 'sid', 'sub', 'userId'])
  t.match(claims, { ...PERSON, userId: PERSON.sub, iss: 'user-service', aud: 'user-service' })
  t.equal(claims.exp - claims.iat, 600)
  const answer = await who(token)
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { ...PERSON, userId: PERSON.sub })
  t.not(decode((await app.accessTokens.sign(PERSON)).split('.')[1]!).jti, claims.jti)
})

t.test('a token lives as long as the configuration says', async (t) => {
  const short = await buildTokenApp(t, { JWT_SECRET: SECRET, ACCESS_TOKEN_TTL_SECONDS: '30' })
  const { exp, iat } = decode((await short.accessTokens.sign(PERSON)).split('.')[1]!)
  t.equal(exp - iat, 30)
})

t.test('every bad token is refused, with one body', async (t) => {
  t.equal((await who(forge())).statusCode, 200, 'the forger works: only what is changed below is wrong')
  const bad = await badTokens(SECRET, claims => app.accessTokens.sign(claims as typeof PERSON))
  const bodies = new Set<string>()
  const wrong: string[] = []
  for (const [what, token] of Object.entries(bad)) {
    const answer = await who(token)
    const { correlationId, ...body } = answer.json()
    bodies.add(JSON.stringify(body))
    if (answer.statusCode !== 401 || !String(answer.headers['www-authenticate']).startsWith('Bearer realm="user-service", error="invalid_token", error_description="')) wrong.push(what)
  }
  t.same(wrong, [])
  const count = Object.keys(bad).length
  report(t, { promise: 26, figure: `${count} bad tokens: ${count - wrong.length} × 401, ${bodies.size} body`, holds: count >= 40 && wrong.length === 0 && bodies.size === 1 })
})

t.test('so is everything that is no bearer token', async (t) => {
  const token = await app.accessTokens.sign(PERSON)
  for (const authorization of notBearer(token)) {
    const answer = await app.inject({ url: '/who', headers: authorization === undefined ? {} : { authorization } })
    t.equal(answer.statusCode, 401, String(authorization).slice(0, 20))
    t.equal(answer.json().code, 'AUTH_TOKEN_INVALID')
  }
  t.equal((await app.inject({ url: '/who' })).headers['www-authenticate'], 'Bearer realm="user-service"', 'RFC 6750: no error where no token was sent')
  t.equal((await app.inject({ url: `/who?access_token=${token}` })).statusCode, 401)
  t.equal((await app.inject({ url: '/who', headers: { cookie: `token=${token}` } })).statusCode, 401)
})

t.test('a token that was good is refused once it has expired', async (t) => {
  const token = forge({ claims: { exp: Math.floor(Date.now() / 1000) + 1 } })
  t.equal((await who(token)).statusCode, 200)
  t.equal((await who(token)).statusCode, 200)
  await until(async () => (await who(token)).statusCode === 401)
})

t.test('a token that was verified before is refused right after the second in which it expires', async (t) => {
  const { now } = Date
  t.teardown(() => { Date.now = now })
  const exp = Math.floor(now() / 1000) + 30
  const token = forge({ claims: { exp } })
  t.equal((await who(token)).statusCode, 200)
  Date.now = () => exp * 1000 - 1
  t.equal((await who(token)).statusCode, 200)
  Date.now = () => exp * 1000 + 1
  t.equal((await who(token)).statusCode, 401)
  Date.now = now
  t.equal((await who(token)).statusCode, 200, 'it is checked anew')
})

t.test('a token that differs from a verified one in a single character is checked by itself', async (t) => {
  const fresh = await buildTokenApp(t, { JWT_SECRET: SECRET })
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const token = await app.accessTokens.sign(PERSON)
  t.equal((await who(token)).statusCode, 200)
  const answers = new Set<number>()
  for (const by of [1, 16, 32, 48]) {
    const changed = token.slice(0, -1) + ALPHABET[(ALPHABET.indexOf(token.at(-1)!) + by) % 64]!
    const { statusCode } = await who(changed)
    t.equal(statusCode, (await fresh.inject({ url: '/who', headers: bearer(changed) })).statusCode, 'as in a process that has not seen the other one')
    answers.add(statusCode)
  }
  t.ok(answers.has(401))
  const [head, body, signature] = token.split('.') as [string, string, string]
  for (const changed of [`${head}.${body.slice(0, 50)}${body[50] === 'A' ? 'B' : 'A'}${body.slice(51)}.${signature}`, `${token} `, `${token}.`]) t.equal((await who(changed)).statusCode, 401)
})

t.test('a header may be as long as 4 KiB', async (t) => {
  // A part in base64url has no length of 4 n + 1: two parts together have any length.
  const padded = (x: number, pad: number) => bearer(forge({ header: { x: 'x'.repeat(x) }, claims: { pad: 'x'.repeat(pad) } }))
  const lengths = [0, 1, 2, 3].flatMap(x => Array.from({ length: 8 }, (_, more) => ({ x, pad: Math.floor((4096 - padded(0, 0).authorization.length) * 3 / 4) - more })))
  const { x, pad } = lengths.find(({ x, pad }) => padded(x, pad).authorization.length === 4096)!
  t.equal((await app.inject({ url: '/who', headers: padded(x, pad) })).statusCode, 200)
  t.equal((await app.inject({ url: '/who', headers: padded(x, pad + 1) })).statusCode, 401)
})

t.test('a key id that is no text is not looked up', async (t) => {
  const manager = await startSecretsManager(t)
  const managed = await buildTokenApp(t, manager.env)
  const asked = manager.asked.length
  for (const kid of [7, {}, [jwk.kid], null, undefined]) t.equal((await managed.inject({ url: '/who', headers: bearer(forge({ header: { kid } })) })).statusCode, 401)
  t.equal(manager.asked.length, asked)
  t.equal((await managed.inject({ url: '/who', headers: bearer(forge({ header: { kid: 'x' } })) })).statusCode, 401)
  t.ok(manager.asked.length > asked)
  manager.answers = 'badly'
  const unknown = await managed.inject({ url: '/who', headers: bearer(forge({ header: { kid: 'y' } })) })
  t.equal(unknown.statusCode, 503, 'whether a key is known cannot be said without a lookup')
  t.ok(Number(unknown.headers['retry-after']) > 0)
})

t.test('a token that was verified before is refused once its key is retired', async (t) => {
  const manager = await startSecretsManager(t)
  manager.rotate()
  const managed = await buildTokenApp(t, manager.env)
  const token = await managed.accessTokens.sign(PERSON)
  const ask = async (some: string) => (await managed.inject({ url: '/who', headers: bearer(some) })).statusCode
  for (let i = 0; i < 2; i++) t.equal(await ask(token), 200)
  for (const status of [200, 401]) {
    manager.rotate()
    t.equal(await ask(forge({ header: { kid: 'unknown' } })), 401, 'which looks for a rotation')
    t.equal(await ask(token), status)
  }
})

t.test('a thousand verified tokens are remembered, the least used one is forgotten first, and rejected ones never are', async (t) => {
  const app = await buildTokenApp(t, { JWT_SECRET: SECRET })
  let remembered = 0
  const { decode } = app.jwt
  app.jwt.decode = ((token: string) => { remembered++; return decode(token) }) as typeof decode
  const send = async (token: string) => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode
  const tokens = Array.from({ length: 1001 }, (_, i) => forge({ claims: { jti: String(i) } }))
  for (const token of tokens) await send(token)
  t.equal(remembered, 1001)
  for (const token of tokens.slice(1)) await send(token)
  t.equal(remembered, 1001)
  t.equal(await send(tokens[0]!), 200)
  t.equal(remembered, 1002)
  const bad = forge({ claims: { iss: 'another' } })
  t.same([await send(bad), await send(bad)], [401, 401])
  t.equal(remembered, 1002)
})

t.test('what one request does to its user is not seen by the next', async (t) => {
  const headers = bearer(await app.accessTokens.sign(PERSON))
  t.equal((await app.inject({ url: '/climb', headers })).json().role, 'admin')
  t.equal((await app.inject({ url: '/who', headers })).json().role, 'user')
  t.equal((await app.inject({ url: '/admin', headers })).statusCode, 403)
})

t.test('admins pass where only admins may', async (t) => {
  const ask = async (role: 'user' | 'admin') => await app.inject({ url: '/admin', headers: bearer(await app.accessTokens.sign({ ...PERSON, role })) })
  t.equal((await ask('admin')).statusCode, 200)
  const refused = await ask('user')
  t.equal(refused.statusCode, 403)
  t.equal(refused.json().code, 'FORBIDDEN')
})

t.test('after a rotation the previous secret still verifies and the new one signs', async (t) => {
  const old = await app.accessTokens.sign(PERSON)
  const rotated = await buildTokenApp(t, { JWT_SECRET: randomBytes(32).toString('hex'), JWT_SECRET_PREVIOUS: SECRET })
  t.equal((await rotated.inject({ url: '/who', headers: bearer(old) })).statusCode, 200)
  t.not(decode((await rotated.accessTokens.sign(PERSON)).split('.')[0]!).kid, jwk.kid)
  const forgotten = await buildTokenApp(t, { JWT_SECRET: randomBytes(32).toString('hex') })
  t.equal((await forgotten.inject({ url: '/who', headers: bearer(old) })).statusCode, 401)
})
