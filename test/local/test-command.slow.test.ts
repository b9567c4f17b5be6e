import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { findRedis } from '../../local/redis.ts'
import { boundCompiled } from '../../scripts/test/compiled.ts'

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
    const run = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/test.ts'), ...args], { cwd: dir, env: { PATH: bin, HOME: dir, ...env } })
    return await run.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: { code: number, stdout: string, stderr: string }) => error)
  }
  return { dir, test }
}

t.test('the last line counts the tests, and a failure, a crash or a hanging test is one more that failed', async t => {
  const { test } = setUp(t)
  const bad = await test("t.test('a', async t => { t.ok(true) }); t.test('b', async t => { t.equal(1, 2) }); t.test('c', { skip: 'not here' }, async t => { t.fail() })")
  t.equal(bad.code, 1)
  t.equal(bad.stdout.trim().split('\n').at(-1), '1 passed, 1 failed')
  t.match(bad.stdout, 'b > should be equal', 'what failed is shown')

  const crashed = await test("t.test('a', async t => { t.ok(true) }); setTimeout(() => process.exit(3), 200); t.test('b', () => new Promise(() => {}))")
  t.equal(crashed.code, 1)
  t.match(crashed.stdout.trim().split('\n').at(-1), /^1 passed, [1-9]\d* failed$/)

  const hanging = await test("t.test('a', async t => { t.ok(true) }); t.test('b', () => new Promise(() => { setInterval(() => {}, 1000) }))", {}, ['--timeout=1', 'x.mjs'])
  t.equal(hanging.code, 1)
  t.match(hanging.stdout, /x\.mjs > b[^]*timeout!/)

  const uncaught = await test("t.test('a', async t => { t.ok(true) }); t.test('b', async t => { setTimeout(() => { throw new Error('in a timer') }, 10); await new Promise(() => {}) })")
  t.equal(uncaught.code, 1)
  t.match(uncaught.stdout, 'x.mjs > b > test unfinished')
  t.match(uncaught.stderr, /Error: in a timer\n {4}at /, 'its stack')
  t.equal(uncaught.stdout.trim().split('\n').at(-1), '1 passed, 1 failed')

  const killed = await test("t.test('a', async t => { t.ok(true) }); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200); t.test('b', () => new Promise(() => {}))")
  t.equal(killed.code, 1)
  t.match(killed.stdout, /^✖ x\.mjs: ended by SIGKILL$/m)
  t.match(killed.stdout.trim().split('\n').at(-1), /^\d passed, 1 failed$/)
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
  const { code, stdout } = await test('', {}, ['folder'])
  t.equal(code, 0)
  t.match(stdout.trim().split('\n').at(-1), '2 passed, 0 failed')
  t.match(stdout, /^ok {5}folder\/a\.test\.ts \(\d+\.\d s\)$/m, 'a line for each file that is done')
  t.match(stdout, /^ok {5}folder\/below\/b\.test\.ts/m)

  const empty = await test('', {}, ['empty'])
  t.equal(empty.code, 2)
  t.equal(empty.stderr, 'empty has no tests: --help lists the options\n')
})

t.test('slow files are left out and counted, unless they are asked for', async t => {
  const { dir, test } = setUp(t)
  mkdirSync(join(dir, 'test/fixtures'), { recursive: true })
  const body = "import t from 'tap'\nt.test('a', async t => { t.ok(true) })\n"
  for (const name of ['a.test.ts', 'b.slow.test.ts', 'c.slow.test.ts', 'fixtures/d.test.ts']) writeFileSync(join(dir, 'test', name), body)
  const filesIn = (stdout: string) => [...stdout.matchAll(/^ok {5}test\/(\S+) /gm)].map(([, file]) => file).sort()
  const run = async (...args: string[]) => (await test('', {}, ['--timeout=60', ...args])).stdout
  const quick = await run()
  t.same(filesIn(quick), ['a.test.ts'])
  t.match(quick, /^2 slow files: not run \(npm test -- --slow runs them, npm test -- --all everything\)\n1 passed, 0 failed\n$/m)
  for (const [args, files] of [[['--slow'], ['b.slow.test.ts', 'c.slow.test.ts']], [['--all'], ['a.test.ts', 'b.slow.test.ts', 'c.slow.test.ts']], [['test/b.slow.test.ts'], ['b.slow.test.ts']]] as const) {
    const stdout = await run(...args)
    t.same(filesIn(stdout), files, args.join(' '))
    t.notMatch(stdout, 'not run (npm')
  }
  t.same(filesIn(await run('test')).length, 3, 'a folder that is named is run as a whole')
})

