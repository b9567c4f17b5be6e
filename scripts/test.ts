import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Parser, type Result } from 'tap-parser'
import { stringify } from 'yaml'
import { JAVA_NEEDED, javaVersion } from '../local/dynamodb.ts'
import { findRedis, REDIS_COMMANDS } from '../local/redis.ts'

const HELP = `npm test [-- file or folder …]: every test, or those of the files and folders, on real engines.

Needs redis-server or valkey-server, and installs it with apt-get if possible. With Java ${JAVA_NEEDED} the tests of
tables also run on AWS's DynamoDB Local; with CI=true Java is required. Options of tap are passed on:

  npm test -- test/local                      the tests in a folder
  npm test -- test/local --grep=/inbox/       tests in it whose names match
  npm test -- test/local/inbox.test.ts --only tests with { only: true }
`

/** One file, or one test with the tests in it. */
interface Node {
  isOk: boolean
  children: Node[]
}

/** Parses TAP into a tree of tests and a report of each failure. */
function readTap (text: string): { root: Node, failures: string[] } {
  const failures: string[] = []
  const report = ({ fullname, diag }: Result) => {
    failures.push(`✖ ${fullname}\n${stringify(diag ?? {}).replace(/^/gm, '    ').trimEnd()}`)
  }
  const watch = (parser: Parser): Node => {
    const node: Node = { isOk: true, children: [] }
    parser.on('child', (child: Parser) => { node.children.push(watch(child)) })
    parser.on('assert', (result: Result) => {
      const { ok, todo, skip, closingTestPoint } = result
      if (ok || todo || skip) return
      // The line that closes a test has its result, including a crash or a timeout.
      const failed = closingTestPoint ? node.children.at(-1)! : node
      if (!closingTestPoint || tally(failed).failed === 0) report(result)
      failed.isOk = false
    })
    return node
  }
  const parser = new Parser()
  const root = watch(parser)
  parser.end(text)
  return { root, failures }
}

/** Counts the tests without subtests. A test that failed although all its subtests passed counts as one more failure. */
function tally ({ isOk, children }: Node): { passed: number, failed: number } {
  if (children.length === 0) return isOk ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  const total = children.map(tally).reduce((sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }))
  return !isOk && total.failed === 0 ? { ...total, failed: 1 } : total
}

/** Installs Redis if that is possible without a prompt: as root on Debian and its derivatives. */
function installRedis (): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return
  console.log('Installing redis-server with apt-get …')
  // No prompts, and the package must not start a Redis on port 6379.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...args: string[]) => spawnSync('apt-get', ['-qq', '-y', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  const install = () => apt('install', '--no-install-recommends', 'redis-server')
  if (!install() && apt('update')) install() // the package list may be missing or old
}

/** Replaces a folder by the tests in it, because tap would also run the helper files as tests. */
function expand (argument: string): string[] {
  if (argument.startsWith('-') || !statSync(argument, { throwIfNoEntry: false })?.isDirectory()) return [argument]
  return globSync('**/*.test.ts', { cwd: argument, exclude: ['**/fixtures/**'] }).sort().map(file => join(argument, file))
}

/** Runs tap. On a terminal its output is shown as it comes; in a log, one line for each finished file. */
async function run (tap: string, args: string[], isTerminal: boolean): Promise<number> {
  const child = spawn(process.execPath, [tap, 'run', ...(isTerminal ? [] : ['--reporter=tap']), ...args], { stdio: ['inherit', isTerminal ? 'inherit' : 'pipe', 'pipe'] })
  if (child.stdout !== null) {
    const parser = new Parser()
    const done = new Set<string>()
    parser.on('assert', ({ ok, name, time }: Result) => {
      if (!/\.[cm]?[jt]s$/.test(name) || done.has(name)) return // failed files are listed again at the end
      done.add(name)
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}${time === null ? '' : ` (${(time / 1000).toFixed(1)} s)`}`)
    })
    child.stdout.pipe(parser)
  }
  let complaint = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-10_000)
    // An unknown option ends tap with a stack trace. Only the first line of the error is useful.
    if (!complaint.includes('jackspeak')) process.stderr.write(text)
  })
  const status = await new Promise<number>(resolve => { child.once('close', code => resolve(code ?? 1)) })
  const [, message] = complaint.includes('jackspeak') ? /^Error: (.*?)(?:\. |$)/m.exec(complaint) ?? [] : []
  if (message !== undefined) console.error(`${message}: npm test -- --help shows the usage`)
  return status
}

async function main (args: string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(HELP)
    return 0
  }
  const empty = args.find(argument => expand(argument).length === 0)
  if (empty !== undefined) {
    console.error(`${empty} has no tests`) // without a name, tap would run all tests
    return 1
  }
  if (findRedis() === undefined) installRedis()
  if (findRedis() === undefined) {
    console.error(`The tests need ${REDIS_COMMANDS.join(' or ')}: install Redis or Valkey (Debian: apt-get install redis-server, macOS: brew install redis).`)
    return 1
  }
  const java = await javaVersion() ?? 0
  const lacksJava = java < JAVA_NEEDED

  const require = createRequire(import.meta.url)
  const tap = join(dirname(require.resolve('tap/package.json')), (require('tap/package.json') as { bin: { tap: string } }).bin.tap)
  const dir = mkdtempSync(join(tmpdir(), 'user-service-tap-'))
  const output = join(dir, 'output.tap')
  try {
    // tap's reporters are made for a terminal. In a log with CI set they do not show failures, so this script does.
    const isTerminal = process.stdout.isTTY
    const status = await run(tap, [`--output-file=${output}`, ...args.flatMap(expand)], isTerminal)
    if (!existsSync(output)) return status // no file matches the arguments, and tap has reported it
    const { root, failures } = readTap(readFileSync(output, 'utf8'))
    const { passed, failed } = tally(root)
    if (!isTerminal && failures.length > 0) console.log(`${failures.join('\n\n')}\n`)
    if (lacksJava) console.log(`DynamoDB Local: not run (Java ${java === 0 ? 'is missing' : `${java} is too old`}, ${JAVA_NEEDED} is needed)`)
    console.log(`${passed} passed, ${failed} failed`)
    return lacksJava && process.env['CI'] === 'true' ? 1 : status
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

process.exitCode = await main(process.argv.slice(2))
