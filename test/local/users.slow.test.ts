import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { until } from '../until.ts'
import { mailsIn, newDir, ROOT, start } from './running.ts'

function begin (env: Record<string, string>, args: string[]) {
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const result = Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>(resolve => { child.once('close', resolve) })]).then(([stdout, stderr, code]) => ({ stdout, stderr, code }))
  return { child, result }
}

const run = async (env: Record<string, string>, script: string, ...args: string[]) => await begin(env, [`scripts/${script}.ts`, ...args]).result

t.test('npm run users is called wrongly', async t => {
  const LOCAL_DATA_DIR = newDir(t)
  const users = (...args: string[]) => run({ LOCAL_DATA_DIR, HOME: LOCAL_DATA_DIR }, 'users', ...args)
  for (const [args, stderr] of [
    [[], /^Expected one of find, show, .*: --help says what they do\n$/],
    [['show'], /^show needs WHO: --help says what it is\n$/],
    [['export', 'x'], /^Unexpected argument 'x': export takes none, --help says more\n$/],
    [['find', 'ada@example.com', 'x'], /^Unexpected argument 'x': find takes one, --help says more\n$/],
    [['find'], /^No npm start is running \(no .*\/env\): start it in another terminal\n$/],
    [['find', '--limit', '0'], /^--limit is not a whole number/],
    [['find', '--status', 'GONE'], /^--status is PENDING/],
    [['find', '--url', 'http://users.example.com'], /^--url must begin with https/],
    [['find', '--url', 'https://users.example.com'], /^No admin is signed in: npm run users -- sign-in --as ADDRESS/],
    [['sign-in', '--url', 'https://users.example.com'], /^--as is missing/],
    [['import', 'users.txt', '--dry-run'], /ends with neither \.csv nor \.ndjson: say --format\n$/],
    [['import', 'none.csv', '--dry-run'], /^There is no file none\.csv\n$/]
  ] as const) {
    const outcome = await users(...args)
    t.match(outcome, { code: 2, stdout: '', stderr }, args.join(' '))
  }
  t.match(await users('find', '--url', 'http://127.0.0.1:9'), { code: 2 })
})

