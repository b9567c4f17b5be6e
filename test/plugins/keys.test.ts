import { createPublicKey, verify } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { deriveKeys } from '../../src/plugins/keys/derive.ts'
import { report, workload } from '../promise.ts'
import { until } from '../until.ts'
import { bearer, buildTokenApp, PERSON, type TokenApp } from './minimal-app.ts'
import { ARN, CODE_ARN, newSecret, startSecretsManager } from './secrets-manager.ts'

// They wait for intervals far more than they work.
t.jobs = 10

const who = async (app: TokenApp, token: string) => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode
const currentKid = (app: TokenApp) => app.keys.jwks[0]!.kid
const header = (token: string): { kid: string } => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())

t.test('one secret gives one set of keys, each for its own purpose', async (t) => {
  const secret = newSecret()
  const keys = deriveKeys(secret)
  const textsOf = ({ privateKey, jwk, mail, pseudonym, seal }: ReturnType<typeof deriveKeys>) => [privateKey, jwk.kid, ...[mail.code, mail.recipient, pseudonym, seal].map(key => key.export().toString('hex'))]
  t.same(textsOf(deriveKeys(secret)), textsOf(keys))
  t.equal(new Set([keys, deriveKeys(newSecret())].flatMap(textsOf)).size, 12)
  for (const key of [keys.mail.code, keys.mail.recipient, keys.pseudonym, keys.seal]) t.equal(key.symmetricKeySize, 32)
})

t.test('derivation stays what it is: tokens and codes outlive a deployment', async (t) => {
  const { jwk, mail: { code, recipient }, pseudonym } = deriveKeys('a root secret that never was used anywhere')
  t.same({ jwk, code: code.export().toString('hex'), recipient: recipient.export().toString('hex'), pseudonym: pseudonym.export().toString('hex') }, {
    jwk: { kty: 'OKP', crv: 'Ed25519', x: 'JI0n25pHQAnmex8xU9DJFBnwH8KiwgkZCIN3sVMWJdA', kid: '4CMyXZKUEXd-ffSCLuafTWP3aCRrP5YH49mXkVI_7g8', alg: 'EdDSA', use: 'sig' },
    code: 'd4036162200acd916652aa506d8df6b15b4003d2554c1189ffb7d62c89b72a42',
    recipient: '855d4d2b15cb4c124082ccc4420aedfce55182bce3a5d994bea1432e605d5d67',
    pseudonym: '5642bf46da8562c6f7890f7bff3abfe9e60ac630b655615fa6703290b35a3a48'
  })
})

t.test('a sealed text is opened under the current and the previous secret, and nothing else is', async (t) => {
  const [oldest, previous, current] = [newSecret(), newSecret(), newSecret()]
  const [before, now, after] = [await buildTokenApp(t, { JWT_SECRET: oldest }), await buildTokenApp(t, { JWT_SECRET: previous, JWT_SECRET_PREVIOUS: oldest }), await buildTokenApp(t, { JWT_SECRET: current, JWT_SECRET_PREVIOUS: previous })]
  const text = 'users 2026-11-26T12:00:00.000Z#é'
  const sealed = now.keys.seal(text)
  t.match(sealed, /^[\w-]+\.[\w-]{43}$/, 'safe in a URL')
  for (const app of [now, after]) t.equal(await app.keys.open(sealed), text)
  t.equal(await after.keys.open(before.keys.seal(text)), undefined, 'the secret before the previous one is retired')
  t.equal(await before.keys.open(sealed), undefined)
  const [head, signature] = sealed.split('.') as [string, string]
  for (const forged of ['', '.', head, `${head}.`, `.${signature}`, `${head}x.${signature}`, `${head}=.${signature}`, `${head}.${signature.slice(1)}`, `${head}.${signature}.`, sealed.toUpperCase(), `${sealed}\n`]) {
    t.equal(await now.keys.open(forged), undefined, JSON.stringify(forged))
  }
})

t.test('a text that was sealed after a rotation is opened by a process that has not seen it yet', async (t) => {
  const manager = await startSecretsManager(t)
  const old = await buildTokenApp(t, manager.env)
  manager.stages = { AWSPREVIOUS: manager.stages['AWSCURRENT']!, AWSCURRENT: newSecret() }
  const renewed = await buildTokenApp(t, manager.env)
  t.equal(await old.keys.open(renewed.keys.seal('x')), 'x')
})

