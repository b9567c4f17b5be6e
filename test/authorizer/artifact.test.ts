import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { buildAuthorizer } from '../../scripts/build/authorizer.ts'
import { runtimeClient, startRuntime } from '../lambda/runtime.ts'
import { badTokens } from '../plugins/bad-tokens.ts'
import { buildTokenApp, PERSON } from '../plugins/minimal-app.ts'
import { httpApiEvent, requestEvent, startKeyServer, tokenEvent } from './support.ts'

const SECRET = randomBytes(32).toString('hex')
const app = await buildTokenApp(t, { JWT_SECRET: SECRET })
const keys = await startKeyServer(t, app.keys.jwks)
const directory = join(t.testdir({}), 'authorizer')
const { inputs } = await buildAuthorizer(directory)
const env = { JWKS_URL: keys.url, JWT_ISSUER: 'user-service', JWT_AUDIENCE: 'user-service' }

t.test('the artifact is one file without the app, and two builds are the same', async t => {
  t.same(await readdir(directory), ['index.mjs'])
  const bundled = Object.keys(inputs)
  t.ok(bundled.includes('src/authorizer.ts'))
  for (const unwanted of ['/fastify/', '@aws-sdk', '@smithy', '/pino/', '@sinclair/typebox']) t.notOk(bundled.some(path => path.includes(unwanted)), unwanted)
  t.same(bundled.filter(path => /^src\/(?:modules|plugins)\//.test(path)), [])
  const first = await readFile(join(directory, 'index.mjs'))
  await buildAuthorizer(directory)
  t.ok(first.equals(await readFile(join(directory, 'index.mjs'))))
})

t.test('it answers without Lambda around it; the time of a cold start', async t => {
  const script = `
    const start = performance.now()
    const { handler } = await import(${JSON.stringify(pathToFileURL(join(directory, 'index.mjs')).href)})
    const loaded = performance.now()
    const answer = await handler(JSON.parse(process.argv[1]), {})
    console.log(JSON.stringify({ answer, loadMs: Math.round(loaded - start), firstMs: Math.round(performance.now() - loaded) }))
    process.exit()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, JSON.stringify(tokenEvent(`Bearer ${await app.accessTokens.sign(PERSON)}`))], { env: { PATH: process.env['PATH'], ...env } })
  const { answer, loadMs, firstMs } = JSON.parse(stdout)
  t.match(answer, { principalId: PERSON.sub, context: { email: PERSON.email } })
  t.comment(`loaded in ${loadMs} ms, first answer after ${firstMs} ms more, the fetch of the keys included`)
})

t.test('on the runtime client of Lambda it lets good tokens in and refuses bad ones as API Gateway expects', async t => {
  const client = await runtimeClient(t)
  if (client === undefined) return
  const runtime = await startRuntime(t, client, { directory, env })
  const good = `Bearer ${await app.accessTokens.sign(PERSON)}`
  t.match(await runtime.invoke(tokenEvent(good)), { principalId: PERSON.sub })
  t.match(await runtime.invoke(requestEvent(good)), { principalId: PERSON.sub })
  t.match(await runtime.invoke(httpApiEvent(good)), { isAuthorized: true, context: { userId: PERSON.sub } })
  const bad = await badTokens(SECRET, claims => app.accessTokens.sign(claims as typeof PERSON))
  for (const [what, token] of Object.entries(bad)) {
    await t.rejects(runtime.invoke(tokenEvent(`Bearer ${token}`)), { message: 'Unauthorized' }, what)
    t.same(await runtime.invoke(httpApiEvent(`Bearer ${token}`)), { isAuthorized: false }, what)
  }
  for (const token of [good, ...Object.values(bad).filter(token => token.length > 20)]) t.notOk(runtime.lines.some(line => line.includes(token)), 'no token is logged')
})

t.test('without its settings the function does not start, and says which one is missing', async t => {
  const script = `import(${JSON.stringify(pathToFileURL(join(directory, 'index.mjs')).href)}).catch(error => console.log(error.message))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { env: { PATH: process.env['PATH'], ...env, JWKS_URL: '' } })
  t.equal(stdout.trim(), 'Configuration: JWKS_URL is missing')
})
