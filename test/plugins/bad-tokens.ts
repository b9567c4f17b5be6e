import { createHmac, generateKeyPairSync, sign as signWith } from 'node:crypto'
import { deriveKeys } from '../../src/plugins/keys/derive.ts'
import { PERSON } from './minimal-app.ts'

// Tokens that must be rejected, for everything that verifies tokens: the app and the authorizer.

/** Makes tokens under a root secret: like those of the app, except for what is given. */
export function forger (secret: string) {
  const { privateKey, publicKey, jwk } = deriveKeys(secret)

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

  return { forge, without, b64, decode, ed25519, privateKey, publicKey, jwk, seconds, HEADER, CLAIMS }
}

/** Every kind of bad token, by what is wrong with it. `sign` makes a good one. */
export async function badTokens (secret: string, sign: (claims: typeof PERSON | Record<string, string>) => Promise<string>): Promise<Record<string, string>> {
  const { forge, without, b64, decode, ed25519, publicKey, jwk, seconds, CLAIMS } = forger(secret)
  const good = await sign(PERSON)
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
    'signature of another token': `${head}.${body}.${(await sign({ ...PERSON, role: 'admin' })).split('.')[2]}`,
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
  return bad
}

/** Authorization headers that hold no bearer token, made of a good token. */
export const notBearer = (token: string): (string | undefined)[] =>
  [undefined, '', 'Bearer', 'Bearer ', `Basic ${token}`, token, `Bearer  ${token}`, `Bearer ${token} ${token}`, `Bearer\t${token}`, `Bearer ${token},${token}`, `bearer:${token}`, `Bearers ${token}`, `XBearer ${token}`]
