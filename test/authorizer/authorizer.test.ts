import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { createAuthorizer } from '../../src/authorizer/answers.ts'
import { createJwks } from '../../src/authorizer/jwks.ts'
import { loadSettings } from '../../src/authorizer/settings.ts'
import { createTokenVerifier } from '../../src/authorizer/verifier.ts'
import { deriveKeys } from '../../src/plugins/keys/derive.ts'
import { MAX_AUTHORIZATION } from '../../src/shared/access-token.ts'
import { until } from '../until.ts'
import { badTokens, forger, notBearer } from '../plugins/bad-tokens.ts'
import { buildTokenApp, PERSON } from '../plugins/minimal-app.ts'
import { httpApiEvent, METHOD_ARN, requestEvent, STAGE_ARN, startKeyServer, tokenEvent, type KeyServer } from './support.ts'

const SECRET = randomBytes(32).toString('hex')
const app = await buildTokenApp(t, { JWT_SECRET: SECRET })
const sign = (claims: object = PERSON) => app.accessTokens.sign(claims as typeof PERSON)
const CONTEXT = { userId: PERSON.sub, email: PERSON.email, role: PERSON.role, sid: PERSON.sid }

const authorizerOf = ({ url }: KeyServer, now = Date.now) =>
  createAuthorizer(createTokenVerifier({ keys: createJwks(url, { now }), issuer: 'user-service', audience: 'user-service' }))
const published = async (t: Test) => await startKeyServer(t, app.keys.jwks)

/** How each way of asking says no. */
async function refusalOf (authorize: ReturnType<typeof createAuthorizer>, event: object): Promise<string> {
  try {
    const answer = await authorize(event)
    return JSON.stringify(answer)
  } catch (error) {
    return (error as Error).message
  }
}

t.test('a good token is let in, in each form that API Gateway knows', async t => {
  const authorize = authorizerOf(await published(t))
  const authorization = `Bearer ${await sign()}`
  const policy = {
    principalId: PERSON.sub,
    policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: STAGE_ARN }] },
    context: CONTEXT
  }
  t.strictSame(await authorize(tokenEvent(authorization)), policy)
  for (const name of ['Authorization', 'authorization', 'AUTHORIZATION']) t.strictSame(await authorize(requestEvent(authorization, name)), policy, name)
  t.strictSame(await authorize({ ...requestEvent(authorization), multiValueHeaders: null }), policy)
  t.strictSame(await authorize(httpApiEvent(authorization)), { isAuthorized: true, context: CONTEXT })
  t.strictSame(await authorize(tokenEvent(authorization.replace('Bearer', 'bearer'))), policy)
})

