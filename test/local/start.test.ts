import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { createUserService, memoryStorage } from '../../clients/typescript/src/index.ts'
import { until } from '../until.ts'
import { run as runScript } from './npm-scripts.ts'
import { mailsIn, newDir, post, processesOf, register, ROOT, run, SCRIPT, start } from './running.ts'

t.test('a user registers, gets the mail, signs in, and is still there after a restart and after a crash', async t => {
  const dir = newDir(t)
  const first = await start(t, dir)
  t.comment(`ready in ${first.seconds} s`)
  t.ok(first.seconds < 30, 'two seconds on cores with nothing else to do')
  t.equal((await fetch(first.docs)).status, 200)
  t.equal((await fetch(first.inbox, { headers: { accept: 'text/html' } })).status, 200)
  t.equal((await fetch(`${first.api}/health/ready`)).status, 200)

  const storage = memoryStorage()
  const { data: user } = await (await register(first.api, first.inbox, 'ada@example.com', storage)).users.getMe()
  t.match(user, { email: 'ada@example.com', status: 'ACTIVE' })
  const [, subject, url = ''] = /^mail to ada@example\.com: (.+) → (http:\S+)$/m.exec(first.output()) ?? []
  const [mail] = await mailsIn(first.inbox)
  t.strictSame([subject, url], [mail!.subject, `${first.inbox}/#/email/${mail!.id}`], 'the terminal names each mail')
  t.notMatch(first.output(), /INFO|metric/, 'and no metrics')

  const env = parseEnv(readFileSync(join(dir, 'env'), 'utf8'))
  t.match(env, { PUBLIC_URL: first.api, USERS_TABLE: 'UsersTable', AWS_ENDPOINT_URL_DYNAMODB: /^http:\/\/127\.0\.0\.1:\d+$/, EMAIL_FROM: 'User Service <no-reply@example.com>', JWT_SECRET: /^\w{64}$/ })
  t.equal(statSync(join(dir, 'env')).mode & 0o777, 0o600)
  t.equal(statSync(join(dir, 'jwt-secret')).mode & 0o777, 0o600)

  first.child.kill('SIGINT')
  t.strictSame(await first.exited, [0, null], 'Ctrl-C is not a failure')
  t.strictSame(processesOf(dir), [], 'nothing is left running')
  t.notOk(existsSync(join(dir, 'env')), 'the environment leads nowhere now')

  const second = await start(t, dir)
  const { status } = await createUserService({ baseUrl: second.api, storage }).users.getMe()
  t.equal(status, 200, 'a token from before the restart is good')
  t.equal((await mailsIn(second.inbox)).length, 1, 'the mail is there')
  await storage.set({ ...(await storage.get())!, expiresAt: 0 })
  t.match((await createUserService({ baseUrl: second.api, storage }).users.getMe()).data, { id: user.id }, 'so is the session')

  const answer = await post(`${second.api}/v2/users`, { email: 'story@example.com', name: 'Ada' }, { 'x-correlation-id': 'story-1' })
  t.equal(answer.status, 202)
  await until(async () => (await mailsIn(second.inbox)).length === 2)
  const trace = (...args: string[]) => runScript(t, [join(ROOT, 'scripts/trace.ts'), ...args], { env: { LOCAL_DATA_DIR: dir } })
  const { code, stdout } = await until(async () => {
    const result = await trace('story-1')
    return /mail sent/.test(result.stdout) ? result : undefined
  }, { timeoutMs: 30_000 })
  t.equal(code, 0)
  t.match(stdout, /^story-1, \d{4}-\d\d-\d\d \(UTC\)\n\n[\d:.]{12} +request +POST \/v2\/users answered 202 after [\d.]+ ms\n[\d:.]{12} +\+\d+ ms +outbox +\S+ handled \d+ ms after it was written.*\n(?:.+\n)*[\d:.]{12} +\+\d+ ms +mail +mail sent \(WELCOME_EMAIL\).*\n(?:.+\n)*\n\d+ steps in \d+ ms\n$/, 'a request is shown from its start to its mail, whatever LOG_LEVEL shows')
  const lines = JSON.parse((await trace('story-1', '--json')).stdout) as { msg: string }[]
  t.same([lines[0]!.msg, lines.at(-1)!.msg === undefined], ['answered', false])
  t.match(await trace('story-2'), { code: 1, stdout: '', stderr: `There is nothing about story-2 in ${join(dir, 'log')}\n` })

  second.child.kill('SIGKILL')
  await second.exited
  const third = await start(t, dir)
  t.match((await createUserService({ baseUrl: third.api, storage }).users.getMe()).data, { id: user.id }, 'the crash has lost nothing')
  t.equal((await mailsIn(third.inbox)).length, 2, 'and sent nothing twice')
  await register(third.api, third.inbox, 'grace@example.com')

  third.child.kill('SIGKILL')
  await third.exited
  await until(() => processesOf(dir).length === 0)
  t.pass('nothing outlives a kill -9')
})

