import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { deriveKeys } from '../../src/plugins/keys/derive.ts'
import { until, type Test } from '../helper.ts'
import { bearer, buildTokenApp, PERSON, type TokenApp } from './minimal-app.ts'

const ARN = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:jwt'
// They wait for intervals far more than they work.
t.jobs = 10

const newSecret = () => randomBytes(32).toString('hex')

/** As much of Secrets Manager as GetSecretValue needs: two stages, over HTTP. */
async function startSecretsManager (t: Test) {
  const manager = {
    env: { JWT_SECRET_ARN: ARN, AWS_ENDPOINT_URL: '' },
    stages: { AWSCURRENT: newSecret() } as Record<string, string | undefined>,
    /** the stages that were asked for */
    asked: [] as string[],
    answers: 'well' as 'well' | 'badly' | 'never',
    rotate () { Object.assign(manager.stages, { AWSPREVIOUS: manager.stages['AWSCURRENT'], AWSCURRENT: newSecret() }) }
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => { body += chunk })
    request.on('end', () => {
      const { VersionStage } = JSON.parse(body)
      manager.asked.push(VersionStage)
      if (manager.answers === 'never') return
      const value = manager.stages[VersionStage]
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      if (manager.answers === 'badly') response.writeHead(400).end(JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }))
      else if (value === undefined) response.writeHead(400).end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'no such stage' }))
      else response.end(JSON.stringify({ ARN, SecretString: value, VersionStages: [VersionStage] }))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  manager.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return manager
}

const who = async (app: TokenApp, token: string) => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode
const currentKid = (app: TokenApp) => app.keys.jwks[0]!.kid
const header = (token: string): { kid: string } => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())

t.test('one secret gives one set of keys, each for its own purpose', async (t) => {
  const secret = newSecret()
  const keys = deriveKeys(secret)
  t.same(deriveKeys(secret), keys)
  const other = deriveKeys(newSecret())
  const all = [keys, other].flatMap(set => [set.privateKey, set.code.toString('hex'), set.pseudonym.toString('hex'), set.jwk.kid])
  t.equal(new Set(all).size, 8)
  for (const key of [keys.code, keys.pseudonym]) t.equal(key.length, 32)
})

t.test('derivation stays what it is: tokens and codes outlive a deployment', async (t) => {
  const { jwk, code, pseudonym } = deriveKeys('a root secret that never was used anywhere')
  t.same({ jwk, code: code.toString('hex'), pseudonym: pseudonym.toString('hex') }, {
    jwk: { kty: 'OKP', crv: 'Ed25519', x: 'JI0n25pHQAnmex8xU9DJFBnwH8KiwgkZCIN3sVMWJdA', kid: '4CMyXZKUEXd-ffSCLuafTWP3aCRrP5YH49mXkVI_7g8', alg: 'EdDSA', use: 'sig' },
    code: 'd4036162200acd916652aa506d8df6b15b4003d2554c1189ffb7d62c89b72a42',
    pseudonym: '5642bf46da8562c6f7890f7bff3abfe9e60ac630b655615fa6703290b35a3a48'
  })
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

t.test('a rotation right after a forged token does not cost anybody a 401', async (t) => {
  const manager = await startSecretsManager(t)
  const [app, stranger] = await Promise.all([buildTokenApp(t, manager.env), buildTokenApp(t, { JWT_SECRET: newSecret() })])
  t.equal(await who(app, await stranger.accessTokens.sign(PERSON)), 401)
  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  t.equal(await who(app, await newer.accessTokens.sign(PERSON)), 200)
})

t.test('while Secrets Manager is away known keys work, and of unknown ones nobody can tell', async (t) => {
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

t.test('ten rotations under load refuse no good token', async (t) => {
  const manager = await startSecretsManager(t)
  // As on Lambda: some instances have been there since before the first rotation, each rotation meets new ones.
  const instances = [await buildTokenApp(t, manager.env), await buildTokenApp(t, manager.env)]
  let signer = instances[0]!
  let running = true
  const statuses: Record<number, number> = {}
  const pending = new Set<Promise<void>>()
  const load = (async () => {
    for (let i = 0; running; i++) {
      const one = signer.accessTokens.sign(PERSON).then(token => who(instances[i % instances.length]!, token)).then(status => { statuses[status] = (statuses[status] ?? 0) + 1 })
      pending.add(one)
      void one.finally(() => pending.delete(one))
      await sleep(5)
    }
  })()
  for (let rotation = 0; rotation < 10; rotation++) {
    manager.rotate()
    signer = await buildTokenApp(t, manager.env)
    instances.push(signer)
    // Every instance has met the new key before the next rotation, as tokens live far shorter than secrets.
    await until(() => instances.every(app => currentKid(app) === currentKid(signer)))
  }
  running = false
  await load
  await Promise.all(pending)
  t.comment(`10 rotations, answers: ${JSON.stringify(statuses)}`)
  t.same(Object.keys(statuses), ['200'])
})