t.test('an admin finds, changes, imports and exports users of the running npm start', async t => {
  const dir = newDir(t)
  const { api, inbox } = await start(t, dir, { RATE_LIMIT_MAX: '1000' })
  const env = { LOCAL_DATA_DIR: dir }
  const users = (...args: string[]) => run(env, 'users', ...args)
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await users(...args)
    t.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const lines = (stdout: string) => stdout.trim().split('\n').filter(line => line !== '')

  t.match(await users('find', '--as', 'nobody@example.com'), { code: 1, stderr: /^nobody@example\.com has no account here: npm run seed makes an admin, admin@example\.com\n$/ })
  await run(env, 'seed')
  t.match(await users('find', '--as', 'active@example.com'), { code: 1, stderr: 'The account that is signed in is no admin\n' })

  t.equal(lines(await ok('find', '--as', 'admin@example.com')).length, 4)
  t.equal(statSync(join(dir, 'users-session.json')).mode & 0o777, 0o600)
  const [active] = lines(await ok('find', 'active@example.com', '--json')).map(line => JSON.parse(line) as { id: string, email: string })
  t.match(active, { email: 'active@example.com' })
  t.equal(lines(await ok('find', '--limit', '2')).length, 2)
  t.match(await users('show', 'none@example.com'), { code: 1, stderr: 'There is no user none@example.com\n' })
  t.match(await users('show', 'x'), { code: 1, stderr: 'There is no user x\n' })

  const state = async () => JSON.parse(await ok('show', active!.id, '--json')) as { role: string, status: string, audit: { changed: string[] }[] }
  t.match(await ok('promote', 'active@example.com', '--dry-run'), 'Would promote active@example.com')
  t.match(await state(), { role: 'user', audit: [] })
  t.match(await ok('promote', 'active@example.com'), 'active@example.com is an admin')
  t.match(await ok('promote', 'active@example.com'), 'is an admin already')
  t.match(await ok('demote', active!.id), 'is no admin')
  t.match(await ok('suspend', active!.id), 'is suspended')
  t.match(await state(), { role: 'user', status: 'SUSPENDED' })
  t.match(await ok('reactivate', active!.id), 'is active')
  t.strictSame((await state()).audit.map(({ changed }) => changed.join()), ['status', 'status', 'role', 'role'], 'each is in the audit')
  t.match(await ok('show', active!.id), /update role admin by /)
  t.match(await users('delete', active!.id), { code: 2, stderr: /Nothing was changed\. There is no terminal to ask on: repeat it with --yes/ })
  t.match(await ok('delete', active!.id, '--yes'), 'active@example.com was erased')
  t.equal((await users('show', active!.id)).code, 1)

  const file = join(dir, 'users.csv')
  writeFileSync(file, `email,name\n${Array.from({ length: 120 }, (_, i) => `new-${i}@example.com,User Number ${i}`).join('\n')}\nadmin@example.com,Ada\nnew-5@example,Ada\nnew-6@example.com,"A"\n`)
  t.match(await users('import', file, '--dry-run'), { code: 3, stdout: /^row 122: email: .*\nrow 123: name: .*\n$/, stderr: /^121 of 123 rows can be registered/ })
  t.match(await users('import', file), { code: 2, stderr: /repeat it with --yes/ })
  const imported = await users('import', file, '--yes')
  t.match(imported, { code: 3, stdout: `120 registered, 3 refused (${file}.refused.ndjson)\n` }, imported.stderr)
  t.match(readFileSync(`${file}.refused.ndjson`, 'utf8').trim().split('\n').map(line => JSON.parse(line) as object), [
    { row: 121, email: 'admin@example.com', code: 'USERS_EMAIL_TAKEN' },
    { row: 122, email: 'new-5@example', code: 'VALIDATION_FAILED' },
    { row: 123, email: 'new-6@example.com', code: 'VALIDATION_FAILED' }
  ])
  await until(async () => (await mailsIn(inbox)).some(({ to }) => to[0]!.address.startsWith('new-')), { timeoutMs: 30_000 }) // the inbox lists its mails in pages

  const out = join(dir, 'all.csv')
  await ok('export', '--out', out)
  t.equal(lines(readFileSync(out, 'utf8')).length, 1 + 123)
  t.equal(statSync(out).mode & 0o777, 0o600)
  t.strictSame(lines(await ok('export', '--status', 'SUSPENDED')).map(line => (JSON.parse(line) as { email: string }).email), ['suspended@example.com'])

  await ok('sign-out')
  t.notOk(existsSync(join(dir, 'users-session.json')))
  t.match(await users('find', '--url', api), { code: 2, stderr: /^No admin is signed in/ }, 'the same service by its URL has a session of its own')
})

t.test('Ctrl-C ends an import that waits for the limit of the service, and the same command goes on', async t => {
  const dir = newDir(t)
  // Two batches in three seconds.
  await start(t, dir, { RATE_LIMIT_MAX: '20', RATE_LIMIT_WINDOW_SECONDS: '3' })
  const env = { LOCAL_DATA_DIR: dir }
  t.match(await run(env, 'seed'), { code: 0 })
  const file = join(dir, 'users.ndjson')
  const rows = 350
  writeFileSync(file, Array.from({ length: rows }, (_, i) => JSON.stringify({ email: `new-${i}@example.com`, name: 'Ada Lovelace' })).join('\n'))
  const first = begin(env, ['scripts/users.ts', 'import', file, '--yes'])
  await until(() => existsSync(`${file}.import.json`) && (JSON.parse(readFileSync(`${file}.import.json`, 'utf8')) as { rows: number }).rows >= 200, { timeoutMs: 30_000 })
  first.child.kill('SIGINT')
  t.match(await first.result, { code: 130, stdout: /^Stopped after row 200 of 350: 200 registered, 0 refused\. The same command goes on there\n$/, stderr: '' })
  t.match(await run(env, 'users', 'import', file, '--yes', '--json'), { code: 0, stdout: `${JSON.stringify({ rows, registered: rows, refused: 0, report: null, isDone: true })}\n` })
})
