import { createHmac, generateKeyPairSync, randomBytes, sign as signWith } from 'node:crypto'
import t from 'tap'
import { deriveKeys } from '../../src/plugins/keys/derive.ts'
import { until } from '../helper.ts'
import { bearer, buildTokenApp, PERSON } from './minimal-app.ts'

const SECRET = randomBytes(32).toString('hex')
const app = await buildTokenApp(t, { JWT_SECRET: SECRET })
const { privateKey, publicKey, jwk } = deriveKeys(SECRET)

const who = (token: string) => app.inject({ url: '/who', headers: bearer(token) })
const b64 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())

const seconds = Math.floor(Date.now() / 1000)
const HEADER = { alg: 'EdDSA', typ: 'at+jwt', kid: jwk.kid }
const CLAIMS = { ...PERSON, userId: PERSON.sub, iss: 'user-service', aud: 'user-service', jti: 'x', iat: seconds, exp: seconds + 60 }
const ed25519 = (key: Parameters<typeof signWith>[2]) => (input: string) => signWith(null, Buffer.from(input), key).toString('base64url')

/** A forged token: like ours, except for what is given. */
function forge ({ header = {}, claims = {}, sign = ed25519(privateKey) }: { header?: object, claims?: object, sign?: (input: string) => string } = {}) {
  const input = `${b64({ ...HEADER, ...header })}.${b64({ ...CLAIMS, ...claims })}`
  return `${input}.${sign(input)}`
}
const without = (name: string) => ({ claims: { [name]: undefined } })

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
  const good = await app.accessTokens.sign(PERSON)
  const [head, body, signature] = good.split('.') as [string, string, string]
  const stranger = generateKeyPairSync('ed25519')
  const ed448 = generateKeyPairSync('ed448')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const hs256 = (key: string | Buffer) => (input: string) => createHmac('sha256', key).update(input).digest('base64url')
  const otherSecret = deriveKeys('another root secret of enough length')
  const none = () => ''

  const bad: Record<string, string> = {
    'alg none': forge({ header: { alg: 'none' }, sign: none }),
    'alg None': forge({ header: { alg: 'None' }, sign: none }),
    'alg nOnE with a signature': forge({ header: { alg: 'nOnE' } }),
    'alg none with the signature': forge({ header: { alg: 'none' } }),
    'alg missing': forge({ header: { alg: undefined } }),
    'alg empty': forge({ header: { alg: '' } }),
    'alg a list': forge({ header: { alg: ['EdDSA'] } }),
    'no signature': forge({ sign: none }),
    'HS256 keyed with the public key, PEM': forge({ header: { alg: 'HS256' }, sign: hs256(publicKey) }),
    'HS256 keyed with the public key, x': forge({ header: { alg: 'HS256' }, sign: hs256(jwk.x) }),
    'HS256 keyed with the public key, bytes': forge({ header: { alg: 'HS256' }, sign: hs256(Buffer.from(jwk.x, 'base64url')) }),
    'HS256 keyed with nothing': forge({ header: { alg: 'HS256' }, sign: hs256('') }),
    'HMAC under the name of EdDSA': forge({ sign: hs256(publicKey) }),
    'EdDSA under the name of HS256': forge({ header: { alg: 'HS256' } }),
    'RS256 of a stranger': forge({ header: { alg: 'RS256' }, sign: input => signWith('sha256', Buffer.from(input), rsa.privateKey).toString('base64url') }),
    'ES256 of a stranger': forge({ header: { alg: 'ES256' }, sign: input => signWith('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url') }),
    'Ed448 of a stranger': forge({ sign: ed25519(ed448.privateKey) }),
    'a key of a stranger': forge({ sign: ed25519(stranger.privateKey) }),
    'a key of a stranger, embedded': forge({ header: { jwk: stranger.publicKey.export({ format: 'jwk' }) }, sign: ed25519(stranger.privateKey) }),
    'a key of a stranger, embedded, no kid': forge({ header: { kid: undefined, jwk: stranger.publicKey.export({ format: 'jwk' }) }, sign: ed25519(stranger.privateKey) }),
    'a key of a stranger, by address': forge({ header: { jku: 'https://attacker.example/jwks.json' }, sign: ed25519(stranger.privateKey) }),
    'a certificate of a stranger': forge({ header: { x5u: 'https://attacker.example/cert.pem', x5c: ['MIIB'] }, sign: ed25519(stranger.privateKey) }),
    'the key of another root secret': forge({ header: { kid: otherSecret.jwk.kid }, sign: ed25519(otherSecret.privateKey) }),
    'the key of another root secret under our kid': forge({ sign: ed25519(otherSecret.privateKey) }),
    'kid missing': forge({ header: { kid: undefined } }),
    'kid unknown': forge({ header: { kid: 'x' } }),
    'kid a number': forge({ header: { kid: 0 } }),
    'kid a path': forge({ header: { kid: '../../../../dev/null' } }),
    'kid __proto__': forge({ header: { kid: '__proto__' } }),
    'kid an object': forge({ header: { kid: { kid: jwk.kid } } }),
    'critical extension': forge({ header: { crit: ['b64'], b64: false } }),
    'typ missing': forge({ header: { typ: undefined } }),
    'typ JWT': forge({ header: { typ: 'JWT' } }),
    'typ of an id token': forge({ header: { typ: 'id_token+jwt' } }),
    'iss of another': forge({ claims: { iss: 'https://attacker.example' } }),
    'iss a list': forge({ claims: { iss: ['user-service'] } }),
    'aud of another': forge({ claims: { aud: 'another-service' } }),
    'aud a prefix': forge({ claims: { aud: 'user-service-admin' } }),
    'aud a list of others': forge({ claims: { aud: ['a', 'b'] } }),
    expired: forge({ claims: { iat: seconds - 700, exp: seconds - 100 } }),
    'expired a second ago': forge({ claims: { exp: seconds - 1 } }),
    'exp a text': forge({ claims: { exp: String(seconds + 60) } }),
    'exp null': forge({ claims: { exp: null } }),
    'not yet good': forge({ claims: { nbf: seconds + 300 } }),
    'body changed': `${head}.${b64({ ...decode(body), role: 'admin' })}.${signature}`,
    'header changed': `${b64({ ...decode(head), x: 1 })}.${body}.${signature}`,
    'signature of another token': `${head}.${body}.${(await app.accessTokens.sign({ ...PERSON, role: 'admin' })).split('.')[2]}`,
    'truncated by one': good.slice(0, -1),
    'truncated to the header': head,
    'without the body': `${head}..${signature}`,
    'a fourth part': `${good}.x`,
    'signature of zeros': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'padding added': `${good}==`,
    'base64 instead of base64url': `${head}.${body}.${Buffer.from(signature, 'base64url').toString('base64').replaceAll('=', '')}+`,
    'body no JSON': `${head}.${b64('x')}.${signature}`,
    'body a list': `${head}.${b64([])}.${signature}`,
    'header null': `${b64('null')}.${body}.${signature}`,
    'header __proto__': `${b64('{"__proto__":{"alg":"EdDSA"}}')}.${body}.${signature}`,
    'no token at all': 'x',
    'only dots': '..',
    '16 KB': forge({ claims: { pad: 'x'.repeat(16_000) } }),
    '16 KB of nothing': 'A'.repeat(16_000)
  }
  for (const name of Object.keys(CLAIMS)) bad[`${name} missing`] = forge(without(name))

  const bodies = new Set<string>()
  const wrong: string[] = []
  for (const [what, token] of Object.entries(bad)) {
    const answer = await who(token)
    const { correlationId, ...body } = answer.json()
    bodies.add(JSON.stringify(body))
    if (answer.statusCode !== 401 || !String(answer.headers['www-authenticate']).startsWith('Bearer realm="user-service", error="invalid_token", error_description="')) wrong.push(what)
  }
  t.same(wrong, [])
  t.equal(bodies.size, 1)
  t.ok(Object.keys(bad).length >= 40)
  t.comment(`${Object.keys(bad).length} bad tokens, ${bodies.size} body`)
})

t.test('so is everything that is no bearer token', async (t) => {
  const token = await app.accessTokens.sign(PERSON)
  for (const authorization of [undefined, '', 'Bearer', 'Bearer ', `Basic ${token}`, token, `Bearer  ${token}`, `Bearer ${token} ${token}`, `Bearer\t${token}`, `Bearer ${token},${token}`, `bearer:${token}`]) {
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
