import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Aws } from '../../src/plugins/aws/index.ts'
import { managedSecret } from '../../src/plugins/keys/secret.ts'
import { setVariables } from '../environment.ts'
import { until } from '../until.ts'
import { bearer, buildTokenApp, PERSON } from './minimal-app.ts'
import { ARN, CODE_ARN, newSecret, startSecretsManager } from './secrets-manager.ts'

const { now } = Date
const BEGIN = now()
/** What the clock shows. It stands still until a test moves it. */
let time = BEGIN
Date.now = () => time
t.teardown(() => { Date.now = now })

const SECOND = 1000
const HOUR = 3600 * SECOND

/** How an answer fails. */
const statusOf = async (answer: Promise<unknown>) => await answer.then(() => 200, (error: { statusCode?: number }) => error.statusCode)

/** A secret whose first lookup is done, in a manager that has both of its versions. */
async function open (t: Test) {
  time = BEGIN
  const manager = await startSecretsManager(t)
  manager.rotate() // a version that is not there would be asked for again: the clocks differ
  const { aws: { clientOptions, traced } } = await buildTokenApp(t, { JWT_SECRET: newSecret(), AWS_ENDPOINT_URL: manager.env.AWS_ENDPOINT_URL })
  // On a busy machine a lookup may take long, and shall not be repeated.
  const contexts: unknown[] = []
  const aws: Aws = {
    traced (client) {
      client.middlewareStack.add((next, context) => { contexts.push(context); return next }, { step: 'initialize', name: 'test' })
      return traced(client)
    },
    clientOptions: () => clientOptions({ connectionTimeout: 10_000, requestTimeout: 10_000 })
  }
  const warnings: { err: Error }[] = []
  const log = { warn: (details: { err: Error }) => { warnings.push(details) } }
  const secret = managedSecret({ variable: 'SECRET_ARN', arn: ARN, derive: text => text, aws, log: log as never })
  const atFirst = secret.held()
  await secret.loaded
  return { manager, secret, atFirst, contexts, warnings, versions: () => [manager.stages['AWSCURRENT'], manager.stages['AWSPREVIOUS']], lookups: () => manager.asked.filter(stage => stage === 'AWSCURRENT').length }
}

t.test('a secret is empty until it has been looked up, and then its current and its previous version', async t => {
  const { secret, atFirst, contexts, versions, manager } = await open(t)
  t.same(atFirst, [])
  t.same(secret.held(), versions())
  t.match(manager.headers, { 'x-amz-target': 'secretsmanager.GetSecretValue', authorization: /\/secretsmanager\/aws4_request,/ })
  t.match(contexts, Array(2).fill({ clientName: 'SecretsManagerClient', commandName: 'GetSecretValueCommand' }), 'as traces name it')
})

t.test('a lookup leaves no connection behind', async t => {
  const { manager } = await open(t)
  await until(async () => await manager.connections() === 0)
})

t.test('a secret that is older than 45 seconds is looked up while the old one is used, and callers wait after a minute without a lookup', async t => {
  const { secret, manager, versions, lookups } = await open(t)
  const before = versions()
  manager.rotate()
  for (const age of [0, 45 * SECOND]) {
    time = BEGIN + age
    for (const held of [secret.held(), await secret.recent(), await secret.certain()]) t.same(held, before)
  }
  t.equal(lookups(), 1)
  time++
  t.same(secret.held(), before)
  t.same(await secret.recent(), before)
  await until(() => secret.held()[0] === versions()[0])
  t.equal(lookups(), 2)

  const later = versions()
  const last = time
  manager.rotate()
  time = last + 60 * SECOND
  t.same(await secret.recent(), later, 'not after a minute')
  await until(() => secret.held()[0] === versions()[0])
  const latest = time
  manager.rotate()
  time = latest + 60 * SECOND + 1
  t.same(await secret.recent(), versions(), 'after more than that')
  t.equal(lookups(), 4)
})

t.test('a clock that was set back makes the age unknown, and callers wait for a lookup', async t => {
  const { secret, manager, versions, lookups } = await open(t)
  manager.rotate()
  time = BEGIN - 1
  t.same(await secret.recent(), versions())
  t.equal(lookups(), 2)
  await secret.recent()
  t.equal(lookups(), 2)
})

