import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { findRedis } from '../../local/redis.ts'

const ROOT = new URL('../../', import.meta.url).pathname

/** A directory with tests of its own, and a path of commands that has a Redis and no Java. */
function setUp (t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-test-command-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'redis-server'), `#!/bin/sh\nPATH=${process.env['PATH']} exec ${findRedis()} "$@"\n`, { mode: 0o755 })
  async function test (body: string, env: Record<string, string> = {}, args = ['x.mjs']) {
    writeFileSync(join(dir, 'x.mjs'), `import t from 'tap'\n${body}`)
    const run = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/test.ts'), '--disable-coverage', ...args], { cwd: dir, env: { PATH: bin, HOME: dir, ...env } })
    return await run.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: { code: number, stdout: string, stderr: string }) => error)
  }
  return { dir, test }
}

t.test('the last line counts the tests, and the exit code is that of tap', async t => {
  const { test } = setUp(t)
  const bad = await test("t.test('a', async t => { t.ok(true) }); t.test('b', async t => { t.equal(1, 2) }); t.test('c', { skip: 'not here' }, async t => { t.fail() })")
  t.equal(bad.code, 1)
  t.equal(bad.stdout.trim().split('\n').at(-1), '1 passed, 1 failed')
  t.match(bad.stdout, 'b > should be equal', 'what failed is shown')

  const crashed = await test("t.test('a', async t => { t.ok(true) }); setTimeout(() => process.exit(3), 200); t.test('b', () => new Promise(() => {}))")
  t.equal(crashed.code, 1)
  t.match(crashed.stdout.trim().split('\n').at(-1), /^1 passed, [1-9]\d* failed$/)
})

t.test('a missing Java is reported, and is a failure where everything must run', async t => {
  const { test } = setUp(t)
  const body = "t.test('a', async t => { t.ok(true); t.ok(true) }); t.test('b', async t => { t.test('c', async () => {}) })"
  const [here, ci] = [await test(body), await test(body, { CI: 'true' })]
  for (const { stdout } of [here, ci]) t.match(stdout, 'DynamoDB Local: not run (Java is missing, 17 is needed)\n2 passed, 0 failed\n')
  t.equal(here.code, 0)
  t.equal(ci.code, 1)
})

t.test('a missing Redis that cannot be installed is asked for', async t => {
  const { dir, test } = setUp(t)
  rmSync(join(dir, 'bin/redis-server'))
  const { code, stderr } = await test("t.test('a', async () => {})")
  t.equal(code, 1)
  t.match(stderr, 'The tests need redis-server or valkey-server: install Redis or Valkey')
})

t.test('a folder stands for the tests in it, and not for what helps them', async t => {
  const { dir, test } = setUp(t)
  mkdirSync(join(dir, 'folder/below'), { recursive: true })
  mkdirSync(join(dir, 'empty'))
  const body = "import t from 'tap'\nt.test('a', async t => { t.ok(true) })\n"
  for (const name of ['a.test.ts', 'below/b.test.ts']) writeFileSync(join(dir, 'folder', name), body)
  writeFileSync(join(dir, 'folder/helper.ts'), "throw new Error('this is no test')\n")
  const { code, stdout } = await test('', {}, ['--type-strip-only', 'folder'])
  t.equal(code, 0)
  t.match(stdout.trim().split('\n').at(-1), '2 passed, 0 failed')
  t.match(stdout, /^ok {5}folder\/a\.test\.ts \(\d+\.\d s\)$/m, 'a line for each file that is done')
  t.match(stdout, /^ok {5}folder\/below\/b\.test\.ts/m)

  const empty = await test('', {}, ['empty'])
  t.equal(empty.code, 1)
  t.equal(empty.stderr, 'empty has no tests\n')
})

t.test('an option that tap does not know is refused in one line', async t => {
  const { test } = setUp(t)
  const { code, stderr } = await test('', {}, ['--foo', 'x.mjs'])
  t.equal(code, 1)
  t.equal(stderr, "Unknown option '--foo': npm test -- --help shows the usage\n")
})
