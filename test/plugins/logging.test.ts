import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { loadConfig } from '../../src/plugins/config.ts'
import { createLogger } from '../../src/plugins/logging.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const engines = await startEngines(t)

/** A logger and what it wrote. */
function recorded () {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger(loadConfig({ ...engines.env, STAGE: 'staging' }), { write: line => { lines.push(JSON.parse(line) as Record<string, unknown>) } })
  return { lines, logger }
}

t.test('an answer is one line of known fields: the route’s pattern, never the address that was asked for', async t => {
  const app = await buildTestApp(t, engines)
  const { accessToken, user } = await signIn(app, engines, 'hush@example.com', 'Hush Hush')
  app.logLines.length = 0
  await app.inject({ url: `/v2/users/${user.id}?hush=hush`, headers: { authorization: `Bearer ${accessToken}`, 'user-agent': 'hush', 'x-hush': 'hush', cookie: 'hush' } })
  await app.inject({ method: 'POST', url: '/v2/users?hush', payload: { email: 'hush@example.com', name: 'Hush', hush: 'hush' } })
  await app.inject('/hush/%20hush?hush')
  await app.inject('/v2/hush')
  const answered = app.logLines.filter(line => line['msg'] === 'answered')
  t.equal(answered.length, 4)
  t.match(answered[0], { level: 'info', service: 'user-service', environment: 'local', method: 'GET', route: '/v2/users/:id', statusCode: 200, durationMs: Number, userId: user.id, correlationId: String })
  t.match(answered.map(line => [line['route'], line['statusCode']]), [['/v2/users/:id', 200], ['/v2/users', 400], [undefined, 404], [undefined, 404]])
  const known = ['level', 'time', 'service', 'environment', 'correlationId', 'method', 'route', 'statusCode', 'durationMs', 'userId', 'msg']
  for (const line of answered) t.same(Object.keys(line).filter(field => !known.includes(field)), [])
  t.notMatch(JSON.stringify(app.logLines), /hush/i)
  t.notMatch(JSON.stringify(app.logLines), accessToken)
})

t.test('a sign-in, a refresh, a token that is used again, and a sign-out say whose session it was; a request that proves nothing does not', async t => {
  const app = await buildTestApp(t, engines)
  const { accessToken, refreshToken, user: { id: userId } } = await signIn(app, engines, 'audited@example.com', 'Audited Ada')
  const { sid } = JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }
  const answeredBy = async (url: string, payload: object) => {
    await app.inject({ method: 'POST', url, payload })
    return app.logLines.findLast(line => line['msg'] === 'answered')!
  }
  t.match(app.logLines.findLast(line => line['route'] === '/v2/auth/tokens' && line['msg'] === 'answered'), { statusCode: 200, grant: 'code', userId, sid })
  const refresh = { grantType: 'refresh_token', refreshToken }
  t.match(await answeredBy('/v1/auth/tokens', refresh), { statusCode: 200, grant: 'refresh_token', userId, sid })
  const guessed = await answeredBy('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: Buffer.alloc(64, 1).toString('base64url') })
  t.match(guessed, { statusCode: 401, grant: 'refresh_token' })
  t.notOk('userId' in guessed || 'sid' in guessed, 'ids that nothing proves are not logged')
  t.match(await answeredBy('/v2/auth/revoke', { refreshToken }), { statusCode: 204, userId, sid })
  t.notMatch(JSON.stringify(app.logLines), /audited@|Audited Ada/)
  t.notMatch(JSON.stringify(app.logLines), refreshToken)
})

t.test('of an error, only what helps is written: never its own further properties', async t => {
  const { lines, logger } = recorded()
  const error = Object.assign(new Error('the mail was refused'), {
    name: 'SmtpError',
    code: 'EENVELOPE',
    statusCode: 550,
    $metadata: { requestId: 'request-1', attempts: 3, httpStatusCode: 400 },
    envelope: { to: ['hush@example.com'] },
    config: { password: 'hush' },
    response: '550 hush@example.com is unknown',
    $response: { body: 'hush' },
    cause: new Error('hush')
  })
  logger.error({ err: error }, 'failed')
  t.match(lines[0], { level: 'error', msg: 'failed', err: { type: 'SmtpError', code: 'EENVELOPE', statusCode: 550, message: 'the mail was refused', stack: /logging\.test\.ts/, awsRequestId: 'request-1', attempts: 3 } })
  t.notMatch(JSON.stringify(lines), /hush/)
})

t.test('a request or an answer that gets into a line is reduced to its route and status', async t => {
  const { lines, logger } = recorded()
  logger.info({ req: { method: 'GET', url: '/hush?token=hush', headers: { authorization: 'hush' }, routeOptions: { url: '/v2/users/:id' } }, res: { statusCode: 200, headers: { hush: 'hush' } } }, 'line')
  t.match(lines[0], { req: { method: 'GET', route: '/v2/users/:id' }, res: { statusCode: 200 } })
  t.notMatch(JSON.stringify(lines), /hush/)
})

t.test('a line with any text is one line of JSON', async t => {
  const { lines, logger } = recorded()
  let written = ''
  const raw = createLogger(loadConfig(engines.env), { write: line => { written += line } })
  const hostile = ['\r\n{"level":"fatal"}', '\u0000\u001b[31m', '"\\', '\u2028\u2029', '\ud800', '\u{1F4A3}', '</script>']
  for (const value of hostile) {
    logger.info({ value }, value)
    raw.info({ value }, value)
  }
  t.equal(lines.length, hostile.length)
  t.equal(written.split('\n').length, hostile.length + 1)
  t.match(lines[0], { service: 'user-service', environment: 'staging', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
})

t.test('the last line before a process ends is written', async t => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `
    const { createLogger } = await import('./src/plugins/logging.ts')
    const { loadConfig } = await import('./src/plugins/config.ts')
    const logger = createLogger(loadConfig(process.env))
    for (let i = 0; i < 1000; i++) logger.info({ i }, 'line')
    process.exit(0)
  `], { env: engines.env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = (await text(child.stdout)).trim().split('\n')
  t.equal(lines.length, 1000)
  t.equal(JSON.parse(lines.at(-1)!).i, 999)
})
