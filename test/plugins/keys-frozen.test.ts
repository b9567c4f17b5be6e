import t from 'tap'
import { codeFor, deriveKeys } from '../../src/plugins/keys/derive.ts'
import { until } from '../until.ts'
import { bearer, buildTokenApp, PERSON, type TokenApp } from './minimal-app.ts'
import { startSecretsManager } from './secrets-manager.ts'

const { now } = Date
let frozenFor = 0
Date.now = () => now() + frozenFor
t.teardown(() => { Date.now = now })

/** Moves the clock, and no timer with it: what a process sees after it was frozen. */
function freeze (ms: number) { frozenFor += ms }

const who = async (app: TokenApp, token: string) => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode
const currentKid = (app: TokenApp) => app.keys.jwks[0]!.kid
const header = (token: string): { kid: string } => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())

t.test('a process that was frozen over two rotations signs with the current key, and accepts no token and no code of the first', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  const old = await app.accessTokens.sign(PERSON)
  const challengeId = '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'
  const oldCode = app.keys.codeOf(challengeId)
  manager.rotate()
  manager.rotate()
  const newer = await buildTokenApp(t, manager.env)
  freeze(400_000)
  t.equal(header(await app.accessTokens.sign(PERSON)).kid, currentKid(newer))

  for (const first of ['token', 'code', 'keys'] as const) {
    const app = await buildTokenApp(t, manager.env)
    const [token, code] = [await app.accessTokens.sign(PERSON), app.keys.codeOf(challengeId)]
    manager.rotate()
    manager.rotate()
    freeze(800_000)
    if (first === 'token') t.equal(await who(app, token), 401)
    else if (first === 'code') t.equal(await app.keys.isCode(challengeId, code), false)
    else {
      await app.keys.refresh()
      t.equal(currentKid(app), deriveKeys(manager.stages['AWSCURRENT']!).jwk.kid)
      t.equal(app.keys.codeOf(challengeId), codeFor(deriveKeys(manager.stages['AWSCURRENT']!).mail.code, challengeId))
    }
  }
  t.equal(await who(app, old), 401)
  t.equal(await app.keys.isCode(challengeId, oldCode), false)
})

t.test('a process that was frozen looks once, for all who ask at the same time', async (t) => {
  const manager = await startSecretsManager(t)
  manager.rotate() // a version that is not there would be asked for again: the SDK sees that the clocks differ
  const app = await buildTokenApp(t, manager.env)
  const token = await app.accessTokens.sign(PERSON)
  freeze(400_000)
  const asked = manager.asked.length
  await Promise.all(Array.from({ length: 50 }, async (_, i) => i % 2 === 0 ? await app.accessTokens.sign(PERSON) : await who(app, token)))
  t.same(manager.asked.slice(asked).sort(), ['AWSCURRENT', 'AWSPREVIOUS'])
})

t.test('a process that was frozen goes on with what it holds while Secrets Manager is away, and signs nothing once that may have been retired', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, { ...manager.env, ACCESS_TOKEN_TTL_SECONDS: '3600' })
  const { jwks: [jwk] } = app.keys
  const token = await app.accessTokens.sign(PERSON)
  manager.answers = 'badly'
  freeze(3500_000)
  t.equal(header(await app.accessTokens.sign(PERSON)).kid, jwk!.kid, 'rotations are an hour apart')
  t.equal(await who(app, token), 200)
  const asked = manager.asked.length
  for (let i = 0; i < 20; i++) await app.accessTokens.sign(PERSON)
  t.equal(manager.asked.length, asked, 'a look-up that failed is not repeated for each request')

  freeze(150_000)
  t.equal(await app.accessTokens.sign(PERSON).catch(error => error.statusCode), 503)
  t.ok(app.keys.codeOf('x'), 'a code that cannot be used is the worst of it')
  manager.answers = 'well'
  freeze(40_000)
  t.ok(await app.accessTokens.sign(PERSON))
})

t.test('a process that works looks for a rotation by itself, before any request has to wait for it', async (t) => {
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  const before = currentKid(app)
  manager.rotate()
  freeze(50_000)
  t.equal(header(await app.accessTokens.sign(PERSON)).kid, before)
  await until(() => currentKid(app) === deriveKeys(manager.stages['AWSCURRENT']!).jwk.kid)
})

t.test('a token of a leaked key is accepted for a minute at most after two rotations at once', async (t) => {
  const manager = await startSecretsManager(t)
  const [busy, frozen] = [await buildTokenApp(t, manager.env), await buildTokenApp(t, manager.env)]
  const forged = await busy.accessTokens.sign(PERSON)
  manager.rotate()
  manager.rotate()
  t.equal(await who(busy, forged), 200, 'no process knows of it yet')
  freeze(46_000)
  t.equal(await who(busy, forged), 200, 'the last one: it starts the look-up')
  await until(async () => await who(busy, forged) === 401)
  freeze(15_000)
  t.equal(await who(frozen, forged), 401, 'a process without a request meanwhile looks first')
  t.equal(await who(busy, await busy.accessTokens.sign(PERSON)), 200)
})