t.test('the policy is good for every method and path of the stage, since the gateway keeps it for the token', async t => {
  const authorize = authorizerOf(await published(t))
  const authorizationToken = `Bearer ${await sign()}`
  for (const [methodArn, resource] of [
    [METHOD_ARN, STAGE_ARN],
    ['arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/test-invoke-stage/GET/', 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/test-invoke-stage/*'],
    ['arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef1234/v1/POST/a/b', 'arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef1234/v1/*']
  ]) {
    const { policyDocument } = await authorize({ type: 'TOKEN', methodArn, authorizationToken }) as { policyDocument: { Statement: { Resource: string }[] } }
    t.equal(policyDocument.Statement[0]!.Resource, resource)
  }
  for (const methodArn of ['*', '', 'x/dev/GET/', 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234']) await t.rejects(authorize({ type: 'TOKEN', methodArn, authorizationToken }), { message: 'The event names no method of an API' }, methodArn)
})

t.test('every bad token of the app is refused, in each form, and says no more than that', async t => {
  const authorize = authorizerOf(await published(t))
  t.match(await authorize(tokenEvent(`Bearer ${forger(SECRET).forge()}`)), { context: CONTEXT }, 'the forger works')
  const bad = await badTokens(SECRET, sign)
  const wrong: string[] = []
  for (const [what, token] of [...Object.entries(bad).map(([what, token]) => [what, `Bearer ${token}`] as const), ...notBearer(await sign()).map(header => [String(header).slice(0, 20), header] as const)]) {
    const answers = await Promise.all([tokenEvent(token), requestEvent(token), httpApiEvent(token)].map(event => refusalOf(authorize, event)))
    if (JSON.stringify(answers) !== JSON.stringify(['Unauthorized', 'Unauthorized', '{"isAuthorized":false}'])) wrong.push(`${what}: ${answers.join(' ')}`)
  }
  t.same(wrong, [])
  t.ok(Object.keys(bad).length >= 60)
  t.comment(`${Object.keys(bad).length} bad tokens`)
})

t.test('two Authorization headers are none', async t => {
  const authorize = authorizerOf(await published(t))
  const authorization = `Bearer ${await sign()}`
  t.equal(await refusalOf(authorize, { ...requestEvent(authorization), multiValueHeaders: { Authorization: [authorization, 'Bearer x'] } }), 'Unauthorized')
  t.equal(await refusalOf(authorize, { ...requestEvent(authorization), multiValueHeaders: { Authorization: [authorization], authorization: [authorization] } }), 'Unauthorized')
  t.same(await authorize({ ...httpApiEvent(authorization), headers: undefined }), { isAuthorized: false }, 'nor is none')
  t.same(await authorize(httpApiEvent(`${authorization},Bearer x`)), { isAuthorized: false })
})

t.test('an event of another kind is an error and not a refusal', async t => {
  const authorize = authorizerOf(await published(t))
  for (const event of [undefined, null, 'x', {}, { Records: [] }, { type: 'OTHER' }, { type: 'REQUEST' }, { type: 'REQUEST', version: '3.0' }, { type: 'OTHER', version: '2.0' }, { type: 'OTHER', methodArn: METHOD_ARN }]) {
    await t.rejects(authorize(event), { message: /^The event is none of an authorizer/ })
  }
})

t.test('the keys are fetched once for many tokens', async t => {
  const server = await published(t)
  const authorize = authorizerOf(server)
  const event = tokenEvent(`Bearer ${await sign()}`)
  await Promise.all(Array.from({ length: 50 }, () => authorize(event)))
  for (let i = 0; i < 50; i++) await authorize(event)
  t.equal(server.fetches, 1)
})

t.test('after a rotation the new key is found with its first token, and a retired one is refused within a minute', async t => {
  const server = await published(t)
  const clock = { now: 1_000_000 }
  const authorize = authorizerOf(server, () => clock.now)
  const old = tokenEvent(`Bearer ${await sign()}`)
  await authorize(old)
  const rotated = await buildTokenApp(t, { JWT_SECRET: randomBytes(32).toString('hex'), JWT_SECRET_PREVIOUS: SECRET })
  server.answer = { status: 200, body: JSON.stringify({ keys: rotated.keys.jwks }) }
  const next = tokenEvent(`Bearer ${await rotated.accessTokens.sign(PERSON)}`)
  t.match(await authorize(next), { context: CONTEXT }, 'no false refusal')
  t.match(await authorize(old), { context: CONTEXT }, 'the previous key is published too')
  t.equal(server.fetches, 2)

  server.answer = { status: 200, body: JSON.stringify({ keys: rotated.keys.jwks.slice(0, 1) }) }
  clock.now += 46_000
  t.match(await authorize(old), { context: CONTEXT }, 'a known key does not wait for the fetch …')
  await until(() => server.fetches === 3)
  await until(async () => await refusalOf(authorize, old) === 'Unauthorized')
  t.match(await authorize(next), { context: CONTEXT })

  server.answer = { status: 200, body: JSON.stringify({ keys: app.keys.jwks }) }
  clock.now += 61_000
  t.equal(await refusalOf(authorize, next), 'Unauthorized', '… unless the function was frozen')
})

t.test('without the key set, known keys are good for an hour, and what cannot be decided is an error and not a refusal', async t => {
  const server = await published(t)
  const clock = { now: 1_000_000 }
  const authorize = authorizerOf(server, () => clock.now)
  const known = tokenEvent(`Bearer ${await sign()}`)
  await authorize(known)
  const stranger = deriveKeys('another root secret of enough length')
  const unknown = tokenEvent(`Bearer ${forger(SECRET).forge({ header: { kid: stranger.jwk.kid } })}`)
  t.equal(await refusalOf(authorize, unknown), 'Unauthorized', 'the set says that there is no such key')
  for (const answer of [{ status: 503, body: '' }, { status: 200, body: 'no JSON' }, { status: 200, body: '{"keys":[]}' }, { status: 200, body: '{}' }, { status: 200, body: `{"keys":[],"pad":"${'x'.repeat(20_000)}"}` }, { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/' } }]) {
    server.answer = answer
    t.match(await refusalOf(authorize, unknown), /^The signing keys cannot be fetched from http/, JSON.stringify(answer).slice(0, 60))
    if (answer.body === '{}') t.match(await refusalOf(authorize, unknown), /: it has no list of keys$/)
    if (answer.body === '{"keys":[]}') t.match(await refusalOf(authorize, unknown), /: it has no signing key$/)
    if (answer.body.length > 16_384) t.match(await refusalOf(authorize, unknown), /: the answer is too long$/)
    t.match(await authorize(known), { context: CONTEXT })
  }
  clock.now += 3_600_001
  t.match(await refusalOf(authorize, known), /^The signing keys cannot be fetched/, 'after an hour nothing is certain')
  t.match(await refusalOf(authorize, httpApiEvent(`Bearer ${await sign()}`)), /^The signing keys cannot be fetched/)
  server.answer = { status: 200, body: JSON.stringify({ keys: app.keys.jwks }) }
  t.match(await authorize(known), { context: CONTEXT })
})

t.test('a function that starts while the service is down works once it is up', async t => {
  const server = await published(t)
  const { answer } = server
  server.answer = { status: 500, body: '' }
  const authorize = authorizerOf(server)
  const event = tokenEvent(`Bearer ${await sign()}`)
  t.match(await refusalOf(authorize, event), /the answer is 500/)
  server.answer = answer
  t.match(await authorize(event), { context: CONTEXT })
})

t.test('a service that does not answer is given two seconds', async t => {
  const server = await published(t)
  server.answer = 'nothing'
  const start = performance.now()
  t.match(await refusalOf(authorizerOf(server), tokenEvent(`Bearer ${await sign()}`)), /^The signing keys cannot be fetched/)
  const took = performance.now() - start
  t.ok(took > 1500 && took < 6000, `${Math.round(took)} ms`)
})

t.test('a set that is due is fetched in the background, twice a minute at most', async t => {
  const server = await published(t)
  const clock = { now: 1_000_000 }
  const authorize = authorizerOf(server, () => clock.now)
  const known = tokenEvent(`Bearer ${await sign()}`)
  const fetchesAt = async (seconds: number) => {
    clock.now = 1_000_000 + seconds * 1000
    t.match(await authorize(known), { context: CONTEXT })
    t.match(await authorize(known), { context: CONTEXT })
    return server.fetches
  }
  t.equal(await fetchesAt(0), 1)
  t.equal(await fetchesAt(45), 1)
  server.answer = { status: 503, body: '' }
  // Older than a minute, a token waits for the fetch, so its end is seen.
  t.equal(await fetchesAt(61), 2)
  t.equal(await fetchesAt(91), 2)
  t.equal(await fetchesAt(92), 3)
  t.equal(await fetchesAt(3600), 4, 'a key is good for an hour')
})

t.test('forged key ids cause few fetches', async t => {
  const server = await published(t)
  const clock = { now: Date.now() }
  const authorize = authorizerOf(server, () => clock.now)
  await authorize(tokenEvent(`Bearer ${await sign()}`))
  for (let i = 0; i < 200; i++) t.equal(await refusalOf(authorize, tokenEvent(`Bearer ${forger(SECRET).forge({ header: { kid: `kid-${i}` } })}`)), 'Unauthorized')
  t.equal(server.fetches, 21)
  clock.now += 2000
  for (let i = 0; i < 10; i++) await refusalOf(authorize, tokenEvent(`Bearer ${forger(SECRET).forge({ header: { kid: `later-${i}` } })}`))
  t.equal(server.fetches, 23, 'then one a second')
})

t.test('keys for other purposes, and of other kinds, are not used', async t => {
  const [jwk] = app.keys.jwks
  const token = tokenEvent(`Bearer ${await sign()}`)
  for (const change of [{ use: 'enc' }, { alg: 'HS256' }, { crv: 'Ed448' }, { kid: undefined }]) {
    const server = await startKeyServer(t, [{ ...jwk, ...change }, deriveKeys('another root secret of enough length').jwk, null as never, 'a text' as never])
    t.equal(await refusalOf(authorizerOf(server), token), 'Unauthorized', JSON.stringify(change))
    const alone = await startKeyServer(t, [{ ...jwk, ...change }])
    t.match(await refusalOf(authorizerOf(alone), token), /: it has no signing key$/, 'a set of nothing else is an error and not a refusal')
  }
})

t.test('a key set may have 16,384 characters', async t => {
  const set = JSON.stringify({ keys: app.keys.jwks, pad: '' })
  const token = tokenEvent(`Bearer ${await sign()}`)
  for (const more of [0, 1]) {
    const server = await published(t)
    server.answer = { status: 200, body: set.replace('"pad":"', `"pad":"${'x'.repeat(16_384 - set.length + more)}`) }
    t.match(more === 0 ? await authorizerOf(server)(token) : { refused: await refusalOf(authorizerOf(server), token) }, more === 0 ? { context: CONTEXT } : { refused: /: the answer is too long$/ })
  }
})

t.test('an old set decides nothing, however many tokens ask at once, and whatever they have asked before', async t => {
  const server = await published(t)
  const clock = { now: 1_000_000 }
  const authorize = authorizerOf(server, () => clock.now)
  const known = tokenEvent(`Bearer ${await sign()}`)
  await authorize(known)
  server.answer = { status: 503, body: '' }
  const unknown = (kid: string) => refusalOf(authorize, tokenEvent(`Bearer ${forger(SECRET).forge({ header: { kid } })}`))
  clock.now += 3_600_000
  for (let i = 0; i < 20; i++) t.match(await unknown(`kid-${i}`), /the answer is 503$/)
  t.equal(await unknown('kid-20'), 'Unauthorized', 'a set that is an hour old still says which keys there are')
  clock.now += 1
  for (const answer of await Promise.all(Array.from({ length: 5 }, () => refusalOf(authorize, known)))) t.match(answer, /the answer is 503$/)
  for (let i = 0; i < 30; i++) t.match(await unknown(`kid-${i}`), /the answer is 503$/)
  t.match(await refusalOf(authorize, known), /the answer is 503$/, 'beyond the share of fetches too')
})

t.test('a token waits for the set that is due once the last one is older than a minute', async t => {
  for (const [age, answer] of [[60_000, { context: CONTEXT }], [60_001, { refused: 'Unauthorized' }]] as const) {
    const server = await published(t)
    const clock = { now: 1_000_000 }
    const authorize = authorizerOf(server, () => clock.now)
    const token = tokenEvent(`Bearer ${await sign()}`)
    await authorize(token)
    server.answer = { status: 200, body: JSON.stringify({ keys: [deriveKeys('another root secret of enough length').jwk] }) }
    clock.now += age
    t.match(await authorize(token).catch((error: Error) => ({ refused: error.message })), answer, `${age} ms`)
  }
})

t.test('an Authorization header may have as many characters as the app allows', async t => {
  const authorize = authorizerOf(await published(t))
  const { forge } = forger(SECRET)
  const headerOf = (pad: number, kidPad = 0) => `Bearer ${forge({ header: { pad: 'x'.repeat(kidPad) }, claims: { pad: 'x'.repeat(pad) } })}`
  // Base64 has no text for some lengths, so the padding is in two parts.
  const sized = (length: number) => [0, 1, 2].flatMap(more => [0, 1, 2, 3].map(less => headerOf(Math.floor((length - headerOf(0, more).length) * 3 / 4) - less, more))).find(header => header.length === length)!
  t.match(await authorize(tokenEvent(sized(MAX_AUTHORIZATION))), { context: CONTEXT })
  t.equal(await refusalOf(authorize, tokenEvent(sized(MAX_AUTHORIZATION + 1))), 'Unauthorized')
})

t.test('the settings are checked at the start, with the name of the variable', async t => {
  const good = { JWKS_URL: 'https://users.example.com/.well-known/jwks.json', JWT_ISSUER: 'a', JWT_AUDIENCE: 'b' }
  t.same(loadSettings(good), { jwksUrl: good.JWKS_URL, issuer: 'a', audience: 'b' })
  for (const name of Object.keys(good)) for (const value of [' ', undefined]) t.throws(() => loadSettings({ ...good, [name]: value }), { message: `Configuration: ${name} is missing` })
  for (const JWKS_URL of ['http://localhost:3000/jwks.json', ' http://127.0.0.1/jwks.json ']) t.equal(loadSettings({ ...good, JWKS_URL }).jwksUrl, JWKS_URL.trim())
  for (const JWKS_URL of ['http://users.example.com/jwks.json', 'ftp://x', 'ftp://localhost/jwks.json', 'users.example.com', 'file:///etc/passwd']) t.throws(() => loadSettings({ ...good, JWKS_URL }), { message: /JWKS_URL is not valid/ }, JWKS_URL)
})