t.test('a lookup that fails is logged, and tried again after 30 seconds', async t => {
  const { secret, manager, versions, warnings, lookups } = await open(t)
  const before = versions()
  manager.answers = 'badly'
  time = BEGIN + 46 * SECOND
  t.same(secret.held(), before)
  await until(() => warnings.length === 1)
  t.match(warnings[0]!.err, { message: /^SECRET_ARN: the secret cannot be read: AccessDeniedException/, cause: { name: 'AccessDeniedException' } })
  manager.answers = 'well'
  manager.rotate()
  time += 30 * SECOND
  t.same(await secret.recent(), before)
  await secret.renew(() => true) // one that runs is waited for
  t.equal(lookups(), 2)
  time++
  t.same(await secret.recent(), before, 'nobody waits while it was tried less than a minute ago')
  await until(() => secret.held()[0] === versions()[0])
  t.equal(warnings.length, 1)
})

t.test('a lookup of which one half fails waits for the other, which is not sent again', async t => {
  for (const [denied, late] of [['AWSPREVIOUS', 'AWSCURRENT'], ['AWSCURRENT', 'AWSPREVIOUS']] as const) {
    const { secret, manager, lookups } = await open(t)
    Object.assign(manager, { denied, late })
    t.equal(await statusOf(secret.renew(() => false)), 503)
    t.ok(manager.isLateAnswered)
    t.equal(lookups(), 2)
  }
})

t.test('a lookup that fails is logged once, whoever asks while it runs', async t => {
  const { secret, manager, warnings } = await open(t)
  manager.answers = 'badly'
  time = BEGIN + 46 * SECOND
  secret.held()
  time += 31 * SECOND
  for (let i = 0; i < 10; i++) secret.held()
  await until(() => warnings.length > 0)
  t.equal(warnings.length, 1)
})

t.test('a first lookup that fails is an error for who waits for it, and for nobody before', async t => {
  time = BEGIN
  const manager = await startSecretsManager(t)
  manager.answers = 'badly'
  const { aws } = await buildTokenApp(t, { JWT_SECRET: newSecret(), AWS_ENDPOINT_URL: manager.env.AWS_ENDPOINT_URL })
  const secret = managedSecret({ variable: 'SECRET_ARN', arn: ARN, derive: text => text, aws, log: { warn () {} } as never })
  await until(() => manager.asked.length === 2)
  await until(async () => await manager.connections() === 0)
  await turn() // an error that nobody has caught fails the test now
  await t.rejects(secret.loaded, { message: /^SECRET_ARN: / })
})

t.test('while lookups fail, the versions count as certain for an hour', async t => {
  const { secret, manager, versions } = await open(t)
  const before = versions()
  manager.answers = 'badly'
  time = BEGIN + HOUR
  t.same(await secret.certain(), before)
  time++
  t.equal(await statusOf(secret.certain()), 503)
  time += 31 * SECOND
  for (let i = 0; i < 2; i++) t.equal(await statusOf(secret.certain()), 503)
  t.same(await secret.recent(), before)
  manager.answers = 'well'
  manager.rotate()
  time += 31 * SECOND
  t.same(await secret.certain(), versions(), 'it waits for the lookup, however short ago the last one was')
})

t.test('a burst of twenty lookups may be asked for, and then one a second', async t => {
  const { secret, lookups } = await open(t)
  let made = lookups()
  /** how many of so many questions are looked up */
  const ask = async (times: number) => {
    for (let i = 0; i < times; i++) await secret.renew(() => false)
    const before = made
    made = lookups()
    return made - before
  }
  t.equal(await ask(25), 20)
  for (const [later, expected] of [[0, 0], [999, 0], [1, 1], [2500, 2], [500, 1], [-HOUR, 0], [SECOND, 1], [24 * HOUR, 20]] as const) {
    time += later
    t.equal(await ask(22), expected, `${later} ms later`)
  }
})

t.test('all who ask at the same time share a lookup, which counts once', async t => {
  const { secret, manager, versions, lookups } = await open(t)
  manager.rotate()
  const renewed = async () => { await secret.renew(() => false); return secret.held() }
  t.same(await Promise.all(Array.from({ length: 50 }, renewed)), Array(50).fill(versions()))
  t.equal(lookups(), 2)
  for (let i = 0; i < 19; i++) await secret.renew(() => false)
  t.equal(lookups(), 21)
})

t.test('who finds an answer in a lookup that runs asks for no other', async t => {
  const { secret, manager, versions, lookups } = await open(t)
  manager.rotate()
  time = BEGIN + 46 * SECOND
  secret.held()
  await secret.renew(() => secret.held()[0] === versions()[0])
  t.equal(lookups(), 2)
  await secret.renew(() => true)
  t.equal(lookups(), 2)
  manager.answers = 'badly'
  t.equal(await statusOf(secret.renew(() => false)), 503)
})