t.test('the public key set verifies a token by itself, with nothing secret in it', async (t) => {
  const previous = newSecret()
  const current = newSecret()
  const app = await buildTokenApp(t, { JWT_SECRET: current, JWT_SECRET_PREVIOUS: previous })
  t.same(app.keys.jwks.map(({ kid }) => kid), [deriveKeys(current).jwk.kid, deriveKeys(previous).jwk.kid])
  for (const jwk of app.keys.jwks) t.same(Object.keys(jwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  const token = await app.accessTokens.sign(PERSON)
  const [head, body, signature] = token.split('.') as [string, string, string]
  const jwk = app.keys.jwks.find(({ kid }) => kid === header(token).kid)!
  t.ok(verify(null, Buffer.from(`${head}.${body}`), createPublicKey({ key: { ...jwk }, format: 'jwk' }), Buffer.from(signature, 'base64url')))
  t.equal(await app.signingKeys.publicKey('x'), undefined)
})

t.test('a secret in Secrets Manager is fetched once, while the app gets ready', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  t.same(manager.asked.sort(), ['AWSCURRENT', 'AWSPREVIOUS'])
  t.equal(currentKid(app), deriveKeys(manager.stages['AWSCURRENT']!).jwk.kid)
  t.equal(app.keys.jwks.length, 1, 'before the first rotation there is no previous version')
  for (let i = 0; i < 20; i++) t.equal(await who(app, await app.accessTokens.sign(PERSON)), 200)
  t.equal(manager.asked.length, 2)
})

t.test('an app whose secret cannot be fetched, or is too short, does not start', async (t) => {
  const manager = await startSecretsManager(t)
  manager.answers = 'badly'
  await t.rejects(buildTokenApp(t, manager.env), { message: /^JWT_SECRET_ARN: .*AccessDeniedException/ })
  manager.answers = 'never'
  const start = performance.now()
  await t.rejects(buildTokenApp(t, manager.env))
  t.ok(performance.now() - start < 4000, 'and does not wait for ever')
  manager.answers = 'well'
  manager.stages['AWSCURRENT'] = 'short'
  await t.rejects(buildTokenApp(t, manager.env), { message: /^JWT_SECRET_ARN: .*the AWSCURRENT version/ })
})

t.test('an unknown kid is looked up, once for all who ask, and a flood of forged ones neither asks often nor waits', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  const asked = manager.asked.length
  t.same(await Promise.all(Array.from({ length: 50 }, async () => await who(app, await newer.accessTokens.sign(PERSON)))), Array(50).fill(200))
  t.equal(manager.asked.length - asked, 2)
  t.equal(header(await app.accessTokens.sign(PERSON)).kid, currentKid(newer), 'and it signs with the new key from then on')

  const stranger = await buildTokenApp(t, { JWT_SECRET: newSecret() })
  const before = manager.asked.length
  const start = performance.now()
  for (let i = 0; i < 100; i++) t.same(await Promise.all(Array.from({ length: 3 }, async () => await who(app, await stranger.accessTokens.sign(PERSON)))), Array(3).fill(401))
  t.ok((manager.asked.length - before) / 2 <= 20 + (performance.now() - start) / 1000, `${manager.asked.length - before} questions`)
  t.ok(performance.now() - start < 20_000, 'a hundred waits of a second would be longer')
})

t.test('a rotation right after a forged token causes no 401', async (t) => {
  const manager = await startSecretsManager(t)
  const [app, stranger] = await Promise.all([buildTokenApp(t, manager.env), buildTokenApp(t, { JWT_SECRET: newSecret() })])
  t.equal(await who(app, await stranger.accessTokens.sign(PERSON)), 401)
  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  t.equal(await who(app, await newer.accessTokens.sign(PERSON)), 200)
})

t.test('while Secrets Manager is down known keys work, and unknown ones are answered with 503', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  manager.answers = 'badly'
  t.equal(await who(app, await app.accessTokens.sign(PERSON)), 200)
  const answer = await app.inject({ url: '/who', headers: bearer(await newer.accessTokens.sign(PERSON)) })
  t.equal(answer.statusCode, 503)
  t.ok(answer.headers['retry-after'])
  manager.answers = 'well'
  t.equal(await who(app, await newer.accessTokens.sign(PERSON)), 200)
})

t.test('a key that two rotations have retired is good for nothing, though its tokens were verified before', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  const token = await app.accessTokens.sign(PERSON)
  t.equal(await who(app, token), 200)
  for (let i = 0; i < 2; i++) {
    manager.rotate()
    const newer = await buildTokenApp(t, manager.env)
    t.equal(await who(app, await newer.accessTokens.sign(PERSON)), 200)
  }
  t.equal(await who(app, token), 401)
})

/** Tokens a second, and those between two rotations. */
const RATE = 200
const PER_ROTATION = workload({ short: 20, full: 400 })

