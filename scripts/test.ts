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

Needs redis-server or valkey-server, and installs it with apt-get where it may. With Java ${JAVA_NEEDED} the tests of
tables run on AWS's DynamoDB Local too; with CI=true they must. Options of tap are passed on:

  npm test -- test/local                      the tests in a folder
  npm test -- test/local --grep=/inbox/       of these, those whose names fit
  npm test -- test/local/inbox.test.ts --only those that say { only: true }
`

/** One file, or one test with the tests in it. */
interface Node {
  isOk: boolean
  children: Node[]
}

/** Reads TAP into a tree of tests, and what is to be said of each failure. */
function readTap (text: string): { root: Node, failures: string[] } {
  const failures: string[] = []
  const tell = ({ fullname, diag }: Result) => {
    failures.push(`✖ ${fullname}\n${stringify(diag ?? {}).replace(/^/gm, '    ').trimEnd()}`)
  }
  const watch = (parser: Parser): Node => {
    const node: Node = { isOk: true, children: [] }
    parser.on('child', (child: Parser) => { node.children.push(watch(child)) })
    parser.on('assert', (result: Result) => {
      const { ok, todo, skip, closingTestPoint } = result
      if (ok || todo || skip) return
      // A line that closes a test says how that test ended, a crash or a time-out included.
      const failed = closingTestPoint ? node.children.at(-1)! : node
      if (!closingTestPoint || tally(failed).failed === 0) tell(result)
      failed.isOk = false
    })
    return node
  }
  const parser = new Parser()
  const root = watch(parser)
  parser.end(text)
  return { root, failures }
}

/** Counts the tests that have no tests in them; one that failed although all in it passed counts as a failure of its own. */
function tally ({ isOk, children }: Node): { passed: number, failed: number } {
  if (children.length === 0) return isOk ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  const total = children.map(tally).reduce((sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }))
  return !isOk && total.failed === 0 ? { ...total, failed: 1 } : total
}

/** Installs Redis where that is possible without asking: as root on Debian and its kin. */
function installRedis (): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return
  console.log('Installing redis-server with apt-get …')
  // No prompts, and no Redis of the system's own on port 6379 afterwards.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...args: string[]) => spawnSync('apt-get', ['-qq', '-y', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  const install = () => apt('install', '--no-install-recommends', 'redis-server')
  if (!install() && apt('update')) install() // the list of packages may be missing or old
}

/** The tests in a folder, in its place: tap would run the helpers among them as tests too. */
function expand (argument: string): string[] {
  if (argument.startsWith('-') || !statSync(argument, { throwIfNoEntry: false })?.isDirectory()) return [argument]
  return globSync('**/*.test.ts', { cwd: argument, exclude: ['**/fixtures/**'] }).sort().map(file => join(argument, file))
}

/** Runs tap. What it says is shown as it comes on a terminal; in a log, a line for each file that is done. */
async function run (tap: string, args: string[], isTerminal: boolean): Promise<number> {
  const child = spawn(process.execPath, [tap, 'run', ...(isTerminal ? [] : ['--reporter=tap']), ...args], { stdio: ['inherit', isTerminal ? 'inherit' : 'pipe', 'pipe'] })
  if (child.stdout !== null) {
    const parser = new Parser()
    const done = new Set<string>()
    parser.on('assert', ({ ok, name, time }: Result) => {
      if (!/\.[cm]?[jt]s$/.test(name) || done.has(name)) return // what failed comes again at the end
      done.add(name)
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}${time === null ? '' : ` (${(time / 1000).toFixed(1)} s)`}`)
    })
    child.stdout.pipe(parser)
  }
  let complaint = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-10_000)
    // An option that tap does not know ends it with a stack; what it says is in the first line of the error.
    if (!complaint.includes('jackspeak')) process.stderr.write(text)
  })
  const status = await new Promise<number>(resolve => { child.once('close', code => resolve(code ?? 1)) })
  const [, message] = complaint.includes('jackspeak') ? /^Error: (.*?)(?:\. |$)/m.exec(complaint) ?? [] : []
  if (message !== undefined) console.error(`${message}: npm test -- --help shows what can be asked for`)
  return status
}

async function main (args: string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(HELP)
    return 0
  }
  const empty = args.find(argument => expand(argument).length === 0)
  if (empty !== undefined) {
    console.error(`${empty} has no tests`) // and without a name tap would run all
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
    // tap's reporters draw for a terminal, and in a log, with CI set, say nothing of failures: there this does.
    const isTerminal = process.stdout.isTTY
    const status = await run(tap, [`--output-file=${output}`, ...args.flatMap(expand)], isTerminal)
    if (!existsSync(output)) return status // no file fits the arguments, and tap has said so
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