t.test('an app does not start when either version may not be read, or is no text', async t => {
  time = BEGIN
  const manager = await startSecretsManager(t)
  for (const stage of ['AWSCURRENT', 'AWSPREVIOUS']) {
    manager.denied = stage
    await t.rejects(buildTokenApp(t, manager.env), { message: 'JWT_SECRET_ARN: the secret cannot be read: AccessDeniedException: no', cause: { name: 'AccessDeniedException' } }, stage)
  }
  manager.denied = undefined
  for (const wrong of ['x'.repeat(31), 7 as never, Array(40).fill('x') as never]) {
    manager.stages = { AWSCURRENT: wrong }
    await t.rejects(buildTokenApp(t, manager.env), { message: /^JWT_SECRET_ARN: .*: Error: the AWSCURRENT version is not a text of 32 characters or more$/ })
  }
  manager.stages = { AWSCURRENT: 'x'.repeat(32) }
  await buildTokenApp(t, manager.env)
  manager.code = 'short'
  await t.rejects(buildTokenApp(t, { ...manager.env, CODE_SECRET_ARN: CODE_ARN }), { message: /^CODE_SECRET_ARN: / })
})

t.test('Secrets Manager is found by the SDK\'s variable for its endpoint', async t => {
  const manager = await startSecretsManager(t)
  t.teardown(setVariables({ AWS_ENDPOINT_URL_SECRETS_MANAGER: manager.env.AWS_ENDPOINT_URL }))
  await buildTokenApp(t, { JWT_SECRET_ARN: ARN })
  t.ok(manager.asked.length > 0)
})

t.test('many who come with what another process sealed or mailed after a rotation cause one lookup, or wait for the one that runs', async t => {
  for (const what of ['token', 'code', 'cursor'] as const) {
    for (const age of [0, 46 * SECOND]) {
      time = BEGIN
      const manager = await startSecretsManager(t)
      manager.rotate()
      const app = await buildTokenApp(t, manager.env)
      manager.rotate()
      const newer = await buildTokenApp(t, manager.env)
      const token = await newer.accessTokens.sign(PERSON)
      const [code, sealed] = [newer.keys.codeOf('challenge'), newer.keys.seal('text')]
      const asked = manager.asked.length
      const uses = {
        token: async () => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode === 200,
        code: async () => await app.keys.isCode('challenge', code),
        cursor: async () => await app.keys.open(sealed) === 'text'
      }
      // The first to come starts a lookup when the secret is old.
      time += age
      t.same(await Promise.all(Array.from({ length: 30 }, uses[what])), Array(30).fill(true), what)
      t.equal(manager.asked.length - asked, 2, what)
    }
  }
})

t.test('what was sealed or signed under a key that is held is good at once, while a lookup runs and fails', async t => {
  time = BEGIN
  const manager = await startSecretsManager(t)
  const app = await buildTokenApp(t, manager.env)
  const [sealed, code, token] = [app.keys.seal('text'), app.keys.codeOf('challenge'), await app.accessTokens.sign(PERSON)]
  manager.answers = 'badly'
  for (const use of [async () => await app.keys.open(sealed) === 'text', async () => await app.keys.isCode('challenge', code), async () => (await app.inject({ url: '/who', headers: bearer(token) })).statusCode === 200]) {
    time += 46 * SECOND
    t.ok(await use())
  }
})

t.test('the keys look up both secrets after a process was frozen, each on its own', async t => {
  for (const [secrets, looked] of [[{ JWT_SECRET: newSecret(), CODE_SECRET_ARN: CODE_ARN }, CODE_ARN], [{ JWT_SECRET_ARN: ARN, CODE_SECRET: newSecret() }, ARN]] as const) {
    time = BEGIN
    const manager = await startSecretsManager(t)
    manager.rotate()
    const app = await buildTokenApp(t, { ...secrets, AWS_ENDPOINT_URL: manager.env.AWS_ENDPOINT_URL })
    manager.secrets.length = 0
    time += 400 * SECOND
    await app.keys.refresh()
    t.same([...new Set(manager.secrets)], [looked])
  }
})

t.test('a mail has a pseudonym of its recipient under each secret of codes', async t => {
  time = BEGIN
  const [secret, previous, codes] = [newSecret(), newSecret(), newSecret()]
  const [app, before, own] = [await buildTokenApp(t, { JWT_SECRET: secret, JWT_SECRET_PREVIOUS: previous }), await buildTokenApp(t, { JWT_SECRET: previous }), await buildTokenApp(t, { JWT_SECRET: secret, CODE_SECRET: codes })]
  const [current, old] = app.keys.recipients('ada@example.com')
  t.same(before.keys.recipients('ada@example.com'), [old])
  t.not(current, old)
  t.not(current, app.keys.pseudonym('ada@example.com'))
  t.equal(own.keys.recipients('ada@example.com').length, 1)
  t.not(own.keys.recipients('ada@example.com')[0], current)
})