t.test('ten rotations under load refuse no good token', async (t) => {
  const manager = await startSecretsManager(t)
  // As on Lambda: some instances have been there since before the first rotation, each rotation meets new ones.
  const instances = [await buildTokenApp(t, manager.env), await buildTokenApp(t, manager.env)]
  let signer = instances[0]!
  let running = true
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1000
  let sent = 0
  const statuses: Record<number, number> = {}
  const pending = new Set<Promise<void>>()
  const load = (async () => {
    for (; running; await sleep(5)) {
      // As many as are due, however late the timer is.
      for (; sent < RATE * seconds(); sent++) {
        const one = signer.accessTokens.sign(PERSON).then(token => who(instances[sent % instances.length]!, token)).then(status => { statuses[status] = (statuses[status] ?? 0) + 1 })
        pending.add(one)
        void one.finally(() => pending.delete(one))
      }
    }
  })()
  for (let rotation = 0; rotation < 10; rotation++) {
    manager.rotate()
    signer = await buildTokenApp(t, manager.env)
    instances.push(signer)
    // Every instance has met the new key before the next rotation, as tokens live far shorter than secrets.
    const before = sent
    await until(() => sent >= before + PER_ROTATION && instances.every(app => currentKid(app) === currentKid(signer)))
  }
  running = false
  await load
  await Promise.all(pending)
  const answers = Object.values(statuses).reduce((sum, times) => sum + times, 0)
  report(t, { promise: 31, part: 'ten key rotations under load', figure: `${answers} tokens, ${Math.round(answers / seconds())} a second: ${statuses[401] ?? 0} × 401`, holds: statuses[401] === undefined })
  t.same(Object.keys(statuses), ['200'])
})

const CHALLENGE = '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'

t.test('codes are eight digits, and good under the current secret and the one before', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  const code = app.keys.codeOf(CHALLENGE)
  t.match(code, /^\d{8}$/)
  t.equal(await app.keys.isCode(CHALLENGE, code), true)
  for (const wrong of ['', '0', code.slice(1), `${code}0`, `${code} `, code === '00000000' ? '00000001' : '00000000']) t.equal(await app.keys.isCode(CHALLENGE, wrong), false, wrong)
  t.equal(await app.keys.isCode('another', code), false)

  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  t.equal(await newer.keys.isCode(CHALLENGE, code), true, 'mailed before the rotation')
  t.equal(await app.keys.isCode(CHALLENGE, newer.keys.codeOf(CHALLENGE)), true, 'mailed after one that this process has not met yet')
  manager.answers = 'badly'
  manager.rotate()
  t.equal(await app.keys.isCode(CHALLENGE, '00000000').catch(error => error.statusCode), 503)
})

t.test('pseudonyms are found under the secret before the rotation', async (t) => {
  const [secret, previous] = [newSecret(), newSecret()]
  const [app, before] = [await buildTokenApp(t, { JWT_SECRET: secret, JWT_SECRET_PREVIOUS: previous }), await buildTokenApp(t, { JWT_SECRET: previous })]
  t.match(app.keys.pseudonym('ada@example.com'), /^[\w-]{22}$/)
  t.same(app.keys.pseudonyms('ada@example.com'), [app.keys.pseudonym('ada@example.com'), before.keys.pseudonym('ada@example.com')])
  t.not(app.keys.pseudonym('ada@example.com'), before.keys.pseudonym('ada@example.com'))
})

t.test('with a secret of their own, codes have nothing to do with the root secret', async (t) => {
  const [root, codes] = [newSecret(), newSecret()]
  const api = await buildTokenApp(t, { JWT_SECRET: root, CODE_SECRET: codes })
  const other = await buildTokenApp(t, { JWT_SECRET: newSecret(), CODE_SECRET: codes })
  const derived = await buildTokenApp(t, { JWT_SECRET: root })
  t.equal(api.keys.codeOf(CHALLENGE), other.keys.codeOf(CHALLENGE))
  t.not(api.keys.codeOf(CHALLENGE), derived.keys.codeOf(CHALLENGE))
  t.equal(await api.keys.isCode(CHALLENGE, derived.keys.codeOf(CHALLENGE)), false)
  t.equal(api.keys.pseudonym('x'), derived.keys.pseudonym('x'))
  t.same(api.keys.jwks, derived.keys.jwks)
})

t.test('a process with the secret of codes alone makes the codes, and neither signs nor accepts tokens', async (t) => {
  const manager = await startSecretsManager(t)
  const api = await buildTokenApp(t, { ...manager.env, CODE_SECRET_ARN: CODE_ARN })
  t.same([...new Set(manager.secrets)].sort(), [CODE_ARN, ARN])
  manager.secrets.length = 0
  const worker = await buildTokenApp(t, { AWS_ENDPOINT_URL: manager.env.AWS_ENDPOINT_URL, CODE_SECRET_ARN: CODE_ARN })
  t.same([...new Set(manager.secrets)], [CODE_ARN], 'the root secret is not asked for')
  const code = worker.keys.codeOf(CHALLENGE)
  t.equal(await api.keys.isCode(CHALLENGE, code), true)
  await worker.keys.refresh()
  for (const use of [() => worker.keys.pseudonym('x'), () => worker.keys.pseudonyms('x'), () => worker.keys.jwks]) t.throws(use, { message: /^This process has no root secret.*JWT_SECRET/ })
  await t.rejects(worker.accessTokens.sign(PERSON), { message: /^This process has no root secret/ })
  t.equal(await who(worker, await api.accessTokens.sign(PERSON)), 401)
})
