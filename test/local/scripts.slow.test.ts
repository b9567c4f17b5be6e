import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { makeScratch, type Scratch } from '../house/scratch.ts'
import { COMMANDS, makeFolder, startSilentServer, type Command, type Place } from './commands.ts'
import { others, OTHERS, ours, ROOT, run } from './npm-scripts.ts'

t.test('every npm command is tried here, or is a program of others', async t => {
  t.strictSame(ours.map(([name]) => name).sort(), Object.keys(COMMANDS).sort(), 'test/local/commands.ts has a line for each script of package.json')
  t.strictSame(others, OTHERS)
})

t.test('every script answers --help, and does nothing else', async t => {
  for (const [name, args] of ours) {
    // Nothing is in this environment: whatever went on to work would fail.
    const { code, stdout, stderr } = await run(t, [...args, '--help'])
    t.equal(code, 0, `${name}: ${stderr}`)
    t.match(stdout, new RegExp(`^(?:npm start, )?npm (?:run )?${name}\\b`), name)
    t.equal(stderr, '', name)
  }
})

/** What passes its options on to a program of others, which knows them. */
const PASSES_ON = ['deploy', 'sam:local']

t.test('an argument that a script does not know is refused in one line, before anything is done', async t => {
  for (const [name, args] of ours.filter(([name]) => !PASSES_ON.includes(name))) {
    const { code, stdout, stderr } = await run(t, [...args, '--no-such-option'])
    t.equal(code, 2, name)
    t.match(stderr, /^Unknown option '--no-such-option': [^\n]*--help[^\n]*\n$/, name)
    t.equal(stdout, '', name)
  }
  for (const [name, args] of ours.filter(([name]) => !['sam:local', 'trace'].includes(name))) {
    const { code, stdout, stderr } = await run(t, [...args, 'no-such-operand'])
    t.equal(code, 2, name)
    t.match(stderr, /^[^\n]+\n$/, name)
    t.equal(stdout, '', name)
  }
  const { stderr } = await run(t, ['scripts/start.ts', '--port', '4000'])
  t.match(stderr, 'settings are environment variables, as in PORT=4000 npm start')
})

t.test('a value that an option does not know is refused in one line, before anything is done', async t => {
  for (const args of [
    ...['abc', '', '-1', '80', '65536', '9229.5'].map(port => ['scripts/start.ts', `--inspect-port=${port}`]),
    ...['no-such', 'hono,no-such', ''].map(names => ['bench/run.ts', '--only', names]),
    ['bench/run.ts', 'calls', '--only', 'hono'],
    ['bench/run.ts', '--users', 'many'],
    ['scripts/users.ts', 'find', '--status', 'ACTIV'],
    ['scripts/mutants.ts', '--jobs', '0']
  ]) {
    const { code, stdout, stderr } = await run(t, args)
    t.equal(code, 2, args.join(' '))
    t.match(stderr, /^[^\n]+\n$/, args.join(' '))
    t.equal(stdout, '', args.join(' '))
  }
})