t.test('files share processes, and each has its own result', async t => {
  const { dir, test } = setUp(t)
  const write = (name: string, body: string) => writeFileSync(join(dir, `${name}.mjs`), `import t from 'tap'\n${body}`)
  const run = async (...names: string[]) => await test('t.test(\'first\', async t => { t.ok(true) })\nglobalThis.pid = process.pid\nt.teardown(() => { globalThis.ended = true })', {}, ['--jobs=1', 'x.mjs', ...names.map(name => `${name}.mjs`)])

  write('same', "t.test('in the process of the first file, which has been torn down', async t => { t.equal(globalThis.pid, process.pid); t.ok(globalThis.ended) })")
  write('bad', "t.test('outer', async t => { t.test('inner', async t => { t.equal(1, 2) }) })")
  const shared = await run('same', 'bad', 'same')
  t.match(shared.stdout, /^✖ bad\.mjs > outer > inner > should be equal$/m)
  t.match(shared.stdout.trim().split('\n').at(-1), '2 passed, 1 failed')

  write('alone', '// A process of its own: it looks at it.\nt.test("alone", async t => { t.equal(globalThis.pid, undefined) })')
  t.match((await run('alone')).stdout, /\n2 passed, 0 failed\n$/)

  write('crash', "t.test('c', async () => { process.exit(3) })")
  const crashed = await run('crash', 'alone')
  t.match(crashed.stdout, /^✖ crash\.mjs/m)
  t.match(crashed.stdout.trim().split('\n').at(-1), '2 passed, 1 failed', 'the file after it runs in a new process')

  write('import', "import './is-missing.mjs'")
  t.match((await run('import', 'alone')).stdout, /^✖ import\.mjs > .*is-missing[^]*2 passed, 1 failed\n$/m)

  write('leaves', "t.test('l', async t => { t.ok(true) }); t.teardown(() => { process.stdin.once('data', () => process.exit(4)) })")
  write('innocent', "t.test('i', async t => { t.ok(true) })")
  const left = await run('leaves', 'innocent')
  t.match(left.stdout, /^✖ leaves\.mjs: something that it left behind ended its process$/m)
  t.match(left.stdout.trim().split('\n').at(-1), '3 passed, 1 failed', 'what comes after it is run all the same')
})

t.test('names are matched, and after a failure --bail starts no other file', async t => {
  const { dir, test } = setUp(t)
  t.match((await test("t.test('one', async t => { t.ok(true) }); t.test('two', async t => { t.fail() })", {}, ['--grep=/ONE/i', 'x.mjs'])).stdout, /^1 passed, 0 failed$/m)
  writeFileSync(join(dir, 'y.mjs'), "import t from 'tap'\nt.fail()\n")
  const { code, stdout } = await test("t.test('a', async t => { t.ok(true) })", {}, ['--bail', '--jobs=1', 'y.mjs', 'x.mjs'])
  t.equal(code, 1)
  t.match(stdout, /1 of 2 files: not run\n0 passed, 1 failed\n$/)
})

t.test('compiled code is thrown away when there is too much of it', async t => {
  const dir = join(t.testdir({ version: { a: '', b: '' } }), '.')
  boundCompiled(dir, 3)
  t.ok(existsSync(join(dir, 'version/a')), 'three entries are not too many')
  boundCompiled(dir, 2)
  t.notOk(existsSync(dir))
  boundCompiled(dir, 2)
})

t.test('an option that does not exist is refused in one line', async t => {
  const { test } = setUp(t)
  const { code, stderr } = await test('', {}, ['--foo', 'x.mjs'])
  t.equal(code, 2)
  t.equal(stderr, "Unknown option '--foo': --help lists the options\n")
})