t.test('the developer\'s environment counts, except where it would lead away from this machine', async t => {
  const dir = newDir(t)
  const { api, metrics, output } = await start(t, dir, {
    LOG_LEVEL: 'info',
    METRICS_PORT: '0',
    RATE_LIMIT_MAX: '7',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
    AWS_PROFILE: 'production',
    EVENT_BUS_NAME: 'production',
    USERS_TABLE: 'ProductionUsers'
  })
  const answer = await post(`${api}/v2/users`, { email: 'ada@example.com', name: 'Ada' })
  t.equal(answer.status, 202)
  await until(() => /mail sent/.test(output()))
  t.match(output(), /\d\d:\d\d:\d\d\.\d{3} INFO {2}answered .*route=\/v2\/users statusCode=202/, 'logs are readable text')
  const env = parseEnv(readFileSync(join(dir, 'env'), 'utf8'))
  t.match(env, { RATE_LIMIT_MAX: '7', USERS_TABLE: 'UsersTable' })
  t.notOk('EVENT_BUS_NAME' in env)
  t.notOk('METRICS_PORT' in env, 'the port is taken: another process has another one')
  t.match(await (await fetch(metrics)).text(), /^MailsSent\{.*\} 1$/m)
  t.equal((await fetch(metrics, { headers: { origin: 'https://evil.example' } })).status, 403, 'no web page reads the metrics')
  for (let i = 0; i < 8; i++) await fetch(`${api}/v2/users/me`)
  t.equal((await fetch(`${api}/v2/users/me`)).status, 429)
})

t.test('npm start ends with npm, however npm ends', async t => {
  for (const [signal, code] of [['SIGTERM', 0], ['SIGKILL', null]] as const) {
    const dir = newDir(t)
    const { child, exited } = await start(t, dir, { HOME: dir }, ['npm', 'start'])
    child.kill(signal)
    t.equal((await exited)[0], code)
    await until(() => processesOf(dir).length === 0 && !existsSync(join(dir, 'env')))
    t.pass(`nothing is left after a ${signal} to npm`)
  }
})

t.test('when the database engine ends by itself, all of it ends and says so', async t => {
  const dir = newDir(t)
  const { exited, output } = await start(t, dir)
  for (const pid of processesOf(dir)) process.kill(pid, 'SIGKILL')
  t.strictSame(await exited, [1, null])
  t.match(output(), 'The DynamoDB engine has ended unexpectedly')
})

t.test('an older Node is rejected with the version that is needed', async t => {
  // Stands in for an old Node: it says so, and would otherwise run the script.
  const preload = join(newDir(t), 'old.cjs')
  writeFileSync(preload, "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })")
  const { exited, output } = run(t, newDir(t), { NODE_OPTIONS: `--require ${preload}` })
  t.strictSame(await exited, [1, null])
  t.match(output(), /^This is Node 20\.19\.0, but Node 24 or newer is needed: on Linux npm ci installs it/)
})

t.test('--help says what can be set, at once', async t => {
  const dir = newDir(t)
  const { exited, output } = run(t, dir, {}, [process.execPath, SCRIPT, '--help'])
  t.strictSame(await exited, [0, null])
  for (const name of ['PORT', 'INBOX_PORT', 'LOCAL_DATA_DIR', 'LOG_LEVEL']) t.match(output(), name)
  t.strictSame(readdirSync(dir), [])
})