t.test('a script that lacks its configuration says in one line what to do', async t => {
  // A folder without data of a running npm start, and without .env.
  const { dir } = makeScratch(t)
  for (const [name, args] of ours) {
    const { lacks } = COMMANDS[name] ?? {}
    if (lacks === undefined) continue
    const { code, stdout, stderr } = await run(t, args, { cwd: dir })
    t.ok(code === 1 || code === 2, `${name}: ${code}`)
    t.match(stderr, lacks, name)
    t.equal(stdout, '', name)
  }
  for (const args of [['scripts/deploy.ts', 'dev'], ['scripts/drift.ts', 'dev'], ['scripts/integration.ts', '--stage', 'dev'], ['scripts/secrets.ts', 'status', '--stack', 'x'], ['scripts/rollback.ts', 'status', '--stack', 'x']]) {
    mkdirSync(join(dir, 'dist/lambda'), { recursive: true })
    writeFileSync(join(dir, 'dist/lambda/index.mjs'), '')
    const { code, stderr } = await run(t, args, { cwd: dir, env: { HOME: dir, AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true' } })
    t.equal(code, 1)
    t.match(stderr, /^(?:[^\n:]+: )?There are no AWS credentials: set AWS_PROFILE, or sign in with aws sso login\n$/, args.join(' '))
  }
})

/** Processes of a group, by their ids. */
const membersOf = (group: number) => readdirSync('/proc').filter(name => /^\d+$/.test(name) && (() => {
  try {
    const [state, , pgrp] = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
    return Number(pgrp) === group && state !== 'Z'
  } catch {
    return false
  }
})())

/** Milliseconds in which a script has ended after a Ctrl-C, on cores that others keep busy. */
const PATIENCE = 20_000

const STALE = 'of before\n'

/** Runs a script, sends what a Ctrl-C in a terminal sends, and returns what is wrong afterwards. */
async function interrupt (t: Test, copy: Scratch, args: string[], { args: more = [], env, prepare, interrupt: when, writes = [], code: expected, leaves }: Command): Promise<string[]> {
  const dir = makeFolder(t)
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  const place: Place = { copy, bin, dir, ...await startSilentServer(t) }
  const kept = ['.env.example', 'docs/configuration.md'].map(file => [file, copy.read(file)] as const)
  prepare?.(place)
  for (const file of writes) {
    mkdirSync(dirname(copy.path(file)), { recursive: true })
    // The page keeps what the script looks for in it.
    writeFileSync(copy.path(file), existsSync(copy.path(file)) && file === 'docs/configuration.md' ? copy.read(file).replace('| required |', `| ${STALE.trim()} |`) : STALE)
  }
  const preload = when === 'write' ? ['--import', join(ROOT, 'test/local/interrupting.ts')] : []
  const child = spawn(process.execPath, [...preload, ...args, ...more], {
    cwd: copy.dir,
    detached: true, // a group of its own, as a shell makes one for each command
    env: { PATH: `${bin}:${process.env['PATH']}`, HOME: dir, NODE_DISABLE_COMPILE_CACHE: '1', INTERRUPT_IN: copy.dir, ...env?.(place) },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => { for (const pid of membersOf(child.pid!)) process.kill(Number(pid), 'SIGKILL') })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const problems: string[] = []
  if (when !== 'write') {
    const early = await Promise.race([when(place, () => output).then(() => false), ended.then(() => true)])
    if (early) problems.push('ended before the Ctrl-C')
    else process.kill(-child.pid!, 'SIGINT')
  }
  const late = setTimeout(() => {
    problems.push('does not end')
    child.kill('SIGKILL')
  }, PATIENCE)
  const [code, signal] = await ended
  clearTimeout(late)
  const result = signal === 'SIGINT' ? 130 : code ?? signal
  const stale = writes.filter(file => !existsSync(copy.path(file)) || copy.read(file).includes(STALE.trim()))
  // What is written in one turn of the event loop may be done before the signal is looked at.
  const isDone = when === 'write' && writes.length > 0 && stale.length === 0
  if (result !== (expected ?? 130) && !(isDone && result === 0)) problems.push(`ended with ${result}: ${output.slice(-400)}`)
  if (/^ {4}at /m.test(output)) problems.push(`a stack: ${output.slice(-400)}`)
  await until(() => membersOf(child.pid!).length === 0, { timeoutMs: PATIENCE }).catch(() => problems.push('processes are left'))
  if (stale.length > 0 && stale.length < writes.length) problems.push(`half written: ${stale.join(' ')} are of before`)
  const missing = writes.filter(file => !existsSync(copy.path(file)))
  if (missing.length > 0) problems.push(`gone: ${missing.join(' ')}`)
  if (leaves !== undefined) {
    await until(() => leaves(place).length === 0, { timeoutMs: PATIENCE }).catch(() => problems.push(`left: ${leaves(place).join(' ')}`))
  }
  for (const [file, text] of kept) writeFileSync(copy.path(file), text)
  return problems
}

t.test('a Ctrl-C in the middle ends a script with exit code 130, leaves nothing running and nothing half written', { timeout: 600_000 }, async t => {
  const copy = makeScratch(t)
  for (const [name, args] of ours) {
    await t.test(name, async t => {
      t.strictSame(await interrupt(t, copy, args, COMMANDS[name]!), [])
    })
  }
})

t.test('a script that is cut in the middle of its writing is found', async t => {
  const copy = makeScratch(t)
  copy.edit({ 'scripts/openapi.ts': [['  endOnSignals()\n', '']] })
  const problems = await interrupt(t, copy, ['scripts/openapi.ts'], COMMANDS['openapi']!)
  t.match(problems.join('\n'), /^(?:half written|gone): /)
})

t.test('before npm ci every script says to run it', async t => {
  const dir = t.testdir()
  cpSync(join(ROOT, 'scripts/require-node.cjs'), join(dir, 'scripts/require-node.cjs'))
  for (const [name, args] of ours) {
    const { code, stderr } = await run(t, args, { cwd: dir })
    t.equal(code, 1, name)
    t.equal(stderr, 'The packages are missing: run npm ci first\n', name)
  }
})
